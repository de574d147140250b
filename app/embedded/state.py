"""What a running gateway says of itself: `state.json`, written by the supervisor at each change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.embedded.children import ChildState
from app.embedded.credentials import write_private


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One picture of the gateway on a data folder. It may be old: the lock tells whether it still runs."""

    #: The supervisor.
    pid: int
    #: `starting`, `running` or `stopping`.
    phase: str
    #: Unix seconds.
    started_at: float
    data: str
    logs: str
    #: The folder of the sockets.
    run: str
    #: What clients are told, and where the API really listens.
    base_url: str
    api_address: str
    link_url: str
    #: None when Flower was left out.
    flower_url: str | None
    #: The file of an API token; None until there is one.
    token_file: str | None
    #: `local`, `docker` or `ecs`.
    runtime: str
    #: Which servers are ours: `postgres`, `valkey`.
    embedded: tuple[str, ...]
    children: tuple[ChildState, ...] = field(default=())


def write_state(path: Path, state: GatewayState) -> None:
    """Replace the state file."""
    write_private(path, json.dumps(asdict(state), indent=1))


def read_state(path: Path) -> GatewayState | None:
    """The newest picture; None when there is none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        values: dict[str, Any] = json.loads(path.read_text())
        children: Sequence[dict[str, Any]] = values.pop("children")
        embedded = tuple(values.pop("embedded"))
        return GatewayState(
            embedded=embedded, children=tuple(ChildState(**child) for child in children), **values
        )
    return None
