"""What `gateway up` does with folders and accounts: one sentence, and nothing touched that it did not make."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateways import NOBODY, Gateway, make_data_folder, make_environment, run_gateway


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty data folder."""
    with make_data_folder() as folder:
        yield folder


def _list_modes(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of a folder and of everything above it."""
    found = {}
    for folder in (path, *path.parents):
        status = folder.stat()
        found[folder] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return found


def test_folders_that_exist_keep_mode_and_owner(data: Path) -> None:
    inner = data / "theirs" / "deep"
    inner.mkdir(parents=True)
    inner.chmod(0o775)
    inner.parent.chmod(0o751)
    before = _list_modes(inner)

    with Gateway(inner) as gateway:
        gateway.comes_up()
        gateway.is_asked_to_stop()

    assert _list_modes(inner) == before


def test_a_new_data_folder_shows_nothing_to_others(data: Path) -> None:
    os.umask(os.umask(0o022))
    made = data / "new"

    with Gateway(made) as gateway:
        gateway.comes_up()

        assert made.stat().st_mode & 0o066 == 0
        for secret in (made / "secrets").iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        for inner in ("secrets", "postgres", "valkey", "run", "logs", "tokens"):
            assert stat.S_IMODE((made / inner).stat().st_mode) == 0o700


def test_secrets_are_neither_in_command_lines_nor_in_environments(data: Path) -> None:
    with Gateway(data) as gateway:
        gateway.comes_up()
        secrets = [
            path.read_text() for path in (data / "secrets").iterdir() if "_id" not in path.name
        ]
        processes = [gateway.get_child(name) for name in ("postgres", "valkey", "guard")]
        seen = [
            " ".join([*process.cmdline(), *process.environ().values()]) for process in processes
        ]

        assert not [text for text in seen for secret in secrets if secret in text]


def test_a_folder_of_another_postgresql_is_left_alone(data: Path) -> None:
    cluster = data / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("16\n")
    cluster.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(cluster, NOBODY, NOBODY)

    refused = run_gateway("up", "--data-dir", str(data), "--free-ports")

    assert refused.returncode == 1
    assert (
        "holds data of PostgreSQL 16 and this release runs 18; nothing was touched"
        in refused.stderr
    )
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


def test_a_folder_that_cannot_be_made_is_one_sentence(data: Path) -> None:
    (data / "file").write_text("")

    refused = run_gateway("up", "--data-dir", str(data / "file" / "inner"))

    assert refused.returncode == 1
    assert refused.stderr == (
        f"gateway: The data folder {data / 'file' / 'inner'} cannot be made: "
        f"{data / 'file'} is a file.\n"
    )


def test_a_port_in_use_is_one_sentence(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_gateway("up", "--data-dir", str(data), "--free-ports", "--port", str(port))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"gateway: Port {port} for api is in use by another program")
    assert len(refused.stderr.splitlines()) == 1


def test_every_mistake_in_the_settings_is_told_before_anything_starts(data: Path) -> None:
    environment = make_environment(GATEWAY_RUNTIME="moon", GATEWAY_API_WORKERS="none")

    refused = run_gateway("up", "--data-dir", str(data), "--free-ports", environment=environment)

    assert refused.returncode == 1
    assert "GATEWAY_RUNTIME" in refused.stderr
    assert "GATEWAY_API_WORKERS" in refused.stderr
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_a_path_with_blanks_quotes_and_great_length_works(data: Path) -> None:
    long = data / 'it\'s a "long" näme, really' / ("x" * 60)
    long.parent.mkdir(mode=0o711)
    long.parent.chmod(0o711)

    with Gateway(long) as gateway:
        with gateway.comes_up().connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        sockets = Path(gateway.read_state()["run"])
        assert len(str(sockets)) < 86
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        gateway.is_asked_to_stop()
        assert not sockets.exists()

    with Gateway(long.parent / "short") as gateway, gateway.comes_up().connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


class TestAsRoot:
    """Root gives the servers another account; where tests do not run as root, they are that account."""

    def test_the_servers_never_run_as_root(self, data: Path) -> None:
        with Gateway(data) as gateway:
            gateway.comes_up()

            for name in ("postgres", "valkey"):
                assert gateway.get_child(name).uids().real != 0

    def test_a_folder_that_the_account_cannot_enter_is_refused(self, data: Path) -> None:
        closed = data / "closed"
        closed.mkdir(mode=0o700)
        environment = make_environment()
        if os.geteuid() != 0:
            closed.chmod(0o000)

        refused = run_gateway(
            "up", "--data-dir", str(closed / "inner"), "--free-ports", environment=environment
        )
        closed.chmod(0o700)

        assert refused.returncode == 1
        assert len(refused.stderr.splitlines()) == 1
        assert str(closed) in refused.stderr


def test_an_ordinary_user_runs_everything_as_himself(data: Path) -> None:
    """As root: as nobody, with the right to read what root can read (the virtual environment)."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "app.cli")
    environment = make_environment(HOME=str(data))
    uid = os.geteuid()
    if uid == 0:
        uid = NOBODY
        os.chown(data, uid, uid)
        environment.pop("GATEWAY_RUN_AS")
        powers = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        user = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        command = ("setpriv", *user, *powers, *command)

    with Gateway(data, environment=environment, command=command) as gateway:
        gateway.comes_up()

        assert gateway.process is not None
        supervisor = psutil.Process(gateway.process.pid)
        everything = [supervisor, *supervisor.children(recursive=True)]
        assert {process.uids().real for process in everything} == {uid}
        assert {process.name() for process in everything} >= {"postgres", "valkey-server"}
