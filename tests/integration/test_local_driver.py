"""The local driver: where it places chargers, and what it makes of a host that is silent."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import psutil
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_LINK, listen, make_engine, make_sessions
from app.processes import describe_machine
from app.settings import Settings
from app.store import hosts, links
from tests.link_world import World, make_world
from workers.runtimes.base import (
    CapacityUnavailable,
    Find,
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
    Spec,
)
from workers.runtimes.local import LocalDriver

SPEC = Spec("acme", "CP-1", "OCPP1.6", "Depot", "ws://127.0.0.1:1/link", "")


@pytest.fixture
def world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    with make_world(settings, sessions) as world:
        yield world


def _connect(world: World, host_id: str, *, capacity: int = 10, epoch: str = "e", **facts) -> None:
    """What the link writes when a host says hello; by default it is this very process."""
    own = psutil.Process(os.getpid())
    facts = {
        "machine": describe_machine(),
        "pid": own.pid,
        "pid_start": own.create_time(),
        **facts,
    }
    with world.sessions.begin() as session:
        links.touch(session, "lnk_1")
        hosts.greet(session, hosts.Hello(host_id, epoch, capacity, **facts), "lnk_1", away_s=15)


def _observe(world: World, handle):
    (seen,) = world.driver.observe([handle])
    return seen


def test_the_host_with_most_room_gets_the_charger(world: World) -> None:
    _connect(world, "small", capacity=2)
    _connect(world, "large", capacity=3)
    placed = [world.place(world.create(f"CP-{number}"))["host_id"] for number in range(4)]
    assert sorted(placed) == ["large", "large", "small", "small"] or placed.count("large") == 2
    assert placed[0] == "large"


def test_a_start_rings_for_its_host(world: World) -> None:
    _connect(world, "h1")
    charger_id = world.create()
    with listen(world.settings.database_url, CHANNEL_LINK) as connection:
        world.place(charger_id)
        rings = [ring.payload for ring in connection.notifies(timeout=20, stop_after=1)]
    assert rings == ["host:h1"]


def test_a_repeated_start_stays_where_it_was_placed(world: World) -> None:
    _connect(world, "h1")
    charger_id = world.create()
    first = world.place(charger_id)
    _connect(world, "h2", capacity=1000)
    assert world.place(charger_id) == first
    assert world.driver.find(world.key(charger_id)) == first


def test_what_was_never_started_is_found_nowhere(world: World) -> None:
    charger_id = world.create()
    assert world.driver.find(world.key(charger_id)) is Find.NOTHING
    assert world.driver.find(world.key("dep-unheard-of")) is Find.NOTHING


@pytest.mark.parametrize("how", ["stopping", "gone", "unwritten"])
def test_a_late_start_of_what_was_called_off_places_nothing(world: World, how: str) -> None:
    _connect(world, "h1")
    charger_id = world.create()
    if how == "stopping":
        world.stop(charger_id)
    elif how == "gone":
        world.set_runtime(charger_id, state="gone")
    else:
        world.execute("DELETE FROM runtimes")
    with pytest.raises(RuntimeRejected, match="called off"):
        world.place(charger_id)
    assert world.driver.find(world.key(charger_id)) is Find.NOTHING


def test_without_a_host_the_start_waits_and_says_what_is_missing(world: World) -> None:
    with pytest.raises(CapacityUnavailable) as trouble:
        world.driver.ensure_template(SPEC)
    assert trouble.value.code == "no_host"
    assert "gateway host" in str(trouble.value.hint)
    with pytest.raises(CapacityUnavailable):
        world.place(world.create())


def test_full_hosts_make_a_start_wait(world: World) -> None:
    _connect(world, "h1", capacity=1)
    world.place(world.create("CP-1"))
    with pytest.raises(CapacityUnavailable) as trouble:
        world.driver.ensure_template(SPEC)
    assert trouble.value.code == "hosts_full"
    with pytest.raises(CapacityUnavailable):
        world.place(world.create("CP-2"))


def test_a_host_is_never_overfilled_by_starts_at_the_same_time(world: World) -> None:
    _connect(world, "h1", capacity=3)
    chargers = [world.create(f"CP-{number}") for number in range(8)]
    placed, waiting = [], []

    def start(charger_id: str) -> None:
        try:
            placed.append(world.place(charger_id))
        except CapacityUnavailable:
            waiting.append(charger_id)

    threads = [threading.Thread(target=start, args=(one,)) for one in chargers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(placed), len(waiting)) == (3, 5)


def test_a_host_that_was_not_heard_of_lately_gets_nothing(world: World) -> None:
    _connect(world, "h1")
    world.execute("UPDATE hosts SET seen_at = clock_timestamp() - interval '1 minute'")
    with pytest.raises(CapacityUnavailable):
        world.place(world.create())


def test_a_placed_charger_starts_and_then_runs(world: World) -> None:
    _connect(world, "h1", epoch="e")
    charger_id = world.create()
    handle = world.place(charger_id)
    assert _observe(world, handle).phase is Phase.STARTING
    world.set_runtime(charger_id, host_epoch="e")
    assert _observe(world, handle).phase is Phase.RUNNING
    world.driver.stop(handle, "test")
    assert _observe(world, handle).phase is Phase.STOPPING


def test_a_silent_host_whose_process_lives_keeps_its_chargers(world: World) -> None:
    _connect(world, "h1", epoch="e")
    charger_id = world.create()
    handle = world.place(charger_id)
    world.set_runtime(charger_id, host_epoch="e")
    world.execute(
        "UPDATE hosts SET connected = false, seen_at = clock_timestamp() - interval '1 hour'"
    )
    seen = _observe(world, handle)
    assert seen.phase is Phase.UNKNOWN
    assert "waited for" in str(seen.hint)


def test_a_silent_host_on_another_machine_keeps_its_chargers(world: World) -> None:
    _connect(world, "h1", epoch="e", machine="elsewhere", pid_start=1.0)
    charger_id = world.create()
    handle = world.place(charger_id)
    world.set_runtime(charger_id, host_epoch="e")
    world.execute("UPDATE hosts SET connected = false")
    assert _observe(world, handle).phase is Phase.UNKNOWN


@pytest.mark.parametrize(("stopping", "code"), [(False, "host_ended"), (True, "stopped")])
def test_chargers_end_with_the_process_of_their_host(
    world: World, stopping: bool, code: str
) -> None:
    _connect(world, "h1", epoch="e", pid_start=1.0)
    charger_id = world.create()
    handle = world.place(charger_id)
    world.set_runtime(charger_id, host_epoch="e")
    if stopping:
        world.driver.stop(handle, "test")
    world.execute("UPDATE hosts SET connected = false")
    seen = _observe(world, handle)
    assert seen.phase is Phase.GONE
    assert seen.end is not None
    assert seen.end.code == code


def test_a_start_that_no_process_was_told_of_waits_a_while_for_the_next_one(world: World) -> None:
    _connect(world, "h1", pid_start=1.0)
    handle = world.place(world.create())
    world.execute("UPDATE hosts SET connected = false")
    assert _observe(world, handle).phase is Phase.UNKNOWN
    world.execute("UPDATE hosts SET seen_at = clock_timestamp() - interval '1 hour'")
    assert _observe(world, handle).phase is Phase.GONE


def test_what_the_gateway_does_not_know_is_gone_and_may_be_stopped(world: World) -> None:
    handle = {"v": 1, "host_id": "h9", "charger_id": "dep-unheard-of", "incarnation": 1}
    world.driver.stop(handle, "test")
    assert _observe(world, handle).phase is Phase.GONE


def test_many_are_observed_in_the_order_asked_for(world: World) -> None:
    _connect(world, "h1", capacity=100)
    handles = [world.place(world.create(f"CP-{number}")) for number in range(5)]
    handles.insert(2, {"v": 1, "host_id": "h1", "charger_id": "dep-x", "incarnation": 1})
    phases = [seen.phase for seen in world.driver.observe(handles)]
    assert phases == [Phase.STARTING] * 2 + [Phase.GONE] + [Phase.STARTING] * 3


def test_a_database_that_is_away_is_a_runtime_that_is_unavailable(settings: Settings) -> None:
    engine = make_engine("postgresql+psycopg://postgres@/gone?host=/nowhere")
    driver = LocalDriver(make_sessions(engine), away_s=1)
    with pytest.raises(RuntimeUnavailable):
        driver.ensure_template(SPEC)
    engine.dispose()


def test_a_charger_that_ended_is_observed_with_its_end(world: World) -> None:
    _connect(world, "h1")
    charger_id = world.create()
    handle = world.place(charger_id)
    world.set_runtime(charger_id, state="gone", end=hosts.make_end("host_restarted"))
    seen = _observe(world, handle)
    assert seen.phase is Phase.GONE
    assert seen.end is not None
    assert (seen.end.kind.value, seen.end.code) == ("transient", "host_restarted")
