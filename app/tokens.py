"""Credentials: API tokens (JWT), bootstrap tokens of runtimes, host credentials. Nothing here is stored.

An API token is an HS256 JWT (RFC 7519) whose header names the key it was signed with, so that secrets can be
rotated: the first of `GATEWAY_JWT_SECRETS` signs, all of them verify. Bootstrap and host credentials are
derived by HMAC-SHA256 from the installation's link secret: a repeated start is byte-equal, and nothing has to
be kept (docs/link.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import jwt

from app.errors import Forbidden, Unauthorized

_ALGORITHM: Final = "HS256"
_ORGANIZATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Seconds by which clocks may differ.
_LEEWAY_S: Final = 5


class Role(StrEnum):
    """What a token may do."""

    #: The token's organization is the tenant.
    USER = "user"
    #: Names the tenant per request with X-Organization-Id.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks."""

    subject: str
    organization_id: str
    role: Role


def is_organization_id(text: str) -> bool:
    """Whether `text` may name an organization: 1 to 64 of letters, digits, `_` and `-`."""
    return _ORGANIZATION.fullmatch(text) is not None


def issue_token(
    secrets: Mapping[str, str],
    *,
    subject: str,
    organization_id: str,
    role: Role = Role.USER,
    ttl_s: float,
    now: float | None = None,
) -> str:
    """Sign an API token with the first secret. `now` is Unix seconds."""
    kid, secret = next(iter(secrets.items()))
    issued = time.time() if now is None else now
    claims = {
        "sub": subject,
        "organization_id": organization_id,
        "role": role.value,
        "iat": int(issued),
        "exp": int(issued + ttl_s),
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": kid})


def read_token(secrets: Mapping[str, str], token: str) -> Bearer:
    """Verify an API token.

    Raises `Unauthorized` when it is not ours or over, `Forbidden` when it names no organization or role.
    """
    try:
        kid = str(jwt.get_unverified_header(token).get("kid"))
        candidates = [secrets[kid]] if kid in secrets else list(secrets.values())
        claims = _decode(token, candidates)
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired.", code="token_expired") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthorized("The token is not valid.", code="token_invalid") from None
    organization = claims.get("organization_id")
    if not isinstance(organization, str) or not is_organization_id(organization):
        raise Forbidden("The token names no organization.", code="organization_missing")
    role = claims.get("role", Role.USER.value)
    if role not in (Role.USER.value, Role.ADMIN.value):
        raise Forbidden("The token's role must be user or admin.", code="role_unknown")
    return Bearer(str(claims["sub"]), organization, Role(role))


def _decode(token: str, candidates: list[str]) -> dict[str, object]:
    for position, secret in enumerate(candidates, start=1):
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                leeway=_LEEWAY_S,
                options={"require": ["exp", "sub"]},
            )
        except jwt.InvalidSignatureError:
            if position == len(candidates):
                raise
        else:
            return claims
    raise jwt.InvalidSignatureError


def _sign(secret: str, text: str) -> str:
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def make_bootstrap_token(secret: str, charger_id: str, incarnation: int) -> str:
    """The credential of one incarnation of one charger: `b1.<charger>.<incarnation>.<hmac>`."""
    body = f"b1.{charger_id}.{incarnation}"
    return f"{body}.{_sign(secret, body)}"


def make_host_credential(secret: str, host_id: str) -> str:
    """The credential of a local host process: `h1.<host>.<hmac>`."""
    body = f"h1.{host_id}"
    return f"{body}.{_sign(secret, body)}"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Whom a bootstrap token admits."""

    charger_id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """Whom a host credential admits."""

    host_id: str


def read_link_credential(secret: str, credential: str) -> Bootstrap | HostIdentity:
    """Verify what a runtime presents.

    Raises `Unauthorized` for anything this installation did not derive.
    """
    body, _, signature = credential.rpartition(".")
    # Bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(_sign(secret, body).encode(), signature.encode(errors="replace")):
        raise Unauthorized("The credential is not valid.", code="credential_invalid")
    kind, _, rest = body.partition(".")
    if kind == "h1" and rest:
        return HostIdentity(rest)
    charger_id, _, incarnation = rest.rpartition(".")
    if kind == "b1" and charger_id and incarnation.isdecimal():
        return Bootstrap(charger_id, int(incarnation))
    raise Unauthorized("The credential is not valid.", code="credential_invalid")
