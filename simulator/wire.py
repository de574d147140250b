"""Faults on the wire, seeded: what a bad network and bad software do to frames.

`parse_wire_faults` reads the setting (`wire_faults` of the configuration, or the command of that
name); a `WireFaults` then answers three questions of whoever owns the socket, and does no I/O
itself:

- `refusal(now)`: seconds for which no connection may be opened;
- `deliveries(text, now)`: what becomes of one frame, in either direction: nothing, once, twice,
later, garbled;
- `next_disconnect(now)`: when to cut the connection.

The same seed and the same sequence of questions give the same faults.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple


class WireFaultsInvalid(ValueError):
    """The setting cannot be read; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults to make. Rates are shares from 0 to 1, times seconds; zero is never."""

    seed: int = 0
    #: Every frame takes this long, both ways,
    latency_s: float = 0.0
    #: and up to this much more.
    jitter_s: float = 0.0
    #: Frames that vanish.
    drop_rate: float = 0.0
    #: Frames that arrive twice.
    duplicate_rate: float = 0.0
    #: Frames of ours that are cut in the middle.
    malformed_rate: float = 0.0
    #: Answers of ours with a content that the schema does not know.
    wrong_answer_rate: float = 0.0
    #: Answers of ours that wait this long before they are sent.
    slow_answer_s: float = 0.0
    #: The connection is cut after about this long, again and again.
    disconnect_every_s: float = 0.0
    #: After each cut, and at once when the setting arrives, no connection is opened for so long.
    refuse_connect_s: float = 0.0
    #: All of it ends by itself after so long.
    duration_s: float = 0.0


_RATES = frozenset({"drop_rate", "duplicate_rate", "malformed_rate", "wrong_answer_rate"})


def parse_wire_faults(raw: Mapping[str, Any]) -> Plan | None:
    """The plan in a setting; None when it asks for nothing. Raises WireFaultsInvalid."""
    known = {field.name for field in fields(Plan)}
    for name, value in raw.items():
        if name not in known:
            raise WireFaultsInvalid(f"There is no wire fault named {name!r}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise WireFaultsInvalid(f"The wire fault {name} is a number from 0, not {value!r}.")
        if name in _RATES and value > 1:
            raise WireFaultsInvalid(f"The wire fault {name} is a share from 0 to 1.")
    plan = Plan(**{**raw, "seed": int(raw.get("seed", 0))})
    return None if plan == Plan(seed=plan.seed, duration_s=plan.duration_s) else plan


class Delivery(NamedTuple):
    """One frame as it goes on: at this time, with this text."""

    at: float
    text: str


class WireFaults:
    """A plan at work on one charger's connection."""

    __slots__ = ("_busy_until", "_random", "_refuses_until", "ends_at", "plan")

    def __init__(self, plan: Plan, now: float) -> None:
        self.plan = plan
        self.ends_at = now + plan.duration_s if plan.duration_s else None
        self._random = random.Random(plan.seed)  # noqa: S311 - repeatable on purpose
        self._refuses_until = now + plan.refuse_connect_s
        #: Per direction: no frame may overtake the one before it, since TCP keeps their order.
        self._busy_until = {True: 0.0, False: 0.0}

    def is_over(self, now: float) -> bool:
        """Whether its time has passed."""
        return self.ends_at is not None and now >= self.ends_at

    def refusal(self, now: float) -> float:
        """Seconds for which no connection may be opened yet."""
        until = self._refuses_until
        if self.ends_at is not None:
            until = min(until, self.ends_at)
        return max(0.0, until - now)

    def next_disconnect(self, now: float) -> float | None:
        """When to cut a connection that was opened now; None when never."""
        every = self.plan.disconnect_every_s
        if not every or self.is_over(now):
            return None
        return now + every * self._random.uniform(0.5, 1.5)

    def cut(self, now: float) -> None:
        """The connection was cut: it stays away for a while."""
        self._refuses_until = now + self.plan.refuse_connect_s

    def deliveries(self, text: str, now: float, *, ours: bool) -> list[Delivery]:
        """What becomes of one frame. `ours`: it goes to the CSMS, otherwise it came from there."""
        if self.is_over(now):
            return [Delivery(now, text)]
        plan, draw = self.plan, self._random.random
        # Every number is drawn whatever comes of it, so that one rate does not shift the others.
        dropped, doubled, broken, wrong = (draw() for _ in range(4))
        delay = plan.latency_s + plan.jitter_s * draw()
        if dropped < plan.drop_rate:
            return []
        if ours:
            if wrong < plan.wrong_answer_rate:
                text = _falsify(text)
            if broken < plan.malformed_rate:
                text = text[: len(text) // 2]
            if plan.slow_answer_s and _is_answer(text):
                delay += plan.slow_answer_s
        # A microsecond apart, so that timers of equal frames cannot swap them.
        at = self._busy_until[ours] = max(self._busy_until[ours] + 1e-6, now + delay)
        return [Delivery(at, text)] * (2 if doubled < plan.duplicate_rate else 1)


def _is_answer(text: str) -> bool:
    return text.lstrip("[ \t").startswith("3")


def _falsify(text: str) -> str:
    """An answer with a field that no schema has; other frames stay as they are."""
    if not _is_answer(text):
        return text
    try:
        frame = json.loads(text)
    except ValueError:
        return text
    frame[2] = {"unexpected": True}
    return json.dumps(frame, separators=(",", ":"))
