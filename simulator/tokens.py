"""Who may charge, as far as the charger itself knows: local list, cache, offline policy.

`LocalList` and `Cache` remember; `decide` turns what they say, and whether the CSMS can be asked,
into one `Verdict`. It asks nobody and knows no time but the one given.

Sources: OCPP 1.6 sections 3.5 (local authorization), 5.15 (SendLocalList), 7.15, 7.28; OCPP 2.0.1
part 2, sections C and D. Identifiers compare without case (CiString in 1.6, identifierString in
2.0.1).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

ACCEPTED = "Accepted"


class Known(NamedTuple):
    """What is known of one token: its status, its group, when it expires (epoch seconds)."""

    status: str = ACCEPTED
    parent: str | None = None
    expiry: float | None = None

    def accepts(self, now: float) -> bool:
        """Whether it may charge at this time."""
        return self.status == ACCEPTED and (self.expiry is None or now < self.expiry)

    def status_at(self, now: float) -> str:
        """The status, with an expiry that has passed counted in."""
        return self.status if self.status != ACCEPTED or self.accepts(now) else "Expired"


class Entry(NamedTuple):
    """A line of a list update. `known` None takes the token out (differential only)."""

    token: str
    known: Known | None


class UpdateStatus(enum.StrEnum):
    """UpdateStatus of OCPP 1.6 section 7.48; 2.0.1 knows the first, second and last."""

    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_SUPPORTED = "NotSupported"
    VERSION_MISMATCH = "VersionMismatch"


class LocalList:
    """The local authorization list. Version 0 is an empty list (OCPP 1.6 section 5.10)."""

    __slots__ = ("_known", "version")

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Known]] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, token: str) -> Known | None:
        """What the list says of a token; None when it is not on it."""
        line = self._known.get(token.casefold())
        return line[1] if line else None

    def entries(self) -> list[Entry]:
        """Every line, with the token as it was written."""
        return [Entry(token, known) for token, known in self._known.values()]

    def replace(self, version: int, entries: Iterable[Entry], at_most: int) -> UpdateStatus:
        """A full update: these lines and no others."""
        lines = list(entries)
        known = {e.token.casefold(): (e.token, e.known) for e in lines if e.known is not None}
        # A line twice, or a line without information, makes the whole update void: 2.0.1 D01.FR.10.
        if len(known) != len(lines) or len(known) > at_most or version <= 0:
            return UpdateStatus.FAILED
        self._known = {key: (token, k) for key, (token, k) in known.items() if k is not None}
        self.version = version
        return UpdateStatus.ACCEPTED

    def merge(self, version: int, entries: Iterable[Entry], at_most: int) -> UpdateStatus:
        """A differential update: change these lines. The version has to grow."""
        lines = list(entries)
        if version <= self.version:
            return UpdateStatus.VERSION_MISMATCH
        if len({entry.token.casefold() for entry in lines}) != len(lines):
            return UpdateStatus.FAILED
        merged = dict(self._known)
        for token, known in lines:
            if known is None:
                merged.pop(token.casefold(), None)
            else:
                merged[token.casefold()] = (token, known)
        if len(merged) > at_most:
            return UpdateStatus.FAILED
        self._known = merged
        self.version = version
        return UpdateStatus.ACCEPTED

    def clear(self) -> int:
        """Forget every line and the version; how many lines there were."""
        count = len(self._known)
        self._known.clear()
        self.version = 0
        return count

    def dump(self) -> dict[str, Any]:
        """The list as JSON."""
        return {"version": self.version, "entries": [[t, *k] for t, k in self._known.values()]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.version = state["version"]
        self._known = {t.casefold(): (t, Known(*known)) for t, *known in state["entries"]}


class Cache:
    """What the CSMS said of tokens lately. The oldest answer goes when it is full."""

    __slots__ = ("_known", "capacity")

    def __init__(self, capacity: int = 1000) -> None:
        self._known: dict[str, tuple[Known, float]] = {}
        self.capacity = capacity

    def __len__(self) -> int:
        return len(self._known)

    def get(self, token: str, now: float, life_time: float = 0) -> Known | None:
        """What the cache says; `life_time` in seconds (AuthCacheLifeTime), 0 keeps for ever."""
        line = self._known.get(token.casefold())
        if line is None or (life_time > 0 and now - line[1] >= life_time):
            return None
        return line[0]

    def put(self, token: str, known: Known, now: float) -> None:
        """Remember an answer of the CSMS."""
        self._known.pop(token.casefold(), None)
        while len(self._known) >= self.capacity:
            self._known.pop(next(iter(self._known)))
        self._known[token.casefold()] = (known, now)

    def forget(self, token: str) -> None:
        """Forget one token."""
        self._known.pop(token.casefold(), None)

    def clear(self) -> int:
        """Forget everything; how many answers there were."""
        count = len(self._known)
        self._known.clear()
        return count


@dataclass(frozen=True, slots=True)
class Policy:
    """The keys that govern authorization; names of OCPP 1.6, 2.0.1's in parentheses."""

    #: LocalAuthListEnabled (LocalAuthListCtrlr.Enabled)
    list_enabled: bool = True
    #: AuthorizationCacheEnabled (AuthCacheCtrlr.Enabled)
    cache_enabled: bool = True
    #: LocalPreAuthorize (AuthCtrlr.LocalPreAuthorize): do not ask about what is known.
    pre_authorize: bool = False
    #: LocalAuthorizeOffline (AuthCtrlr.LocalAuthorizeOffline)
    authorize_offline: bool = True
    #: AllowOfflineTxForUnknownId (AuthCtrlr.OfflineTxForUnknownIdEnabled)
    unknown_offline: bool = False
    #: AuthCacheCtrlr.LifeTime, seconds; 0 for ever.
    cache_life_time: float = 0


