"""Commands reach a charger at most once, and the client learns what became of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_NEWS, listen
from app.settings import Settings
from tests.link_runtime import Added, FakeRuntime, RunningLink
from tests.link_world import World, make_world, with_away


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
    added = host.is_given(charger_id)
    host.goes_online(added)
    world.until(lambda: world.charger(charger_id).stage == "online")
    return added


def test_a_command_is_delivered_and_its_result_told(
    world: World, host: FakeRuntime, added: Added
) -> None:
    command_id = world.command(added.charger_id, "plug_connector")
    command = host.expect("command", id=command_id)
    assert (command["name"], command["session"]) == ("plug_connector", added.session)
    with listen(world.settings.database_url, CHANNEL_NEWS) as connection:
        host.answers(command, result={"status": "Preparing"})
        news = [ring.payload for ring in connection.notifies(timeout=20, stop_after=1)]
    assert news == [command_id]
    done = world.get_command(command_id)
    assert (done.state, done.result, done.error) == ("applied", {"status": "Preparing"}, None)


def test_a_rejected_command_says_why(world: World, host: FakeRuntime, added: Added) -> None:
    command_id = world.command(added.charger_id)
    command = host.expect("command", id=command_id)
    host.answers(command, "rejected", result=None, error="There is no such connector.")
    done = world.until(lambda: _get_if(world, command_id, "rejected"))
    assert done.error == {"code": "command_rejected", "message": "There is no such connector."}


def test_commands_of_one_request_are_delivered_in_their_order(
    world: World, host: FakeRuntime, added: Added
) -> None:
    ids = [world.command(added.charger_id) for _ in range(20)]
    assert [host.expect("command")["id"] for _ in ids] == ids


def test_a_command_waits_until_its_charger_is_online(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "offline", "csms_unreachable", error="refused")
    world.until(lambda: world.charger(added.charger_id).stage == "offline")
    command_id = world.command(added.charger_id)
    assert world.get_command(command_id).state == "deferred"
    host.goes_online(added)
    assert host.expect("command")["id"] == command_id


def test_wire_faults_reach_a_charger_that_is_offline_for_they_may_be_the_reason(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "offline", "csms_unreachable", error="network")
    world.until(lambda: world.charger(added.charger_id).stage == "offline")
    waits = world.command(added.charger_id)
    ended = world.command(added.charger_id, name="wire_faults")
    command = host.expect("command")
    assert (command["id"], world.get_command(waits).state) == (ended, "deferred")
    host.answers(command, "applied", result={"active": False})
    world.until(lambda: _get_if(world, ended, "applied"))


def test_a_command_that_waited_too_long_expires_and_is_not_delivered(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "offline", "csms_unreachable", error="refused")
    world.until(lambda: world.charger(added.charger_id).stage == "offline")
    late = world.command(added.charger_id, expires_s=0)
    expired = world.until(lambda: _get_if(world, late, "expired"))
    assert expired.error["code"] == "command_expired"
    host.goes_online(added)
    newer = world.command(added.charger_id)
    assert host.expect("command")["id"] == newer


def test_a_command_for_a_charger_that_no_link_holds_is_deferred_and_expires(
    world: World, link: RunningLink
) -> None:
    charger_id = world.create(stage="online")
    command_id = world.command(charger_id)
    world.execute("UPDATE chargers SET stage = 'offline'")
    world.until(lambda: _get_if(world, command_id, "deferred"))
    world.execute("UPDATE commands SET expires_at = clock_timestamp()")
    world.until(lambda: _get_if(world, command_id, "expired"))


def test_a_command_whose_session_died_is_unknown_at_once(
    settings: Settings, sessions: sessionmaker[Session]
) -> None:
    settings = with_away(settings, 3600)
    with make_world(settings, sessions) as world, RunningLink(settings) as link:
        host = world.host(link).connects()
        charger_id = world.create()
        world.place(charger_id)
        host.goes_online(host.is_given(charger_id))
        world.until(lambda: world.charger(charger_id).stage == "online")
        command_id = world.command(charger_id)
        host.expect("command", id=command_id)
        host.hangs_up()
        world.until(lambda: _get_if(world, command_id, "failed"))


def test_a_command_whose_session_died_is_unknown_and_never_sent_again(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    command_id = world.command(added.charger_id)
    host.expect("command", id=command_id)
    host.hangs_up()
    failed = world.until(lambda: _get_if(world, command_id, "failed"))
    assert failed.error["code"] == "outcome_unknown"
    again = world.host(link).connects(running=[(added.charger_id, 1)])
    again.goes_online(again.is_given(added.charger_id))
    newer = world.command(added.charger_id)
    assert again.expect("command")["id"] == newer


def test_a_result_that_came_just_before_the_line_broke_counts(
    world: World, host: FakeRuntime, added: Added
) -> None:
    command_id = world.command(added.charger_id)
    host.answers(host.expect("command", id=command_id))
    host.hangs_up()
    world.until(lambda: world.get_command(command_id).state != "delivered")
    assert world.get_command(command_id).state == "applied"


def test_a_result_under_another_fence_does_not_count(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    command_id = world.command(added.charger_id)
    command = host.expect("command", id=command_id)
    fenced = link.counters.fenced
    host.answers({**command, "session": command["session"] + 1})
    world.until(lambda: link.counters.fenced > fenced)
    assert world.get_command(command_id).state == "delivered"


def test_a_command_that_its_link_died_with_is_failed_by_the_next_one(
    settings: Settings, sessions: sessionmaker[Session]
) -> None:
    settings = with_away(settings, 0.6)
    with make_world(settings, sessions) as world, RunningLink(settings) as dying:
        host = world.host(dying).connects()
        charger_id = world.create()
        world.place(charger_id)
        host.goes_online(host.is_given(charger_id))
        world.until(lambda: world.charger(charger_id).stage == "online")
        command_id = world.command(charger_id)
        host.expect("command", id=command_id)
        thawed = dying.freeze()
        try:
            with RunningLink(settings):
                world.until(lambda: _get_if(world, command_id, "failed"))
        finally:
            thawed.set()


def test_of_two_links_only_the_charger_s_own_delivers(
    world: World, link: RunningLink, host: FakeRuntime, added: Added, settings: Settings
) -> None:
    with RunningLink(settings) as other:
        bystander = world.host(other, "h2").connects()
        command_id = world.command(added.charger_id)
        host.answers(host.expect("command", id=command_id))
        world.until(lambda: _get_if(world, command_id, "applied"))
        assert other.counters.commands == 0
        assert [message["t"] for message in bystander.heard] == ["welcome"]


def test_a_command_for_a_stopping_charger_is_not_delivered(
    world: World, host: FakeRuntime, added: Added
) -> None:
    world.stop(added.charger_id)
    command_id = world.command(added.charger_id, expires_s=0.2)
    world.until(lambda: _get_if(world, command_id, "expired"))
    assert not [message for message in host.heard if message["t"] == "command"]


def _get_if(world: World, command_id: str, state: str):
    command = world.get_command(command_id)
    return command if command.state == state else None
