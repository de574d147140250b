"""Which account the servers run as: PostgreSQL refuses root, so as root another one has to be found.

An ordinary user runs everything as himself and nothing here applies. As root the order is: the owner of data
that exists, `GATEWAY_RUN_AS`, an existing `gateway` or `postgres`, a new system account `gateway`, `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.embedded.errors import CannotStart

_PREFERRED: Final = ("gateway", "postgres")
_NEW: Final = "gateway"
_PROBE_TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the servers run as, when not as ourselves."""

    name: str
    uid: int
    gid: int

    def get_popen_arguments(self) -> dict[str, Any]:
        """For `subprocess`: become this account, without the supplementary groups of root."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_account(*data: Path) -> Account | None:
    """The account of the servers whose data lies in these folders; None when we are not root.

    Raises `CannotStart` when `GATEWAY_RUN_AS` names nobody, root, or another than the owner of the data.
    """
    if os.geteuid() != 0:
        return None
    wanted = os.environ.get("GATEWAY_RUN_AS", "")
    chosen = _find_by_name(wanted) if wanted else None
    if wanted and (chosen is None or chosen.uid == 0):
        raise CannotStart(f"GATEWAY_RUN_AS={wanted} is not an account other than root.")
    owner = next(filter(None, map(_find_owner, data)), None)
    if owner and chosen and owner.uid != chosen.uid:
        raise CannotStart(
            f"{data[0].parent} has data of the account {owner.name}, "
            f"but GATEWAY_RUN_AS says {chosen.name}."
        )
    return owner or chosen or _find_preferred() or _create() or _find_nobody()


def _find_by_name(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _find_owner(folder: Path) -> Account | None:
    """Who owns data that exists; root counts as nobody in particular."""
    try:
        status = folder.stat()
    except OSError:
        return None
    if status.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Account(str(status.st_uid), status.st_uid, status.st_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _find_preferred() -> Account | None:
    found = (_find_by_name(name) for name in _PREFERRED)
    return next((account for account in found if account and account.uid != 0), None)


def _create() -> Account | None:
    program = shutil.which("useradd")
    if program is None:
        return None
    arguments = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _NEW]
    subprocess.run([program, *arguments], capture_output=True, check=False)
    return _find_by_name(_NEW)


def _find_nobody() -> Account:
    nobody = _find_by_name("nobody")
    if nobody is None:
        raise CannotStart(
            "PostgreSQL refuses to run as root and no other account was found: set GATEWAY_RUN_AS."
        )
    return nobody


def can_enter(account: Account | None, folder: Path) -> bool:
    """Whether the account can reach and list `folder`, through all folders above it."""
    if account is None:
        return os.access(folder, os.X_OK)
    return _succeeds(account, 'cd -- "$0"', folder)


def can_run(account: Account | None, program: Path) -> bool:
    """Whether the account can start `program` (its libraries included)."""
    if account is None:
        return os.access(program, os.X_OK)
    return _succeeds(account, '"$0" --version', program)


def _succeeds(account: Account, script: str, argument: Path) -> bool:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script, str(argument)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            **account.get_popen_arguments(),
        )
    except PermissionError as error:
        raise CannotStart(f"This root may not become the account {account.name}.") from error
    return done.returncode == 0
