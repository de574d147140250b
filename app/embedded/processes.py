"""Starting one child so that it never outlives us, and ending it with all that it started.

On Linux a child asks the kernel for a signal when its parent dies (PR_SET_PDEATHSIG, prctl(2)). Two traps: the
signal comes when the **thread** that forked ends, so children are started from the main thread only; and a
change of user clears it, so it is set after that, in `preexec_fn`. Elsewhere the guard does the same a moment
later. Each child leads a session of its own: Ctrl-C in the terminal reaches the supervisor alone, and one
`killpg` ends a program together with its workers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final

from app.embedded.accounts import Account

_PR_SET_PDEATHSIG: Final = 1
_ORPHANED: Final = 113

if sys.platform == "linux":
    # Looked up before any fork: between fork and exec nothing may be imported or allocated needlessly.
    _prctl: Callable[..., int] | None = ctypes.CDLL(None, use_errno=True).prctl
else:
    _prctl = None


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    account: Account | None = None,
    death_signal: signal.Signals | None = signal.SIGTERM,
    keep: Sequence[int] = (),
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start `argv` in `/`, leader of its own session; stdout and stderr go to `output` together.

    `keep` lists descriptors that the child inherits. `death_signal` reaches it when we die.
    """
    become = account.get_popen_arguments() if account else {}
    return subprocess.Popen(
        argv,
        env=dict(environment),
        cwd="/",
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output == subprocess.PIPE else output,
        start_new_session=True,
        pass_fds=tuple(keep),
        preexec_fn=_make_preparation(death_signal),  # noqa: PLW1509  # the supervisor has one thread
        **become,
    )


def _make_preparation(death_signal: signal.Signals | None) -> Callable[[], None] | None:
    if _prctl is None or death_signal is None:
        return None
    prctl, parent, number = _prctl, os.getpid(), int(death_signal)

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(_ORPHANED)

    return prepare


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal all that is left of the session that `pid` leads; nothing left is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
