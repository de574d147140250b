"""The compose files and their .env.example, read without an engine."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import EngineSettings, Settings
from workers.runtimes.docker_settings import DockerSettings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKER = ROOT / "docker-compose.docker.yml"
EXAMPLE = ROOT / ".env.example"
#: Read by compose itself.
_OWN = {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME"}
#: Images that others made; the official ones drop their rights themselves.
_FOREIGN = {"postgres"}


def _list_variables() -> set[str]:
    texts = COMPOSE.read_text() + DOCKER.read_text()
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", texts)) - _OWN


def _list_explained() -> dict[str, str]:
    """Name → default, of .env.example."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def _read_services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return services


def test_every_variable_of_the_compose_files_is_explained() -> None:
    assert _list_variables() - set(_list_explained()) == set()


def test_every_line_of_the_example_has_an_effect() -> None:
    known = {f"GATEWAY_{f.name.upper()}" for f in (*fields(Settings), *fields(EngineSettings))}
    known |= {f"GATEWAY_DOCKER_{f.name.upper()}" for f in fields(DockerSettings)}
    assert set(_list_explained()) - _OWN - _list_variables() - known == set()


def test_the_defaults_that_the_example_shows_are_those_of_the_compose_file() -> None:
    given = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE.read_text()))
    shown = _list_explained()
    differing = {
        name: (default, shown[name])
        for name, default in given.items()
        if name in shown and shown[name] != default
    }
    assert differing == {}


def test_the_example_can_be_used_as_it_is() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    assert lines == []


@pytest.mark.parametrize("name", sorted(set(_read_services()) - _FOREIGN))
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = _read_services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]


def test_only_the_proxy_and_the_monitoring_publish_ports() -> None:
    publishing = {name for name, one in _read_services().items() if "ports" in one}
    assert publishing == {"proxy", "prometheus", "grafana"}
    for name in publishing:
        for port in _read_services()[name]["ports"]:
            assert port.startswith("${PUBLISH:-127.0.0.1}:"), name


def test_chargers_do_not_share_a_network_with_database_and_broker() -> None:
    services = _read_services()
    for name in ("host", "csms", "proxy"):
        assert "backend" not in services[name]["networks"], name
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["backend"], name
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["backend"] == {"internal": True}


def test_secrets_are_files_and_each_is_made_by_the_script() -> None:
    made = (ROOT / "deploy" / "make_secrets.sh").read_text()
    for secret in yaml.safe_load(COMPOSE.read_text())["secrets"].values():
        assert f"make {Path(secret['file']).name}" in made, secret
    for name, service in _read_services().items():
        for value in (service.get("environment") or {}).values():
            assert "password=" not in str(value), name
