"""Secrets of an installation: made once, kept one per file (mode 0600), never printed.

Whoever holds the data folder's lock may make them; everyone else only reads. Programs get the path of a file
(`GATEWAY_..._FILE`), so that no secret stands in an environment or a command line.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.embedded.accounts import Account

_BYTES: Final = 32


def _make_password() -> str:
    # Hexadecimal: it stands in URLs and configuration files as it is.
    return secrets.token_hex(_BYTES)


def _make_jwt_secrets() -> str:
    return f"k1:{secrets.token_urlsafe(_BYTES)}"


def _make_install_id() -> str:
    return f"local-{secrets.token_hex(4)}"


class Keyring:
    """The secrets in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_path(self, name: str) -> Path:
        """The file of a secret, whether it is there or not."""
        return self.folder / name

    def get_jwt_secrets(self) -> Path:
        """Signs API tokens; `kid:secret`, more of them by hand, the first signs."""
        return self._keep("jwt_secrets", _make_jwt_secrets)

    def get_link_secret(self) -> Path:
        """Derives the credentials of runtimes."""
        return self._keep("link_secret", _make_password)

    def get_install_id(self) -> str:
        """Names this installation; no secret, but made once too."""
        return self._keep("install_id", _make_install_id).read_text()

    def get_password(self, server: str) -> str:
        """The password of `postgres`, `valkey` or `flower`."""
        return self._keep(f"{server}_password", _make_password).read_text()

    def put(self, name: str, value: str) -> Path:
        """Write a value that follows from others, such as a URL with a password."""
        path = self.get_path(name)
        if not path.exists() or path.read_text() != value:
            write_private(path, value)
        return path

    def _keep(self, name: str, make: Callable[[], str]) -> Path:
        path = self.get_path(name)
        if not path.exists():
            write_private(path, make())
        return path


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file of mode 0600, whole or not at all; it belongs to `account` when one is given."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account:
            os.fchown(file.fileno(), account.uid, account.gid)
    part.replace(path)
