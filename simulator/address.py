"""Where a charger's CSMS is: the URL to connect to, its addresses, and whether it may be reached at all.

`locate` builds the URL (the identity, percent-encoded, is appended to the path; the query is kept), `Resolver`
asks DNS at most once per host in a few seconds however many chargers ask, and `check_allowed` holds host and
addresses against the gateway's list right before a connection is opened.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from simulator.problems import Problem

#: How long an answer of DNS is used, in seconds: a herd of chargers asks once.
_FRESH_S = 5.0
#: So many hosts are remembered at most.
_MAX_KNOWN = 1000


class CsmsUnusable(Exception):
    """No connection came about; `problem` says why, in words for people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Place:
    """A CSMS as an address to dial."""

    url: str
    host: str
    port: int
    is_secure: bool


def locate(ws_url: str, identity: str) -> Place:
    """The place to dial for this identity. Raises `CsmsUnusable` for what is not a WebSocket URL."""
    try:
        parts = urlsplit(ws_url)
        port = parts.port
    except ValueError as error:
        raise CsmsUnusable(_not_a_url(ws_url)) from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise CsmsUnusable(_not_a_url(ws_url))
    path = f"{parts.path.rstrip('/')}/{quote(identity, safe='')}"
    is_secure = parts.scheme == "wss"
    return Place(
        url=urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")),
        host=parts.hostname,
        port=port or (443 if is_secure else 80),
        is_secure=is_secure,
    )


def _not_a_url(ws_url: str) -> Problem:
    return Problem(
        "network", f"{mask_url(ws_url)} is not a ws:// or wss:// address.", definite=True
    )


def mask_url(url: str) -> str:
    """The URL as logs may show it: query values and userinfo are hidden."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return "(an address that cannot be read)"
    netloc = parts.netloc.rpartition("@")[2]
    query = urlencode([(key, "***") for key, _ in pairs], safe="*")
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def check_allowed(
    host: str, port: int, addresses: Sequence[str], allowed: Sequence[str] | None
) -> list[str]:
    """The addresses that may be dialled, of those that DNS gave. Raises `CsmsUnusable` when none may.

    An entry of the list is a host, `host:port`, `*.domain` (what is below it), a network or an address, or
    `*`. A name in the list allows wherever it points; another host only its addresses inside a network.
    """
    if allowed is None:
        return list(addresses)
    name = host.lower().rstrip(".")
    networks = []
    for entry in allowed:
        try:
            networks.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            if _is_named(entry.strip().lower(), name, port):
                return list(addresses)
    admitted = [address for address in addresses if _is_inside(address, networks)]
    if admitted:
        return admitted
    message = f"The operator of the gateway does not allow connections to {host}:{port}."
    raise CsmsUnusable(Problem("not_allowed", message, definite=True))


def _is_named(pattern: str, name: str, port: int) -> bool:
    if pattern == "*":
        return True
    host, colon, wanted_port = pattern.rpartition(":")
    if not colon or not wanted_port.isdigit():
        host, wanted_port = pattern, ""
    if wanted_port and int(wanted_port) != port:
        return False
    host = host.strip("[]")
    return name.endswith(host[1:]) if host.startswith("*.") else name == host


def _is_inside(
    address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)


class Resolver:
    """Host names to addresses, asked once for all who ask at the same time."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}

    async def find(self, host: str, port: int) -> list[str]:
        """The addresses of a host, in the order to try. Raises `OSError` where DNS does."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            return [host]
        loop = asyncio.get_running_loop()
        known = self._known.get((host, port))
        if known is None or loop.time() - known[0] > _FRESH_S:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            asked = loop.create_task(self._ask(host, port))
            # A failure is for those who wait for it; nobody may be left to.
            asked.add_done_callback(lambda task: task.cancelled() or task.exception())
            known = (loop.time(), asked)
            self._known[(host, port)] = known
        return await asyncio.shield(known[1])

    async def _ask(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
