"""One charger over real sockets between a gateway that commands it and the strict CSMS that judges it.

    async with a_flow("OCPP1.6") as flow:
        await flow.does("plug_connector")                              # the gateway's command
        await flow.hears("StatusNotification", status="Preparing")     # next in the charger's words
        assert (await flow.asks("ClearCache"))["status"] == "Accepted" # the CSMS's call

At its end the CSMS has nothing to complain about.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from simulator.csms import Csms
from simulator.rpc import Answer
from tests.link_gateway import GatewayLink, make_config, running_host, started_csms

IDENTITY = "FLOW-1"
CHARGER = "dep-1"
TOKEN = "AABBCCDD"
SETTINGS = {
    "reconnect_min_s": 0.05,
    "reconnect_max_s": 0.1,
    "reboot_s": 0.1,
    "firmware_download_s": 0.1,
    "firmware_verify_s": 0.1,
    "firmware_install_s": 0.1,
    "log_upload_s": 0.1,
}


#: By name: what plays it, and what has to be set from the start.
SCENARIOS: dict[str, tuple[Callable[[Flow], Awaitable[None]], dict[str, Any]]] = {}


def scenario(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """The scenarios that the function plays; of several, it is told which. Settings go to `a_flow`."""

    def register(play: Any) -> Any:
        for name in names:
            SCENARIOS[name] = (play if len(names) == 1 else partial(play, name=name), settings)
        return play

    return register


def later(by_s: float) -> str:
    """A time to come, as OCPP writes it."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=by_s)).isoformat()


class Flow:
    """A scenario being played."""

    def __init__(self, gateway: GatewayLink, csms: Csms, session: int) -> None:
        self.gateway, self.csms = gateway, csms
        self._session = session
        self._numbers = itertools.count(1)
        self._taken = 0

    async def does(self, name: str, **args: Any) -> dict[str, Any]:
        """A command of the gateway, carried out."""
        ended = await self._order(name, args)
        assert ended["state"] == "applied", ended
        return dict(ended["result"])

    async def refuses(self, name: str, **args: Any) -> str:
        """A command of the gateway that the charger rejects; why."""
        ended = await self._order(name, args)
        assert ended["state"] == "rejected", ended
        return str(ended["error"])

    async def _order(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        command_id = f"{next(self._numbers):012x}"

        def ended() -> list[dict[str, Any]]:
            return [m for m in self.gateway.told("result") if m["id"] == command_id]

        await self.gateway.command(CHARGER, name, args, command_id, self._session)
        await self.gateway.wait_for(ended)
        return ended()[0]

    async def asks(self, action: str, **payload: Any) -> dict[str, Any]:
        """A call of the CSMS; the answer, which is no CALLERROR."""
        answer = await self.csms.send(IDENTITY, action, payload)
        assert isinstance(answer, Answer), answer
        return answer.payload

    async def hears(self, action: str, **fields: Any) -> dict[str, Any]:
        """The first call with these fields after the one heard before; waits for it."""

        def find() -> tuple[int, dict[str, Any]] | None:
            frames = self.csms.seen(IDENTITY)
            for place, frame in enumerate(frames[self._taken :], start=self._taken + 1):
                kind, _, *call = json.loads(frame.text)
                if kind == 2 and call[0] == action and call[1].items() >= fields.items():
                    return place, call[1]
            return None

        try:
            await self.csms.wait_for(find)
        except TimeoutError:
            texts = [frame.text for frame in self.csms.seen(IDENTITY)[self._taken :]]
            raise AssertionError(f"{action} {fields} was not heard, but {texts}") from None
        found = find()
        assert found is not None
        self._taken, payload = found
        return payload

    def said(self, action: str) -> list[dict[str, Any]]:
        """The payloads of all calls of this action, oldest first."""
        return [json.loads(frame.text)[3] for frame in self.csms.seen(IDENTITY, action)]

    async def charges(self) -> int:
        """Somebody plugs in, is authorized and charges; the CSMS's number of the transaction (1.6)."""
        await self.does("plug_connector")
        await self.does("start_transaction", id_tag=TOKEN)
        await self.hears("StatusNotification", status="Charging")
        return self.transaction()

    def transaction(self) -> int:
        """The number that the CSMS gave to the newest transaction."""
        answer = json.loads(self.csms.seen(IDENTITY, "StartTransaction", "d")[-1].text)
        return int(answer[2]["transactionId"])

    async def power(self) -> float:
        """The power in W that the charger reports when asked."""
        await self.asks("TriggerMessage", requestedMessage="MeterValues", connectorId=1)
        [moment] = (await self.hears("MeterValues"))["meterValue"]
        values = {value["measurand"]: float(value["value"]) for value in moment["sampledValue"]}
        return values["Power.Active.Import"]


@contextlib.asynccontextmanager
async def a_flow(
    version: str, interval_s: int = 100, state_dir: Path | None = None, **configuration: str
) -> AsyncIterator[Flow]:
    """An idle charger that is online, in a host that keeps states only where it has a folder."""
    async with (
        started_csms(interval_s) as csms,
        GatewayLink() as gateway,
        running_host(gateway, state_dir=state_dir),
    ):
        await gateway.wait_for(lambda: gateway.is_linked)
        config = make_config(
            csms.url,
            IDENTITY,
            ocpp_version=version,
            settings=SETTINGS | {"configuration": configuration},
        )
        flow = Flow(gateway, csms, await gateway.add(CHARGER, config))
        await gateway.wait_for(lambda: "online" in gateway.stages(CHARGER))
        yield flow
        assert csms.offences == []
        assert csms.overlaps() == []
