"""The two ends of a link for tests: the real server in a thread, and a runtime that a test plays by hand.

`RunningLink` is `app.link` with an event loop of its own. `FakeRuntime` is one WebSocket of a runtime written from
docs/link.md: it says what the test tells it to say, and keeps everything that it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.link.context import Clocks
from app.link.counters import Counters
from app.link.server import LinkServer
from app.settings import Settings

#: Long enough for a machine whose cores are all taken; nothing waits for it when all is well.
PATIENCE_S = 20.0

#: Clocks that no test has to wait for.
CLOCKS = Clocks(
    touch_s=0.1, look_s=0.1, flush_s=0.01, drop_again_s=0.3, settle_s=0.0, farewell_s=2.0
)


def read_clock() -> int:
    """Unix milliseconds, as a runtime sends them."""
    return time.time_ns() // 1_000_000


class RunningLink:
    """One link, in a thread with an event loop of its own."""

    def __init__(self, settings: Settings, clocks: Clocks = CLOCKS, *, port: int = 0) -> None:
        self._settings = replace(settings, link_port=port)
        self._clocks = clocks
        self._ready = threading.Event()
        self._ended: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="running-link")
        self.server: LinkServer
        self.port = 0

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            raise
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self.server = LinkServer(self._settings, self._clocks)
        await self.server.start()
        self.port = self.server.port
        self._ready.set()
        await self._ended.wait()
        await self.server.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        assert self._failure is None, self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as SIGTERM does."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive(), "the link does not end"

    def freeze(self) -> threading.Event:
        """Its event loop does nothing until the event that this returns is set."""
        thawed = threading.Event()
        self._loop.call_soon_threadsafe(thawed.wait)
        return thawed

    @property
    def id(self) -> str:
        return self.server.context.link_id

    @property
    def counters(self) -> Counters:
        return self.server.context.counters

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/link"


@dataclass
class Added:
    """A charger that a runtime was given."""

    charger_id: str
    incarnation: int
    session: int
    config: dict[str, Any]

    @property
    def names(self) -> dict[str, Any]:
        return {
            "charger": self.charger_id,
            "incarnation": self.incarnation,
            "session": self.session,
        }


@dataclass
class FakeRuntime:
    """One WebSocket of a runtime."""

    link: RunningLink
    credential: str
    epoch: str = "e" * 32
    pid: int | None = None
    pid_start: float | None = None
    machine: str | None = None
    capacity: int = 100
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unread: deque[dict[str, Any]] = deque()
        self._open = contextlib.ExitStack()
        self.socket: ClientConnection | None = None
        self._batch = 0

    def dial(self) -> Self:
        """Open the WebSocket; no hello yet. Raises what the refusal raises."""
        self.socket = self._open.enter_context(
            connect(
                self.link.url,
                subprotocols=[Subprotocol("gateway-link.1")],
                additional_headers={"Authorization": f"Bearer {self.credential}"},
                compression=None,
                proxy=None,
                open_timeout=PATIENCE_S,
            )
        )
        return self

    def hello(self, running: list[tuple[str, int]] | None = None) -> None:
        self.say(
            {
                "t": "hello",
                "v": 1,
                "epoch": self.epoch,
                "capacity": self.capacity,
                "software": "fake/1",
                "pid": self.pid,
                "pid_start": self.pid_start,
                "machine": self.machine,
                "running": [list(pair) for pair in running or []],
            }
        )

    def connects(self, running: list[tuple[str, int]] | None = None) -> Self:
        """Dial, say hello, be welcomed."""
        self.dial().hello(running)
        self.expect("welcome")
        return self

    def say(self, message: dict[str, Any]) -> None:
        assert self.socket is not None
        self.socket.send(orjson.dumps(message).decode())

    def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of this kind with these fields; others are kept."""
        for message in list(self._unread):
            if _matches(message, kind, fields):
                self._unread.remove(message)
                return message
        assert self.socket is not None
        until = time.monotonic() + PATIENCE_S
        while True:
            raw = self.socket.recv(timeout=max(0.0, until - time.monotonic()))
            message = orjson.loads(raw)
            self.heard.append(message)
            if _matches(message, kind, fields):
                return message
            self._unread.append(message)

    def is_given(self, charger_id: str) -> Added:
        """The next `add` of this charger."""
        message = self.expect("add", charger=charger_id)
        return Added(charger_id, message["incarnation"], message["session"], message["config"])

    def tells_state(
        self, added: Added, stage: str, verdict: str = "starting", **detail: Any
    ) -> None:
        self.say(
            {
                "t": "state",
                **added.names,
                "stage": stage,
                "verdict": verdict,
                "detail": detail,
                "at": read_clock(),
            }
        )

    def goes_online(self, added: Added) -> None:
        self.tells_state(added, "online", "connected", boot_status="Accepted")

    def drops(self, charger_id: str, incarnation: int = 1) -> None:
        self.say({"t": "dropped", "charger": charger_id, "incarnation": incarnation, "final": {}})

    def sends_records(self, **parts: list[list[Any]]) -> int:
        """One batch; its number."""
        self._batch += 1
        self.say({"t": "records", "batch": self._batch, **parts})
        return self._batch

    def sends_digest(self, *running: tuple[str, int]) -> None:
        lines = sorted(f"{charger_id} {incarnation}\n" for charger_id, incarnation in running)
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        self.say({"t": "digest", "count": len(lines), "sha256": digest})

    def answers(self, command: dict[str, Any], state: str = "applied", **more: Any) -> None:
        names = {key: command[key] for key in ("id", "charger", "incarnation", "session")}
        self.say({"t": "result", **names, "state": state, "result": {}, "error": None, **more})

    def is_closed(self) -> int | None:
        """The close code, once the gateway has closed it."""
        assert self.socket is not None
        with contextlib.suppress(Exception):
            while True:
                message = orjson.loads(self.socket.recv(timeout=PATIENCE_S))
                self.heard.append(message)
                self._unread.append(message)
        return self.socket.close_code

    def hangs_up(self) -> None:
        self._open.close()

    def vanishes(self) -> None:
        """The process is killed: its socket goes without a word."""
        assert self.socket is not None
        self.socket.socket.close()


def _matches(message: dict[str, Any], kind: str, fields: dict[str, Any]) -> bool:
    return message["t"] == kind and all(message.get(key) == value for key, value in fields.items())
