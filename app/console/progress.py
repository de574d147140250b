"""Bars for what takes a while: a bulk job, a charger that comes up, many deletes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from app.console.client import Client

_POLL_S: Final = 1.0
_WAIT_S: Final = 20
_SETTLED: Final = ("READY", "FAILED")


@contextmanager
def show_bar(title: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal's error stream; call what is given with how many are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def follow_job(client: Client, status_url: str, *, quiet: bool) -> dict[str, Any]:
    """Poll a bulk job until it has ended; its last answer."""
    job: dict[str, Any] = client.call("GET", status_url)
    with show_bar("Chargers", job["progress"]["total"], quiet=quiet) as show:
        while job["status"] not in _SETTLED:
            show(job["progress"]["ready"] + job["progress"]["failed"])
            time.sleep(_POLL_S)
            job = client.call("GET", status_url)
        show(job["progress"]["ready"] + job["progress"]["failed"])
    return job


def follow_charger(client: Client, status_url: str, *, quiet: bool) -> dict[str, Any]:
    """Ask for a charger's status until it settles; its last answer."""
    from rich.console import Console

    status: dict[str, Any] = client.call("GET", status_url)
    with Console(stderr=True, quiet=quiet).status("waiting") as spinner:
        while status["status"] not in _SETTLED:
            runtime = status["runtime"]
            spinner.update(f"{status['status']}, {runtime['stage']}. {runtime['hint'] or ''}")
            status = client.call("GET", status_url, query={"wait": _WAIT_S})
            if status["status"] not in _SETTLED:
                time.sleep(_POLL_S)
    return status
