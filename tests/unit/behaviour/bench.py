"""A charger on a bench with a friendly CSMS: every call is answered at once, as the test set it.

`Bench` turns the clock itself. What the charger said is in `calls`, what it answered comes back
from `ask`. A payload that breaks its schema, in either direction, never gets this far: the core
withholds it and says so in an event, and `Bench` fails the test for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simulator import v16, v201
from simulator.charger import Charger
from simulator.config import Clocks, parse_config
from simulator.effects import Abandon, Close, CommandEnded, Effect, Happened, Open, Ping, Send
from simulator.problems import Problem

BEHAVIOURS = {"OCPP1.6": v16.BEHAVIOUR, "OCPP2.0.1": v201.BEHAVIOUR}
NOON = 1_795_360_000.0
TIME = "2026-11-22T12:00:00Z"


class Bench:
    """One charger, online from the start unless told otherwise."""

    def __init__(
        self,
        version: str = "OCPP1.6",
        *,
        connectors: int = 1,
        power_w: int = 22_000,
        current: str = "ac",
        saved: Mapping[str, Any] | None = None,
        online: bool = True,
        **settings: Any,
    ) -> None:
        raw = {
            "identity": "CP-1",
            "ocpp_version": version,
            "ws_url": "ws://csms/ocpp",
            "vendor_name": "Wallbox",
            "model": "Pulsar Plus",
            "max_power_w": power_w,
            "connectors": [
                {"id": n, "max_power_w": power_w, "current_type": current, "phases": 3}
                for n in range(1, connectors + 1)
            ],
            "settings": settings,
        }
        self.now = NOON
        self.effects: list[Effect] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        #: What the CSMS says to an action: a payload, or an error code.
        self.says: dict[str, Any] = {}
        #: While False the CSMS says nothing.
        self.is_awake = True
        #: While False no connection comes about.
        self.is_reachable = True
        self.refused_tokens: dict[str, str] = {}
        self._transactions = 100
        self._ids = 0
        self._raw = raw
        self.charger = self._make(saved)
        if online:
            self.take(self.charger.start(self.now))
            self.connect()

    def _make(self, saved: Mapping[str, Any] | None) -> Charger:
        config = parse_config(self._raw, Clocks())
        return Charger(config, BEHAVIOURS[config.ocpp_version], lambda: 0.5, self.now, saved)

    # --- the world ------------------------------------------------------------------------------

    def connect(self) -> None:
        """The connection is there."""
        self.is_reachable = True
        self.calls.append(("connected", {}))
        self.take(self.charger.connected(self.now))

    def lose(self) -> None:
        """The connection breaks, and does not come back by itself."""
        self.is_reachable = False
        self.take(self.charger.disconnected(self.now, 1006, ""))

    def restart(self) -> None:
        """The process ends and starts again from what was kept."""
        saved = json.loads(json.dumps(self.charger.snapshot()))
        self.charger = self._make(saved)
        self.take(self.charger.start(self.now))
        self.connect()

    def wait(self, seconds: float) -> None:
        """Turn the clock, waking the charger whenever it wants to be woken."""
        end = self.now + seconds
        while (wake := self.charger.next_wake()) is not None and wake <= end:
            self.now = max(wake, self.now)
            self.take(self.charger.tick(self.now))
        self.now = end

    def ask(self, action: str, **payload: Any) -> dict[str, Any]:
        """A call from the CSMS; the payload of the answer."""
        self._ids += 1
        mark = len(self.effects)
        self.take(self.charger.receive(json.dumps([2, f"m{self._ids}", action, payload]), self.now))
        for effect in self.effects[mark:]:
            if isinstance(effect, Send):
                frame = json.loads(effect.text)
                if frame[:2] == [3, f"m{self._ids}"]:
                    return frame[2]
                if frame[:2] == [4, f"m{self._ids}"]:
                    return {"error": frame[2], "description": frame[3]}
        raise AssertionError(f"{action} was not answered")

    def do(self, name: str, **args: Any) -> CommandEnded | None:
        """A command from the gateway; how it ended, None when it has not."""
        self._ids += 1
        command_id = f"c{self._ids}"
        self.take(self.charger.command(command_id, name, args, self.now))
        return self.ended(command_id)

    def ended(self, command_id: str | None = None) -> CommandEnded | None:
        """How a command ended; without an id the newest one."""
        wanted = command_id or f"c{self._ids}"
        found = [e for e in self.effects if isinstance(e, CommandEnded) and e.id == wanted]
        assert len(found) <= 1
        return found[0] if found else None

    # --- what was said --------------------------------------------------------------------------

    def said(self, action: str) -> list[dict[str, Any]]:
        """The payloads of every call of this action, in order."""
        return [payload for name, payload in self.calls if name == action]

    def last(self, action: str) -> dict[str, Any]:
        """The newest call of this action."""
        return self.said(action)[-1]

    def names(self, *ignored: str) -> list[str]:
        """The actions called, in order."""
        return [name for name, _ in self.calls if name not in (*ignored, "Heartbeat", "connected")]

    def statuses(self, connector: int = 1) -> list[str]:
        """The statuses that were told of one connector."""
        return [
            p.get("status") or p["connectorStatus"]
            for p in self.said("StatusNotification")
            if connector in (p.get("evseId"), p["connectorId"] if "status" in p else None)
        ]

    def forget(self) -> None:
        """Begin a new page."""
        self.calls.clear()

    def shown(self, connector: int = 1) -> dict[str, Any]:
        """What the gateway is shown of one connector."""
        return self.charger.describe_outlets()[connector - 1]

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """The charger's own events of one kind."""
        return [e.data for e in self.effects if isinstance(e, Happened) and e.kind == kind]

    # --- the CSMS -------------------------------------------------------------------------------

    def take(self, effects: list[Effect]) -> None:
        """Carry out effects: answer what was called, close and open what is to be."""
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Happened) and effect.kind in _WRONG:
                raise AssertionError(f"{effect.kind}: {dict(effect.data)}")
            if isinstance(effect, Send):
                frame = json.loads(effect.text)
                if frame[0] == 2:
                    self._hear(frame)
            elif isinstance(effect, Ping):
                self.take(self.charger.ponged(self.now))
            elif isinstance(effect, Abandon):
                self.take(self.charger.disconnected(self.now, 1006, ""))
            elif isinstance(effect, Close):
                self.take(self.charger.disconnected(self.now, effect.code, effect.reason))
            elif isinstance(effect, Open) and self.charger.been_online:
                self._open()

    def _open(self) -> None:
        if self.is_reachable:
            self.connect()
        else:
            self.take(self.charger.connection_failed(self.now, Problem("refused", "Not today.")))

    def _hear(self, frame: list[Any]) -> None:
        _, message_id, action, payload = frame
        self.calls.append((action, payload))
        if self.is_awake:
            self.reply(message_id, action, payload)

    def reply(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        """Answer one call."""
        answer = self.says.get(action)
        if isinstance(answer, str):
            text = json.dumps([4, message_id, answer, "The test says so", {}])
        else:
            body = self._answer(action, payload) if answer is None else answer
            text = json.dumps([3, message_id, body])
        self.take(self.charger.receive(text, self.now))

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "BootNotification":
            return {"status": "Accepted", "interval": 3600, "currentTime": TIME}
        if action == "Heartbeat":
            return {"currentTime": TIME}
        if action == "Authorize":
            if "idTag" in payload:
                return {"idTagInfo": {"status": self._status(payload["idTag"])}}
            return {"idTokenInfo": {"status": self._status(payload["idToken"]["idToken"])}}
        if action == "StartTransaction":
            self._transactions += 1
            info = {"status": self._status(payload["idTag"])}
            return {"transactionId": self._transactions, "idTagInfo": info}
        if action == "TransactionEvent" and "idToken" in payload:
            return {"idTokenInfo": {"status": self._status(payload["idToken"]["idToken"])}}
        if action == "DataTransfer":
            return {"status": "Accepted"}
        return {}

    def _status(self, token: str) -> str:
        return self.refused_tokens.get(token, "Accepted")


_WRONG = ("answer_withheld", "call_withheld", "handler_failed")
