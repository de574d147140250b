"""`gateway up`, in order: folder, lock, ports, secrets, guard, servers, schema, programs, words; then watch.

Read `run_stack` from top to bottom. Whatever goes wrong on the way, what was started is stopped again, and the
one sentence that explains it reaches the caller as an exception.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from app.embedded.binaries import place_binaries
from app.embedded.children import ChildState
from app.embedded.credentials import Keyring
from app.embedded.elsewhere import STANDIN, apply_runtime
from app.embedded.environment import get_reachable, is_given, make_environment
from app.embedded.errors import CannotStart, ProgramFailed
from app.embedded.folders import DataFolder, open_data_folder
from app.embedded.locking import FolderLock, lock_folder
from app.embedded.parts import (
    FLOWER_USER,
    PARTS_ASIDE,
    PARTS_AT_WORK,
    make_evacuation,
    make_guard,
    make_migration,
    make_parts,
)
from app.embedded.ports import DEFAULTS, choose_ports
from app.embedded.postgres import Postgres
from app.embedded.programs import Program
from app.embedded.state import GatewayState, write_state
from app.embedded.supervisor import StopRequested, Supervisor
from app.embedded.tokenfiles import make_token, write_token
from app.embedded.valkey import Valkey
from app.settings import load_settings

#: Writes one line for the person at the terminal.
Say = Callable[[str], None]

#: The token that `up` writes is good for 90 days; each start writes a new one.
_TOKEN_S: Final = 90 * 86_400


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `gateway up` was asked for."""

    data_dir: str | None = None
    host: str = "127.0.0.1"
    #: Of `api`, `link`, `flower`; 0: any free one.
    ports: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULTS))
    #: Parts that are not started; `migrate` leaves the schema as it is.
    without: frozenset[str] = frozenset()
    #: One of `elsewhere.CHOICES`; None: what GATEWAY_RUNTIME says.
    runtime: str | None = None
    #: Echo every line of every program.
    verbose: bool = False
    #: The organization of the token that is made for the person at the terminal.
    organization: str = "default"


def run_stack(options: UpOptions, say: Say) -> None:
    """Run the gateway until it is asked to stop.

    Raises `CannotStart` (or `SettingsInvalid`) with one sentence when it cannot start.
    """
    try:
        _run_in_folder(options, say)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CannotStart(f"The operating system refused: {error.strerror}{where}.") from error


def _run_in_folder(options: UpOptions, say: Say) -> None:
    folder, why = open_data_folder(options.data_dir)
    lock = lock_folder(folder)
    try:
        say(f"Data in {folder.path} ({why}{_describe_account(folder)}).")
        stack = _Stack(options, folder, lock, say)
        stack.run()
    finally:
        folder.clear_sockets()
        lock.close()


def _describe_account(folder: DataFolder) -> str:
    return f"; servers run as {folder.account.name}" if folder.account else ""


