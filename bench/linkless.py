"""Our simulator host without a gateway: what the chargers cost alone, beside what their line to the gateway adds.

`python -m bench.linkless COUNT WS_URL FOLDER`. The real host and the real chargers, both directions validated and
states kept in FOLDER; only the link is a thing that hears nothing and takes nothing. At each SIGUSR1 the next
`BATCH` chargers are told to start a session.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from simulator.host import Host
from simulator.link import LinkEnd
from simulator.settings import Settings

#: Sessions that one signal starts.
BATCH: Final = 250


class NoLink:
    """A line that is never there."""

    is_up = False

    def tell(self, _message: Mapping[str, Any]) -> bool:
        """Nobody hears."""
        return False

    def notice_records(self) -> None:
        """Nobody reads."""

    async def run(self) -> LinkEnd:
        """For ever."""
        await asyncio.Event().wait()
        return LinkEnd.CLOSED


class NoRecords:
    """A book without pages."""

    def add_frame(self, *_frame: Any) -> None:
        """Not kept."""

    def add_event(self, *_event: Any) -> None:
        """Not kept."""


async def run(count: int, ws_url: str, folder: Path) -> None:
    """All of them, until killed."""
    settings = Settings(
        link_url="ws://127.0.0.1:9/link", token="h1.bench.none", state_dir=folder
    )  # opens nothing
    host: Any = Host(settings)
    host.link, host.records = NoLink(), NoRecords()
    living = asyncio.create_task(host.run())
    loop = asyncio.get_running_loop()
    idle = iter(range(count))
    loop.add_signal_handler(
        signal.SIGUSR1, lambda: start_sessions(host, list(itertools.islice(idle, BATCH)))
    )
    for number in range(count):
        host.received(
            {"t": "add", **name(number), "session": 1, "config": configure(number, ws_url)}
        )
        if number % 50 == 0:
            await asyncio.sleep(0)
    await living


def start_sessions(host: Host, numbers: list[int]) -> None:
    """As the gateway's command does."""
    for number in numbers:
        command = {"t": "command", "id": f"{number:012x}", "session": 1, "name": "start_session"}
        host.received({**command, **name(number), "args": {"id_tag": "BENCH"}})


def name(number: int) -> dict[str, Any]:
    """Which charger a message is about."""
    return {"charger": f"dep-{number:032x}", "incarnation": 1}


def configure(number: int, ws_url: str) -> dict[str, Any]:
    """What app.link sends for a Pulsar Plus."""
    outlet = {"id": 1, "type": "Type2", "current_type": "ac", "max_power_w": 22_000, "phases": 3}
    return {
        "identity": f"CP-{number}",
        "ocpp_version": "OCPP1.6",
        "ws_url": ws_url,
        "vendor_name": "Wallbox",
        "model": "Pulsar Plus",
        "connectors": [outlet],
        "max_power_w": 22_000,
        "settings": {},
    }


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
