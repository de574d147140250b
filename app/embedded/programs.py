"""What the supervisor needs to know of a program: how to start it, when it is ready, how it is asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.embedded.accounts import Account


def _do_nothing() -> None:
    """For programs that need no preparation."""


def _is_ready_at_once(_pid: int) -> bool:
    return True


def _cannot_mend(_lines: list[str]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Program:
    """One child of `gateway up`."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    #: None: runs as we do.
    account: Account | None = None
    #: How it is asked to end: signals, and seconds to wait after each; what is left then is killed.
    stop: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 7.0),)
    #: What the kernel sends it when the supervisor dies; None: nothing.
    death_signal: signal.Signals | None = signal.SIGTERM
    #: Further descriptors that it inherits.
    keep: tuple[int, ...] = ()
    #: Called before each start.
    prepare: Callable[[], None] = _do_nothing
    #: Called with its pid until it says yes, at most `ready_s` seconds long.
    is_ready: Callable[[int], bool] = _is_ready_at_once
    ready_s: float = 30.0
    #: Called with the last lines of a program that ended before it was ready. A sentence says what was
    #: mended, and the program is started once more; None gives up.
    mend: Callable[[list[str]], str | None] = _cannot_mend
