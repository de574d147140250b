"""A gateway's end of the link for tests: a real WebSocket server that a test tells what to say.

`GatewayLink` keeps what runtimes said, acknowledges records when asked to, and refuses, forgets or breaks
lines on order. It is written from docs/link.md alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from simulator.csms import Csms
from simulator.host import Host
from simulator.settings import Settings


class GatewayLink:
    """One listening gateway; at most one runtime at a time is of interest."""

    def __init__(self, *, credits: int = 8, max_batch_bytes: int = 262144) -> None:
        self.credits = credits
        self.max_batch_bytes = max_batch_bytes
        #: Refuse upgrades with this status while set.
        self.refuses: int | None = None
        #: Close each line with this code instead of saying welcome.
        self.turns_away: int | None = None
        #: Acknowledge batches as they come.
        self.acknowledges = True
        self.hellos: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.messages: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        self.batch_sizes: list[int] = []
        self.attempts = 0
        self.closes: list[int | None] = []
        self._sessions = itertools.count(1)
        self._runtime: ServerConnection | None = None
        self._server: Server | None = None
        self._changed = asyncio.Event()
        self._port = 0

    async def __aenter__(self) -> GatewayLink:
        await self.listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.vanish()

    async def listen(self) -> None:
        """Listen, at the same port when it listened before."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            subprotocols=[Subprotocol("gateway-link.1")],
            process_request=self._process_request,
            compression=None,
            max_size=self.max_batch_bytes + 4096,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def vanish(self) -> None:
        """Close every line and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/link"

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        self.attempts += 1
        self.authorizations.append(request.headers.get("Authorization"))
        self._changed.set()
        if self.refuses is not None:
            return connection.respond(HTTPStatus(self.refuses), "refused\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            self.hellos.append(json.loads(await connection.recv()))
            self._changed.set()
            if self.turns_away is not None:
                await connection.close(self.turns_away)
                return
            await connection.send(
                json.dumps(
                    {
                        "t": "welcome",
                        "link": "lnk",
                        "credits": self.credits,
                        "max_batch_bytes": self.max_batch_bytes,
                        "field_of_the_future": 1,
                    }
                )
            )
            self._runtime = connection
            self._changed.set()
            async for text in connection:
                await self._hear(connection, text)
        except ConnectionClosed:
            pass
        finally:
            self.closes.append(connection.close_code)
            if self._runtime is connection:
                self._runtime = None
            self._changed.set()

    async def _hear(self, connection: ServerConnection, text: str | bytes) -> None:
        message = json.loads(text)
        if message["t"] == "records":
            self.batches.append(message)
            self.batch_sizes.append(len(text))
            if self.acknowledges:
                await self.ack(message["batch"])
        else:
            self.messages.append(message)
        self._changed.set()

    # --- orders ---------------------------------------------------------------------------------

    async def say(self, message: dict[str, Any]) -> None:
        assert self._runtime is not None, "no runtime is linked"
        await self._runtime.send(json.dumps(message))

    async def ack(self, batch: int) -> None:
        await self.say({"t": "ack", "batch": batch})

    async def add(
        self,
        charger: str,
        config: dict[str, Any],
        incarnation: int = 1,
        session: int | None = None,
        **more: Any,
    ) -> int:
        session = next(self._sessions) if session is None else session
        await self.say(
            {
                "t": "add",
                "charger": charger,
                "incarnation": incarnation,
                "session": session,
                "config": config,
                **more,
            }
        )
        return session

    async def drop(self, charger: str, incarnation: int = 1, reason: str = "stop") -> None:
        await self.say(
            {"t": "drop", "charger": charger, "incarnation": incarnation, "reason": reason}
        )

    async def close(self, code: int) -> None:
        assert self._runtime is not None, "no runtime is linked"
        await self._runtime.close(code)

    async def command(
        self, charger: str, name: str, args: dict[str, Any], command_id: str, session: int
    ) -> None:
        await self.say(
            {
                "t": "command",
                "id": command_id,
                "charger": charger,
                "incarnation": 1,
                "session": session,
                "name": name,
                "args": args,
            }
        )

    async def cut(self) -> None:
        """Break the line without a word."""
        assert self._runtime is not None, "no runtime is linked"
        self._runtime.transport.abort()

    # --- what was heard -------------------------------------------------------------------------

    def told(self, kind: str, charger: str | None = None) -> list[dict[str, Any]]:
        return [
            message
            for message in self.messages
            if message["t"] == kind and charger in (None, message.get("charger"))
        ]

    def stages(self, charger: str) -> list[str]:
        return [message["stage"] for message in self.told("state", charger)]

    def records(self, kind: str, charger: str) -> list[list[Any]]:
        return [item for batch in self.batches for item in batch[kind] if item[0] == charger]

    @property
    def is_linked(self) -> bool:
        return self._runtime is not None

    async def wait_for(self, fact: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Wait until this is true; looked at whenever something happened here."""
        async with asyncio.timeout(timeout_s):
            while not fact():
                self._changed.clear()
                await self._changed.wait()


def make_config(ws_url: str, identity: str, **changes: Any) -> dict[str, Any]:
    """A configuration as the gateway sends it, with short pauses."""
    config: dict[str, Any] = {
        "identity": identity,
        "ocpp_version": "OCPP1.6",
        "ws_url": ws_url,
        "location_name": "Depot",
        "vendor_name": "Wallbox",
        "model": "Pulsar Plus",
        "name": "Bay 4",
        "connectors": [
            {"id": 1, "type": "Type2", "current_type": "ac", "max_power_w": 22000, "phases": 3}
        ],
        "max_power_w": 22000,
        "security_profile": 0,
        "authorization_key": None,
        "ws_allow": None,
        "wire_faults": None,
        "settings": {"reconnect_min_s": 0.05, "reconnect_max_s": 0.1, "boot_retry_s": 0.1},
    }
    return {**config, **changes}


@contextlib.asynccontextmanager
async def running_host(gateway: GatewayLink, **changes: Any) -> AsyncIterator[Host]:
    """A host process's inside, linked to this gateway, and ended as SIGTERM would end it."""
    settings = Settings(
        **{
            "link_url": gateway.url,
            "token": "h1.one.secret",
            "link_retry_min_s": 0.02,
            "link_retry_max_s": 0.1,
            "link_unauthorized_s": 0.2,
            "stop_s": 2.0,
            **changes,
        }
    )
    host = Host(settings)
    running = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        host.stop()
        await running


@contextlib.asynccontextmanager
async def started_csms(interval_s: int = 100) -> AsyncIterator[Csms]:
    csms = Csms(interval_s=interval_s)
    await csms.start()
    try:
        yield csms
    finally:
        await csms.stop()


async def linked(gateway: GatewayLink, times: int = 1) -> None:
    await gateway.wait_for(lambda: gateway.is_linked and len(gateway.hellos) >= times)


async def online(gateway: GatewayLink, csms: Csms, charger: str, identity: str) -> int:
    session = await gateway.add(charger, make_config(csms.url, identity))
    await gateway.wait_for(lambda: "online" in gateway.stages(charger))
    return session


def in_event_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own, for at most 30 seconds."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 30))

    return run
