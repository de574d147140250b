"""From what went wrong while connecting to a `Problem`: one error word, one sentence, one truth about hope."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from http import HTTPStatus

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, NegotiationError

from simulator.address import Place
from simulator.problems import DEFINITE_STATUS, Problem

_STATUS_HINTS = {
    401: "It wants other credentials: check security_profile and authorization_key.",
    403: "It forbids this charger: check whether the identity is registered there.",
    404: "It knows no such path or charger: check ws_url, and whether the identity is registered there.",
}


def explain(error: Exception, place: Place, subprotocol: str, *, in_container: bool) -> Problem:
    """The problem behind an exception from opening a connection."""
    host = f"{place.host}:{place.port}"
    if isinstance(error, InvalidStatus):
        return _explain_status(error.response.status_code)
    if isinstance(error, NegotiationError):
        offered = str(error).rpartition(": ")[2]
        return explain_subprotocol(offered or None, subprotocol)
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
        return Problem("closed", f"{host} closed the connection before the WebSocket was open.")
    if isinstance(error, InvalidHandshake):
        return Problem("http", f"What answers at {host} does not speak WebSocket: {error}."[:300])
    if isinstance(error, TimeoutError):
        sentence = f"The CSMS at {host} did not answer in time."
        return Problem("timeout", sentence + _localhost_hint(place, in_container))
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, host)
    if isinstance(error, socket.gaierror):
        return Problem("dns", f"The host name {place.host} cannot be found.")
    if isinstance(error, ConnectionRefusedError):
        sentence = f"Nothing listens at {host}."
        return Problem("refused", sentence + _localhost_hint(place, in_container))
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return Problem("network", f"The network does not lead to {host}: {reason}.")
    return Problem("network", f"The connection to {host} failed: {type(error).__name__}.")


def _explain_status(status: int) -> Problem:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    hint = _STATUS_HINTS.get(status, "")
    if 300 <= status < 400:
        hint = "Redirects are not followed: give the address itself."
    sentence = f"The CSMS answered HTTP {status}{phrase} instead of opening a WebSocket."
    if hint:
        sentence = f"{sentence} {hint}"
    return Problem("http", sentence, definite=status in DEFINITE_STATUS, http_status=status)


def explain_subprotocol(chosen: str | None, wanted: str) -> Problem:
    """The CSMS opened the WebSocket with no subprotocol, or with another than ours."""
    found = f"chose {chosen!r}" if chosen else "chose no subprotocol"
    return Problem(
        "subprotocol",
        f"The CSMS {found}, but this charger speaks {wanted}: check ocpp_version, and ws_url.",
        definite=True,
        subprotocol=chosen or "",
    )


def _explain_tls(error: ssl.SSLError, host: str) -> Problem:
    if isinstance(error, ssl.SSLCertVerificationError):
        sentence = (
            f"The certificate of {host} is not trusted: {_say_reason(error)}. "
            "A private authority is named by GATEWAY_CA_FILE."
        )
        return Problem("tls", sentence)
    return Problem("tls", f"TLS with {host} failed: {_say_reason(error)}.")


def _say_reason(error: ssl.SSLError) -> str:
    said = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return str(said or "unknown reason").replace("_", " ").lower().rstrip(".")


def _localhost_hint(place: Place, in_container: bool) -> str:
    if not in_container or not _is_loopback(place.host):
        return ""
    return (
        f" This charger runs in a container, where {place.host} is the container itself: "
        "give an address that leads to the CSMS from there, such as host.docker.internal."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
