"""As much of an HTTP client as the commands need: calls, pages, and errors in the server's words."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from app.errors import GatewayError

_TIMEOUT_S: Final = 60
_PAGE: Final = 100


class CallFailed(GatewayError):
    """The gateway refused a call, or could not be reached."""

    code = "call_failed"

    def __init__(self, message: str, *, status: int | None = None, body: Any = None) -> None:
        super().__init__(message)
        #: The HTTP status; None when there was no answer.
        self.status = status
        self.body = body


class Client:
    """Calls one gateway with one token."""

    def __init__(self, base_url: str, token: str, organization: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if organization:
            self._headers["X-Organization-Id"] = organization

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
    ) -> Any:
        """The answer's JSON, None when it is empty. Raises `CallFailed`."""
        pairs = query.items() if isinstance(query, Mapping) else query
        wanted = urlencode([(name, value) for name, value in pairs if value is not None])
        url = f"{self._base_url}{quote(path)}{'?' if wanted else ''}{wanted}"
        request = urllib.request.Request(  # noqa: S310  # the address is the caller's own
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=self._headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # as above
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _explain(error) from None
        except (OSError, ValueError) as error:
            raise CallFailed(_explain_silence(self._base_url, error)) from error
        return json.loads(content) if content else None

    def list_all(
        self, path: str, query: Mapping[str, Any] | None = None, *, most: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every entry of a paged list, or the first `most`."""
        seen, page = 0, 1
        while most is None or seen < most:
            limit = _PAGE if most is None else min(_PAGE, most)
            answer = self.call("GET", path, query={**(query or {}), "page": page, "limit": limit})
            entries = answer["data"] if most is None else answer["data"][: most - seen]
            yield from entries
            seen, page = seen + len(entries), page + 1
            if page > -(-answer["total"] // limit):
                return


def _explain_silence(base_url: str, error: Exception) -> str:
    """What to look at when nothing answers."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ConnectionRefusedError):
        return (
            f"{base_url} does not answer: nothing listens there. `gateway status` shows what runs."
        )
    return f"{base_url} does not answer: {reason}"


def _explain(error: urllib.error.HTTPError) -> CallFailed:
    """The server's sentence; of a 422 each mistake with its place."""
    text = error.read().decode("utf-8", "replace")
    try:
        body = json.loads(text)
        detail = body["detail"]
    except (ValueError, KeyError, TypeError):
        return CallFailed(f"The gateway answered {error.code}.", status=error.code)
    if isinstance(detail, list):
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in detail]
        detail = " ".join(mistakes)
    return CallFailed(str(detail), status=error.code, body=body)
