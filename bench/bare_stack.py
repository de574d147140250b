"""The floor of the whole stack: the same servers and libraries, doing nothing for anybody.

PostgreSQL, Valkey, gunicorn with a bare Flask route, a WebSocket server, a Celery worker with two processes, beat,
Flower and a WebSocket client's process: what `gateway up` runs, without a gateway in it. What stands above this
floor is ours; the rest is the price of the parts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.programs import answers, run_program, take_port, wait_until
from tests.servers import Postgres, Valkey


@contextlib.contextmanager
def open_bare_stack(data: Path, broker: Path) -> Iterator[tuple[dict[str, psutil.Process], float]]:
    """The processes by name, and how long it took until they answered; on folders that may hold data."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(Postgres(data, durable=True))
        valkey = stack.enter_context(Valkey(broker))
        ports = {name: str(take_port()) for name in ("api", "link", "flower")}
        programs: dict[str, tuple[str, ...]] = {
            "api": ("-m", "bench.bare_programs", "api", ports["api"]),
            "link": ("-m", "bench.bare_programs", "link", ports["link"]),
            "worker": _write_celery("worker", "-c", "2", "--without-mingle", "--without-gossip"),
            "host": ("-m", "bench.bare_programs", "host", ports["link"]),
            "beat": _write_celery("beat", "--schedule", str(broker / "beat")),
            "flower": _write_celery("flower", f"--port={ports['flower']}"),
        }
        running = {"postgres": psutil.Process(postgres.pid), "valkey": psutil.Process(valkey.pid)}
        for name, argv in programs.items():
            running[name] = stack.enter_context(run_program(*argv, BARE_BROKER=valkey.url))
        for name in ("api", "link"):
            wait_until(lambda name=name: answers(int(ports[name])), f"{name} listens", pause_s=0.02)
        yield running, time.monotonic() - began


def _write_celery(*arguments: str) -> tuple[str, ...]:
    return ("-m", "celery", "-A", "bench.bare_celery:app", *arguments)
