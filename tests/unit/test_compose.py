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
PROXIED = ROOT / "docker-compose.docker-proxy.yml"
ENGINE = ROOT / "deploy" / "engine.cfg"
EXAMPLE = ROOT / ".env.example"
#: Read by compose itself.
_OWN = {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME"}
#: Images that others made; the official ones drop their rights themselves.
_FOREIGN = {"postgres"}


def _list_variables() -> set[str]:
    texts = COMPOSE.read_text() + DOCKER.read_text() + PROXIED.read_text()
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


def test_the_proxy_alone_has_the_engines_socket_and_nobody_but_workers_reaches_it() -> None:
    written = yaml.safe_load(PROXIED.read_text())
    services = written["services"]
    holders = [name for name, one in services.items() if "docker.sock" in str(one.get("volumes"))]
    assert holders == ["engine"]
    reached = [name for name, one in services.items() if "engine" in one.get("networks", [])]
    assert sorted(reached) == ["engine", "worker"]
    assert services["engine"]["networks"] == ["engine"]
    assert written["networks"]["engine"] == {"internal": True}
    assert services["engine"]["read_only"] is True
    assert services["engine"]["cap_drop"] == ["ALL"]


def test_chargers_are_the_same_with_and_without_the_proxy() -> None:
    direct, proxied = (
        yaml.safe_load(path.read_text())["services"]["worker"]["environment"]
        for path in (DOCKER, PROXIED)
    )
    hosts = direct.pop("GATEWAY_DOCKER_HOST"), proxied.pop("GATEWAY_DOCKER_HOST")
    assert hosts == ("unix:///var/run/docker.sock", "tcp://engine:2375")
    assert direct == proxied


def _is_admitted(method: str, path: str) -> bool:
    """What the rules of deploy/engine.cfg say, in their order."""
    text = ENGINE.read_text()
    paths: dict[str, list[str]] = {}
    for name, pattern in re.findall(r"acl (\w+) path_reg (\S+)", text):
        paths.setdefault(name, []).append(pattern)
    allowed = re.findall(r"http-request allow if \{ method ([A-Z ]+) \} (\w+)", text)
    assert re.search(r"allow[^\n]*\n\s+http-request deny", text)
    return any(
        method in methods.split() and any(re.search(one, path) for one in paths[name])
        for methods, name in allowed
    )


@pytest.mark.parametrize(
    "asked",
    [
        "GET /_ping",
        "GET /version",
        "GET /v1.41/info",
        "GET /v1.41/events",
        "GET /v1.41/containers/json",
        "POST /v1.41/containers/create",
        "POST /v1.41/containers/4f6c/start",
        "POST /v1.41/containers/gw-a-b-i1/kill",
        "POST /v1.41/containers/4f6c/wait",
        "POST /v1.41/containers/4f6c/unpause",
        "GET /v1.41/containers/gw-a-b-i1/json",
        "GET /v1.41/containers/4f6c/logs",
        "DELETE /v1.41/containers/4f6c",
        "GET /v1.41/images/registry.example.com:5000/team/charger-simulator:0.1.0/json",
        "POST /v1.41/images/create",
        "GET /v1.41/networks/charger-gateway_runtimes",
    ],
)
def test_the_proxy_admits_what_the_driver_asks_for(asked: str) -> None:
    assert _is_admitted(*asked.split())


@pytest.mark.parametrize(
    "asked",
    [
        "POST /v1.41/containers/4f6c/exec",
        "POST /v1.41/containers/4f6c/update",
        "POST /v1.41/containers/4f6c/attach",
        "GET /v1.41/containers/4f6c/archive",
        "PUT /v1.41/containers/4f6c/archive",
        "GET /v1.41/containers/4f6c/export",
        "POST /v1.41/build",
        "POST /v1.41/containers/create/../../build",
        "DELETE /v1.41/images/charger-simulator",
        "POST /v1.41/images/load",
        "POST /v1.41/networks/create",
        "DELETE /v1.41/networks/bridge",
        "GET /v1.41/volumes",
        "POST /v1.41/volumes/create",
        "POST /v1.41/swarm/init",
        "GET /v1.41/secrets",
    ],
)
def test_the_proxy_refuses_what_the_driver_never_asks_for(asked: str) -> None:
    assert not _is_admitted(*asked.split())
