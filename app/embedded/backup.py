"""`gateway backup` and `gateway restore`: the database as one file, by PostgreSQL's own pg_dump and pg_restore.

A gateway that runs is backed up while it runs. When the embedded database stands still, it is started for the
moment, under the folder's lock. Secrets are not in a backup: they lie in the data folder's `secrets`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, inspect, make_url

from app.db import make_engine
from app.embedded.binaries import find_binaries, place_binaries
from app.embedded.credentials import Keyring
from app.embedded.environment import read_given
from app.embedded.errors import CannotStart, FolderBusy, ProgramFailed
from app.embedded.folders import open_data_folder
from app.embedded.locking import find_owner, lock_folder
from app.embedded.postgres import Postgres
from app.embedded.processes import spawn
from app.embedded.programs import Program

_POLL_S: Final = 0.02


def back_up(data: Path, target: Path) -> None:
    """Write the whole database to `target` (mode 0600); an existing file is not overwritten."""
    if target.exists():
        raise CannotStart(f"{target} exists; name another file.")
    if not read_given("GATEWAY_DATABASE_URL", os.environ) and not (data / "postgres").is_dir():
        raise CannotStart(f"{data} holds no database.")
    part = target.with_name(f"{target.name}.part")
    with _serve(data) as url:
        _run("pg_dump", ["--format=custom", "--no-owner", f"--file={part}"], url)
    part.rename(target)


def restore(data: Path, source: Path, *, replace: bool) -> None:
    """Fill the database from a backup, all or nothing; a data folder that is not there is made.

    Raises `FolderBusy` while the gateway runs, `CannotStart` when there are tables and `replace` is false.
    """
    if not source.is_file():
        raise CannotStart(f"There is no file {source}.")
    if find_owner(data / "lock"):
        raise FolderBusy(f"A gateway runs on {data}: stop it first with `gateway down`.")
    with _serve(data) as url:
        if _has_tables(url) and not replace:
            raise CannotStart("The database is not empty; --replace drops what is in it.")
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
        _run("pg_restore", [*options, str(source)], url)


def _has_tables(database_url: str) -> bool:
    engine = make_engine(database_url, pool_size=1, name="restore")
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _run(program: str, arguments: list[str], database_url: str) -> None:
    """Run a client program. The password goes by its environment, never on a command line."""
    url = make_url(database_url)
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    place = URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    ).render_as_string(hide_password=False)
    done = subprocess.run(
        [str(find_binaries().get_postgres(program)), *arguments, f"--dbname={place}"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        umask=0o077,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise ProgramFailed(f"{program} failed: {lines[0]}")


@contextmanager
def _serve(data: Path) -> Iterator[str]:
    """The URL of a database that answers: one that was given, ours that runs, else ours started for now."""
    given = read_given("GATEWAY_DATABASE_URL", os.environ)
    if given:
        yield str(make_url(given).set(drivername="postgresql+psycopg").render_as_string(False))
        return
    keyring = Keyring(data / "secrets")
    if find_owner(data / "lock"):
        yield keyring.get_path("database_url").read_text()
        return
    folder, _ = open_data_folder(str(data))
    lock = lock_folder(folder)
    try:
        postgres = Postgres(folder, place_binaries(folder), keyring.get_password("postgres"))
        postgres.initialise()
        with _started(postgres.make_program(), folder.logs / "postgres.log", lock.fileno()):
            yield postgres.url
    finally:
        folder.clear_sockets()
        lock.close()


@contextmanager
def _started(program: Program, log: Path, lock: int) -> Iterator[None]:
    program.prepare()
    with log.open("ab") as output:
        process = spawn(
            program.argv,
            environment=program.environment,
            account=program.account,
            death_signal=program.death_signal,
            keep=(lock,),
            output=output,
        )
    try:
        deadline = time.monotonic() + program.ready_s
        while not program.is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ProgramFailed(f"PostgreSQL did not start; its log is {log}")
            time.sleep(_POLL_S)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
