"""What outlives a process: one file per charger, and the lock that keeps two processes from one host id."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson

log = logging.getLogger(__name__)

#: What a charger id may look like as a file name.
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LOCK_POLL_S = 0.2


class StateFolder:
    """Snapshots of chargers, written whole or not at all. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / "chargers" if folder is not None else None
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self, charger_id: str) -> Mapping[str, Any] | None:
        """The newest snapshot; None when there is none, or none that can be read."""
        path = self._path(charger_id)
        if path is None:
            return None
        try:
            saved = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            log.exception("a kept state cannot be read", extra={"charger_id": charger_id})
            return None
        return saved if isinstance(saved, dict) else None

    def save(self, snapshots: Mapping[str, Mapping[str, Any]]) -> None:
        """Write these snapshots. A disk that fails is logged: the chargers go on."""
        for charger_id, snapshot in snapshots.items():
            path = self._path(charger_id)
            if path is None:
                continue
            draft = path.with_suffix(".new")
            try:
                draft.write_bytes(orjson.dumps(snapshot))
                draft.replace(path)
            except OSError:
                log.exception("a state cannot be kept", extra={"charger_id": charger_id})

    def forget(self, charger_id: str) -> None:
        """Remove what is kept; nothing there is fine."""
        path = self._path(charger_id)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, charger_id: str) -> Path | None:
        if self._folder is None or not _SAFE.fullmatch(charger_id):
            return None
        return self._folder / f"{charger_id}.json"


async def take_lock(folder: Path, host_id: str) -> IO[str]:
    """Wait until no other process holds this host id; keep the answer for as long as the lock is wanted.

    The lock is the kernel's (flock), so it ends with the process, however that ends.
    """
    if not _SAFE.fullmatch(host_id):
        raise ValueError("The host id of the credential cannot name a lock file.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / f"host-{host_id}.lock").open("a")
    is_told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if not is_told:
                log.warning("another process runs this host; waiting", extra={"host_id": host_id})
                is_told = True
            await asyncio.sleep(_LOCK_POLL_S)
