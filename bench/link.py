"""How soon frames are in the database, and what app.link costs, with many idle chargers on one host.

`python -m bench.link [--chargers 1000] [--seconds 30]`. Everything is real: PostgreSQL, `app.link`, the
simulator's host process, the strict CSMS (heartbeats each 10 s). The latency of a frame is the time of its commit,
as PostgreSQL noted it, less the time at which the charger sent or received it; the floor beside it is a bare
INSERT of the same rows by this program.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.tokens import make_host_credential
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_SECRET = "a-secret-of-the-bench-that-is-long-enough-for-all"
_LINK_PORT, _CSMS_PORT = 18_901, 18_902

_CHARGERS = """
    INSERT INTO chargers (id, organization_id, identity, brand_slug, model_slug, connector_type,
                          ocpp_version, ws_url, status, desired_state, incarnation)
    SELECT 'dep-' || n, 'acme', 'CP-' || n, 'wallbox', 'wallbox-pulsar-plus', 'Type2', 'OCPP1.6',
           :ws_url, 'READY', 'running', 1 FROM generate_series(1, :count) AS n
"""
_RUNTIMES = """
    INSERT INTO runtimes (charger_id, incarnation, generation, organization_id, identity, run_id, provider,
                          host_id)
    SELECT id, 1, 1, 'acme', identity, 'wfr_bench', 'local', 'h1' FROM chargers
"""
_LATENCY = """
    SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
        ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - at))
    FROM ocpp_frames WHERE at > :since
"""
_FLOOR = """
    INSERT INTO ocpp_frames SELECT charger_id, 99, number, at, direction, action, message
    FROM ocpp_frames WHERE incarnation = 1 ON CONFLICT DO NOTHING
"""


@contextlib.contextmanager
def run_program(*argv: str, **environment: str) -> Iterator[psutil.Process]:
    """A child that ends with the block."""
    child = subprocess.Popen([sys.executable, *argv], env=os.environ | environment)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


def read_cpu(*processes: psutil.Process) -> list[float]:
    """Seconds of CPU that each has used, its children included."""
    return [
        sum(
            sum(one.cpu_times()[:2])
            for one in (process, *process.children(recursive=True))
            if one.is_running()
        )
        for process in processes
    ]


def count_online(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        return session.scalar(text("SELECT count(*) FROM chargers WHERE stage = 'online'")) or 0


def measure(
    sessions: sessionmaker[Session], postgres: Postgres, options: argparse.Namespace
) -> None:
    """Bring up the chargers, let them idle, print."""
    with run_link(postgres, options.broker_url) as link, run_csms():
        began = time.monotonic()
        with run_host(options.folder) as host:
            while count_online(sessions) < options.chargers:
                time.sleep(0.2)
            print(f"all {options.chargers} online after {time.monotonic() - began:.1f} s")
            processes = (link, host, psutil.Process(postgres.pid))
            print_cpu("to come online", read_cpu(*processes), 1)
            before = read_cpu(*processes)
            with sessions() as session:
                since = session.scalar(text("SELECT clock_timestamp()"))
            time.sleep(options.seconds)
            used = [now - then for now, then in zip(read_cpu(*processes), before, strict=True)]
            print_cpu("of each second, idle", used, options.seconds)
            print(f"link: {link.memory_info().rss / 2**20:.0f} MiB resident")
    with sessions() as session:
        count, (p50, p99, most) = session.execute(text(_LATENCY), {"since": since}).one()
    print(
        f"{count} frames: p50 {p50:.3f} s, p99 {p99:.3f} s, longest {most:.3f} s (aim: p99 < 2 s)"
    )
    began = time.monotonic()
    with sessions.begin() as session:
        rows = session.execute(text(_FLOOR)).rowcount  # type: ignore[attr-defined]
    print(f"floor: {rows} rows by one bare INSERT in {time.monotonic() - began:.3f} s")


def run_link(
    postgres: Postgres, broker_url: str
) -> contextlib.AbstractContextManager[psutil.Process]:
    """`app.link` as a program."""
    return run_program(
        "-c",
        "from app.link import run; from app.settings import load_settings; run(load_settings())",
        GATEWAY_DATABASE_URL=postgres.make_url("bench"),
        GATEWAY_BROKER_URL=broker_url,
        GATEWAY_JWT_SECRETS=f"k:{_SECRET}",
        GATEWAY_LINK_SECRET=_SECRET,
        GATEWAY_INSTALL_ID="bench",
        GATEWAY_LINK_PORT=str(_LINK_PORT),
    )


def run_csms() -> contextlib.AbstractContextManager[psutil.Process]:
    """The strict CSMS as a program."""
    argv = ("-m", "simulator", "csms", "--port", str(_CSMS_PORT), "--interval", "10", "--quiet")
    return run_program(*argv)


def run_host(folder: str) -> contextlib.AbstractContextManager[psutil.Process]:
    """The simulator's host process."""
    return run_program(
        *("-m", "simulator", "host"),
        SIMULATOR_LINK_URL=f"ws://127.0.0.1:{_LINK_PORT}/link",
        SIMULATOR_TOKEN=make_host_credential(_SECRET, "h1"),
        SIMULATOR_STATE_DIR=folder,
        SIMULATOR_LOG_LEVEL="WARNING",
    )


def print_cpu(when: str, seconds: list[float], over: float) -> None:
    names = ("link", "host", "PostgreSQL")
    figures = ", ".join(
        f"{name} {used / over:.3f} s" for name, used in zip(names, seconds, strict=True)
    )
    print(f"CPU {when}: {figures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chargers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with (
        make_folder() as folder,
        make_folder() as broker,
        tempfile.TemporaryDirectory() as states,
        Postgres(folder, durable=True) as postgres,
        Valkey(broker) as valkey,
    ):
        with postgres.connect() as connection:
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        postgres.stop()
        postgres.start()
        engine = make_engine(postgres.create("bench"))
        upgrade(engine)
        sessions = make_sessions(engine)
        with sessions.begin() as session:
            ws_url = f"ws://127.0.0.1:{_CSMS_PORT}/ocpp"
            session.execute(text(_CHARGERS), {"ws_url": ws_url, "count": options.chargers})
            session.execute(text(_RUNTIMES))
        options.folder, options.broker_url = str(Path(states) / "state"), valkey.url
        measure(sessions, postgres, options)
        engine.dispose()


if __name__ == "__main__":
    main()
