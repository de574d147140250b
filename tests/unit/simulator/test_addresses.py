"""Where a charger connects to, what may be said of that in logs, and which hosts are allowed."""

from __future__ import annotations

import socket
import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidStatus, NegotiationError
from websockets.http11 import Response

from simulator.address import CsmsUnusable, check_allowed, locate, mask_url
from simulator.refusals import explain


@pytest.mark.parametrize(
    ("ws_url", "identity", "url"),
    [
        ("ws://csms/ocpp", "CP-1", "ws://csms/ocpp/CP-1"),
        ("ws://csms/ocpp/", "CP-1", "ws://csms/ocpp/CP-1"),
        ("ws://csms", "CP-1", "ws://csms/CP-1"),
        (
            "wss://csms:444/a/b?tenant=x&k=1",
            "CP 1/ä",
            "wss://csms:444/a/b/CP%201%2F%C3%A4?tenant=x&k=1",
        ),
        ("ws://csms/ocpp", "a+b@c|d", "ws://csms/ocpp/a%2Bb%40c%7Cd"),
        ("ws://[::1]:9000/x", "CP", "ws://[::1]:9000/x/CP"),
    ],
)
def test_the_identity_is_appended_to_the_path_and_the_query_is_kept(
    ws_url: str, identity: str, url: str
) -> None:
    assert locate(ws_url, identity).url == url


@pytest.mark.parametrize("ws_url", ["http://csms/", "ws://", "ws://csms:99999/", "csms", ""])
def test_what_is_no_websocket_address_is_said_and_definite(ws_url: str) -> None:
    with pytest.raises(CsmsUnusable) as caught:
        locate(ws_url, "CP-1")
    assert caught.value.problem.definite


def test_ports_follow_the_scheme() -> None:
    assert (locate("ws://csms/", "x").port, locate("wss://csms/", "x").port) == (80, 443)


def test_query_values_and_passwords_are_masked_for_logs() -> None:
    masked = mask_url("wss://user:pw@csms:1/path?token=secret&b=")
    assert masked == "wss://csms:1/path?token=***&b=***"


@pytest.mark.parametrize(
    ("host", "port", "addresses", "allowed"),
    [
        ("csms.example", 80, ["10.0.0.1"], None),
        ("csms.example", 80, ["10.0.0.1"], ["*"]),
        ("CSMS.example", 80, ["10.0.0.1"], ["csms.example"]),
        ("a.csms.example", 80, ["10.0.0.1"], ["*.csms.example"]),
        ("csms.example", 9000, ["10.0.0.1"], ["csms.example:9000"]),
        ("anything", 80, ["10.1.2.3"], ["10.0.0.0/8"]),
        ("::1", 80, ["::1"], ["::1"]),
        ("mapped", 80, ["::ffff:10.1.2.3"], ["10.0.0.0/8"]),
    ],
)
def test_an_allowed_host_may_be_dialled(
    host: str, port: int, addresses: list[str], allowed: list[str] | None
) -> None:
    assert check_allowed(host, port, addresses, allowed) == addresses


@pytest.mark.parametrize(
    ("host", "port", "addresses", "allowed"),
    [
        ("csms.example", 80, ["10.0.0.1"], []),
        ("evil.example", 80, ["10.0.0.1"], ["csms.example"]),
        ("csms.example", 80, ["10.0.0.1"], ["*.csms.example"]),
        ("evilcsms.example", 80, ["10.0.0.1"], ["*.csms.example"]),
        ("csms.example", 9001, ["10.0.0.1"], ["csms.example:9000"]),
        ("anything", 80, ["192.168.0.1"], ["10.0.0.0/8"]),
        ("anything", 80, [], ["10.0.0.0/8"]),
    ],
)
def test_a_host_that_is_not_allowed_is_a_definite_refusal(
    host: str, port: int, addresses: list[str], allowed: list[str]
) -> None:
    with pytest.raises(CsmsUnusable) as caught:
        check_allowed(host, port, addresses, allowed)
    assert caught.value.problem.error == "not_allowed"
    assert caught.value.problem.definite


def test_of_several_addresses_only_those_inside_the_network_are_dialled() -> None:
    found = check_allowed("x", 80, ["8.8.8.8", "10.0.0.9"], ["10.0.0.0/8"])
    assert found == ["10.0.0.9"]


def status(code: int) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers()))


def closed_early() -> InvalidMessage:
    error = InvalidMessage("did not receive a valid HTTP response")
    error.__cause__ = EOFError()
    return error


@pytest.mark.parametrize(
    ("error", "word", "definite", "verdict"),
    [
        (socket.gaierror(-2, "unknown"), "dns", False, "csms_unreachable"),
        (ConnectionRefusedError(), "refused", False, "csms_unreachable"),
        (TimeoutError(), "timeout", False, "csms_unreachable"),
        (ssl.SSLCertVerificationError(1, "x"), "tls", False, "csms_unreachable"),
        (ssl.SSLError(1, "x"), "tls", False, "csms_unreachable"),
        (OSError(113, "No route to host"), "network", False, "csms_unreachable"),
        (closed_early(), "closed", False, "csms_unreachable"),
        (InvalidMessage("gibberish"), "http", False, "csms_unreachable"),
        (NegotiationError("unsupported subprotocol: x"), "subprotocol", True, "csms_rejected"),
        (status(401), "http", True, "csms_rejected"),
        (status(403), "http", True, "csms_rejected"),
        (status(404), "http", True, "csms_rejected"),
        (status(429), "http", False, "csms_rejected"),
        (status(302), "http", False, "csms_rejected"),
        (status(503), "http", False, "csms_unreachable"),
    ],
)
def test_every_failure_has_a_word_a_sentence_and_a_verdict(
    error: Exception, word: str, definite: bool, verdict: str
) -> None:
    problem = explain(error, locate("ws://csms/ocpp", "x"), "ocpp1.6", in_container=False)
    assert (problem.error, problem.definite, problem.verdict) == (word, definite, verdict)
    assert problem.message.endswith(".")
    assert problem.message[0].isupper() or problem.message.startswith("csms")


def test_the_status_of_a_refused_upgrade_is_in_the_detail_and_in_the_sentence() -> None:
    problem = explain(status(401), locate("ws://csms/", "x"), "ocpp1.6", in_container=False)
    assert problem.describe()["http_status"] == 401
    assert "401" in problem.message
    assert "authorization_key" in problem.message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "app.localhost"])
def test_localhost_inside_a_container_has_its_own_words(host: str) -> None:
    place = locate(f"ws://{host}:9000/", "x")
    inside = explain(ConnectionRefusedError(), place, "ocpp1.6", in_container=True)
    outside = explain(ConnectionRefusedError(), place, "ocpp1.6", in_container=False)
    assert "container itself" in inside.message
    assert "container" not in outside.message


def test_another_host_inside_a_container_gets_no_such_hint() -> None:
    place = locate("ws://csms:9000/", "x")
    problem = explain(ConnectionRefusedError(), place, "ocpp1.6", in_container=True)
    assert "container" not in problem.message
