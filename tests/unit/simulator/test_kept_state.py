"""Files that outlive the process: whole or not there, and never in the way of a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.keep import StateFolder


def test_a_snapshot_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    StateFolder(tmp_path).save({"dep-1": {"v": 1, "calls": []}, "dep-2": {"v": 1}})
    again = StateFolder(tmp_path)
    assert again.load("dep-1") == {"v": 1, "calls": []}
    assert again.load("dep-2") == {"v": 1}
    assert again.load("dep-3") is None


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.save({"dep-1": {"v": 1}})
    folder.forget("dep-1")
    folder.forget("dep-1")
    assert folder.load("dep-1") is None


@pytest.mark.parametrize("content", [b"", b'{"v":', b"[1]", b"\xff"])
def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, content: bytes) -> None:
    folder = StateFolder(tmp_path)
    folder.save({"dep-1": {"v": 1}})
    (tmp_path / "chargers" / "dep-1.json").write_bytes(content)
    assert folder.load("dep-1") is None


def test_an_id_that_would_lead_elsewhere_is_never_a_path(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "inside")
    folder.save({"../../outside": {"v": 1}, "a/b": {"v": 1}})
    assert folder.load("../../outside") is None
    assert [path.name for path in tmp_path.rglob("*.json")] == []


def test_a_disk_that_refuses_stops_nobody(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    (tmp_path / "chargers" / "dep-1.new").mkdir()
    folder.save({"dep-1": {"v": 1}, "dep-2": {"v": 2}})
    assert folder.load("dep-2") == {"v": 2}


def test_without_a_folder_nothing_is_kept() -> None:
    folder = StateFolder(None)
    folder.save({"dep-1": {"v": 1}})
    assert folder.load("dep-1") is None
