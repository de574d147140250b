"""Why a CSMS could not be reached or used, as one fact with a sentence for people.

`Problem` becomes the `detail` of the link's `state`; docs/link.md lists the values of `error`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Upgrade answers that trying again will not mend by itself.
DEFINITE_STATUS = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Problem:
    """One failed attempt, or one lost connection."""

    #: `dns refused timeout tls http subprotocol boot_rejected not_allowed closed network`.
    error: str
    #: One plain sentence.
    message: str
    #: Trying again will not mend it by itself.
    definite: bool = False
    http_status: int | None = None
    #: What the CSMS chose; the empty string: none.
    subprotocol: str | None = None
    close_code: int | None = None
    close_reason: str | None = None

    @property
    def verdict(self) -> str:
        """`csms_rejected` when a CSMS was there and said no, else `csms_unreachable`."""
        if self.definite or self.error == "boot_rejected":
            return "csms_rejected"
        if self.error == "http" and self.http_status is not None and self.http_status < 500:
            return "csms_rejected"
        return "csms_unreachable"

    def describe(self) -> dict[str, Any]:
        """The part of `detail` that this problem knows."""
        detail: dict[str, Any] = {
            "error": self.error,
            "message": self.message,
            "definite": self.definite,
        }
        for name in ("http_status", "subprotocol", "close_code", "close_reason"):
            value = getattr(self, name)
            if value is not None:
                detail[name] = value
        return detail


def describe_close(code: int, reason: str) -> Problem:
    """A connection that was open and ended."""
    if code == 1006:
        sentence = "The connection to the CSMS broke without a goodbye."
    elif code in (1000, 1001):
        sentence = f"The CSMS closed the connection (code {code})."
    else:
        sentence = f"The CSMS closed the connection with code {code}."
    if reason:
        sentence = f"{sentence[:-1]}: {reason[:120]}."
    return Problem("closed", sentence, close_code=code, close_reason=reason)
