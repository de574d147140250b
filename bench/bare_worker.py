"""A worker for the fleet's floor: `celery -A bench.bare_worker worker -c 2`.

The gateway's own Celery settings (task events for Flower included), a queue of its own, and one task of one
read-modify-write transaction. None of the gateway's tasks is loaded, so no keeper runs here.
"""

from __future__ import annotations

from functools import cache

from kombu.entity import Queue
from sqlalchemy import Engine, text

from app.db import make_engine
from workers.celery_app import app, settings

QUEUE = "floor"
TASK = "bench.change_row"

app.conf.include = []
app.conf.task_queues = [Queue(QUEUE)]


@cache
def get_engine() -> Engine:
    """This process's connections: made after the fork."""
    return make_engine(settings.database_url, pool_size=1, name="bench-floor")


@app.task(name=TASK)
def change_row(row_id: int) -> None:
    """One transaction."""
    with get_engine().begin() as connection:
        value = connection.scalar(
            text("SELECT value FROM bench_floor WHERE id = :id FOR UPDATE"), {"id": row_id}
        )
        connection.execute(
            text("UPDATE bench_floor SET value = :value WHERE id = :id"),
            {"id": row_id, "value": value + 1},
        )
