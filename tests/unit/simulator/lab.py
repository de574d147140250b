"""A charger on the bench: its sans-I/O core, a clock that the test turns, and a CSMS played by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from simulator import v16, v201
from simulator.behaviour import Behaviour
from simulator.charger import Charger
from simulator.config import Clocks, parse_config
from simulator.effects import Close, Effect, Happened, Heard, Open, Send, Stated
from simulator.problems import Problem

BEHAVIOURS = {"OCPP1.6": v16.BEHAVIOUR, "OCPP2.0.1": v201.BEHAVIOUR}
VERSIONS = tuple(BEHAVIOURS)
NOON = 1_795_360_000.0

_E = TypeVar("_E")


class Lab:
    """One charger and everything it ever asked for."""

    def __init__(
        self,
        version: str = "OCPP1.6",
        *,
        connectors: int = 1,
        jitter: float = 0.5,
        saved: Mapping[str, Any] | None = None,
        behaviour: Behaviour | None = None,
        **settings: float,
    ) -> None:
        config = parse_config(
            {
                "identity": "CP-1",
                "ocpp_version": version,
                "ws_url": "ws://csms/ocpp",
                "vendor_name": "Wallbox",
                "model": "Pulsar Plus",
                "connectors": [{"id": number} for number in range(1, connectors + 1)],
                "settings": settings,
            },
            Clocks(),
        )
        self.now = NOON
        self.effects: list[Effect] = []
        self._answered = 0
        self.charger = Charger(
            config, behaviour or BEHAVIOURS[version], lambda: jitter, self.now, saved
        )

    # --- what happens to it ---------------------------------------------------------------------

    def start(self) -> Lab:
        """Begin, and let the connection come up."""
        self._take(self.charger.start(self.now))
        return self.connect()

    def connect(self) -> Lab:
        self._take(self.charger.connected(self.now))
        return self

    def fail(self, problem: Problem) -> None:
        self._take(self.charger.connection_failed(self.now, problem))

    def lose(self, code: int = 1006, reason: str = "") -> None:
        self._take(self.charger.disconnected(self.now, code, reason))

    def hear(self, text: str) -> list[Effect]:
        return self._take(self.charger.receive(text, self.now))

    def command(self, name: str, command_id: str = "c1", **args: Any) -> list[Effect]:
        return self._take(self.charger.command(command_id, name, args, self.now))

    def pass_time(self, seconds: float) -> list[Effect]:
        """Turn the clock, waking the charger whenever it wants to be woken."""
        end = self.now + seconds
        effects: list[Effect] = []
        while (wake := self.charger.next_wake()) is not None and wake <= end:
            self.now = wake
            effects += self._take(self.charger.tick(wake))
        self.now = end
        return effects

    def ask(self, action: str, payload: dict[str, Any], message_id: str = "m1") -> list[Any]:
        """A call from the CSMS; the charger's reply as a list."""
        before = len(self.sent())
        self.hear(json.dumps([2, message_id, action, payload]))
        replies = [frame for frame in self.sent()[before:] if frame[0] != 2]
        assert len(replies) <= 1
        return replies[0] if replies else []

    def answer(self, payload: dict[str, Any]) -> list[Effect]:
        """Answer the charger's call in the air."""
        return self.hear(json.dumps([3, self.in_air()[1], payload]))

    def accept(self, interval: int = 10) -> None:
        """Accept the boot, and answer whatever follows until the charger is silent."""
        self.boot("Accepted", interval)
        self.settle()

    def boot(self, status: str, interval: int = 10) -> list[Effect]:
        assert self.in_air()[2] == "BootNotification"
        return self.answer(
            {"status": status, "interval": interval, "currentTime": "2026-11-22T12:00:00Z"}
        )

    def settle(self) -> None:
        """Answer the calls that wait with what their schemas ask for."""
        while self.charger.outbox.in_air is not None:
            is_beat = self.in_air()[2] == "Heartbeat"
            self.answer({"currentTime": "2026-11-22T12:00:00Z"} if is_beat else {})

    # --- what it did ----------------------------------------------------------------------------

    def all(self, kind: type[_E]) -> list[_E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def sent(self) -> list[list[Any]]:
        return [json.loads(effect.text) for effect in self.all(Send)]

    def calls(self, action: str | None = None) -> list[list[Any]]:
        return [f for f in self.sent() if f[0] == 2 and action in (None, f[2])]

    def actions(self) -> list[str]:
        return [frame[2] for frame in self.calls()]

    def in_air(self) -> list[Any]:
        """The charger's call that waits for an answer."""
        assert self.charger.outbox.in_air is not None, "the charger waits for no answer"
        return self.calls()[-1]

    def stages(self) -> list[tuple[str, str]]:
        return [(state.stage, state.verdict) for state in self.all(Stated)]

    def last_state(self) -> Stated:
        return self.all(Stated)[-1]

    def opens(self) -> int:
        return len(self.all(Open))

    def closes(self) -> list[Close]:
        return self.all(Close)

    def events(self) -> list[str]:
        return [event.kind for event in self.all(Happened)]

    def heard(self) -> list[tuple[str, str]]:
        return [(frame.action, frame.text) for frame in self.all(Heard)]

    def _take(self, effects: list[Effect]) -> list[Effect]:
        self.effects += effects
        return effects
