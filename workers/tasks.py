"""One Celery task per step and workflow, and the keeper's place in the worker.

Tasks are named `<workflow>.<step>` and take (run_id, charger_id, identity), so that Flower says which charger a
task is about. What a step does is in `workers.runs.steps`.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from celery import Task
from celery.signals import setup_logging, worker_ready, worker_shutting_down

from app import metrics
from app.logs import bound, set_up_logs
from app.workflows import Kind
from workers import metering
from workers.celery_app import app, settings
from workers.housekeeping import tidy as tidy_tables
from workers.runs.context import get_context
from workers.runs.engine import Engine
from workers.runs.keeper import Keeper
from workers.runs.steps import DEFAULT_LIMIT_S, LIMITS_S, STEPS
from workers.runtimes.registry import PROVIDERS

_engines: dict[int, Engine] = {}


def get_engine() -> Engine:
    """This process's engine."""
    pid = os.getpid()
    if pid not in _engines:
        _engines.clear()
        _engines[pid] = Engine(get_context())
    return _engines[pid]


def declare(kind: Kind, step: str) -> Task[..., Any]:
    """The task of one step of one workflow."""
    limit = LIMITS_S.get(step, DEFAULT_LIMIT_S)

    @app.task(
        name=f"{kind.value}.{step}",
        bind=True,
        max_retries=None,
        time_limit=limit,
        soft_time_limit=limit * 0.9,
    )
    def perform(task: Task[..., Any], run_id: str, charger_id: str, identity: str) -> str:
        with bound(run_id=run_id, step=task.name, charger_id=charger_id, identity=identity):
            return get_engine().perform(task, run_id, step)

    return perform


TASKS = {(kind, step): declare(kind, step) for kind in Kind for step in STEPS}


@app.task(name="housekeeping.tidy", time_limit=600)
def tidy() -> dict[str, int]:
    """Remove what is past its time."""
    return tidy_tables(get_context())


@setup_logging.connect
def _set_up(**_: Any) -> None:
    """Celery leaves the logs alone where somebody listens to this. Its own lines about each task we do without."""
    program = "beat" if "beat" in sys.argv else "worker"
    set_up_logs(settings.log_level, settings.log_format, program=program)
    logging.getLogger("celery").setLevel(logging.WARNING)


@worker_ready.connect
def _start_keeper(**_: Any) -> None:
    Keeper.start_in_this_process()
    metrics.show_zeros(providers=PROVIDERS.values(), steps=STEPS)
    if settings.worker_metrics_port:
        metering.serve(
            settings.worker_metrics_port,
            lambda: Keeper.is_well_in_this_process(metering.PATIENCE_S),
        )


@worker_shutting_down.connect
def _stop_keeper(**_: Any) -> None:
    Keeper.stop_in_this_process()
