"""Who is let in by app.link, and who is sent away, with which word."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session, sessionmaker
from websockets.exceptions import InvalidStatus

from app.db import make_engine, make_sessions
from app.settings import Settings
from migrations import upgrade
from tests.link_runtime import CLOCKS, FakeRuntime, RunningLink
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


def _is_refused(runtime: FakeRuntime) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        runtime.dial()
    return refusal.value.response.status_code


@pytest.mark.parametrize(
    "credential", ["", "nonsense", "h1.h1.AAAA", "b1.dep-1.1.AAAA", "h1.é.AAAA", "b1..1.", "...."]
)
def test_a_credential_that_is_not_ours_is_answered_with_401(
    link: RunningLink, credential: str
) -> None:
    assert _is_refused(FakeRuntime(link, credential.encode().decode("latin-1"))) == 401


def test_a_bootstrap_token_opens_a_session_for_its_one_charger(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    runtime = world.single(link, charger_id).connects()
    assert runtime.is_given(charger_id).session == 1


@pytest.mark.parametrize("how", ["gone", "superseded", "forgotten"])
def test_a_bootstrap_token_whose_incarnation_is_over_is_answered_with_410(
    world: World, link: RunningLink, how: str
) -> None:
    charger_id = world.create()
    if how == "gone":
        world.set_runtime(charger_id, state="gone")
    elif how == "superseded":
        world.intend(charger_id)
    else:
        world.execute("DELETE FROM runtimes")
    assert _is_refused(world.single(link, charger_id)) == 410


@pytest.mark.parametrize("provider", ["docker", "aws"])
def test_a_container_whose_incarnation_ended_has_no_say_and_its_token_opens_nothing_more(
    world: World, link: RunningLink, provider: str
) -> None:
    charger_id = world.create()
    world.set_runtime(charger_id, provider=provider)
    ended = world.single(link, charger_id).connects()
    added = ended.is_given(charger_id)
    world.ends(charger_id)
    assert world.intend(charger_id, provider) == 2
    fenced = link.counters.fenced
    ended.goes_online(added)
    world.until(lambda: link.counters.fenced > fenced)
    assert world.charger(charger_id).stage != "online"
    ended.hangs_up()
    assert _is_refused(world.single(link, charger_id)) == 410
    following = world.single(link, charger_id, 2, epoch="b" * 32).connects()
    assert following.is_given(charger_id).session == 1


def test_a_second_process_of_one_incarnation_gets_no_configuration(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    first = world.single(link, charger_id, epoch="a" * 32).connects()
    first.is_given(charger_id)
    second = world.single(link, charger_id, epoch="b" * 32).dial()
    second.hello()
    assert second.is_closed() == 4410
    assert second.heard == []


def test_of_two_processes_that_call_home_at_the_same_moment_one_gets_the_charger(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    both = [world.single(link, charger_id, epoch=name * 32).dial() for name in "ab"]
    for runtime in both:
        runtime.hello()
    world.until(lambda: world.runtime(charger_id).host_epoch)
    winner = both["ab".index(world.runtime(charger_id).host_epoch[0])]
    loser = both[1 - both.index(winner)]
    assert loser.is_closed() == 4410
    assert winner.is_given(charger_id).session == 1


def test_many_runtimes_that_call_home_together_are_all_let_in(
    world: World, link: RunningLink
) -> None:
    chargers = [world.create(f"CP-{number}") for number in range(20)]
    runtimes = [world.single(link, one, epoch=one[-32:]).dial() for one in chargers]
    for runtime in runtimes:
        runtime.hello()
    for runtime, charger_id in zip(runtimes, chargers, strict=True):
        runtime.is_given(charger_id)
    assert all(world.run(charger_id).wakes == 1 for charger_id in chargers)


def test_the_same_process_comes_back_after_a_lost_line_with_its_old_token(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    first = world.single(link, charger_id).connects()
    first.is_given(charger_id)
    first.hangs_up()
    again = world.single(link, charger_id).connects(running=[(charger_id, 1)])
    assert again.is_given(charger_id).session == 2


def test_a_runtime_that_was_told_to_stop_meanwhile_is_dropped_and_sent_home(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    world.stop(charger_id)
    runtime = world.single(link, charger_id).connects()
    runtime.expect("drop", charger=charger_id)
    runtime.drops(charger_id)
    assert runtime.is_closed() == 1000
    assert world.runtime(charger_id).state != "gone", "its driver says when it is gone"
    world.until(lambda: world.run(charger_id).wakes)


def test_a_running_single_runtime_is_dropped_when_its_stop_is_asked_for(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create()
    runtime = world.single(link, charger_id).connects()
    runtime.is_given(charger_id)
    world.stop(charger_id)
    runtime.expect("drop", charger=charger_id)


def test_who_says_no_hello_is_closed(world: World, settings: Settings) -> None:
    with RunningLink(settings, replace(CLOCKS, hello_s=0.05)) as link:
        assert world.host(link).dial().is_closed() == 1008


@pytest.mark.parametrize(
    "first",
    [
        {"t": "hello", "v": 2, "epoch": "e"},
        {"t": "hello", "v": 1, "epoch": 7},
        {"t": "hello", "v": 1},
        {"t": "state"},
    ],
)
def test_a_first_message_that_is_no_hello_of_ours_closes_the_line(
    world: World, link: RunningLink, first: dict[str, object]
) -> None:
    runtime = world.host(link).dial()
    runtime.say(first)
    assert runtime.is_closed() == 1008


def test_what_is_unknown_or_no_json_is_survived(world: World, link: RunningLink) -> None:
    host = world.host(link).connects()
    assert host.socket is not None
    for text in ("not json", "[1]", '"t"', "{", '{"t": "of the future"}', '{"t": 7}', "{}"):
        host.socket.send(text)
    host.socket.send(b"\xff\xfe")
    for kind in ("state", "connectors", "result", "dropped", "digest", "running", "records"):
        host.say({"t": kind, "charger": ["no"], "session": None, "incarnation": "x", "batch": -1})
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)


def test_health_is_answered_without_a_credential(link: RunningLink) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{link.port}/health") as answer:
        assert json.load(answer)["status"] == "ok"


def test_another_path_is_answered_with_404(link: RunningLink) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{link.port}/elsewhere")


def test_the_credential_is_in_no_log(
    world: World, link: RunningLink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    host = world.host(link).connects()
    assert caplog.records, "something is logged"
    spoken = [record.getMessage() for record in caplog.records if record.name.startswith("app.")]
    assert not [line for line in spoken if host.credential in line]


@pytest.fixture
def postgres_of_its_own() -> Iterator[Postgres]:
    with make_folder() as folder, Postgres(folder, durable=True) as postgres:
        engine = make_engine(postgres.create("gateway"))
        upgrade(engine)
        engine.dispose()
        yield postgres


def test_while_the_database_is_away_newcomers_wait_and_those_inside_stay(
    settings: Settings, postgres_of_its_own: Postgres
) -> None:
    settings = replace(settings, database_url=postgres_of_its_own.make_url("gateway"))
    engine = make_engine(settings.database_url)
    with make_world(settings, make_sessions(engine)) as world, RunningLink(settings) as link:
        inside = world.host(link).connects()
        charger_id = world.create()
        world.place(charger_id)
        added = inside.is_given(charger_id)
        postgres_of_its_own.crash()
        inside.goes_online(added)
        assert _is_refused(world.host(link, "h2")) == 503
        postgres_of_its_own.start()
        engine.dispose()
        world.until(lambda: world.charger(charger_id).stage == "online")
        inside.sends_digest((charger_id, 1))
        world.stop(charger_id)
        inside.expect("drop", charger=charger_id)
    engine.dispose()


def test_a_database_that_never_answers_does_not_hold_the_door(
    settings: Settings, postgres_of_its_own: Postgres
) -> None:
    settings = replace(settings, database_url=postgres_of_its_own.make_url("gateway"))
    engine = make_engine(settings.database_url)
    with (
        make_world(settings, make_sessions(engine)) as world,
        RunningLink(settings, replace(CLOCKS, door_s=0.2)) as link,
    ):
        world.host(link).connects()
        postgres_of_its_own.freeze()
        try:
            assert _is_refused(world.host(link, "h2")) == 503
        finally:
            postgres_of_its_own.thaw()
        world.host(link, "h2").connects()
    engine.dispose()
