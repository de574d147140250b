"""A small strict CSMS for OCPP 1.6 and 2.0.1: for the demo, and as the judge of the tests.

    csms = Csms(interval_s=10)
    await csms.start()                              # a free port
    csms.behave("CP-1", boot="pending:2")           # answers per identity; without one: for all others
    answer = await csms.send("CP-1", "Reset", {"type": "Soft"})
    csms.sockets, csms.frames, csms.offences, csms.overlaps()

It never closes the older of two sockets of one identity: it reports the overlap. Another process may ask the
same over HTTP on the same port: `GET /report`, `POST /behave?...`, `POST /send?...` (`csms_http.py`).
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from simulator.csms_answers import Manners, parse_boot, write_default_answer
from simulator.csms_http import answer_http
from simulator.judge import Judge, Offence, SeenFrame, SocketLife, find_overlaps
from simulator.rpc import Answer, Call, Failure, Message, write_answer, write_call, write_failure

__all__ = ["Csms", "Manners", "parse_boot"]

SUBPROTOCOLS = (Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1"))


class Csms:
    """See the module's docstring. One event loop; not safe to share between threads."""

    def __init__(
        self,
        *,
        interval_s: int = 30,
        on_frame: Callable[[str, str, str], None] | None = None,
        max_frames: int = 200_000,
    ) -> None:
        self.interval_s = interval_s
        self._on_frame = on_frame
        #: Every connection that was upgraded, in order.
        self.sockets: list[SocketLife] = []
        #: The newest frames of all chargers, in order.
        self.frames: deque[SeenFrame] = deque(maxlen=max_frames)
        #: What chargers did against the rules.
        self.offences: list[Offence] = []
        #: Upgrade requests per identity, refused ones too: times, Unix seconds.
        self.attempts: dict[str, list[float]] = {}
        self.judges: dict[str, Judge] = {}
        self._manners: dict[str, Manners] = {}
        self._others = Manners()
        self._open: dict[str, list[ServerConnection]] = {}
        self._answers: dict[tuple[str, str], asyncio.Future[Answer | Failure]] = {}
        self._server: Server | None = None
        self._address = ""
        self._port = 0
        self._changed = asyncio.Event()

    # --- life -----------------------------------------------------------------------------------

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await serve(
            self._serve,
            address,
            port,
            compression=None,
            process_request=self._process_request,
            select_subprotocol=self._select_subprotocol,
            ping_interval=None,
            close_timeout=1,
            server_header=None,
        )
        self._address = address
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close every socket (1001) and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def port(self) -> int:
        """The port it listens at."""
        return self._port

    @property
    def url(self) -> str:
        """What a charger is given as ws_url."""
        return f"ws://{self._address}:{self._port}/ocpp"

    # --- what a test does -----------------------------------------------------------------------

    def behave(self, identity: str | None = None, **changes: Any) -> None:
        """Change how an identity is treated, or all without manners of their own. See `Manners`."""
        if identity is None:
            self._others = self._others.change(**changes)
        else:
            self._manners[identity] = self._manners_of(identity).change(**changes)

    async def send(
        self, identity: str, action: str, payload: dict[str, Any], timeout_s: float = 10.0
    ) -> Answer | Failure:
        """Send a call to a charger; its answer. Raises `LookupError` when it is not connected."""
        connections = self._open.get(identity)
        if not connections:
            raise LookupError(f"{identity} is not connected.")
        message_id = secrets.token_hex(8)
        judge = self.judges[identity]
        judge.asked[message_id] = action
        if action == "TriggerMessage":
            judge.triggered.add(str(payload.get("requestedMessage")))
        future: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
        self._answers[identity, message_id] = future
        text = write_call(message_id, action, payload)
        await self._write(connections[-1], identity, action, text)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            self._answers.pop((identity, message_id), None)

    async def send_text(self, identity: str, text: str) -> None:
        """Send any text, sensible or not."""
        await self._write(self._open[identity][-1], identity, "", text)

    async def drop(self, identity: str, code: int | None = None) -> None:
        """Close a charger's sockets with this code; without one, cut them."""
        for connection in list(self._open.get(identity, ())):
            if code is None:
                connection.transport.abort()
            else:
                await connection.close(code)

    def connected(self) -> list[str]:
        """Identities with an open socket."""
        return [identity for identity, connections in self._open.items() if connections]

    def accepted(self) -> list[str]:
        """Connected identities whose last BootNotification was Accepted."""
        return [name for name in self.connected() if self.judges[name].boot_status == "Accepted"]

    def seen(
        self, identity: str, action: str | None = None, direction: str = "u"
    ) -> list[SeenFrame]:
        """The frames of one identity, oldest first."""
        return [
            frame
            for frame in self.frames
            if frame.identity == identity
            and frame.direction == direction
            and action in (None, frame.action)
        ]

    def overlaps(self) -> list[tuple[SocketLife, SocketLife]]:
        """Sockets of one identity that were open together."""
        return find_overlaps(self.sockets)

    async def wait_for(self, fact: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Wait until this is true; looked at whenever something happened here. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    # --- a connection ---------------------------------------------------------------------------

    def _manners_of(self, identity: str) -> Manners:
        return self._manners.get(identity, self._others)

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        if "Upgrade" not in request.headers:
            return await answer_http(self, connection, request)
        identity = _read_identity(request.path)
        self.attempts.setdefault(identity, []).append(time.time())
        self._changed.set()
        manners = self._manners_of(identity)
        if manners.upgrade == "drop":
            connection.transport.abort()
        elif manners.upgrade == "never":
            await connection.wait_closed()
        elif manners.upgrade != "accept":
            return connection.respond(HTTPStatus(int(manners.upgrade)), "Refused as ordered.\n")
        if manners.password is not None:
            pair = base64.b64encode(f"{identity}:{manners.password}".encode()).decode()
            if request.headers.get("Authorization") != f"Basic {pair}":
                return connection.respond(HTTPStatus.UNAUTHORIZED, "Wrong credentials.\n")
        return None

    def _select_subprotocol(self, connection: ServerConnection, offered: Any) -> Subprotocol | None:
        assert connection.request is not None  # noqa: S101 - it is being answered
        manners = self._manners_of(_read_identity(connection.request.path))
        if manners.subprotocol is not None:
            return Subprotocol(manners.subprotocol) if manners.subprotocol else None
        return next((name for name in SUBPROTOCOLS if name in offered), None)

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # noqa: S101 - it was answered
        identity = _read_identity(connection.request.path)
        subprotocol = connection.subprotocol or ""
        life = SocketLife(identity, subprotocol, time.time())
        self.sockets.append(life)
        judge = self.judges.setdefault(identity, Judge(identity, self.offences))
        judge.opened(subprotocol)
        self._open.setdefault(identity, []).append(connection)
        self._changed.set()
        try:
            async for data in connection:
                text = data if isinstance(data, str) else data.decode("utf-8", "replace")
                await self._hear(connection, judge, text)
        except ConnectionClosed:
            pass  # noted below, as every end is
        finally:
            life.closed_at = time.time()
            life.close_code = connection.close_code
            self._open[identity].remove(connection)
            self._changed.set()

    async def _hear(self, connection: ServerConnection, judge: Judge, text: str) -> None:
        message = judge.hear(text, time.time())
        action = ""
        if isinstance(message, Call):
            action = message.action
        self._note(judge.identity, "u", action, text)
        if isinstance(message, Call):
            await self._answer(connection, judge, message)
        else:
            self._settle(judge.identity, message)

    def _settle(self, identity: str, message: Message) -> None:
        if isinstance(message, Answer | Failure):
            future = self._answers.get((identity, message.id))
            if future is not None and not future.done():
                future.set_result(message)

    async def _answer(self, connection: ServerConnection, judge: Judge, call: Call) -> None:
        manners = self._manners_of(judge.identity)
        refusal = judge.refusal(call)
        if refusal is not None:
            text: str | None = write_failure(call.id, *refusal)
        elif call.action == "BootNotification":
            text = await self._answer_boot(judge, manners, call)
        else:
            text = await self._answer_other(judge, manners, call)
        judge.waits_for_us = None if text is not None else judge.waits_for_us
        if text is not None:
            await self._write(connection, judge.identity, call.action, text)
        if manners.close_after == call.action:
            await connection.close(manners.close_code)

    async def _answer_boot(self, judge: Judge, manners: Manners, call: Call) -> str | None:
        status, changed = manners.next_boot()
        if changed is not manners:
            self._manners[judge.identity] = changed
        if manners.delay_s:
            await asyncio.sleep(manners.delay_s)
        if status == "never":
            return None
        if status == "error":
            return write_failure(call.id, "InternalError", "Refused as ordered.")
        judge.answered_boot(status)
        interval = self.interval_s if status == "Accepted" else manners.retry_s
        payload = {"status": status, "interval": interval, "currentTime": _write_time()}
        return write_answer(call.id, payload)

    async def _answer_other(self, judge: Judge, manners: Manners, call: Call) -> str | None:
        ordered = manners.answers.get(call.action)
        if manners.delay_s:
            await asyncio.sleep(manners.delay_s)
        if ordered == "never":
            return None
        if isinstance(ordered, dict):
            if "error" in ordered:
                return write_failure(call.id, str(ordered["error"]), "Refused as ordered.")
            return write_answer(call.id, ordered)
        payload = write_default_answer(judge.wire, call, _write_time())
        violation = judge.schemas.check_answer(call.action, payload)
        if violation is not None:
            # Our own answer is held against the schemas as the charger's are.
            return write_failure(call.id, "InternalError", violation.message)
        return write_answer(call.id, payload)

    async def _write(
        self, connection: ServerConnection, identity: str, action: str, text: str
    ) -> None:
        self._note(identity, "d", action, text)
        try:
            await connection.send(text)
        except ConnectionClosed:
            return  # its end is noted where it is read

    def _note(self, identity: str, direction: str, action: str, text: str) -> None:
        self.frames.append(SeenFrame(identity, time.time(), direction, action, text))
        if self._on_frame is not None:
            self._on_frame(identity, direction, text)
        self._changed.set()


def _read_identity(path: str) -> str:
    return unquote(urlsplit(path).path.rpartition("/")[2])


def _write_time() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
