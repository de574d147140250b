"""The Docker driver on a real engine: one container per start, and what each way of ending means."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.docker_world import DockerWorld, make_docker_world, needs_docker
from tests.gateways import eventually
from workers.runtimes.base import (
    CapacityUnavailable,
    EndClass,
    Find,
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
)
from workers.runtimes.docker import make_client
from workers.runtimes.docker_settings import DockerSettings

pytestmark = needs_docker

WAITS = "import signal; signal.pause()"


@pytest.fixture
def world() -> Iterator[DockerWorld]:
    with make_docker_world() as world:
        yield world


def test_a_start_that_died_between_create_and_start_is_taken_up(world: DockerWorld) -> None:
    key = world.key()
    request = world.request(key, program=WAITS)
    created = world.client.create_container_from_config(request["body"], request["name"])
    handle = world.driver.find(key)
    assert not isinstance(handle, Find)
    assert world.look(handle).phase is Phase.SCHEDULING
    assert world.driver.start(key, request)["id"] == created["Id"]
    assert world.look(handle).phase is Phase.RUNNING


def test_a_stranger_that_has_the_name_is_left_alone(world: DockerWorld) -> None:
    key = world.key()
    request = world.request(key, program=WAITS)
    stranger = dict(request["body"])
    stranger["Labels"] = {"gateway.install": world.install_id}
    world.client.create_container_from_config(stranger, request["name"])
    with pytest.raises(RuntimeRejected) as refusal:
        world.driver.start(key, request)
    assert refusal.value.code == "docker_name_taken"
    assert world.count_all() == 1


def test_a_container_can_neither_write_nor_become_more_than_it_is(world: DockerWorld) -> None:
    probe = """
import os, sys
facts = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def refuses(path):
    try:
        open(path, "w").close()
    except OSError:
        return True
    return False
assert refuses("/srv/x") and refuses("/etc/x") and not refuses("/tmp/x"), "folders"
assert os.getuid() == 10001 and facts["CapEff"].strip("0") == "" and facts["CapBnd"].strip("0") == "", facts
assert facts["NoNewPrivs"] == "1", facts
print("hardened")
"""
    end = world.ends(world.starts(program=probe))
    assert (end.exit_code, end.facts["log"]) == (0, "hardened\n")


def test_a_container_that_forks_without_end_is_stopped_by_its_limit(world: DockerWorld) -> None:
    probe = """
import os, signal
try:
    for _ in range(200):
        if os.fork() == 0:
            signal.pause()
except OSError as error:
    print(error.strerror, flush=True)
    os._exit(4)
