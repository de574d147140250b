"""What children find in their environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.embedded.credentials import Keyring
from app.embedded.environment import adopt_secrets, get_reachable, make_environment, read_given

PORTS = {"api": 8123, "link": 8124, "flower": 8125}


def _make(environ: dict[str, str], folder: Path, host: str = "127.0.0.1") -> dict[str, str]:
    return make_environment(environ, keyring=Keyring(folder), host=host, ports=PORTS)


def test_secrets_go_by_file_and_are_made_once(tmp_path: Path) -> None:
    first = _make({}, tmp_path)
    secret = Path(first["GATEWAY_JWT_SECRETS_FILE"]).read_text()

    second = _make({}, tmp_path)

    assert "GATEWAY_JWT_SECRETS" not in first
    assert secret not in "".join(first.values())
    assert Path(second["GATEWAY_JWT_SECRETS_FILE"]).read_text() == secret
    assert second["GATEWAY_INSTALL_ID"] == first["GATEWAY_INSTALL_ID"]


def test_what_the_operator_set_is_kept(tmp_path: Path) -> None:
    given = {
        "GATEWAY_JWT_SECRETS": "k9:mine",
        "GATEWAY_BASE_URL": "https://gateway.example",
        "GATEWAY_LINK_URL": "wss://gateway.example/link",
    }

    made = _make(given, tmp_path)

    assert given.items() <= made.items()
    assert "GATEWAY_JWT_SECRETS_FILE" not in made


def test_paths_of_secret_files_survive_another_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    made = _make({"GATEWAY_LINK_SECRET_FILE": "secret"}, tmp_path)

    assert made["GATEWAY_LINK_SECRET_FILE"] == str(tmp_path / "secret")


def test_addresses_follow_the_ports(tmp_path: Path) -> None:
    made = _make({}, tmp_path, host="0.0.0.0")

    assert made["GATEWAY_BASE_URL"] == "http://127.0.0.1:8123"
    assert made["GATEWAY_API_HOST"] == "0.0.0.0"
    assert made["GATEWAY_LINK_URL"] == "ws://127.0.0.1:8124/link"


def test_other_commands_find_the_secrets_of_an_installation(tmp_path: Path) -> None:
    _make({}, tmp_path)
    Keyring(tmp_path).put("database_url", "postgresql://x/y")
    environ = {"GATEWAY_LINK_SECRET": "given"}

    adopt_secrets(tmp_path, environ)

    assert read_given("GATEWAY_DATABASE_URL", environ) == "postgresql://x/y"
    assert read_given("GATEWAY_LINK_SECRET", environ) == "given"
    assert "GATEWAY_BROKER_URL_FILE" not in environ


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("gw.example", "gw.example")],
)
def test_a_server_is_reached_where_it_listens(host: str, shown: str) -> None:
    assert get_reachable(host) == shown
