"""What link and workers count, and that several processes are counted as one program."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from tests.engine_world import ScriptedDriver, World
from tests.link_runtime import RunningLink
from tests.link_world import make_world
from workers import metering
from workers.runs.keeper import Keeper
from workers.runtimes.base import (
    CapacityUnavailable,
    Key,
    RuntimeRejected,
    RuntimeUnavailable,
)
from workers.runtimes.measured import measure

_KEY = Key("test", f"dep-{1:032x}", 1)


def _read(text: str) -> dict[str, float]:
    """Sample name → the sum of its values."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


class Watched:
    """What a counter of this process has gained since the test began."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def gained(self, name: str, **labels: str) -> float:
        now = REGISTRY.get_sample_value(name, labels) or 0.0
        return now - self._before.get((name, tuple(sorted(labels.items()))), 0.0)

    def __enter__(self) -> Watched:
        for family in REGISTRY.collect():
            for sample in family.samples:
                self._before[(sample.name, tuple(sorted(sample.labels.items())))] = sample.value
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: counters only grow."""


@pytest.fixture
def watched() -> Iterator[Watched]:
    with Watched() as watched:
        yield watched


def test_processes_that_share_a_folder_are_counted_together(tmp_path: Path) -> None:
    environment = {**os.environ, "GATEWAY_METRICS_DIR": str(tmp_path / "metrics")}
    # Celery imports Flower, and that prometheus_client, before anything of ours.
    count = "import flower.command; from app import metrics; metrics.HINTS.labels('sent').inc(7)"
    show = "from app import metrics; print(metrics.render().decode())"
    for program in (count, count):
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    shown = subprocess.run(
        [sys.executable, "-c", show], env=environment, check=True, capture_output=True, text=True
    )
    assert _read(shown.stdout)["gateway_hints_total"] == 14


def test_a_link_tells_what_it_carries(settings: Settings, sessions: sessionmaker[Session]) -> None:
    with make_world(settings, sessions) as world, RunningLink(settings) as link:
        host = world.host(link).connects()
        charger_id = world.create()
        world.place(charger_id)
        host.is_given(charger_id)
        status, text = _get(f"http://127.0.0.1:{link.port}/metrics")
    samples = _read(text)
    assert status == 200
    assert samples["gateway_link_sessions_open"] == 1
    assert samples["gateway_link_chargers"] == 1
    assert samples["gateway_link_admissions_total"] == 1


def test_a_worker_answers_on_a_port_of_its_own() -> None:
    well = [True]
    server = metering.serve(0, lambda: well[0], host="127.0.0.1")
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert "gateway_keeper_rounds_total" in _get(f"{base}/metrics")[1]
        assert _get(f"{base}/health")[0] == 200
        well[0] = False
        assert _get(f"{base}/health")[0] == 503
        assert _get(f"{base}/")[0] == 404
    finally:
        server.shutdown()
        server.server_close()


def test_a_bring_up_is_counted_step_by_step(
    engine: Engine, settings: Settings, watched: Watched
) -> None:
    world = World(engine, settings)
    world.driver.raises(RuntimeUnavailable("later"))
    charger_id = world.create()
    world.work()
    world.lets_time_pass(60)
    world.passes()
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"
    steps = "gateway_steps_total"
    assert watched.gained(steps, kind="provision", step="run_task", outcome="again") == 1
    assert watched.gained(steps, kind="provision", step="run_task", outcome="done") == 1
    assert watched.gained(steps, kind="provision", step="mark_ready", outcome="done") == 1
    assert watched.gained(steps, kind="provision", step="wait_for_health", outcome="park") >= 1
    assert (
        watched.gained("gateway_step_troubles_total", step="run_task", code="runtime_unavailable")
        == 1
    )
    timed = "gateway_step_seconds_count"
    assert watched.gained(timed, kind="provision", step="run_task") == 2


def test_a_hint_that_nobody_took_up_is_counted_when_it_is_sent_again(
    engine: Engine, settings: Settings, watched: Watched
) -> None:
    world = World(engine, settings)
    world.create()
    world.queue.flush()
    world.lets_time_pass(60)
    world.passes()
    assert watched.gained("gateway_hints_swept_total") == 1
    world.work()


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (RuntimeUnavailable("no answer"), "unavailable"),
        (CapacityUnavailable("full", code="ecs_throttled"), "capacity"),
        (RuntimeRejected("no"), "rejected"),
    ],
)
def test_calls_of_a_driver_are_counted_by_what_came_of_them(
    trouble: Exception, outcome: str, watched: Watched
) -> None:
    scripted = ScriptedDriver()
    driver = measure(scripted)
    scripted.raises(trouble)
    with pytest.raises(type(trouble)):
        driver.start(_KEY, {"key": _KEY.name})
    driver.observe([])
    name, labels = "gateway_driver_calls_total", {"provider": "local"}
    assert watched.gained(name, **labels, operation="start", outcome=outcome) == 1
    assert watched.gained(name, **labels, operation="observe", outcome="ok") == 1
    code: Any = trouble
    troubles = {**labels, "operation": "start", "code": code.code}
    assert watched.gained("gateway_driver_troubles_total", **troubles) == 1


def test_a_measured_driver_has_nothing_that_its_driver_has_not() -> None:
    driver = measure(ScriptedDriver())
    assert driver.provider == "local"
    assert not hasattr(driver, "listen")


def test_a_keeper_that_stands_still_is_told(engine: Engine, settings: Settings) -> None:
    keeper = Keeper(World(engine, settings).context)
    assert keeper.is_turning(60)
    assert not keeper.is_turning(-1)
