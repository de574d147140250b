"""A container, played by a process: its own session and scratch folder, an environment of its own.

What a process cannot have is its own file system and network. The working folder, HOME and TMPDIR are the task's
scratch folder, a variable whose value begins with `/tmp/` is moved into it, and `localhost` is this machine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_TMP: Final = "/tmp/"  # noqa: S108 - a prefix to look for
#: Looked up before any fork: a child of a threaded process must do as little as possible.
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
#: What an image would bring along; everything else of our own environment stays with us.
_FROM_HERE: Final = ("LANG", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE")


def _die_with_parent() -> None:
    """Runs in the child between fork and exec; see prctl(2), PR_SET_PDEATHSIG."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def make_environment(folder: Path, *layers: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container: what its image would set, then the layers, later ones win."""
    env = {name: os.environ[name] for name in _FROM_HERE if name in os.environ}
    bin_folder = str(Path(sys.executable).parent)
    env["PATH"] = os.pathsep.join([bin_folder, os.environ.get("PATH", os.defpath)])
    env |= {"HOME": str(folder), "TMPDIR": str(folder)}
    for layer in layers:
        env |= {name: _move(value, folder) for name, value in layer.items()}
    return env


def _move(value: str, folder: Path) -> str:
    """A container has a /tmp of its own: without that, all tasks would share one health file."""
    return f"{folder}/{value.removeprefix(_TMP)}" if value.startswith(_TMP) else value


def read_pairs(pairs: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """`[{"name": n, "value": v}]` → `{n: v}`."""
    return {pair["name"]: pair["value"] for pair in pairs or ()}


def _spawn(
    argv: Sequence[str], env: Mapping[str, str], folder: Path, output: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl, looked up before; no other way in
    )


def _kill_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group; a group that is gone is fine."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of zombies.
        return


def _has_ended(pid: int) -> bool:
    """Whether our child ended; it stays a zombie."""
    if sys.platform == "darwin":  # has no waitid in this Python
        stat = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False
        )
        return stat.stdout[:1] == b"Z"
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Container:
    """A running command. Raises `OSError` from the constructor when it cannot be executed."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self.env = env
        self.folder = folder
        with (folder / "output.log").open("ab") as output:
            self._process = _spawn(argv, env, folder, output.fileno())

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    def look(self) -> int | None:
        """The exit code as Docker tells it (128 + signal), None while it runs.

        With PID 1 its whole namespace ends, so the rest of its group is killed: before it is reaped, while
        nobody else can have its number.
        """
        if self._process.returncode is None:
            if not _has_ended(self.pid):
                return None
            _kill_group(self._process, signal.SIGKILL)
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def terminate(self, *, has_init: bool) -> None:
        """SIGTERM, as PID 1 would get it: without an init, a signal that it does not handle is ignored."""
        if has_init or self._handles_sigterm():
            _kill_group(self._process, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all of it, unless it is over."""
        if self._process.returncode is None:
            _kill_group(self._process, signal.SIGKILL)

    def end(self) -> None:
        """Kill and reap, for the end of the stand-in."""
        self.kill()
        self._process.wait()

    def _handles_sigterm(self) -> bool:
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return True
        for line in status.read_text().splitlines():
            if line.startswith("SigCgt:"):
                caught = int(line.split()[1], 16)
                return bool(caught >> (signal.SIGTERM - 1) & 1)
        return True


class Probe:
    """One run of a health command inside a container."""

    def __init__(self, command: Sequence[str], container: Container) -> None:
        """`command`: `["CMD-SHELL", line]` or `["CMD", program, argument...]`."""
        kind, *rest = command
        argv = ["/bin/sh", "-c", *rest[:1]] if kind == "CMD-SHELL" else rest
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = _spawn(argv, container.env, container.folder, subprocess.DEVNULL)
        except OSError:
            # A command that cannot be executed is a failed probe, as in Docker.
            self._process = None

    def look(self) -> bool | None:
        """Whether it passed; None while it runs."""
        if self._process is None:
            return False
        code = self._process.poll()
        return None if code is None else code == 0

    def end(self) -> None:
        """Kill and reap it, unless it is over."""
        if self._process is not None and self._process.returncode is None:
            _kill_group(self._process, signal.SIGKILL)
            self._process.wait()
