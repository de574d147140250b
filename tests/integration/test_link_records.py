"""Frames, events and gaps on their way into the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.settings import Settings
from migrations import upgrade
from tests.link_runtime import Added, FakeRuntime, RunningLink, read_clock
from tests.link_world import World, make_world
from tests.servers import Postgres, make_folder


@pytest.fixture
def world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    with make_world(settings, sessions) as world:
        yield world


@pytest.fixture
def link(settings: Settings) -> Iterator[RunningLink]:
    with RunningLink(settings) as link:
        yield link


@pytest.fixture
def host(world: World, link: RunningLink) -> FakeRuntime:
    return world.host(link).connects()


@pytest.fixture
def added(world: World, host: FakeRuntime) -> Added:
    charger_id = world.create()
    world.place(charger_id)
    return host.is_given(charger_id)


def make_frame(
    charger_id: str, number: int, message: str = '[2,"1","Heartbeat",{}]', incarnation: int = 1
) -> list[object]:
    return [charger_id, incarnation, number, read_clock(), "u", "Heartbeat", message]


def test_frames_are_stored_before_they_are_acknowledged(
    world: World, host: FakeRuntime, added: Added
) -> None:
    frames = [make_frame(added.charger_id, number) for number in (1, 2, 3)]
    batch = host.sends_records(frames=frames)
    host.expect("ack", batch=batch)
    stored = world.frames(added.charger_id)
    assert [(frame.number, frame.direction, frame.action) for frame in stored] == [
        (1, "u", "Heartbeat"),
        (2, "u", "Heartbeat"),
        (3, "u", "Heartbeat"),
    ]
    assert int(stored[0].at.timestamp() * 1000) == frames[0][3]


def test_what_is_sent_twice_is_stored_once(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    frames = [make_frame(added.charger_id, number) for number in (1, 2)]
    event = [added.charger_id, 1, 3, read_clock(), "connector_status", {"connector_id": 1}]
    for _ in range(2):
        host.expect("ack", batch=host.sends_records(frames=[*frames, *frames], events=[event]))
    assert [frame.number for frame in world.frames(added.charger_id)] == [1, 2]
    assert len(world.events(added.charger_id, "connector_status")) == 1
    assert link.counters.lost == 0


def test_what_was_not_acknowledged_may_come_again_over_a_new_line(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    frames = [make_frame(added.charger_id, number) for number in (1, 2)]
    host.sends_records(frames=frames)
    host.hangs_up()
    again = world.host(link).connects(running=[(added.charger_id, 1)])
    again.expect("ack", batch=again.sends_records(frames=frames))
    assert [frame.number for frame in world.frames(added.charger_id)] == [1, 2]


def test_a_gap_is_an_event_that_says_how_many_are_missing(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    gap = [added.charger_id, 1, 251, read_clock(), 250]
    host.expect("ack", batch=host.sends_records(gaps=[gap]))
    assert [event.data for event in world.events(added.charger_id, "gap")] == [{"lost": 250}]
    assert link.counters.gaps == 250


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (r'"a\u0000b"', "a\\u0000b"),
        (r'"\ud800 alone"', "\\ud800 alone"),
        (r'"caf\u00e9 \ud83d\ude00"', "café 😀"),
    ],
)
def test_a_frame_that_the_database_cannot_hold_as_it_is_stands_there_escaped(
    world: World, host: FakeRuntime, added: Added, raw: str, stored: str
) -> None:
    good = orjson.dumps(make_frame(added.charger_id, 1)).decode()
    bad = orjson.dumps(make_frame(added.charger_id, 2, "BAD")).decode().replace('"BAD"', raw)
    assert host.socket is not None
    host.socket.send(f'{{"t": "records", "batch": 7, "frames": [{good}, {bad}]}}')
    host.expect("ack", batch=7)
    assert [frame.message for frame in world.frames(added.charger_id)][1] == stored


def test_an_event_with_such_text_inside_is_stored_escaped(
    world: World, host: FakeRuntime, added: Added
) -> None:
    data = {"no\x00te": ["a\x00", {"deep": "\x00"}], "big": 2**70 - 2**70 + 2**53}
    event = [added.charger_id, 1, 1, read_clock(), "note", data]
    host.expect("ack", batch=host.sends_records(events=[event]))
    assert world.events(added.charger_id, "note")[0].data == {
        "no\\u0000te": ["a\\u0000", {"deep": "\\u0000"}],
        "big": 2**53,
    }


def test_malformed_records_are_left_out_and_the_others_stored(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    charger_id, now = added.charger_id, read_clock()
    bad = [
        None,
        [],
        "frame",
        [charger_id, 1, 5],
        [charger_id, 1, 5, now, "x", "Heartbeat", "[]"],
        [charger_id, 1, 0, now, "u", "Heartbeat", "[]"],
        [charger_id, 2**40, 5, now, "u", "Heartbeat", "[]"],
        [charger_id, 1, 2**63, now, "u", "Heartbeat", "[]"],
        [charger_id, 1, 5, -1, "u", "Heartbeat", "[]"],
        [charger_id, 1, 5, now, "u", "Heartbeat", {"no": "text"}],
        [charger_id, True, 5, now, "u", "Heartbeat", "[]"],
    ]
    batch = host.sends_records(
        frames=[*bad[:6], make_frame(charger_id, 1), *bad[6:]], events=[[charger_id]], gaps=[7]
    )
    host.expect("ack", batch=batch)
    assert [frame.number for frame in world.frames(charger_id)] == [1]
    world.until(lambda: link.counters.malformed == len(bad) + 2)


def test_a_record_that_the_database_refuses_stops_no_other(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    world.execute(
        "ALTER TABLE ocpp_frames ADD CONSTRAINT refuses CHECK (message NOT LIKE '%cursed%')"
    )
    frames = [make_frame(added.charger_id, number) for number in range(1, 40)]
    frames[17] = make_frame(added.charger_id, 18, "cursed")
    host.expect("ack", batch=host.sends_records(frames=frames))
    numbers = [frame.number for frame in world.frames(added.charger_id)]
    assert numbers == [number for number in range(1, 40) if number != 18]
    assert link.counters.lost == 1


def test_records_of_a_charger_that_is_not_the_sessions_are_acknowledged_and_dropped(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    other = world.create("CP-2")
    mine = world.single(link, other, epoch="c" * 32).connects()
    frames = [
        make_frame(added.charger_id, 1),
        make_frame(other, 1, incarnation=2),
        make_frame(other, 1),
    ]
    mine.expect("ack", batch=mine.sends_records(frames=frames))
    host.expect("ack", batch=host.sends_records(frames=[make_frame(other, 2)]))
    assert world.frames(added.charger_id) == []
    assert [(frame.incarnation, frame.number) for frame in world.frames(other)] == [(1, 1)]
    world.until(lambda: link.counters.foreign == 3)


def test_late_frames_of_a_charger_that_ended_are_still_stored(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    world.stop(added.charger_id)
    host.expect("drop")
    host.drops(added.charger_id)
    world.until(lambda: world.runtime(added.charger_id).state == "gone")
    host.hangs_up()
    again = world.host(link).connects()
    again.expect("ack", batch=again.sends_records(frames=[make_frame(added.charger_id, 9)]))
    assert [frame.number for frame in world.frames(added.charger_id)] == [9]


def test_who_sends_more_batches_than_it_has_credits_is_closed(
    world: World, host: FakeRuntime, added: Added
) -> None:
    with world.nobody_writes_frames():
        for number in range(1, 11):
            host.sends_records(frames=[make_frame(added.charger_id, number)])
        assert host.is_closed() == 1008


def test_batches_within_the_credits_wait_for_the_database(
    world: World, host: FakeRuntime, added: Added
) -> None:
    with world.nobody_writes_frames():
        for number in range(1, 9):
            host.sends_records(frames=[make_frame(added.charger_id, number)])
        # Control is not behind them.
        host.goes_online(added)
        world.until(lambda: world.charger(added.charger_id).stage == "online")
        assert world.frames(added.charger_id) == []
    for batch in range(1, 9):
        host.expect("ack", batch=batch)
    assert len(world.frames(added.charger_id)) == 8


def test_records_wait_for_a_database_that_restarts(settings: Settings) -> None:
    with make_folder() as folder, Postgres(folder, durable=True) as postgres:
        settings = replace(settings, database_url=postgres.create("gateway"))
        engine = make_engine(settings.database_url)
        upgrade(engine)
        with make_world(settings, make_sessions(engine)) as world, RunningLink(settings) as link:
            host = world.host(link).connects()
            charger_id = world.create()
            world.place(charger_id)
            host.is_given(charger_id)
            first = host.sends_records(frames=[make_frame(charger_id, 1)])
            host.expect("ack", batch=first)
            postgres.crash()
            second = host.sends_records(frames=[make_frame(charger_id, 2)])
            postgres.start()
            engine.dispose()
            host.expect("ack", batch=second)
            assert [frame.number for frame in world.frames(charger_id)] == [1, 2]
        engine.dispose()
