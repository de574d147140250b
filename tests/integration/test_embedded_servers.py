"""The embedded servers through crashes: real PostgreSQL and Valkey under a real `gateway up`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from app.embedded.locking import find_leftovers, is_alive
from app.embedded.valkey import ping
from tests.gateways import Gateway, eventually, make_data_folder, run_gateway


@pytest.fixture(scope="module")
def seed() -> Iterator[Path]:
    """A folder whose database was made and migrated: half a second that each test would spend again."""
    with make_data_folder() as folder:
        with Gateway(folder) as gateway:
            gateway.comes_up()
            gateway.is_asked_to_stop()
        yield folder


@pytest.fixture
def data(seed: Path) -> Iterator[Path]:
    """A data folder of this test's own."""
    with make_data_folder(seed) as folder:
        yield folder


@pytest.fixture
def gateway(data: Path) -> Iterator[Gateway]:
    """The two servers, up."""
    with Gateway(data) as gateway:
        yield gateway.comes_up()


def _answers(gateway: Gateway) -> bool:
    try:
        with gateway.connect() as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_killing_the_supervisor_leaves_no_process(gateway: Gateway, data: Path) -> None:
    everything = gateway.list_processes()
    names = {process.name() for process in everything}

    gateway.is_killed()

    assert {"postgres", "valkey-server"} <= names
    eventually(lambda: not any(map(is_alive, everything)), "everything has ended")
    assert find_leftovers(data) == []


def test_a_child_that_hears_nothing_is_ended_by_the_guard(gateway: Gateway) -> None:
    broker = gateway.get_child("valkey")
    broker.suspend()  # the kernel's message waits until it runs again, which is never

    gateway.is_killed()

    eventually(lambda: not is_alive(broker), "it has ended")


def test_killing_supervisor_and_guard_together_leaves_no_process(gateway: Gateway) -> None:
    everything = gateway.list_processes()
    guard = gateway.get_child("guard")

    guard.suspend()  # so that it cannot act between the two
    gateway.is_killed()
    guard.kill()

    eventually(lambda: not any(map(is_alive, everything)), "everything has ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_request_to_stop_ends_everything_and_keeps_the_data(
    data: Path, number: signal.Signals
) -> None:
    with Gateway(data) as gateway:
        with gateway.comes_up().connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        everything = gateway.list_processes()

        assert gateway.is_asked_to_stop(number) == 0
        assert not any(map(is_alive, everything))

    with Gateway(data) as again, again.comes_up().connect() as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_killed_postmaster_is_started_again_with_its_data(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")

    gateway.get_child("postgres").kill()

    eventually(lambda: gateway.count_restarts("postgres") and _answers(gateway), "it is back")
    with gateway.connect() as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_backend_that_outlives_its_postmaster_does_not_block_the_start(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        pid = connection.info.backend_pid
        backend = psutil.Process(pid)
        backend.suspend()  # as busy as can be: it notices nothing
        gateway.get_child("postgres").kill()

        eventually(lambda: gateway.count_restarts("postgres") and _answers(gateway), "it is back")

        assert not is_alive(backend)


def test_a_dead_guard_is_replaced(gateway: Gateway, data: Path) -> None:
    gateway.get_child("guard").kill()
    eventually(lambda: gateway.count_restarts("guard"), "there is another guard")
    everything = gateway.list_processes()

    gateway.is_killed()

    eventually(lambda: not any(map(is_alive, everything)), "everything has ended")


def test_what_a_dead_gateway_left_behind_is_ended_by_the_next(data: Path) -> None:
    with Gateway(data) as gateway, Gateway(data) as second:
        gateway.comes_up()
        broker, guard = gateway.get_child("valkey"), gateway.get_child("guard")
        broker.suspend()  # deaf to everything but SIGKILL
        guard.suspend()
        gateway.is_killed()
        guard.kill()
        assert is_alive(broker)

        second.comes_up()

        assert not is_alive(broker)
        assert ping(
            Path(second.read_state()["run"]) / "valkey.sock",
            (data / "secrets" / "valkey_password").read_text(),
        )


def test_a_second_gateway_on_the_same_folder_is_refused_in_one_sentence(
    gateway: Gateway, data: Path
) -> None:
    refused = run_gateway("up", "--data-dir", str(data), "--free-ports")

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"gateway: A gateway already runs on {data} (process ")
    assert len(refused.stderr.splitlines()) == 1
    assert _answers(gateway)


def test_two_gateways_run_side_by_side(gateway: Gateway, seed: Path) -> None:
    with make_data_folder(seed) as other, Gateway(other) as second:
        second.comes_up()

        assert _answers(gateway)
        assert _answers(second)
        assert gateway.read_state()["base_url"] != second.read_state()["base_url"]


def test_a_stale_pid_file_that_names_a_living_process_of_the_account_is_no_obstacle(
    data: Path, seed: Path
) -> None:
    with Gateway(data) as gateway:
        gateway.comes_up()
        gateway.is_asked_to_stop()
    with make_data_folder(seed) as other, Gateway(other) as bystander:
        # Its postmaster runs as the same account, which is all that PostgreSQL looks at.
        pid = bystander.comes_up().get_child("postgres").pid
        stale = f"{pid}\n{data}/postgres\n1\n5432\n{data}/run\n\n  1 1\nready   \n"
        (data / "postgres" / "postmaster.pid").write_text(stale)
        (data / "run" / ".s.PGSQL.5432.lock").write_text(stale)

        with Gateway(data) as again:
            assert _answers(again.comes_up())


def test_a_broken_append_only_file_is_moved_aside(data: Path) -> None:
    with Gateway(data) as gateway:
        gateway.comes_up()
        gateway.is_asked_to_stop()
    (piece,) = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    piece.write_bytes(b"*3\r\n$3\r\nSET\r\n$nonsense\r\n" * 3)

    with Gateway(data) as again:
        again.comes_up()

        assert list((data / "valkey").glob("appendonlydir.broken-*/*.incr.aof"))
        log = (data / "logs" / "gateway.log").read_text()
        assert "WARNING valkey: The broker's file could not be read" in log


def test_the_broker_keeps_what_it_holds_over_a_crash(gateway: Gateway, data: Path) -> None:
    client = redis.Redis(
        unix_socket_path=str(Path(gateway.read_state()["run"]) / "valkey.sock"),
        password=(data / "secrets" / "valkey_password").read_text(),
    )
    client.set("kept", "7")
    client.execute_command("WAITAOF", 1, 0, 5000)

    gateway.get_child("valkey").kill()
    eventually(lambda: gateway.count_restarts("valkey"), "it was started again")

    def read() -> object:
        try:
            return client.get("kept")
        except redis.ConnectionError:
            return None

    assert eventually(read, "it answers") == b"7"
    client.close()
