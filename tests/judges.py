"""`gateway csms` as a process of its own: the judge that saw every socket and every frame.

It listens on the loopback address. Where chargers live in containers, GATEWAY_TEST_CSMS_HOST says what they call
this machine (`host.docker.internal`): then it listens on all addresses, and `ws_url` names it so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx

from tests.gateways import make_environment

#: Empty: chargers are on this machine too.
_CALLED: Final = os.environ.get("GATEWAY_TEST_CSMS_HOST", "")
_EVERYWHERE: Final = "0.0.0.0"


class Judge:
    """A running demo CSMS and its control surface (simulator/csms_http.py)."""

    def __init__(self, ws_url: str, process: subprocess.Popen[str]) -> None:
        #: What chargers dial.
        self.ws_url = ws_url.replace(_EVERYWHERE, _CALLED or _EVERYWHERE)
        self.process = process
        base = ws_url.replace("ws://", "http://").removesuffix("/ocpp")
        self._http = httpx.Client(base_url=base, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def report(self, identity: str | None = None) -> dict[str, Any]:
        """Its books; with frames when one identity is asked for."""
        answer: dict[str, Any] = self._http.get(
            "/report", params={"identity": identity} if identity else {}
        ).json()
        return answer

    def behaves(self, identity: str, **manners: Any) -> None:
        """From now on it treats this identity so (`simulator.csms_answers.Manners`)."""
        answer = self._http.post("/behave", params={"identity": identity, **manners})
        assert answer.status_code == 200, answer.text

    def sends(self, identity: str, action: str, payload: str = "{}") -> dict[str, Any]:
        """A CALL to a charger, and its answer."""
        answer: dict[str, Any] = self._http.post(
            "/send", params={"identity": identity, "action": action, "payload": payload}
        ).json()
        return answer

    def drops(self, identity: str) -> None:
        """Cut the charger's sockets."""
        self._http.post("/drop", params={"identity": identity})

    def count_open(self, identity: str) -> int:
        """Sockets of this identity that are open now."""
        return sum(one["closed_at"] is None for one in self.report(identity)["sockets"])

    def count_boots(self, identity: str) -> int:
        """BootNotifications that it has seen of this identity."""
        frames = self.report(identity)["frames"]
        return sum(
            one["action"] == "BootNotification" and one["text"].startswith("[2,") for one in frames
        )

    def count_overlaps(self, identity: str) -> int:
        """Times when two sockets of this identity were open at once."""
        return len(self.report(identity)["overlaps"])


@contextmanager
def run_judge(port: int = 0, *, address: str = "127.0.0.1") -> Iterator[Judge]:
    """A CSMS on a port of this machine, ended with the block."""
    address = _EVERYWHERE if _CALLED else address
    arguments = ["csms", "--host", address, "--port", str(port), "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli", *arguments],
        env=make_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ws://" in line, line
        try:
            judge = Judge("ws://" + line.split("ws://")[1].split()[0], process)
            with judge:
                yield judge
        finally:
            process.terminate()
