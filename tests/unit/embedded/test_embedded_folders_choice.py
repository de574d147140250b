"""Where data lies when nobody says, and when somebody does."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.embedded import folders
from app.embedded.folders import find_data_folder, list_candidates


def _be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr("app.embedded.folders.os.geteuid", lambda: uid)


def test_a_folder_that_was_named_has_no_second() -> None:
    assert list_candidates("/srv/gateway") == [(Path("/srv/gateway"), "you named it")]


def test_an_ordinary_user_has_it_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ann")

    assert [str(path) for path, _ in list_candidates(None)] == [
        "/home/ann/.local/share/charger-gateway",
        "/var/tmp/charger-gateway-1000",
    ]


def test_the_desktop_standard_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data/ann")

    assert list_candidates(None)[0][0] == Path("/data/ann/charger-gateway")


def test_root_has_it_where_services_have_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)

    assert [str(path) for path, _ in list_candidates(None)] == [
        "/var/lib/charger-gateway",
        "/var/tmp/charger-gateway-0",
    ]


def test_every_candidate_says_why() -> None:
    assert all(why for _, why in list_candidates(None))


def test_commands_find_the_folder_that_is_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GATEWAY_DATA_DIR", raising=False)
    second = tmp_path / "second"
    (second / "secrets").mkdir(parents=True)
    monkeypatch.setattr(
        folders, "list_candidates", lambda _: [(tmp_path / "first", ""), (second, "")]
    )

    assert find_data_folder() == second
