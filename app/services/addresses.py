"""CSMS addresses: which are well formed, and which hosts the operator allows (`GATEWAY_WS_ALLOW`).

A pattern is `*`, a host (`csms.example.com`), a host with a port (`csms.example.com:9000`), every host below a
domain (`*.example.com`), an address or a network (`10.0.0.0/8`, `2001:db8::/32`). No pattern allows every host.
A name that no host pattern allows may still lead into an allowed network; that is known only at connect, after
DNS, where `admits_peer` decides.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from app.errors import ForbiddenAddress, SettingsInvalid

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS: Final = {"ws": 80, "wss": 443}
#: Visible ASCII: RFC 3986 has neither spaces nor control characters, and the rest is to be escaped.
_VISIBLE: Final = re.compile(r"[!-~]+")
_HOST_PATTERN: Final = re.compile(
    r"(?P<host>(\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class CsmsAddress:
    """The parts of a good ws_url that a decision needs. `host` is lower case, without brackets."""

    scheme: str
    host: str
    port: int


def read_ws_url(url: str) -> CsmsAddress:
    """Check the form of a ws_url (RFC 6455 section 3).

    Raises `ForbiddenAddress` for another scheme, no host, a fragment, user:password, or characters that are not
    allowed in a URI. The URL is not repeated in the message: its query may hold a secret.
    """
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise _bad("ws_url must be visible ASCII; escape other characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("ws_url is not a valid URL.") from None
    if parts.scheme not in _PORTS:
        raise _bad("ws_url must begin with ws:// or wss://.")
    _refuse_extras(parts, "#" in url)
    host = (parts.hostname or "").rstrip(".").lower()
    if not host:
        raise _bad("ws_url names no host.")
    if port == 0:
        raise _bad("ws_url has port 0.")
    return CsmsAddress(parts.scheme, host, port or _PORTS[parts.scheme])


def _refuse_extras(parts: SplitResult, has_fragment: bool) -> None:
    if has_fragment:
        raise _bad("ws_url must not have a fragment (#).")
    if "@" in parts.netloc:
        raise _bad("ws_url must not carry user:password; give authorization_key instead.")


def _bad(message: str) -> ForbiddenAddress:
    return ForbiddenAddress(message, code="ws_url_invalid", param="ws_url")


@dataclass(frozen=True, slots=True)
class _HostRule:
    """One host pattern; `below` says that it is a domain whose subdomains are meant."""

    host: str
    below: bool
    port: int | None

    def admits(self, host: str, port: int) -> bool:
        named = host.endswith("." + self.host) if self.below else host == self.host
        return named and self.port in (None, port)


class AllowList:
    """The parsed patterns of `GATEWAY_WS_ALLOW`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises `SettingsInvalid` for a pattern that is none of the forms above."""
        given = [pattern.strip() for pattern in patterns if pattern.strip()]
        self._everything = not given or "*" in given
        self._networks: list[Network] = []
        self._hosts: list[_HostRule] = []
        for pattern in given:
            if pattern != "*":
                self._add(pattern)

    def _add(self, pattern: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(pattern, strict=False))
        except ValueError:
            found = _HOST_PATTERN.fullmatch(pattern)
            if found is None or int(found["port"] or 1) not in range(1, 65_536):
                raise SettingsInvalid(
                    f"GATEWAY_WS_ALLOW: {pattern!r} is neither a host, host:port, *.domain nor a network."
                ) from None
            host = found["host"].lower().strip("[]")
            port = int(found["port"]) if found["port"] else None
            self._hosts.append(_HostRule(host.removeprefix("*."), host.startswith("*."), port))

    def check(self, url: str) -> CsmsAddress:
        """Judge a ws_url at create and update. Raises `ForbiddenAddress`."""
        address = read_ws_url(url)
        if not self._may_be_admitted(address):
            raise ForbiddenAddress(
                f"The operator does not allow connections to {address.host}:{address.port}.",
                code="ws_url_forbidden",
                param="ws_url",
            )
        return address

    def _may_be_admitted(self, address: CsmsAddress) -> bool:
        ip = _read_ip(address.host)
        if self._admits_name(address.host, address.port):
            return True
        return bool(self._networks) if ip is None else self._admits_ip(ip)

    def admits_peer(self, host: str, port: int, ip: str) -> bool:
        """Judge a connection: the name it was asked for, its port, and the address that DNS gave."""
        found = _read_ip(ip)
        return self._admits_name(host.lower().rstrip("."), port) or (
            found is not None and self._admits_ip(found)
        )

    def _admits_name(self, host: str, port: int) -> bool:
        return self._everything or any(rule.admits(host, port) for rule in self._hosts)

    def _admits_ip(self, ip: Address) -> bool:
        return any(ip in network for network in self._networks)


def _read_ip(text: str) -> Address | None:
    """An address; one of IPv4 in IPv6's clothes (RFC 4291 section 2.5.5.2) is of IPv4."""
    try:
        ip = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    mapped = getattr(ip, "ipv4_mapped", None)
    return mapped if mapped is not None else ip
