"""What a simulator process reads from its environment, and what a charger is told about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.config import Clocks, ConfigInvalid, parse_config
from simulator.settings import SettingsInvalid, read_settings

GOOD = {"SIMULATOR_LINK_URL": "ws://gateway/link", "SIMULATOR_TOKEN": "h1.one.abc"}


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = read_settings(GOOD)
    assert (settings.capacity, settings.openings) == (5000, 200)
    assert settings.buffer_bytes == 64 * 1024 * 1024
    assert settings.clocks == Clocks()


def test_clocks_and_paths_come_from_the_environment() -> None:
    settings = read_settings(
        {
            **GOOD,
            "SIMULATOR_RECONNECT_MAX_S": "7.5",
            "SIMULATOR_STATE_DIR": "/tmp/x",
            "SIMULATOR_IN_CONTAINER": "true",
            "GATEWAY_CA_FILE": "/tmp/ca.pem",
        }
    )
    assert settings.clocks.reconnect_max_s == 7.5
    assert settings.state_dir == Path("/tmp/x")
    assert settings.in_container
    assert settings.ca_file == Path("/tmp/ca.pem")


def test_a_token_may_come_from_a_file_and_is_never_in_the_repr(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("b1.dep-1.3.secretpart\n")
    settings = read_settings(
        {"SIMULATOR_LINK_URL": "ws://g/link", "SIMULATOR_TOKEN_FILE": str(path)}
    )
    assert settings.token == "b1.dep-1.3.secretpart"
    assert "secretpart" not in repr(settings)


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(
            {
                "SIMULATOR_LINK_URL": "http://x",
                "SIMULATOR_CAPACITY": "many",
                "SIMULATOR_OPENINGS": "0",
                "SIMULATOR_BOOT_RETRY_S": "-1",
                "SIMULATOR_IN_CONTAINER": "perhaps",
                "SIMULATOR_TOKEN_FILE": "/nonexistent/token",
            }
        )
    text = str(caught.value)
    for name in ("LINK_URL", "CAPACITY", "OPENINGS", "BOOT_RETRY_S", "IN_CONTAINER", "TOKEN_FILE"):
        assert f"SIMULATOR_{name}" in text


def config(**changes: Any) -> dict[str, Any]:
    return {"identity": "CP", "ocpp_version": "OCPP1.6", "ws_url": "ws://c", **changes}


def test_settings_of_a_charger_override_its_clocks_and_the_rest_is_left_to_behaviours() -> None:
    parsed = parse_config(
        config(settings={"heartbeat_interval_s": 5, "MeterValueSampleInterval": "60"}), Clocks()
    )
    assert parsed.clocks.heartbeat_interval_s == 5
    assert parsed.settings == {"MeterValueSampleInterval": "60"}


def test_chargers_that_are_alike_share_their_parts() -> None:
    both = [
        parse_config(
            config(connectors=[{"id": 1}], settings={"reconnect_max_s": 5}, ws_allow=["a"]),
            Clocks(),
        )
        for _ in range(2)
    ]
    assert both[0].connectors is both[1].connectors
    assert both[0].clocks is both[1].clocks
    assert both[0].ws_allow is both[1].ws_allow


@pytest.mark.parametrize(
    "changes",
    [
        {"ocpp_version": "OCPP9"},
        {"identity": ""},
        {"ws_url": None},
        {"settings": {"reconnect_max_s": "soon"}},
        {"connectors": ["one"]},
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused_with_a_sentence(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(ConfigInvalid, match=r"\.$"):
        parse_config(config(**changes), Clocks())


def test_the_password_is_not_in_the_repr() -> None:
    parsed = parse_config(config(authorization_key="hunter22"), Clocks())
    assert "hunter22" not in repr(parsed)
