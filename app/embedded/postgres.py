"""PostgreSQL as a child: making the cluster, starting, knowing when it is ready, cleaning up after a crash.

It listens on a socket in a folder of mode 0700 only, with SCRAM passwords. The server runs in the foreground
(`postgres`, not `pg_ctl`), so that the supervisor knows its pid and the kernel ends it with us. Signals are
those of PostgreSQL's manual, "Shutting Down the Server": SIGINT is the fast shutdown, SIGTERM would wait for
clients.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from app.embedded.accounts import Account
from app.embedded.binaries import POSTGRES_MAJOR, Binaries
from app.embedded.credentials import write_private
from app.embedded.errors import OtherVersion, ProgramFailed
from app.embedded.folders import DataFolder
from app.embedded.locking import end_processes, find_servers
from app.embedded.programs import Program

USER: Final = "gateway"
DATABASE: Final = "gateway"
PORT: Final = 5432

#: Nothing of our own environment: a PGDATA or a strange locale there must not matter.
ENVIRONMENT: Final[Mapping[str, str]] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_compression": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_INIT_TIMEOUT_S: Final = 120
#: Lines of postmaster.pid once it is complete; the last one is its state (LOCK_FILE_LINE_PM_STATUS).
_PID_FILE_LINES: Final = 8


class Postgres:
    """The database cluster of a data folder. The caller holds the folder's lock."""

    def __init__(self, folder: DataFolder, binaries: Binaries, password: str) -> None:
        self._folder = folder
        self._binaries = binaries
        self._password = password

    @property
    def url(self) -> str:
        """For SQLAlchemy; it contains the password."""
        place = f"host={quote(str(self._folder.run))}&port={PORT}"
        return f"postgresql+psycopg://{USER}:{self._password}@/{DATABASE}?{place}"

    def get_client_environment(self) -> dict[str, str]:
        """For `pg_dump` and `pg_restore` (libpq's environment variables)."""
        return {
            **ENVIRONMENT,
            "PGHOST": str(self._folder.run),
            "PGPORT": str(PORT),
            "PGUSER": USER,
            "PGDATABASE": DATABASE,
            "PGPASSWORD": self._password,
        }

    def initialise(self, *, extra: tuple[str, ...] = ()) -> None:
        """Make the cluster unless it is there; an unfinished one of an earlier try is thrown away.

        Raises `OtherVersion`, and `ProgramFailed` with initdb's own words.
        """
        data = self._folder.postgres
        if data.exists():
            check_version(data)
            return
        part = data.with_name("postgres.new")
        if part.exists():
            shutil.rmtree(part)
        _make_private(part, self._folder.account)
        password_file = self._folder.run / "initdb-password"
        write_private(password_file, self._password, self._folder.account)
        try:
            self._run(self._get_initdb_arguments(part, password_file, extra))
        finally:
            password_file.unlink()
        create = f"CREATE DATABASE {DATABASE};\n"
        self._run([self._find("postgres"), "--single", "-D", str(part), "postgres"], stdin=create)
        part.rename(data)

    def make_program(self, *, settings: Mapping[str, str] | None = None) -> Program:
        """How the supervisor runs it."""
        chosen = {
            **_SETTINGS,
            "unix_socket_directories": _quote(str(self._folder.run)),
            **(settings or {}),
        }
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(self._find("postgres"), "-D", str(self._folder.postgres), *options),
            environment=ENVIRONMENT,
            account=self._folder.account,
            stop=((signal.SIGINT, 8), (signal.SIGQUIT, 5)),
            death_signal=signal.SIGINT,
            prepare=self._clean_up,
            is_ready=self._is_ready,
            ready_s=60,
        )

    def _find(self, program: str) -> str:
        return str(self._binaries.get_postgres(program))

    def _get_initdb_arguments(
        self, part: Path, password_file: Path, extra: tuple[str, ...]
    ) -> list[str]:
        return [
            self._find("initdb"),
            "--pgdata",
            str(part),
            "--username",
            USER,
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            *extra,
        ]

    def _run(self, argv: list[str], *, stdin: str = "") -> None:
        account = self._folder.account
        done = subprocess.run(
            argv,
            input=stdin,
            env=dict(ENVIRONMENT),
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INIT_TIMEOUT_S,
            check=False,
            **(account.get_popen_arguments() if account else {}),
        )
        if done.returncode != 0:
            raise ProgramFailed(f"The database could not be made: {_find_reason(done.stdout)}")

    def _clean_up(self) -> None:
        """Before a start: end backends of a killed postmaster, and remove what it would trip over.

        We hold the folder's lock and nobody works in it, so whatever pid those files name is another
        program's: PostgreSQL itself cannot know that and would refuse to start.
        """
        pid_file = self._folder.postgres / "postmaster.pid"
        if not pid_file.exists():
            return
        end_processes(find_servers(self._folder.postgres))
        for stale in (pid_file, self._folder.run / f".s.PGSQL.{PORT}.lock"):
            stale.unlink(missing_ok=True)

    def _is_ready(self, pid: int) -> bool:
        with suppress(OSError):
            lines = (self._folder.postgres / "postmaster.pid").read_text().splitlines()
            complete = len(lines) >= _PID_FILE_LINES
            return complete and lines[0] == str(pid) and lines[7].strip() == "ready"
        return False


def _quote(text: str) -> str:
    """As an element of a list setting, which may contain commas and blanks."""
    return '"' + text.replace('"', '""') + '"'


def check_version(data: Path) -> None:
    """Raises `OtherVersion` unless the cluster in `data` is of the major version that we run."""
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise OtherVersion(
            f"{data} is no PostgreSQL cluster; it was left as it is: "
            "name another folder with --data-dir."
        ) from None
    if version != str(POSTGRES_MAJOR):
        raise OtherVersion(
            f"{data} holds data of PostgreSQL {version} and this release runs {POSTGRES_MAJOR}; nothing was "
            "touched: make a backup with `gateway backup` of the release that wrote it, then `gateway "
            "restore` it into a new folder."
        )


def _find_reason(output: str) -> str:
    """The line of a program's output that says what is wrong, else its last one."""
    lines = [line for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line or "FATAL" in line]
    return (telling or lines[-1:] or ["no reason was given"])[0]


def _make_private(folder: Path, account: Account | None) -> None:
    folder.mkdir(mode=0o700)
    if account:
        shutil.chown(folder, account.uid, account.gid)
