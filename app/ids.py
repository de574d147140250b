"""Names of things. Ids sort by time of creation (UUIDv7, RFC 9562 section 5.7), so indexes stay compact."""

from __future__ import annotations

import os
import secrets
import time
import uuid


def make_uuid7() -> uuid.UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, version, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def make_charger_id() -> str:
    """`dep-` and 32 hex digits: the deployment id that clients see."""
    return f"dep-{make_uuid7().hex}"


def make_run_id() -> str:
    """`wfr_` and 32 hex digits."""
    return f"wfr_{make_uuid7().hex}"


def make_command_id() -> str:
    """12 hex digits, the form that the SDK documents."""
    return secrets.token_hex(6)


def make_request_id() -> str:
    """`req_` and 32 hex digits."""
    return f"req_{make_uuid7().hex}"


def make_link_id() -> str:
    """The name of one process of app.link."""
    return f"lnk_{make_uuid7().hex}"
