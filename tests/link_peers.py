"""Whom a link test puts around the link: the simulator as a program, and the strict CSMS in a thread."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from simulator.csms import Csms
from tests.link_runtime import PATIENCE_S

#: Clocks of a charger that no test has to wait for.
QUICK = {"reconnect_min_s": 0.05, "reconnect_max_s": 0.2, "heartbeat_interval_s": 0.2}


class RunningCsms:
    """The CSMS in a thread of its own."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event
        self.judge: Csms

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.judge = Csms(interval_s=1)
        await self.judge.start()
        self._ready.set()
        await self._ended.wait()
        await self.judge.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE_S)

    def behaves(self, **manners: Any) -> None:
        done = threading.Event()

        def change() -> None:
            self.judge.behave(**manners)
            done.set()

        self._loop.call_soon_threadsafe(change)
        assert done.wait(PATIENCE_S)


class Simulator:
    """The program, as `gateway host` and a container run it."""

    def __init__(self, link_url: str, token: str, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "SIMULATOR_LINK_URL": link_url,
            "SIMULATOR_TOKEN": token,
            "SIMULATOR_STATE_DIR": str(folder),
            "SIMULATOR_LINK_RETRY_MIN_S": "0.05",
            "SIMULATOR_LINK_RETRY_MAX_S": "0.2",
            "SIMULATOR_DIGEST_S": "0.2",
        }
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "simulator", "host"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_killed(self) -> None:
        self.process.kill()
        self.process.wait()

    def starts_again(self) -> None:
        self.process = self._spawn()

    def ends(self) -> int:
        """Its exit code, once it was told to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)
