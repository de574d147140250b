"""The root certificates that a CSMS installs on a charger: stored, listed, deleted by their hashes.

A small reader of DER takes out the three facts that CertificateHashDataType is made of (RFC 6960
section 4.1.1: hash of the issuer's name, hash of the issuer's key, serial number). Nothing is
verified beyond that shape: these certificates never guard a connection of this charger
(`GATEWAY_CA_FILE` does), they only have to be there. The charger makes no certificate requests of
its own (security profile 3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")
_HASHES = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}
_SEQUENCE = 0x30
_EXPLICIT_VERSION = 0xA0
_INTEGER = 0x02
_BIT_STRING = 0x03


class CertificateInvalid(ValueError):
    """The text is not one X.509 certificate in PEM."""


class Certificate(NamedTuple):
    """What is needed of a certificate."""

    kind: str
    issuer: bytes
    subject: bytes
    key: bytes
    serial: str


def parse_certificate(pem: str, kind: str) -> Certificate:
    """The first certificate in a PEM text. Raises CertificateInvalid."""
    found = _PEM.search(pem)
    if found is None:
        raise CertificateInvalid("There is no certificate in PEM.")
    try:
        der = base64.b64decode("".join(found.group(1).split()), validate=True)
        outer, _ = _read(der, 0, _SEQUENCE)
        body, _ = _read(outer, 0, _SEQUENCE)
        at = 0
        if body[0] == _EXPLICIT_VERSION:
            _, at = _read(body, 0, _EXPLICIT_VERSION)
        serial, at = _read(body, at, _INTEGER)
        _, at = _read(body, at, _SEQUENCE)
        issuer, at = _read_whole(body, at)
        _, at = _read(body, at, _SEQUENCE)
        subject, at = _read_whole(body, at)
        spki, _ = _read(body, at, _SEQUENCE)
        _, key_at = _read(spki, 0, _SEQUENCE)
        key, _ = _read(spki, key_at, _BIT_STRING)
    except (binascii.Error, IndexError, ValueError) as error:
        raise CertificateInvalid("The certificate cannot be read.") from error
    number = f"{int.from_bytes(serial, 'big'):x}"
    # The first octet of a bit string counts its unused bits.
    return Certificate(kind, issuer, subject, key[1:], number[:40])


def _read(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """(content, where the next element begins) of the element at `at`, which has this tag."""
    if data[at] != tag:
        raise ValueError(f"Expected tag {tag:#x} at {at}.")
    begin, end = _bounds(data, at)
    return data[begin:end], end


def _read_whole(data: bytes, at: int) -> tuple[bytes, int]:
    """The element at `at` with its header."""
    _, end = _bounds(data, at)
    return data[at:end], end


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    length, begin = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > len(data):
        raise ValueError("An element is longer than what holds it.")
    return begin, begin + length


class CertificateStore:
    """What was installed, in order."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[Certificate] = []

    def __len__(self) -> int:
        return len(self._held)

    def install(self, pem: str, kind: str, at_most: int) -> str:
        """Accepted, or Rejected for what is none, or Failed when there is no room."""
        try:
            certificate = parse_certificate(pem, kind)
        except CertificateInvalid:
            return "Rejected"
        if certificate not in self._held:
            if len(self._held) >= at_most:
                return "Failed"
            self._held.append(certificate)
        return "Accepted"

    def list(self, kinds: Iterable[str] | None) -> list[tuple[str, dict[str, str]]]:
        """(kind, CertificateHashDataType) of every certificate of these kinds; None is all."""
        wanted = None if kinds is None else set(kinds)
        return [
            (c.kind, self._hash(c, "SHA256"))
            for c in self._held
            if wanted is None or c.kind in wanted
        ]

    def delete(self, data: Mapping[str, Any]) -> str:
        """Accepted, or NotFound."""
        wanted = {name: str(value).lower() for name, value in data.items() if name != "customData"}
        for certificate in self._held:
            hashed = self._hash(certificate, data["hashAlgorithm"])
            if {name: value.lower() for name, value in hashed.items()} == wanted:
                self._held.remove(certificate)
                return "Accepted"
        return "NotFound"

    def _hash(self, certificate: Certificate, algorithm: str) -> dict[str, str]:
        digest = _HASHES[algorithm]
        issuer = next((c for c in self._held if c.subject == certificate.issuer), certificate)
        return {
            "hashAlgorithm": algorithm,
            "issuerNameHash": digest(certificate.issuer).hexdigest(),
            "issuerKeyHash": digest(issuer.key).hexdigest(),
            "serialNumber": certificate.serial,
        }