class _Stack:
    """One run of `gateway up`; holds what its phases share."""

    def __init__(self, options: UpOptions, folder: DataFolder, lock: FolderLock, say: Say) -> None:
        self._options = options
        self._folder = folder
        self._say = say
        self._keyring = Keyring(folder.secrets)
        self._ports = choose_ports(_select_ports(options), host=options.host)
        self._servers = self._prepare_servers()
        # Read back from where the programs read it, so that every mistake is told before anything starts.
        given = frozenset(os.environ)
        self._environment = make_environment(
            os.environ, keyring=self._keyring, host=options.host, ports=self._ports
        )
        if options.runtime:
            self._environment = apply_runtime(
                self._environment,
                options.runtime,
                given=given,
                keyring=self._keyring,
                ports=self._ports,
            )
        os.environ.update(self._environment)
        self._settings = load_settings()
        echo = (lambda name, line: say(f"{name:<8} | {line}")) if options.verbose else None
        self._supervisor = Supervisor(
            folder.logs, keep=(lock.fileno(),), echo=echo, changed=self._note
        )
        self._state = self._describe()

    def run(self) -> None:
        with self._supervisor:
            try:
                self._start()
            except StopRequested:
                self._say("Stopped before it was up.")
                return
            self._set_phase("running")
            self._announce()
            self._supervisor.run()
            self._say("Stopping.")
            self._set_phase("stopping")
            if self._supervisor.evacuates:
                self._evacuate()
        self._say("Stopped; the data is kept.")

    def _start(self) -> None:
        self._note()
        self._supervisor.start(make_guard(self._folder.path))
        if self._servers:
            self._supervisor.start(*self._servers)
        if "migrate" not in self._options.without:
            self._supervisor.run_once(make_migration(self._environment))
        parts = make_parts(
            self._environment,
            keyring=self._keyring,
            link_secret=self._settings.link_secret,
            data=self._folder.path,
            ports=self._ports,
        )
        for stage in ((STANDIN,), PARTS_AT_WORK, PARTS_ASIDE):
            wanted = [name for name in stage if name not in self._options.without and name in parts]
            self._supervisor.start(*(parts[name] for name in wanted))

    def _evacuate(self) -> None:
        """End the runtimes that live elsewhere, while nothing runs that would bring them back."""
        self._supervisor.stop(keep=("guard", "postgres", "valkey", STANDIN))
        try:
            self._supervisor.run_once(make_evacuation(self._environment))
        except (ProgramFailed, StopRequested) as failure:
            self._say(f"Not every runtime elsewhere was ended: {failure}")

    def _prepare_servers(self) -> list[Program]:
        """The servers that nobody else provides, ready to be started; their URLs go to the keyring."""
        own_database = not is_given("GATEWAY_DATABASE_URL", os.environ)
        own_broker = not is_given("GATEWAY_BROKER_URL", os.environ)
        if not own_database and not own_broker:
            return []
        binaries = place_binaries(self._folder)
        servers = []
        if own_database:
            postgres = Postgres(self._folder, binaries, self._keyring.get_password("postgres"))
            if not self._folder.postgres.exists():
                self._say("Making the database; this happens once.")
            postgres.initialise()
            self._keyring.put("database_url", postgres.url)
            servers.append(postgres.make_program())
        if own_broker:
            valkey = Valkey(self._folder, binaries, self._keyring.get_password("valkey"))
            self._keyring.put("broker_url", valkey.url)
            servers.append(valkey.make_program())
        return servers

    def _describe(self) -> GatewayState:
        has_flower = "flower" not in self._options.without
        return GatewayState(
            pid=os.getpid(),
            phase="starting",
            started_at=time.time(),
            data=str(self._folder.path),
            logs=str(self._folder.logs),
            run=str(self._folder.run),
            base_url=self._settings.base_url,
            api_address=f"http://{get_reachable(self._options.host)}:{self._ports['api']}",
            link_url=self._settings.link_url,
            flower_url=f"http://127.0.0.1:{self._ports['flower']}" if has_flower else None,
            token_file=None,
            runtime=self._options.runtime or self._settings.runtime,
            embedded=tuple(server.name for server in self._servers),
        )

    def _set_phase(self, phase: str) -> None:
        self._state = replace(self._state, phase=phase)
        self._note()

    def _note(self) -> None:
        children: list[ChildState] = self._supervisor.get_states()
        write_state(self._folder.state, replace(self._state, children=tuple(children)))

    def _announce(self) -> None:
        token = self._write_token()
        self._state = replace(self._state, token_file=str(token))
        self._note()
        url = self._state.base_url
        self._say(f"The gateway is up:  {url}   (docs: {url}/docs)")
        self._say(f"API token:          {token}   (organization {self._options.organization})")
        if self._state.flower_url:
            password = self._keyring.get_path("flower_password")
            self._say(
                f"Flower:             {self._state.flower_url}   "
                f"(user {FLOWER_USER}, password in {password})"
            )
        self._say(f"Logs:               {self._folder.logs}")
        self._say("Try:")
        self._say(f'  curl -H "Authorization: Bearer $(cat {token})" {url}/ocpp/catalog/brands')

    def _write_token(self) -> Path:
        """A fresh token at each start; the file is this user's alone."""
        organization = self._options.organization
        token = make_token(self._settings.jwt_secrets, organization, ttl_s=_TOKEN_S)
        return write_token(self._folder.tokens, organization, "user", token)


def _select_ports(options: UpOptions) -> dict[str, int]:
    """The ports that will be used; what is left out needs none, but still gets a number."""
    wanted = {**DEFAULTS, **options.ports}
    if options.runtime == "ecs-standin":
        wanted[STANDIN] = 0
    return {name: 0 if name in options.without else port for name, port in wanted.items()}
