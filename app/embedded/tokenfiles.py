"""API tokens for the person at the terminal: made with the installation's secret, kept in files of mode 0600."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.embedded.credentials import write_private
from app.errors import InvalidField
from app.tokens import Role, is_organization_id, issue_token


def make_token(
    secrets: Mapping[str, str],
    organization: str,
    *,
    ttl_s: float,
    role: str = "user",
    subject: str = "operator",
) -> str:
    """Sign a token. Raises `InvalidField` for an organization that cannot be one."""
    if not is_organization_id(organization):
        raise InvalidField(
            "An organization is 1 to 64 of letters, digits, - and _.", loc=("organization",)
        )
    return issue_token(
        secrets, subject=subject, organization_id=organization, role=Role(role), ttl_s=ttl_s
    )


def write_token(folder: Path, organization: str, role: str, token: str) -> Path:
    """Keep a token as `<organization>` or `<organization>.admin`; answers the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / (organization if role == "user" else f"{organization}.{role}")
    write_private(path, token)
    return path
