"""GATEWAY_DOCKER_*: every mistake at once, in words."""

from __future__ import annotations

import pytest

from workers.runtimes.base import Key, RuntimeRejected, Spec
from workers.runtimes.docker_request import name_container, read_owner, render_container
from workers.runtimes.docker_settings import DockerSettings

KEY = Key("depot", "dep-0192aabbccddeeff0011223344556677", 3, attempt=2)
SPEC = Spec("acme", "CP-1", "OCPP1.6", "Main St.", "ws://link:8001/link", "b1.secret")


def _read(**values: str) -> DockerSettings:
    return DockerSettings.read({"image": "sim:1", **values}, install_id="depot")


def _render(settings: DockerSettings, spec: Spec = SPEC) -> dict:
    return render_container(settings, KEY, spec, {"image": settings.image})


def test_an_image_is_all_that_must_be_said() -> None:
    settings = _read()
    assert (settings.image, settings.install_id) == ("sim:1", "depot")


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(RuntimeRejected) as refusal:
        DockerSettings.read({"cpu": "1", "cpus": "many", "memory_mib": "a"}, install_id="depot")
    text = str(refusal.value)
    assert refusal.value.code == "docker_settings_invalid"
    assert "GATEWAY_DOCKER_CPU is not known" in text
    assert "GATEWAY_DOCKER_CPUS must be a number" in text
    assert "GATEWAY_DOCKER_MEMORY_MIB must be a whole number" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image", ""),
        ("pull", "sometimes"),
        ("user", "root"),
        ("user", "0:0"),
        ("cpus", "0"),
        ("cpus", "nan"),
        ("memory_mib", "-5"),
        ("memory_mib", "1"),
        ("pids", "2"),
        ("stop_timeout_s", "0"),
        ("health_age_s", "1"),
        ("link_url", "http://link"),
        ("ca_file", "ca.pem"),
        ("hosts", "csms"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(RuntimeRejected, match=f"GATEWAY_DOCKER_{name.upper()}"):
        _read(**{name: value})


def test_a_repeated_start_is_the_same_request_whatever_its_attempt() -> None:
    assert _render(_read()) == _render(_read())
    again = Key(KEY.install_id, KEY.charger_id, KEY.incarnation, attempt=5)
    assert (
        name_container(again)
        == name_container(KEY)
        == "gw-depot-0192aabbccddeeff0011223344556677-i3"
    )


def test_labels_say_whose_container_it_is() -> None:
    labels = _render(_read())["body"]["Labels"]
    owner = read_owner(labels)
    assert owner is not None
    assert (owner.install_id, owner.charger_id, owner.incarnation) == (
        KEY.install_id,
        KEY.charger_id,
        3,
    )
    assert labels["gateway.location"] == "Main St."
    assert read_owner({}) is None
    assert read_owner({**labels, "gateway.incarnation": "three"}) is None


def test_the_token_is_in_the_environment_and_nowhere_else() -> None:
    request = _render(_read(environment="SIMULATOR_LOG_LEVEL=DEBUG,SIMULATOR_TOKEN=other"))
    environment = request["body"].pop("Env")
    assert "SIMULATOR_TOKEN=b1.secret" in environment
    assert "SIMULATOR_LOG_LEVEL=DEBUG" in environment
    assert "b1.secret" not in str(request)
    assert "SIMULATOR_TOKEN=other" not in environment


def test_a_link_that_only_this_machine_reaches_is_refused_with_the_remedy() -> None:
    here = Spec("acme", "CP-1", "OCPP1.6", None, "ws://127.0.0.1:8001/link", "b1.secret")
    with pytest.raises(RuntimeRejected, match=r"host\.docker\.internal") as refusal:
        _render(_read(), here)
    assert refusal.value.code == "docker_link_unreachable"
    reachable = _render(_read(link_url="ws://host.docker.internal:8001/link"), here)
    assert "SIMULATOR_LINK_URL=ws://host.docker.internal:8001/link" in reachable["body"]["Env"]
    assert _render(_read(network="host"), here)


def test_a_private_authority_is_mounted_and_named() -> None:
    request = _render(_read(ca_file="/etc/ssl/private-ca.pem"))["body"]
    (mount,) = request["HostConfig"]["Mounts"]
    assert mount["Source"] == "/etc/ssl/private-ca.pem"
    assert mount["ReadOnly"]
    assert f"GATEWAY_CA_FILE={mount['Target']}" in request["Env"]
