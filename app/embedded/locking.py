"""Who uses a data folder: an flock that children inherit, and the search for what is left of a dead gateway.

The lock belongs to the open file, not to a process: it is free only when the supervisor **and every child that
inherited the descriptor** are gone. So a server that outlived its supervisor still keeps the folder, and the
next start finds it by the descriptor (or, for PostgreSQL's backends, by the working folder). The file says who
took the lock, so that a living gateway is told from the remains of a dead one.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from app.embedded.errors import FolderBusy
from app.embedded.folders import DataFolder

_PAUSE_S: Final = 0.02
_UNNAMED_S: Final = 0.5
_GUARDED_S: Final = 10.0
_SERVERS: Final = ("postgres", "valkey-server")


class FolderLock:
    """The flock on a data folder, and its inheritable descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def fileno(self) -> int:
        """For `pass_fds`."""
        return self._descriptor

    def take(self) -> bool:
        """Try to lock, and write down who did; answers at once."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        me = {"pid": os.getpid(), "started": psutil.Process().create_time()}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(me).encode(), 0)
        return True

    def close(self) -> None:
        """Let go of our share; children that live keep theirs."""
        os.close(self._descriptor)


def find_owner(path: Path) -> psutil.Process | None:
    """The living process that took the lock at `path`; None when it is dead or nobody ever did."""
    with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        owner = json.loads(path.read_bytes())
        process = psutil.Process(owner["pid"])
        if abs(process.create_time() - owner["started"]) < 1 and is_alive(process):
            return process
    return None


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs; one that is dead and not yet collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def lock_folder(folder: DataFolder) -> FolderLock:
    """Take the folder; ends what a dead gateway left behind, unless its guard is doing that just now.

    Raises `FolderBusy` when a living gateway has the folder.
    """
    lock = FolderLock(folder.lock)
    try:
        _wait_for(lock, folder)
    except FolderBusy:
        lock.close()
        raise
    end_processes(find_servers(folder.postgres, folder.valkey))
    return lock


def _wait_for(lock: FolderLock, folder: DataFolder) -> None:
    now = time.monotonic()
    # Whoever took it may be about to write down its name; a guard may need all of its time.
    unnamed_until, guarded_until = now + _UNNAMED_S, now + _GUARDED_S
    while not lock.take():
        owner = find_owner(folder.lock)
        if owner is not None:
            raise FolderBusy(
                f"A gateway already runs on {folder.path} (process {owner.pid}): "
                "stop it with `gateway down`, or name another folder with --data-dir."
            )
        leftovers = find_leftovers(folder.path)
        patience = guarded_until if any(map(_is_guard, leftovers)) else unnamed_until
        if time.monotonic() > patience:
            end_processes(leftovers)
        if time.monotonic() > guarded_until + _GUARDED_S:
            raise FolderBusy(f"Another process keeps {folder.lock} locked.")
        time.sleep(_PAUSE_S)


def _is_guard(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "app.embedded.guard" in process.cmdline()
    return False


def find_servers(*folders: Path) -> list[psutil.Process]:
    """Servers that work in these folders; also the backends of a postmaster that was killed."""
    wanted = {os.path.realpath(folder) for folder in folders}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() in _SERVERS and process.cwd() in wanted:
                found.append(process)
    return found


def find_leftovers(data: Path) -> list[psutil.Process]:
    """Everything that belongs to the gateway of this folder, but for ourselves."""
    found = {process.pid: process for process in find_servers(data / "postgres", data / "valkey")}
    lock = os.path.realpath(data / "lock")
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(
                file.path == lock for file in process.open_files()
            ):
                found[process.pid] = process
    return list(found.values())


def wait_for_ends(
    processes: Sequence[psutil.Process], *, patience_s: float
) -> list[psutil.Process]:
    """Wait until these are over, at most `patience_s` seconds; answers those that are not.

    One that is dead counts as over even where nobody collects it (in a container without an init).
    """
    deadline = time.monotonic() + patience_s
    living = [process for process in processes if is_alive(process)]
    while living and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        living = [process for process in living if is_alive(process)]
    return living


def end_processes(processes: Sequence[psutil.Process], *, patience_s: float = 2.0) -> None:
    """SIGQUIT (PostgreSQL's backends obey nothing else when their postmaster is gone), then SIGKILL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        processes = wait_for_ends(processes, patience_s=patience_s)
