"""The configuration that a charger is given, out of its row and its model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.catalog import load_catalog
from app.link.configs import make_config


def _make_row(**changes: Any) -> Any:
    columns = {
        "identity": "CP-1",
        "ocpp_version": "OCPP1.6",
        "ws_url": "ws://csms:9000/ocpp",
        "location_name": "Depot",
        "name": "Bay 4",
        "brand_slug": "abb",
        "model_slug": "terra-184",
        "connector_type": "CCS2",
        "security_profile": 1,
        "authorization_key": "a-key",
        "settings": {},
    }
    return SimpleNamespace(**{**columns, **changes})


def test_each_outlet_of_the_model_is_a_connector_of_the_ordered_type() -> None:
    config = make_config(_make_row(), load_catalog(), ())
    assert [one["id"] for one in config["connectors"]] == [1, 2]
    assert {one["type"] for one in config["connectors"]} == {"CCS2"}
    assert config["connectors"][0]["current_type"] == "dc"
    assert (config["vendor_name"], config["model"]) == ("ABB", "Terra 184")
    assert config["authorization_key"] == "a-key"


def test_wire_faults_are_told_apart_from_clocks() -> None:
    settings = {"wire_faults": {"latency_ms": 50}, "heartbeat_interval_s": 5}
    config = make_config(_make_row(settings=settings), load_catalog(), ())
    assert config["wire_faults"] == {"latency_ms": 50}
    assert config["settings"] == {"heartbeat_interval_s": 5}


def test_without_a_list_every_csms_host_is_allowed() -> None:
    assert make_config(_make_row(), load_catalog(), ())["ws_allow"] is None
    assert make_config(_make_row(), load_catalog(), ("*.example",))["ws_allow"] == ["*.example"]


def test_a_model_that_left_the_catalog_still_runs() -> None:
    config = make_config(_make_row(model_slug="discontinued"), load_catalog(), ())
    assert (config["vendor_name"], config["model"]) == ("abb", "discontinued")
    assert len(config["connectors"]) == 1
