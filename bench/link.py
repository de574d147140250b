"""How soon frames are in the database, and what app.link costs, with many idle chargers on one host.

`python -m bench.link [--chargers 1000] [--seconds 30]`. Everything is real: PostgreSQL, `app.link`, the
simulator's host process, the strict CSMS (heartbeats each 10 s). The latency of a frame is the time of its commit,
as PostgreSQL noted it, less the time at which the charger sent or received it; the floor beside the cost is a
bare INSERT of the same rows by this program.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any, Final

import psutil
from sqlalchemy import text

from bench.figures import Aim, Figure, print_table
from bench.judge import open_judge
from bench.placement import Placement, open_placement
from bench.programs import list_family, read_cpu, read_resident, wait_until

_LATENCY: Final = text(
    """
    SELECT count(*) AS frames, percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
        ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - at)) AS seconds
    FROM ocpp_frames WHERE at > :since
    """
)
_FLOOR: Final = text(
    """
    INSERT INTO ocpp_frames SELECT charger_id, 99, number, at, direction, action, message
    FROM ocpp_frames WHERE incarnation = 1 AND at > :since ON CONFLICT DO NOTHING
    """
)


@dataclass(slots=True)
class Idle:
    """What was seen while nothing but heartbeats went on."""

    seconds: float
    #: Share of one core by process.
    cpu: dict[str, float]
    frames: int
    #: From the charger to the commit: median, 99th percentile, longest, in seconds.
    stored_s: tuple[float, float, float]
    #: One bare INSERT of the same rows.
    floor_s: float

    def describe(self) -> list[Figure]:
        """The figures."""
        p50, p99, longest = self.stored_s
        cost = self.seconds * (self.cpu["link"] + self.cpu["PostgreSQL"])
        return [
            Figure("frames stored", self.frames / self.seconds, "/s"),
            Figure("frame stored after, p50", p50, "s"),
            Figure("frame stored after, p99", p99, "s", aim=Aim(most=2, of="value")),
            Figure("frame stored after, longest", longest, "s"),
            Figure(
                f"CPU of link and PostgreSQL for {self.frames:,} frames",
                cost,
                "s",
                self.floor_s,
                "one bare INSERT of the same rows",
            ),
            *(
                Figure(f"CPU, idle, {name}", 100 * share, "% of a core")
                for name, share in self.cpu.items()
            ),
        ]


def watch(placement: Placement, processes: dict[str, psutil.Process], seconds: float) -> Idle:
    """Let them idle, then ask the database."""
    before = {name: read_cpu(process) for name, process in processes.items()}
    with placement.sessions() as session:
        since = session.scalar(text("SELECT clock_timestamp()"))
    time.sleep(seconds)
    cpu = {name: (read_cpu(one) - before[name]) / seconds for name, one in processes.items()}
    with placement.sessions() as session:
        row: Any = session.execute(_LATENCY, {"since": since}).one()
    began = time.monotonic()
    with placement.sessions.begin() as session:
        session.execute(_FLOOR, {"since": since})
    return Idle(seconds, cpu, row.frames, tuple(row.seconds), time.monotonic() - began)


def measure(count: int, seconds: float) -> list[Figure]:
    """The whole suite."""
    online = "chargers WHERE stage = 'online'"
    with open_judge(interval_s=10) as judge, open_placement(count, judge.ws_url) as placement:
        began = time.monotonic()
        with placement.run_host() as host:
            wait_until(lambda: placement.count(online) >= count, "all are online", pause_s=0.2)
            online_s = time.monotonic() - began
            processes = {"link": placement.link, "host": host, "PostgreSQL": placement.postgres}
            started = {name: read_cpu(process) for name, process in processes.items()}
            idle = watch(placement, processes, seconds)
            memory = read_resident(list_family(placement.link))
    return [
        Figure(f"{count:,} online in", online_s, "s"),
        *(Figure(f"CPU to come online, {name}", used, "s") for name, used in started.items()),
        *idle.describe(),
        Figure("memory, link", memory, "MiB"),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chargers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    print_table(f"Link ({given.chargers:,} idle chargers)", measure(given.chargers, given.seconds))


if __name__ == "__main__":
    main()