"""
    end = world.ends(world.starts(program=probe))
    assert (end.code, end.exit_code) == ("runtime_crashed", 4)
    assert "temporarily unavailable" in end.message


def test_memory_beyond_the_limit_is_told_as_such(world: DockerWorld) -> None:
    eats = "hoard = []\nwhile True: hoard.append(b'x' * 1_000_000)"
    end = world.ends(world.starts(program=eats, Memory=24 << 20, MemorySwap=24 << 20))
    assert (end.kind, end.exit_code) == (EndClass.TRANSIENT, 137)
    # A busy engine may miss it; then the sentence for a kill names memory too.
    is_seen = end.facts["oom_killed"]
    assert end.code == ("out_of_memory" if is_seen else "runtime_killed")
    assert ("GATEWAY_DOCKER_MEMORY_MIB" if is_seen else "want of memory") in end.message


@pytest.mark.parametrize(
    ("program", "code", "exit_code"),
    [
        ("pass", "runtime_exited", 0),
        ("raise SystemExit('no such link')", "runtime_crashed", 1),
        ("import os; os._exit(255)", "infrastructure_lost", 255),
    ],
)
def test_an_end_is_told_by_its_exit_code(
    world: DockerWorld, program: str, code: str, exit_code: int
) -> None:
    end = world.ends(world.starts(program=program))
    assert (end.code, end.exit_code) == (code, exit_code)
    if code == "runtime_crashed":
        assert "no such link" in end.message


def test_a_container_that_is_killed_or_removed_by_hand_is_told_apart(world: DockerWorld) -> None:
    killed, removed = world.starts(1, program=WAITS), world.starts(2, program=WAITS)
    world.client.kill(killed["id"])
    world.client.remove_container(removed["id"], force=True)
    assert world.ends(killed).code == "runtime_killed"
    assert world.ends(removed).code == "runtime_lost"


def test_a_paused_container_is_not_well_and_says_what_to_do(world: DockerWorld) -> None:
    handle = world.starts(program=WAITS)
    world.client.pause(handle["id"])
    seen = world.look(handle)
    assert (seen.phase, seen.healthy) == (Phase.RUNNING, False)
    assert "docker unpause" in str(seen.hint)
    world.driver.stop(handle, "test:stop")
    world.ends(handle)


def test_a_simulator_that_stands_still_becomes_unhealthy() -> None:
    with make_docker_world(health_interval_s="1", health_age_s="3") as world:
        handle = world.starts()
        eventually(lambda: world.look(handle).healthy, "the simulator is healthy")
        # Everything in it stops but this shell; those of the health checks come later.
        stop_all = "cd /proc; for p in [0-9]*; do [ $p = $$ ] || kill -STOP $p; done"
        made = world.client.exec_create(handle["id"], ["sh", "-c", stop_all], user="10001")
        world.client.exec_start(made["Id"], detach=True)
        eventually(lambda: world.look(handle).healthy is False, "the simulator is unhealthy")


def test_a_stop_is_asked_for_and_not_waited_for(world: DockerWorld) -> None:
    handle = world.starts()
    eventually(lambda: world.client.logs(handle["id"]), "the simulator has begun")
    world.driver.stop(handle, "test:stop")
    end = world.ends(handle)
    assert (end.code, end.exit_code) == ("runtime_exited", 0)


def test_what_does_not_heed_the_signal_is_killed() -> None:
    with make_docker_world(stop_timeout_s="1") as world:
        deaf = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True)\nwhile True: signal.pause()"
        handle = world.starts(program=deaf)
        eventually(lambda: world.client.logs(handle["id"]), "it does not listen any more")
        world.driver.stop(handle, "test:stop")
        assert world.ends(handle).code == "runtime_killed"


def test_stopping_what_is_gone_succeeds(world: DockerWorld) -> None:
    handle = world.starts(program="pass")
    world.ends(handle)
    for _ in range(2):
        world.driver.stop(handle, "test:stop")
    assert world.count_all() == 0


def test_a_container_that_was_never_started_is_removed_by_a_stop(world: DockerWorld) -> None:
    key = world.key()
    request = world.request(key)
    world.client.create_container_from_config(request["body"], request["name"])
    handle = world.driver.find(key)
    assert not isinstance(handle, Find)
    world.driver.stop(handle, "test:stop")
    assert world.driver.find(key) is Find.NOTHING


def test_what_ended_stays_for_a_while_and_is_then_cleared_away(world: DockerWorld) -> None:
    handle = world.starts(program="print('why')")
    world.ends(handle)
    assert world.another_driver(keep_ended_s="600").list_strays(world.install_id) == []
    (stray,) = world.driver.list_strays(world.install_id)
    assert stray.has_ended
    world.driver.stop(stray.handle, "test:stray")
    assert world.count_all() == 0


def test_an_image_without_the_simulator_is_told_as_such(world: DockerWorld) -> None:
    key = world.key()
    request = world.request(key)
    request["body"]["Entrypoint"] = ["no-such-program"]
    end = world.ends(world.driver.start(key, request))
    assert (end.code, end.kind) == ("container_start_failed", EndClass.PERMANENT)
    assert "no-such-program" in end.message


def test_a_certificate_that_is_not_on_the_machine_is_refused() -> None:
    with make_docker_world(ca_file="/no/such/ca.pem") as world:
        with pytest.raises(RuntimeRejected) as refusal:
            world.starts()
        assert refusal.value.code == "docker_mount_missing"
        assert world.count_all() == 0


def test_a_network_that_does_not_exist_is_named_as_the_reason(world: DockerWorld) -> None:
    key = world.key()
    with pytest.raises(RuntimeRejected) as refusal:
        world.driver.start(key, world.request(key, NetworkMode="no-such-network"))
    assert refusal.value.code == "docker_network_missing"
    assert world.count_all() == 0


def test_limits_that_the_machine_cannot_give_are_refused(world: DockerWorld) -> None:
    key = world.key()
    with pytest.raises(RuntimeRejected) as refusal:
        world.driver.start(key, world.request(key, NanoCpus=10_000 * 10**9))
    assert refusal.value.code == "docker_request_invalid"
    assert "CPUs" in str(refusal.value)


def test_a_full_engine_makes_the_next_one_wait() -> None:
    with make_docker_world(max_containers="1") as world:
        world.starts(1, program=WAITS)
        with pytest.raises(CapacityUnavailable) as wait:
            world.starts(2, program=WAITS)
        assert "GATEWAY_DOCKER_MAX_CONTAINERS" in str(wait.value.hint)
        world.driver.stop(world.driver.find(world.key(1)), "test:stop")
        eventually(lambda: _starts(world), "there is room again")


def _starts(world: DockerWorld) -> bool:
    try:
        world.starts(2, program=WAITS)
    except CapacityUnavailable:
        return False
    return True


def test_an_image_that_is_not_there_is_refused_when_it_may_not_be_pulled() -> None:
    with (
        make_docker_world(image="charger-simulator:nobody-built-it") as world,
        pytest.raises(RuntimeRejected) as refusal,
    ):
        world.request(world.key())
    assert refusal.value.code == "image_not_found"


def test_the_engine_tells_of_an_end_by_itself(world: DockerWorld) -> None:
    handle = world.starts(program="import signal; signal.sigwait({10})")
    heard: list[tuple[str, int]] = []

    class Enough(Exception):
        pass

    def hear(charger_id: str, incarnation: int) -> None:
        heard.append((charger_id, incarnation))
        raise Enough

    # The stream begins in the past, so the end cannot come before it.
    since = int(time.time()) - 1
    world.client.kill(handle["id"])
    original = world.client.events
    world.client.events = lambda **options: original(since=since, **options)
    with pytest.raises(Enough):
        world.driver.listen(hear)
    assert heard == [(world.key().charger_id, 1)]


def test_an_engine_that_is_away_is_unavailable() -> None:
    settings = DockerSettings.read({"image": "x", "host": "tcp://127.0.0.1:1"}, install_id="test")
    with pytest.raises(RuntimeUnavailable) as trouble:
        make_client(settings)
    assert trouble.value.code == "docker_unavailable"
