"""The WebSocket server: opens connections, reads what comes, hands it on.

`LinkServer` wires the parts together; `run` is the program. Nothing here touches the database itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app import metrics
from app.catalog import load_catalog
from app.db import DatabaseAway, make_engine, make_sessions
from app.errors import GatewayError
from app.link import wire
from app.link.context import CONTROL_THREADS, DOOR_THREADS, Clocks, Context
from app.link.control import Control
from app.link.doorbell import Doorbell
from app.link.doors import Doors, Refusal
from app.link.lookout import Lookout
from app.link.metrics import LinkMetrics
from app.link.sessions import BROKEN, RESTARTING, Registry, Session
from app.link.writer import Batch, Writer
from app.logs import bound, set_up_logs
from app.queue import HintQueue
from app.settings import Settings
from app.store import links
from app.store.admissions import Claimant
from app.tokens import Bootstrap, HostIdentity

log = logging.getLogger(__name__)

#: Below INFO it would write request headers, and with them credentials.
_socket_log = logging.getLogger("app.link.websockets")
_socket_log.setLevel(logging.WARNING)

SUBPROTOCOL: Final = Subprotocol("gateway-link.1")
#: Larger than any batch: a batch is closed at `max_batch_bytes`, and its last frame may be long.
_MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
#: For each thread that has nothing left to do but to end.
_LAST_WAIT_S: Final = 0.5


class LinkFailed(GatewayError):
    """The link cannot begin to work, or a part of it ended by mistake; its supervisor starts it again."""

    code = "link_failed"


class Connection(ServerConnection):
    """A connection that knows who was let in."""

    who: Bootstrap | HostIdentity


class LinkServer:
    """One link: `start`, then `close`."""

    def __init__(self, settings: Settings, clocks: Clocks | None = None) -> None:
        threads = DOOR_THREADS + CONTROL_THREADS
        self._engine = make_engine(settings.database_url, pool_size=threads, name="gateway-link")
        self._writer_engine = make_engine(
            settings.database_url, pool_size=1, name="gateway-link-writer"
        )
        self.context = Context(
            settings=settings,
            clocks=clocks or Clocks(),
            database=make_sessions(self._engine),
            queue=HintQueue(settings.broker_url, cap=settings.engine.org_inflight),
            catalog=load_catalog(),
        )
        self.registry = Registry()
        self._metrics = LinkMetrics(self.context.counters, self.registry)
        #: A part that works for ever has ended: the process is of no use any more.
        self.has_failed = asyncio.Event()
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen, and begin to look."""
        context, loop = self.context, asyncio.get_running_loop()
        self._control = Control(context, self._on_online)
        self._doors = Doors(context, self.registry, self._control.drain)
        self._lookout = Lookout(context, self.registry, self._doors)
        self._writer = Writer(
            make_sessions(self._writer_engine), context.counters, loop, self._on_stored
        )
        self._doorbell = Doorbell(
            context.settings.database_url,
            lambda payload: loop.call_soon_threadsafe(self._lookout.ring, payload),
            lambda: loop.call_soon_threadsafe(self._lookout.ring_everything),
        )
        self._server = await self._listen()
        self._writer.start()
        self._doorbell.start()
        for work in (self._control.run(), self._lookout.run(), self._lookout.touch()):
            task = loop.create_task(work)
            task.add_done_callback(lambda _: self.has_failed.set())
            self._tasks.append(task)

    async def _listen(self) -> Server:
        context = self.context
        return await serve(
            self._handle,
            context.settings.link_host,
            context.settings.link_port,
            process_request=self._process_request,
            create_connection=Connection,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            max_size=_MAX_MESSAGE_BYTES,
            ping_interval=context.clocks.ping_s,
            ping_timeout=context.clocks.ping_s,
            server_header=None,
            logger=_socket_log,
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def close(self) -> None:
        """Send the runtimes to another link, write what they told, end."""
        self._is_closing = True
        context, loop = self.context, asyncio.get_running_loop()
        self._server.close(code=RESTARTING, reason="the gateway restarts")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), context.clocks.farewell_s)
        await self._control.drain(context.clocks.farewell_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._doors.close()
        farewell = ThreadPoolExecutor(1, "link-farewell")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * context.clocks.farewell_s):
                await loop.run_in_executor(farewell, self._leave)
        farewell.shutdown(wait=False)

    def _leave(self) -> None:
        context = self.context
        self._writer.close(context.clocks.farewell_s)
        self._doorbell.close()
        with contextlib.suppress(*DatabaseAway), context.database.begin() as transaction:
            links.close(transaction, context.link_id)
        # What is at work gives its connection back before the pools are emptied.
        context.doors.shutdown(cancel_futures=True)
        context.control.shutdown(cancel_futures=True)
        self._engine.dispose()
        self._writer_engine.dispose()

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/health":
            return self._answer(200, {"status": "ok", "sessions": str(len(self.registry))})
        if path == "/metrics":
            return self._render(200, metrics.CONTENT_TYPE, metrics.render([self._metrics]))
        if path != "/link":
            return self._answer(404, {"detail": "Runtimes dial /link."})
        if self._is_closing:
            return self._answer(503, {"detail": "The gateway restarts."})
        who = await self._doors.check(request.headers.get("Authorization", ""))
        if isinstance(who, Refusal):
            self.context.counters.refused += 1
            return self._answer(who.status, {"detail": who.message})
        assert isinstance(connection, Connection)  # noqa: S101  # we create no other; for the type checker
        connection.who = who
        return None

    @classmethod
    def _answer(cls, status: int, body: dict[str, str]) -> Response:
        return cls._render(status, "application/json", orjson.dumps(body))

    @staticmethod
    def _render(status: int, kind: str, content: bytes) -> Response:
        headers = Headers(
            {
                "Content-Type": kind,
                "Content-Length": str(len(content)),
                "Connection": "close",
            }
        )
        if status == 503:
            headers["Retry-After"] = "2"
        return Response(status, "", headers, content)

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)  # noqa: S101  # as above
        try:
            async with asyncio.timeout(self.context.clocks.hello_s):
                hello = wire.read_hello(wire.parse(await connection.recv(decode=False)) or {})
        except TimeoutError:
            hello = None
        except ConnectionClosed:
            return
        if hello is None:
            await connection.close(BROKEN, "a hello of protocol version 1 was expected")
            return
        session = Session(connection, self._make_claimant(connection.who, hello.epoch))
        # Every line about this connection says whose it is, those of its end in the background too.
        with bound(**session.ids):
            await self._serve_session(connection, session, hello)

    async def _serve_session(
        self, connection: Connection, session: Session, hello: wire.Hello
    ) -> None:
        pump = asyncio.create_task(session.pump())
        try:
            if await self._doors.greet(session, hello):
                await self._read(connection, session)
        finally:
            self._doors.see_off(session, restarting=self._is_closing)
            with contextlib.suppress(ConnectionClosed):
                await connection.wait_closed()
            pump.cancel()

    def _make_claimant(self, who: Bootstrap | HostIdentity, epoch: str) -> Claimant:
        link_id = self.context.link_id
        if isinstance(who, HostIdentity):
            return Claimant(link_id, epoch, host_id=who.host_id)
        return Claimant(link_id, epoch, charger_id=who.charger_id, incarnation=who.incarnation)

    async def _read(self, connection: Connection, session: Session) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = wire.parse(await connection.recv(decode=False))
                if message is None:
                    self.context.counters.unreadable += 1
                    log.warning("a message that is no JSON object")
                else:
                    self._take(session, message)

    def _take(self, session: Session, message: dict[str, Any]) -> None:
        kind = message.get("t")
        if kind == "records":
            self._take_records(session, message)
        elif kind in ("state", "connectors", "result"):
            held = session.find_held(message)
            if held is None:
                self.context.counters.fenced += 1
                return
            put = {
                "state": self._control.put_state,
                "connectors": self._control.put_connectors,
                "result": self._control.put_result,
            }[kind]
            put(message["charger"], held, message)
        elif kind == "dropped":
            self._control.put_dropped(session, message)
            self._lookout.finish_charger(session)
        elif kind == "digest":
            self._lookout.take_digest(session, message)
        elif kind == "running":
            self._lookout.take_running(session, message)

    def _take_records(self, session: Session, message: dict[str, Any]) -> None:
        records = wire.read_records(message)
        if records is None:
            self.context.counters.unreadable += 1
            return
        session.unacknowledged += 1
        if session.unacknowledged > session.credits:
            session.close(BROKEN, "more batches than credits")
            return
        self._writer.put(Batch(session, records))

    def _on_stored(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            batch.session.unacknowledged -= 1
            batch.session.send({"t": "ack", "batch": batch.records.batch})

    def _on_online(self, charger_ids: Sequence[str]) -> None:
        self._lookout.ring_chargers(charger_ids)


async def _serve(settings: Settings) -> None:
    server = LinkServer(settings)
    address = f"{settings.link_host}:{settings.link_port}"
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    try:
        await server.start()
    except OSError as error:
        raise LinkFailed(f"The link cannot listen on {address}: {error.strerror}.") from None
    log.info("link listens on %s", address)
    waits = [loop.create_task(event.wait()) for event in (ended, server.has_failed)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    failed = server.has_failed.is_set()
    await server.close()
    if failed:
        raise LinkFailed("A part of the link ended by mistake; see its log.")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; the runtimes are told to come back (close code 1012)."""
    set_up_logs(settings.log_level, settings.log_format, program="link")
    asyncio.run(_serve(settings))
    ours = [one for one in threading.enumerate() if one.name.startswith("link-")]
    for thread in ours:
        thread.join(_LAST_WAIT_S)
    waiting = [one for one in ours if one.is_alive()]
    if waiting:
        # They wait for a database that does not answer; the interpreter would wait for them.
        log.warning("%d threads were left behind", len(waiting))
        logging.shutdown()
        os._exit(0)
