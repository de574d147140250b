"""What a person is told to do about a charger that is not online."""

from __future__ import annotations

import pytest

from app.advice import advise


def _advise(verdict: str, ws_url: str = "ws://csms.example:9000/ocpp", **detail: object) -> str:
    provider = detail.pop("provider", "local")
    return (
        advise(verdict, detail, ws_url=ws_url, ocpp_version="OCPP1.6", provider=str(provider)) or ""
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("dns", "csms.example does not resolve"),
        ("refused", "Nothing listens at csms.example:9000;"),
        ("timeout", "does not answer"),
        ("tls", "certificate"),
        ("network", "cannot be reached"),
        ("closed", "closed the connection"),
        ("of the future", "csms.example cannot be reached"),
    ],
)
def test_each_way_of_not_reaching_a_csms_has_its_own_advice(error: str, words: str) -> None:
    assert words in _advise("csms_unreachable", error=error)


@pytest.mark.parametrize("provider", ["docker", "aws"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_localhost_inside_a_container_is_explained(provider: str, host: str) -> None:
    said = _advise("csms_unreachable", f"ws://{host}:9000", provider=provider, error="refused")
    assert "inside a container is the container itself" in said


def test_localhost_of_a_local_host_is_this_machine() -> None:
    said = _advise("csms_unreachable", "ws://localhost:9000", error="refused")
    assert said.startswith("Nothing listens at localhost")


@pytest.mark.parametrize(
    ("ws_url", "place"),
    [
        ("ws://csms.example/ocpp", "csms.example:80"),
        ("wss://csms.example/ocpp", "csms.example:443"),
        ("ws://[::1]:9000/ocpp", "[::1]:9000"),
    ],
)
def test_the_port_is_told_too_for_it_may_be_what_is_wrong(ws_url: str, place: str) -> None:
    assert f"Nothing listens at {place};" in _advise("csms_unreachable", ws_url, error="refused")


@pytest.mark.parametrize("words", ["cut the connection.", "refuses connections."])
def test_a_fault_that_was_ordered_is_not_blamed_on_the_network(words: str) -> None:
    said = _advise("csms_unreachable", error="network", message=f"A wire fault {words}")
    assert said.startswith("A wire fault that was ordered")


def test_a_failing_csms_is_told_by_its_status() -> None:
    assert "HTTP 503" in _advise("csms_unreachable", http_status=503, error="http")


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"http_status": 401, "error": "http"}, "HTTP 401"),
        ({"http_status": 403, "error": "http"}, "HTTP 403"),
        ({"http_status": 404, "error": "http"}, "ws_url's path"),
        ({"error": "subprotocol"}, "did not choose the subprotocol ocpp1.6 (it chose none)"),
        ({"error": "subprotocol", "subprotocol": "ocpp2.0.1"}, "it chose ocpp2.0.1"),
        ({"error": "not_allowed"}, "GATEWAY_WS_ALLOW"),
        ({"error": "boot_rejected"}, "rejected the BootNotification"),
        ({"boot_status": "Rejected"}, "rejected the BootNotification"),
        ({}, "refuses this charger"),
    ],
)
def test_each_refusal_has_its_own_advice(detail: dict[str, object], words: str) -> None:
    assert words in _advise("csms_rejected", **detail)


def test_a_pending_boot_asks_for_acceptance() -> None:
    assert "Pending" in _advise("starting", boot_status="Pending")


@pytest.mark.parametrize("verdict", ["connected", "starting"])
def test_what_goes_well_needs_no_advice(verdict: str) -> None:
    assert _advise(verdict, boot_status="Accepted") == ""


def test_a_charger_that_cannot_be_heard_may_be_well() -> None:
    assert "may be well" in _advise("unknown")


def test_an_address_that_cannot_be_read_does_no_harm() -> None:
    assert _advise("csms_unreachable", "ws://[broken", error="dns").startswith("The host name")
