"""Who asks, and for which organization: the bearer token, the role and `X-Organization-Id`.

`identify` reads the token, `choose_tenant` applies the rules of roles; `Access` is what an operation demands.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum, auto
from threading import Lock
from typing import Final

from app.errors import Forbidden, Unauthorized
from app.tokens import Bearer, Role, is_organization_id, read_token

HEADER: Final = "X-Organization-Id"
_REMEMBERED: Final = 1024
#: Within the leeway that clocks have anyway, so that a token is not verified for each request of a poll.
_REMEMBER_S: Final = 2.0


class Access(Enum):
    """What an operation asks of its caller."""

    #: Nothing.
    PUBLIC = auto()
    #: A token; no organization is concerned.
    TOKEN = auto()
    #: A token and an organization.
    TENANT = auto()
    #: An organization, or an admin's view of all of them when it names none.
    FLEET = auto()
    #: The admin role; the organization as in FLEET.
    ADMIN = auto()


class Gate:
    """Reads tokens, and remembers for a moment the ones it has read. Threads may share it."""

    def __init__(
        self, secrets: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Bearer]] = OrderedDict()
        self._guard = Lock()

    def identify(self, authorization: str | None) -> Bearer:
        """The bearer of an Authorization header (RFC 6750).

        Raises `Unauthorized` without a good token, `Forbidden` when the token names no organization.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("Send a token: Authorization: Bearer <token>.", code="token_missing")
        now = self._clock()
        with self._guard:
            read_at, bearer = self._known.get(token, (-_REMEMBER_S, None))
        if bearer is not None and now - read_at < _REMEMBER_S:
            return bearer
        bearer = read_token(self._secrets, token)
        with self._guard:
            self._known[token] = (now, bearer)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return bearer


def choose_tenant(access: Access, bearer: Bearer, named: str | None) -> str:
    """The organization that a call is about; "" where none is concerned or all are.

    Raises `Forbidden`.
    """
    if bearer.role is Role.USER:
        if access is Access.ADMIN:
            raise Forbidden("This needs an admin token.", code="admin_only")
        if named is not None and named != bearer.organization_id:
            raise Forbidden(
                f"The token is of another organization than {HEADER} names.",
                code="organization_mismatch",
            )
        return bearer.organization_id
    if named is None:
        if access is Access.TENANT:
            raise Forbidden(
                f"An admin names the organization with {HEADER}.", code="organization_missing"
            )
        return ""
    if not is_organization_id(named):
        raise Forbidden(f"{HEADER} is not an organization id.", code="organization_invalid")
    return named
