"""The real simulator's host process behind the real link, with the strict CSMS as the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.tokens import make_bootstrap_token, make_host_credential
from tests.link_peers import QUICK, RunningCsms, Simulator
from tests.link_runtime import PATIENCE_S, RunningLink
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
def csms() -> Iterator[RunningCsms]:
    with RunningCsms() as csms:
        yield csms


@pytest.fixture
def run_simulator(tmp_path: Path) -> Iterator[Callable[[str, str], Simulator]]:
    started: list[Simulator] = []

    def run(link_url: str, token: str) -> Simulator:
        started.append(Simulator(link_url, token, tmp_path / "state"))
        return started[-1]

    yield run
    for one in started:
        one.is_killed()


@pytest.fixture
def host(
    world: World, link: RunningLink, run_simulator: Callable[[str, str], Simulator]
) -> Simulator:
    """A connected local host."""
    token = make_host_credential(world.settings.link_secret, "h1")
    simulator = run_simulator(link.url, token)
    world.until(lambda: world.host_row())
    return simulator


def _bring_up(world: World, csms: RunningCsms, identity: str = "CP-1") -> str:
    charger_id = world.create(identity, ws_url=csms.judge.url, settings=QUICK, status="READY")
    world.place(charger_id)
    _until_online(world, charger_id)
    return charger_id


def _until_online(world: World, charger_id: str) -> None:
    world.until(lambda: world.charger(charger_id).stage == "online")


def test_a_charger_comes_online_and_its_frames_and_connectors_are_there(
    world: World, host: Simulator, csms: RunningCsms
) -> None:
    charger_id = _bring_up(world, csms)
    world.until(
        lambda: (
            {"BootNotification", "StatusNotification", "Heartbeat"}
            <= {frame.action for frame in world.frames(charger_id) if frame.direction == "d"}
        )
    )
    frames = world.frames(charger_id)
    assert (frames[0].action, frames[0].direction) == ("BootNotification", "u")
    world.until(lambda: world.charger(charger_id).connectors)
    assert world.charger(charger_id).connectors[0]["status"] == "Available"
    stages = [event.data["stage"] for event in world.events(charger_id, "stage")]
    assert stages[0] == "starting"
    assert stages[-1] == "online"
    world.stop(charger_id)
    world.until(lambda: world.runtime(charger_id).state == "gone")
    assert csms.judge.sockets[0].close_code == 1000
    assert csms.judge.offences == []


def test_a_command_is_carried_out(world: World, host: Simulator, csms: RunningCsms) -> None:
    charger_id = _bring_up(world, csms)
    command_id = world.command(charger_id, "plug_connector")
    world.until(lambda: world.get_command(command_id).state == "applied")
    world.until(lambda: world.charger(charger_id).connectors[0]["status"] == "Preparing")


def test_a_refusing_csms_is_told_in_words(world: World, host: Simulator, csms: RunningCsms) -> None:
    csms.behaves(upgrade="401")
    charger_id = world.create(ws_url=csms.judge.url, settings=QUICK)
    world.place(charger_id)
    world.until(lambda: world.runtime(charger_id).refusals >= 3)
    charger = world.charger(charger_id)
    assert charger.verdict == "csms_rejected"
    assert "401" in charger.hint


def test_a_killed_host_comes_back_empty_and_no_identity_ever_has_two_sockets(
    world: World, host: Simulator, csms: RunningCsms
) -> None:
    charger_id = _bring_up(world, csms)
    host.is_killed()
    host.starts_again()
    world.until(lambda: world.runtime(charger_id).state == "gone")
    assert world.runtime(charger_id).end["code"] == "host_restarted"
    incarnation = world.intend(charger_id)
    world.place(charger_id, incarnation)
    _until_online(world, charger_id)
    assert csms.judge.overlaps() == []


def test_a_charger_goes_on_while_the_link_is_away_and_loses_no_frame(
    world: World,
    settings: Settings,
    csms: RunningCsms,
    run_simulator: Callable[[str, str], Simulator],
) -> None:
    with RunningLink(settings) as first:
        token = make_host_credential(settings.link_secret, "h1")
        run_simulator(first.url, token)
        world.until(lambda: world.host_row())
        charger_id = _bring_up(world, csms)
        port = first.port
    beats = len(csms.judge.frames)
    world.until(lambda: len(csms.judge.frames) >= beats + 4)
    with RunningLink(settings, port=port):
        command_id = world.command(charger_id, "plug_connector")
        world.until(lambda: world.get_command(command_id).state == "applied")
        world.until(lambda: len(world.frames(charger_id)) > beats + 4)
        records = world.frames(charger_id) + [
            event for event in world.events(charger_id) if event.kind != "stage"
        ]
        numbers = sorted(record.number for record in records)
        assert numbers == list(range(1, len(numbers) + 1))
        assert [socket.close_code for socket in csms.judge.sockets] == [None]


def test_a_container_runs_its_one_charger_and_exits_when_it_is_dropped(
    world: World,
    link: RunningLink,
    csms: RunningCsms,
    run_simulator: Callable[[str, str], Simulator],
) -> None:
    charger_id = world.create(ws_url=csms.judge.url, settings=QUICK)
    token = make_bootstrap_token(world.settings.link_secret, charger_id, 1)
    simulator = run_simulator(link.url, token)
    _until_online(world, charger_id)
    doubled = run_simulator(link.url, token)
    assert doubled.process.wait(PATIENCE_S) == 0
    world.stop(charger_id)
    assert simulator.process.wait(PATIENCE_S) == 0
    assert len(csms.judge.sockets) == 1
    assert csms.judge.sockets[0].close_code == 1000


def test_a_host_that_ends_in_order_leaves_no_socket_and_its_chargers_are_known_to_be_gone(
    world: World, host: Simulator, csms: RunningCsms
) -> None:
    charger_id = _bring_up(world, csms)
    handle = world.place(charger_id)
    assert host.ends() == 0
    assert csms.judge.sockets[0].close_code in (1000, 1001)
    world.until(lambda: not world.host_row().connected)
    (seen,) = world.driver.observe([handle])
    assert seen.end is not None
    assert seen.end.code in ("host_ended", "runtime_ended")
