"""One plain sentence for people: what to do about a charger that is not online. Pure.

Written from what the runtime told (docs/link.md, `detail` of `state`); shown as `runtime.hint`, and as the
message of a bring-up that failed because of the CSMS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

#: The link to the runtime is away.
LINK_AWAY: Final = (
    "The runtime cannot be heard at the moment; the charger itself may be well. "
    "Nothing needs to be done while the gateway waits for it to call home again."
)

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  # compared, not bound
_IN_A_CONTAINER: Final = frozenset({"docker", "aws"})

_UNREACHABLE: Final = {
    "dns": "The host name {host} does not resolve; correct ws_url.",
    "refused": "Nothing listens at {place}; start the CSMS, or correct ws_url.",
    "timeout": "{place} does not answer; check ws_url, and that no firewall is in between.",
    "tls": "TLS with {place} failed; check its certificate, or GATEWAY_CA_FILE for a private authority.",
    "network": "{place} cannot be reached over the network; check ws_url and the route.",
    "closed": "The CSMS closed the connection; its log may say why.",
}

#: How the simulator's sentence begins while faults that somebody ordered keep the CSMS away.
_WIRE_FAULT: Final = "A wire fault"

_REFUSED_STATUS: Final = {
    401: "The CSMS asks for credentials (HTTP 401); check the charger's identity and authorization_key.",
    403: "The CSMS forbids this charger (HTTP 403); check its identity and authorization_key.",
    404: "The CSMS knows no such address (HTTP 404); check ws_url's path, and that the identity is registered.",
}


def advise(
    verdict: str,
    detail: Mapping[str, Any],
    *,
    ws_url: str,
    ocpp_version: str,
    provider: str | None = None,
) -> str | None:
    """What to do, as one or two sentences; None when nothing needs to be done.

    `verdict` is one of `app.lifecycle.Verdict`, `detail` as in docs/link.md.
    """
    if verdict == "unknown":
        return LINK_AWAY
    if verdict == "csms_unreachable":
        return _advise_unreachable(detail, ws_url, provider)
    if verdict == "csms_rejected":
        return _advise_rejected(detail, ocpp_version)
    if detail.get("boot_status") == "Pending":
        return "The CSMS answered the BootNotification with Pending; accept the charge point there."
    return None


def _advise_unreachable(detail: Mapping[str, Any], ws_url: str, provider: str | None) -> str:
    if str(detail.get("message")).startswith(_WIRE_FAULT):
        return "A wire fault that was ordered keeps the CSMS away; wire-faults without an event ends it."
    host = _get_host(ws_url)
    if host in _LOCAL_NAMES and provider in _IN_A_CONTAINER:
        return (
            f"{host} inside a container is the container itself; "
            "give ws_url an address of the CSMS that the container can reach."
        )
    if detail.get("http_status"):
        return (
            f"The CSMS answered HTTP {detail['http_status']}; look at the CSMS, or correct ws_url."
        )
    text = _UNREACHABLE.get(str(detail.get("error")), "{host} cannot be reached; check ws_url.")
    return text.format(host=host or "The CSMS", place=_get_place(ws_url) or "The CSMS")


def _advise_rejected(detail: Mapping[str, Any], ocpp_version: str) -> str:
    error = detail.get("error")
    if error == "subprotocol":
        chosen = detail.get("subprotocol") or "none"
        wanted = ocpp_version.lower()
        return (
            f"The CSMS did not choose the subprotocol {wanted} (it chose {chosen}); "
            f"check that it speaks {ocpp_version} at this address."
        )
    if error == "not_allowed":
        return "The operator of this gateway does not allow this CSMS host; see GATEWAY_WS_ALLOW."
    if error == "boot_rejected" or detail.get("boot_status") == "Rejected":
        return "The CSMS rejected the BootNotification; register the charge point's identity there."
    status = detail.get("http_status")
    if status in _REFUSED_STATUS:
        return _REFUSED_STATUS[status]
    return "The CSMS refuses this charger; check its identity, authorization_key and ws_url."


def _get_host(ws_url: str) -> str:
    try:
        return urlsplit(ws_url).hostname or ""
    except ValueError:
        return ""


def _get_place(ws_url: str) -> str:
    """Host and port: the port may be what is wrong."""
    try:
        parts = urlsplit(ws_url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""
