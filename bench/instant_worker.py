"""A worker for the bench: the real engine with a driver that starts nothing, and a bare chain as its floor.

`celery -A bench.instant_worker worker`. The instant driver accepts every start at once; `bench.engine` plays the
link, so a run still parks and is woken as in life. The bare chain's tasks make one read-modify-write transaction
each, on the same servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from workers.celery_app import app
from workers.runs.context import get_context
from workers.runtimes import registry
from workers.runtimes.base import Find, Handle, Key, Observation, Phase, Spec, Stray


class InstantDriver:
    """Accepts everything and runs nothing."""

    provider = "local"
    runtime_kind = "host_process"

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:
        """Nothing is needed."""
        return {}

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:
        """The key alone."""
        return {"key": key.name}

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:
        """Accepted."""
        return {"v": 1, "key": key.name}

    def find(self, key: Key) -> Handle | Find:
        """Always there."""
        return {"v": 1, "key": key.name}

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        """Running."""
        return [Observation(handle, Phase.RUNNING) for handle in handles]

    def stop(self, handle: Handle, reason: str) -> None:
        """Nothing to end."""

    def list_strays(self, install_id: str) -> Sequence[Stray]:
        """None."""
        return []


registry.MAKERS["local"] = lambda *_: InstantDriver()

import workers.tasks  # noqa: E402, F401  # declares the real tasks on `app`


@app.task(name="bench.bare_step")
def bare_step(row_id: int) -> None:
    """The floor: one task, one read-modify-write transaction."""
    with get_context().sessions.begin() as session:
        value = session.scalar(
            text("SELECT value FROM bench_floor WHERE id = :id FOR UPDATE"), {"id": row_id}
        )
        session.execute(
            text("UPDATE bench_floor SET value = :value WHERE id = :id"),
            {"id": row_id, "value": value + 1},
        )
