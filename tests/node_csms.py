"""Starts the strict CSMS of `tests/peers` (npm's ocpp-rpc) and talks to its control surface."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

PEERS: Final = Path(__file__).parent / "peers"


def is_installed() -> bool:
    """Whether Node and ocpp-rpc are here (`make test` installs the package where Node is)."""
    return shutil.which("node") is not None and (PEERS / "node_modules" / "ocpp-rpc").is_dir()


class NodeCsms:
    """A running strict CSMS."""

    def __init__(self, port: int) -> None:
        self.ws_url = f"ws://127.0.0.1:{port}/ocpp"
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def report(self, *, calls: bool = False) -> dict[str, Any]:
        """Sockets, overlaps, violations, counts; with every call when asked."""
        answer: dict[str, Any] = self._http.get(
            "/report", params={"calls": 1} if calls else {}
        ).json()
        return answer

    def call(
        self, identity: str, method: str, params: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a CALL to a charger; its answer or error."""
        return self._post("/call", identity=identity, method=method, params=params or {})

    def drop(self, identity: str) -> None:
        """Cut the charger's connection."""
        self._post("/drop", identity=identity)

    def answers_boot(self, status: str, *, times: int, interval: int = 1) -> None:
        """Answer the next boots so, then Accepted."""
        self._post("/boot", status=status, times=times, interval=interval)

    def shuts_its_door(self) -> None:
        """Refuse every upgrade with 503."""
        self._post("/door", open=False)

    def opens_its_door(self) -> None:
        """Admit again."""
        self._post("/door", open=True)

    def open_sockets(self, identity: str) -> int:
        """How many connections of this charger are open now."""
        known = self.report()["sockets"].get(identity, [])
        return sum(socket["close"] is None for socket in known)

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.post(path, json=body).json()
        return answer


@contextmanager
def run_node_csms(heartbeat_s: int = 300) -> Iterator[NodeCsms]:
    """A strict CSMS on a free port of this machine, ended with the block."""
    with subprocess.Popen(
        ["node", str(PEERS / "strict_csms.js")],
        env={"PATH": os.environ["PATH"], "HEARTBEAT_S": str(heartbeat_s)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["listening"], line
        try:
            with NodeCsms(int(line[1])) as csms:
                yield csms
        finally:
            process.terminate()
