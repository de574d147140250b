"""What `gateway` answers on a machine where something is missing: a sentence, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.embedded import elsewhere
from app.embedded.state import GatewayState, write_state


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    return tmp_path


def _run(data: Path, monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    """As if a gateway ran on this folder."""
    state = GatewayState(
        pid=os.getpid(),
        phase="running",
        started_at=1.0,
        data=str(data),
        logs="",
        run="",
        base_url="",
        api_address="",
        link_url="ws://127.0.0.1:18001/link",
        flower_url=None,
        token_file=None,
        runtime=runtime,
        embedded=(),
    )
    write_state(data / "state.json", state)
    monkeypatch.setattr(elsewhere, "find_owner", lambda _: object())


@pytest.mark.parametrize("command", [["doctor"], ["token", "--organization", "acme"]])
def test_where_no_gateway_ever_ran_the_way_on_is_told(data: Path, command: list[str]) -> None:
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 1
    assert "No gateway has run here yet: `gateway up`" in result.stderr


def test_what_this_user_may_not_read_is_one_sentence(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/secrets/database_url")

    monkeypatch.setattr("app.embedded.environment.adopt_secrets", refuse)
    result = CliRunner().invoke(main, ["status"])

    assert result.exit_code == 1
    assert result.stderr == (
        "gateway: This user may not use /secrets/database_url: Permission denied.\n"
    )


def test_the_doctor_looks_at_the_link_of_the_gateway_that_runs(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(data, monkeypatch, "local")
    environ: dict[str, str] = {}

    elsewhere.adopt_running(data, environ)

    assert environ == {"GATEWAY_LINK_URL": "ws://127.0.0.1:18001/link"}


def test_the_doctor_knows_that_the_gateway_was_told_to_use_docker(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(data, monkeypatch, "docker")
    environ: dict[str, str] = {}

    elsewhere.adopt_running(data, environ)

    assert environ["GATEWAY_RUNTIME"] == "docker"
    assert environ["GATEWAY_DOCKER_LINK_URL"] == "ws://host.docker.internal:18001/link"


def test_what_somebody_set_stays_and_a_gateway_that_stopped_says_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(data, monkeypatch, "docker")
    given = {"GATEWAY_LINK_URL": "wss://gateway.example.com/link"}
    elsewhere.adopt_running(data, given)
    assert given == {"GATEWAY_LINK_URL": "wss://gateway.example.com/link"}

    monkeypatch.setattr(elsewhere, "find_owner", lambda _: None)
    stopped: dict[str, str] = {}
    elsewhere.adopt_running(data, stopped)
    assert stopped == {}