class Verdict(NamedTuple):
    """What to do with a presented token."""

    #: ACCEPT, REFUSE or ASK.
    action: str
    known: Known | None = None


ACCEPT, REFUSE, ASK = "accept", "refuse", "ask"


def decide(
    token: str,
    now: float,
    *,
    online: bool,
    policy: Policy,
    listed: LocalList | None,
    cache: Cache | None,
) -> Verdict:
    """Accept, refuse or ask the CSMS.

    The list goes before the cache (OCPP 1.6 section 3.5.3). What is known but not Accepted is asked
    about while online: it may have been mended meanwhile (3.5.1, 2.0.1 C10.FR.03, C14.FR.02).
    """
    known = look_up(token, now, policy=policy, listed=listed, cache=cache)
    if online:
        trusts = policy.pre_authorize and known is not None and known.accepts(now)
        return Verdict(ACCEPT if trusts else ASK, known)
    if known is not None:
        accepts = policy.authorize_offline and known.accepts(now)
        return Verdict(ACCEPT if accepts else REFUSE, known)
    return Verdict(ACCEPT if policy.unknown_offline else REFUSE, None)


def look_up(
    token: str, now: float, *, policy: Policy, listed: LocalList | None, cache: Cache | None
) -> Known | None:
    """What list and cache know of a token, as far as they are switched on."""
    known = listed.get(token) if listed is not None and policy.list_enabled else None
    if known is None and cache is not None and policy.cache_enabled:
        known = cache.get(token, now, policy.cache_life_time)
    return known


def same_token(one: str | None, other: str | None) -> bool:
    """Whether two identifiers are the same one; None is the same as nothing."""
    return one is not None and other is not None and one.casefold() == other.casefold()


def may_stop(started_by: str, parent: str | None, token: str, known: Known | None) -> bool:
    """Whether a presented token ends a transaction: the same token, or the same group.

    OCPP 1.6 section 3.5.3, OCPP 2.0.1 C09. `known` is what is known of the presented token.
    """
    return same_token(started_by, token) or same_token(parent, known.parent if known else None)
