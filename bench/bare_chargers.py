"""The floor of a charger: websockets and json, a boot, two statuses, heartbeats; no state, no checks, no logs.

`python -m bench.bare_chargers COUNT WS_URL`. As many connections are opened at once as our host opens, and
compression is off, as ours is. There is nothing here that could be left out and still be a charger that a CSMS
accepts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

_OPENINGS = 200


async def ask(socket: ClientConnection, number: int, action: str, payload: dict[str, Any]) -> Any:
    """One call and its answer."""
    await socket.send(json.dumps([2, str(number), action, payload]))
    return json.loads(await socket.recv())[2]


async def live(identity: str, ws_url: str, gate: asyncio.Semaphore) -> None:
    """One charger."""
    async with gate:
        socket = await connect(
            f"{ws_url}/{identity}",
            subprotocols=[Subprotocol("ocpp1.6")],
            compression=None,
            ping_interval=None,
        )
    boot = {"chargePointVendor": "Wallbox", "chargePointModel": "Pulsar Plus"}
    answer = await ask(socket, 1, "BootNotification", boot)
    for connector in (0, 1):
        status = {"connectorId": connector, "errorCode": "NoError", "status": "Available"}
        await ask(socket, 2 + connector, "StatusNotification", status)
    number = 4
    while True:
        await asyncio.sleep(answer["interval"])
        await ask(socket, number, "Heartbeat", {})
        number += 1


async def run(count: int, ws_url: str) -> None:
    """All of them, until killed. Identities are new each time."""
    gate = asyncio.Semaphore(_OPENINGS)
    prefix = f"BARE-{time.time_ns() % 10**9}"
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(live(f"{prefix}-{number}", ws_url, gate))


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
