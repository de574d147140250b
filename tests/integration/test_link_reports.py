"""What a runtime tells of its charger, as clients and the engine see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_NEWS, listen
from app.settings import Settings
from tests.link_runtime import Added, FakeRuntime, RunningLink
from tests.link_world import World, make_world


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


def test_an_accepted_boot_shows_and_wakes_the_run_that_waits_for_it(
    world: World, host: FakeRuntime, added: Added
) -> None:
    woken = world.run(added.charger_id).wakes
    host.tells_state(added, "connecting")
    host.tells_state(added, "registering")
    host.goes_online(added)
    world.until(lambda: world.charger(added.charger_id).stage == "online")
    charger, runtime = world.charger(added.charger_id), world.runtime(added.charger_id)
    assert (charger.verdict, charger.hint) == ("connected", None)
    assert runtime.online_at is not None
    assert world.run(added.charger_id).wakes > woken


def test_each_stage_is_an_event_in_the_order_it_was_reached(
    world: World, host: FakeRuntime, added: Added
) -> None:
    for stage in ("connecting", "connecting", "registering", "registering"):
        host.tells_state(added, stage)
    host.goes_online(added)
    world.until(lambda: world.charger(added.charger_id).stage == "online")
    stages = [event.data["stage"] for event in world.events(added.charger_id, "stage")]
    assert stages == ["starting", "connecting", "registering", "online"]


def test_a_new_stage_is_news_for_those_who_wait(
    world: World, host: FakeRuntime, added: Added
) -> None:
    with listen(world.settings.database_url, CHANNEL_NEWS) as connection:
        host.goes_online(added)
        news = [ring.payload for ring in connection.notifies(timeout=20, stop_after=1)]
    assert news == [added.charger_id]


def test_definite_refusals_are_counted_until_it_is_online(
    world: World, host: FakeRuntime, added: Added
) -> None:
    refusal = {"http_status": 401, "error": "http", "definite": True, "message": "HTTP 401"}
    for _ in range(3):
        host.tells_state(added, "connecting", "csms_rejected", **refusal)
    world.until(lambda: world.runtime(added.charger_id).refusals == 3)
    assert world.runtime(added.charger_id).refused_since is not None
    host.goes_online(added)
    world.until(lambda: world.runtime(added.charger_id).refusals == 0)
    assert world.runtime(added.charger_id).refused_since is None


def test_refusals_after_being_online_are_counted_from_there(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "connecting", "csms_rejected", http_status=403, definite=True)
    world.until(lambda: world.runtime(added.charger_id).refusals == 1)
    host.goes_online(added)
    host.tells_state(added, "offline", "csms_rejected", http_status=403, definite=True)
    world.until(lambda: world.charger(added.charger_id).stage == "offline")
    assert world.runtime(added.charger_id).refusals == 1


def test_a_refusal_wakes_the_run_and_says_what_to_do(
    world: World, host: FakeRuntime, added: Added
) -> None:
    woken = world.run(added.charger_id).wakes
    host.tells_state(
        added,
        "connecting",
        "csms_rejected",
        http_status=401,
        error="http",
        definite=True,
        message="The CSMS answered HTTP 401.",
    )
    world.until(lambda: world.charger(added.charger_id).verdict == "csms_rejected")
    charger = world.charger(added.charger_id)
    assert "authorization_key" in charger.hint
    assert charger.last_error == {
        "code": "csms_rejected",
        "message": "The CSMS answered HTTP 401.",
        "error": "http",
        "http_status": 401,
    }
    assert world.run(added.charger_id).wakes > woken


def test_a_passing_failure_is_shown_and_is_no_refusal(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "connecting", "csms_unreachable", error="refused", attempts=1)
    world.until(lambda: world.charger(added.charger_id).verdict == "csms_unreachable")
    assert "Nothing listens at 127.0.0.1" in world.charger(added.charger_id).hint
    assert world.runtime(added.charger_id).refusals == 0


def test_a_pending_boot_wakes_the_run_and_asks_for_the_charge_point_to_be_accepted(
    world: World, host: FakeRuntime, added: Added
) -> None:
    woken = world.run(added.charger_id).wakes
    host.tells_state(added, "registering", "starting", boot_status="Pending", interval_s=5)
    world.until(lambda: world.charger(added.charger_id).stage == "registering")
    assert "Pending" in world.charger(added.charger_id).hint
    assert world.runtime(added.charger_id).detail["interval_s"] == 5
    assert world.run(added.charger_id).wakes > woken


def test_stage_since_moves_with_the_stage_only(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(added, "connecting", "csms_unreachable", error="refused")
    world.until(lambda: world.charger(added.charger_id).stage == "connecting")
    since = world.charger(added.charger_id).stage_since
    host.tells_state(added, "connecting", "csms_unreachable", error="timeout")
    world.until(lambda: "does not answer" in world.charger(added.charger_id).hint)
    assert world.charger(added.charger_id).stage_since == since


def test_a_message_under_an_older_fence_changes_nothing(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    host.hangs_up()
    again = world.host(link).connects(running=[(added.charger_id, 1)])
    new = again.is_given(added.charger_id)
    again.tells_state(added, "offline", "csms_unreachable")
    again.goes_online(new)
    world.until(lambda: world.charger(added.charger_id).stage == "online")
    stages = [event.data["stage"] for event in world.events(added.charger_id, "stage")]
    assert stages == ["starting", "online"]


def test_a_host_cannot_speak_for_a_charger_of_another_host(
    world: World, link: RunningLink, host: FakeRuntime, added: Added
) -> None:
    intruder = world.host(link, "h2", epoch="f" * 32).connects()
    fenced = link.counters.fenced
    intruder.drops(added.charger_id)
    intruder.tells_state(added, "offline", "csms_unreachable")
    world.until(lambda: link.counters.fenced > fenced)
    host.goes_online(added)
    world.until(lambda: world.charger(added.charger_id).stage == "online")
    # By then the intruder's word was judged, too.
    host.tells_state(added, "offline", "csms_unreachable")
    world.until(lambda: world.charger(added.charger_id).stage == "offline")
    assert world.runtime(added.charger_id).state != "gone"


def test_what_a_stopping_charger_tells_is_kept_and_not_shown(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.goes_online(added)
    world.until(lambda: world.charger(added.charger_id).stage == "online")
    world.stop(added.charger_id)
    host.expect("drop")
    host.tells_state(added, "offline", "csms_unreachable", error="closed")
    world.until(lambda: world.runtime(added.charger_id).stage == "offline")
    assert world.charger(added.charger_id).stage == "online"


def test_connectors_are_shown_as_told(world: World, host: FakeRuntime, added: Added) -> None:
    told = [{"id": 1, "status": "Charging", "power_w": 7400, "transaction_id": "7"}]
    host.say({"t": "connectors", **added.names, "connectors": told, "at": 1})
    shown = world.until(lambda: world.charger(added.charger_id).connectors)
    assert shown == told


def test_text_that_the_database_cannot_hold_is_shown_escaped(
    world: World, host: FakeRuntime, added: Added
) -> None:
    host.tells_state(
        added, "connecting", "csms_unreachable", error="http", message="a\x00b", close_reason="\x00"
    )
    world.until(lambda: world.charger(added.charger_id).stage == "connecting")
    assert world.charger(added.charger_id).last_error["message"] == "a\\u0000b"


def test_many_chargers_that_boot_at_once_are_each_shown(
    world: World, host: FakeRuntime, link: RunningLink
) -> None:
    chargers = [world.create(f"CP-{number}") for number in range(60)]
    for charger_id in chargers:
        world.place(charger_id)
    given = [host.is_given(charger_id) for charger_id in chargers]
    for one in given:
        host.tells_state(one, "connecting")
        host.tells_state(one, "registering")
        host.goes_online(one)
    world.until(lambda: {world.charger(one).stage for one in chargers} == {"online"})
    assert all(len(world.events(one, "stage")) == 4 for one in chargers)
