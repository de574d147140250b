"""Whole gateways for tests: `gateway up` as a child process, and verbs for what operators and crashes do to it.

`with make_data_folder() as data, Gateway(data) as gateway: gateway.comes_up()` runs the two servers alone;
`without=()` runs everything. Ports are always free ones. At the end all of it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psutil
import psycopg

from app.db import get_dsn
from app.embedded.folders import make_temporary_folder
from app.embedded.locking import find_leftovers, is_alive

#: Long enough for a machine whose cores are all taken.
PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.02
#: What to leave out to have the two servers alone.
PROGRAMS: Final = ("migrate", "api", "link", "worker", "beat", "host", "flower")
#: An account without rights, for tests that run as root.
NOBODY: Final = 65_534


@contextlib.contextmanager
def make_data_folder(like: Path | None = None) -> Iterator[Path]:
    """A folder that the servers' account may enter, empty or a copy; gone afterwards."""
    folder = make_temporary_folder("test")
    try:
        if like:
            subprocess.run(["cp", "-a", f"{like}/.", str(folder)], check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_environment(**more: str) -> dict[str, str]:
    """Ours, without settings of a gateway; as root the servers run as an account that exists everywhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "SIMULATOR_"))}
    if os.geteuid() == 0:
        kept["GATEWAY_RUN_AS"] = "nobody"
    return {**kept, **more}


def run_gateway(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `gateway` command to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        env=dict(environment or make_environment()),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


_COMMAND: Final = (sys.executable, "-P", "-m", "app.cli")


def eventually(fact: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> Any:
    """Wait until `fact` is true; what it said then."""
    deadline = time.monotonic() + patience_s
    while not (said := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(_PAUSE_S)
    return said


class Gateway:
    """One `gateway up` on a data folder."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        without: Iterable[str] = PROGRAMS,
        environment: Mapping[str, str] | None = None,
        command: tuple[str, ...] = _COMMAND,
    ) -> None:
        self.data = data
        left_out = [part for name in without for part in ("--without", name)]
        self._argv = [
            *command,
            "up",
            "--data-dir",
            str(data),
            "--free-ports",
            *left_out,
            *arguments,
        ]
        self._environment = dict(environment or make_environment())
        self.process: subprocess.Popen[str] | None = None
        #: What it printed, once it has ended.
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.is_asked_to_stop()
        for process in find_leftovers(self.data):
            process.kill()
        if self.process is not None and self.process.stdout is not None:
            self.ends()

    def begins(self) -> Self:
        """Start it; does not wait."""
        self.process = subprocess.Popen(
            self._argv,
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def comes_up(self) -> Self:
        """Start it and wait until it says so."""
        self.begins()
        eventually(self._is_running_or_ended, "the gateway is up")
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the gateway ended: {self.ends()}")
        return self

    def ends(self) -> str:
        """Wait for its end; what it printed."""
        assert self.process is not None
        stdout = self.process.stdout
        if stdout is not None and not stdout.closed:
            self.output = self.process.communicate(timeout=PATIENCE_S)[0]
        return self.output

    def is_asked_to_stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for its end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.ends()
        return int(self.process.returncode)

    def is_killed(self) -> None:
        """`kill -9` of the supervisor alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def read_state(self) -> dict[str, Any]:
        """The state file."""
        state: dict[str, Any] = json.loads((self.data / "state.json").read_text())
        return state

    def get_child(self, name: str) -> psutil.Process:
        """A child by name; waits for one that is just being started again."""
        pid: int = eventually(lambda: self._find_child(name)["pid"], f"{name} has a process")
        return psutil.Process(pid)

    def count_restarts(self, name: str) -> int:
        """How often a child was started again."""
        return int(self._find_child(name)["restarts"])

    def list_processes(self) -> list[psutil.Process]:
        """Everything of it that lives, its supervisor included."""
        assert self.process is not None
        return [*filter(is_alive, find_leftovers(self.data))]

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to its database."""
        url = (self.data / "secrets" / "database_url").read_text()
        return psycopg.connect(get_dsn(url), autocommit=True, connect_timeout=5)

    @contextlib.contextmanager
    def open_client(self) -> Iterator[httpx.Client]:
        """A client of its API, with the token that `up` made."""
        state = self.read_state()
        headers = {"Authorization": f"Bearer {Path(state['token_file']).read_text().strip()}"}
        with httpx.Client(base_url=state["base_url"], headers=headers, timeout=30) as client:
            yield client

    def _find_child(self, name: str) -> dict[str, Any]:
        children = {child["name"]: child for child in self.read_state()["children"]}
        found: dict[str, Any] = children[name]
        return found

    def _is_running_or_ended(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            return True
        with contextlib.suppress(OSError, ValueError):
            state = self.read_state()
            # The token is written last.
            return state["pid"] == self.process.pid and state["token_file"] is not None
        return False
