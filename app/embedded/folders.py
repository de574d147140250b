"""The data folder: where it is, what lies in it, and who may enter it.

    data/            ours: 0700, or 0711 when root gives the servers another account
    ├── lock         held (flock) by `gateway up` and every child
    ├── secrets/     made once, 0600 each
    ├── postgres/    the database cluster        ┐
    ├── valkey/      the append-only file        ├ 0700, owned by the servers' account
    ├── run/         their sockets               ┘
    ├── servers-*/   copies of the binaries, where that account cannot reach the virtual environment
    ├── logs/  tokens/  state.json

A folder that exists keeps its mode and owner, always; we only make folders inside it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.embedded.accounts import Account, can_enter, choose_account
from app.embedded.errors import FolderUnusable

_NAME: Final = "charger-gateway"
_TMP: Final = Path("/tmp")  # noqa: S108  # names in it are random, or checked by owner and mode
_VAR_TMP: Final = Path("/var/tmp")  # noqa: S108  # the same; what is made here is checked by owner
#: A UNIX socket's path has at most 107 bytes, on macOS 103; the longest name in it is `.s.PGSQL.5432`.
_LONGEST_SOCKET_FOLDER: Final = 85
#: What all clients read alike in a URL: SQLAlchemy and libpq disagree about blanks.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder that is there and can be used by us and by the servers' account."""

    path: Path
    #: Where the sockets lie: `path/run`, or elsewhere when that is too long for a socket or odd in a URL.
    run: Path
    #: None: the servers run as we do.
    account: Account | None

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        """The broker's folder."""
        return self.path / "valkey"

    @property
    def secrets(self) -> Path:
        """One file per secret."""
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        """One log per program, with older ones beside it."""
        return self.path / "logs"

    @property
    def tokens(self) -> Path:
        """API tokens made by `gateway token` and `gateway up`."""
        return self.path / "tokens"

    @property
    def state(self) -> Path:
        """What runs now, as the supervisor last wrote it."""
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        """The file whose flock says that somebody uses this folder."""
        return self.path / "lock"

    def clear_sockets(self) -> None:
        """After the servers have stopped: leave no folder outside ours behind."""
        if self.run.parent != self.path:
            shutil.rmtree(self.run, ignore_errors=True)


def list_candidates(explicit: str | None) -> list[tuple[Path, str]]:
    """Where the data may lie and why, best first; only one when somebody named it."""
    if explicit:
        return [(Path(explicit).expanduser().absolute(), "you named it")]
    uid = os.geteuid()
    if uid == 0:
        return [
            (Path("/var/lib") / _NAME, "the usual place for root"),
            (_VAR_TMP / f"{_NAME}-0", "/var/lib cannot be used"),
        ]
    candidates = []
    home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    if home.is_absolute():
        candidates.append((home / _NAME, "the usual place for a user's data"))
    candidates.append((_VAR_TMP / f"{_NAME}-{uid}", "your home cannot be used"))
    return candidates


def find_data_folder(explicit: str | None = None) -> Path:
    """The folder that commands beside `up` look at: the one named, else the first default that exists."""
    candidates = [
        path for path, _ in list_candidates(explicit or os.environ.get("GATEWAY_DATA_DIR"))
    ]
    return next((path for path in candidates if (path / "secrets").is_dir()), candidates[0])


def open_data_folder(explicit: str | None = None) -> tuple[DataFolder, str]:
    """Make or check the data folder; answers it and why it is there.

    Raises `FolderUnusable` when no candidate can be used; a folder that was named has no second.
    """
    mistakes = []
    for path, why in list_candidates(explicit or os.environ.get("GATEWAY_DATA_DIR")):
        try:
            return _open(path), why
        except FolderUnusable as mistake:
            mistakes.append(mistake.message)
        except OSError as error:
            mistakes.append(f"The data folder {path} cannot be used: {error.strerror}.")
    raise FolderUnusable(" ".join(mistakes))


def make_temporary_folder(purpose: str) -> Path:
    """A new data folder that the servers' account can enter; for demonstrations and tests."""
    account = choose_account()
    for parent in dict.fromkeys((Path(tempfile.gettempdir()), _VAR_TMP, _TMP)):
        if can_enter(account, parent) and os.access(parent, os.W_OK):
            made = Path(tempfile.mkdtemp(prefix=f"{_NAME}-{purpose}-", dir=parent))
            made.chmod(_get_mode(account))
            return made
    raise FolderUnusable("No folder for temporary files can be entered by the servers' account.")


def _open(path: Path) -> DataFolder:
    account = choose_account(*(path / name for name in ("postgres", "valkey")))
    _make_outer(path, account)
    _require_entry(path, account)
    run = _choose_run_folder(path, account)
    folder = DataFolder(path, run, account)
    for inner in (folder.secrets, folder.logs, folder.tokens):
        _make(inner, None)
    for inner in (folder.valkey, run):
        _make(inner, account)
    return folder


def _make_outer(path: Path, account: Account | None) -> None:
    """The data folder itself, and what is missing above it; an existing one is left as it is."""
    if path.is_dir():
        if path.parent == _VAR_TMP and path.lstat().st_uid != os.geteuid():
            raise FolderUnusable(f"The data folder {path} belongs to somebody else.")
        return
    obstacle = next((above for above in (path, *path.parents) if above.exists()), path)
    if not obstacle.is_dir():
        raise FolderUnusable(f"The data folder {path} cannot be made: {obstacle} is a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700)
    path.chmod(_get_mode(account))  # ours: we have just made it; the umask must not matter


def _get_mode(account: Account | None) -> int:
    """Another account passes through to its own folders, and sees nothing else."""
    return 0o711 if account else 0o700


def _require_entry(path: Path, account: Account | None) -> None:
    if not os.access(path, os.W_OK | os.X_OK):
        raise FolderUnusable(f"The data folder {path} cannot be written by this user.")
    if not can_enter(account, path):
        name = account.name if account else "this user"
        raise FolderUnusable(
            f"PostgreSQL will not run as root, and the account {name} cannot enter {path}: "
            "name a folder that it can enter with --data-dir, or another account with GATEWAY_RUN_AS."
        )


def _make(folder: Path, account: Account | None) -> None:
    """A folder of mode 0700 inside ours; one that exists must be what we would have made."""
    uid = account.uid if account else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
            raise FolderUnusable(
                f"{folder} must be a folder of mode 0700 that belongs to user {uid}."
            ) from None
        return
    if account:
        os.chown(folder, account.uid, account.gid)


def _choose_run_folder(path: Path, account: Account | None) -> Path:
    inside = path / "run"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_FOLDER and _PLAIN.fullmatch(str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    for parent in (Path(os.environ.get("XDG_RUNTIME_DIR", "")), _TMP):
        if not parent.is_absolute():
            continue
        short = len(os.fsencode(parent)) + len(_NAME) + 18 <= _LONGEST_SOCKET_FOLDER
        if short and parent.is_dir() and can_enter(account, parent):
            return parent / f"{_NAME}-{digest}"
    raise FolderUnusable(f"The path {path} is too long for a socket, and /tmp cannot be used.")
