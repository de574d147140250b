"""`gateway status`: one screen about the gateway on a data folder, asked of its parts at this moment.

The state file says what should run, the operating system whether it does, and each server whether it answers.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from app.db import DatabaseAway, make_engine, make_sessions
from app.embedded.children import ChildState
from app.embedded.credentials import Keyring
from app.embedded.errors import NotRunning
from app.embedded.locking import find_owner
from app.embedded.parts import ask, listens
from app.embedded.state import GatewayState, read_state
from app.embedded.valkey import SOCKET, ping
from app.settings import load_settings
from app.store import census


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One program, as found."""

    child: ChildState
    is_alive: bool
    #: Of it and its workers, in bytes.
    memory: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """Everything that the screen shows."""

    state: GatewayState
    parts: tuple[PartHealth, ...]
    #: None: the database did not answer.
    census: census.Census | None
    problems: tuple[str, ...] = field(default=())


def check_gateway(data: Path) -> GatewayHealth:
    """Ask around. Raises `NotRunning` when no gateway runs on this folder."""
    state = read_state(data / "state.json")
    if find_owner(data / "lock") is None or state is None:
        raise NotRunning(f"No gateway runs on {data}.")
    parts = tuple(_look_at(child) for child in state.children)
    counted = _count()
    problems = [f"{part.child.name} does not run" for part in parts if not part.is_alive]
    problems += _ask_servers(data, state)
    if counted is None:
        problems.append("the database does not answer")
    return GatewayHealth(state, parts, counted, tuple(problems))


def _look_at(child: ChildState) -> PartHealth:
    try:
        process = psutil.Process(child.pid or -1)
        family = [process, *process.children(recursive=True)]
    except (psutil.Error, ValueError):
        return PartHealth(child, is_alive=False, memory=0)
    memory = 0
    for member in family:
        with suppress(psutil.Error):
            memory += member.memory_info().rss
    return PartHealth(child, is_alive=True, memory=memory)


def _ask_servers(data: Path, state: GatewayState) -> list[str]:
    """What does not answer, in words."""
    problems = []
    names = {child.name for child in state.children}
    api, link = urlsplit(state.api_address), urlsplit(state.link_url)
    if "api" in names:
        status = ask(api.hostname or "", api.port or 80, "/health/ready")
        if status != 200:
            problems.append(f"the API says {status}" if status else "the API does not answer")
    if "link" in names and not listens(link.hostname or "", link.port or 80):
        problems.append("the link does not listen")
    if "valkey" in names:
        password = Keyring(data / "secrets").get_password("valkey")
        if not ping(Path(state.run) / SOCKET, password):
            problems.append("the broker does not answer")
    return problems


def _count() -> census.Census | None:
    engine = make_engine(load_settings().database_url, pool_size=1, name="status")
    try:
        with make_sessions(engine)() as session:
            return census.take(session)
    except DatabaseAway:
        return None
    finally:
        engine.dispose()


def print_health(health: GatewayHealth, console: Console) -> None:
    """Write the screen."""
    state = health.state
    age = _describe_age(state.started_at)
    console.print(f"Gateway on {state.data}: {state.phase} for {age} (process {state.pid})")
    console.print(f"  API      {state.base_url}   link {state.link_url}   runtime {state.runtime}")
    console.print(f"  Flower   {state.flower_url or '-'}   logs {state.logs}")
    console.print(f"  Token    {state.token_file or '-'}")
    console.print(_make_table(health))
    if health.census:
        console.print(f"Chargers: {_describe_counts(health.census.by_status)}")
        console.print(f"Stages:   {_describe_counts(health.census.by_stage)}")
        console.print(f"Runs:     {health.census.active_runs} active")
    for problem in health.problems:
        console.print(f"PROBLEM:  {problem}", style="bold red")
    if not health.problems:
        console.print("Everything answers.", style="green")


def _make_table(health: GatewayHealth) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for heading in ("PART", "STATE", "PROCESS", "FOR", "RESTARTS", "MEMORY"):
        numeric = heading in ("PROCESS", "RESTARTS", "MEMORY")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for part in health.parts:
        child = part.child
        table.add_row(
            child.name,
            child.state if part.is_alive else "ended",
            str(child.pid or "-"),
            _describe_age(child.since) if child.since else "-",
            str(child.restarts),
            f"{part.memory / 1e6:.0f} MB" if part.is_alive else "-",
        )
    return table


def _describe_counts(counts: object) -> str:
    pairs = sorted(dict(counts).items()) if isinstance(counts, dict) else []
    return ", ".join(f"{name} {number}" for name, number in pairs) or "none"


def _describe_age(since: float) -> str:
    """`3 d 04 h`, `2 h 05 min`, `12 s`."""
    seconds = max(0, int(time.time() - since))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24:02} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
