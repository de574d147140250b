"""The line to the gateway, from the runtime's side: docs/link.md is the protocol.

`Link.run` dials, says hello, and keeps a reader and a pump going until the line breaks; then it dials again,
with pauses. Losing the line stops nothing: the chargers go on with their CSMS (fail static). Control messages
go before records; records go in batches, as many as the gateway gave credits for.

The owner (`LinkOwner`) says hello, hears what comes, and is told when the line is up or gone. Nothing is kept
here for a line that is gone except records: states are told again by the owner after the next `add`.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from simulator.records import RecordBuffer
from simulator.settings import Settings

log = logging.getLogger(__name__)

SUBPROTOCOL = "gateway-link.1"
#: A batch that is not full goes after this, in seconds.
FLUSH_S = 0.2
_WELCOME_TIMEOUT_S = 10.0
_OPEN_TIMEOUT_S = 10.0
_MAX_MESSAGE = 4 * 1024 * 1024
#: Records wait this long for the `add`s that follow a welcome, in seconds: see `hold_records`.
_HOLD_S = 10.0
#: Close codes of docs/link.md.
_RESTARTS = 1012
_OVER = 4410


class LinkEnd(enum.Enum):
    """Why `Link.run` returned."""

    #: The gateway said that this incarnation is over: HTTP 410, or close code 4410.
    OVER = enum.auto()
    #: `close` was called.
    CLOSED = enum.auto()


class LinkOwner(Protocol):
    """Whoever is at this end of the line."""

    def greet(self) -> Mapping[str, Any]:
        """The hello message."""

    def welcomed(self) -> None:
        """The line is up; what is told now will be sent."""

    def received(self, message: Mapping[str, Any]) -> None:
        """Any message but welcome and ack."""


class Link:
    """One line to the gateway, reopened for as long as the process lives."""

    def __init__(self, settings: Settings, owner: LinkOwner, records: RecordBuffer) -> None:
        self._settings = settings
        self._owner = owner
        self._records = records
        self._control: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._closing = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._is_up = False
        self._flush_due = False
        self._flush_timer: asyncio.TimerHandle | None = None
        self._batch = 0
        self._credits = 0
        self._max_batch_bytes = 0
        self._held_until = 0.0
        self._tls = _trust(settings)

    @property
    def is_up(self) -> bool:
        """The gateway has welcomed us on the present line."""
        return self._is_up

    # --- what the owner does --------------------------------------------------------------------

    def tell(self, message: Mapping[str, Any]) -> bool:
        """Send a control message, before any record; False, and nothing kept, when the line is gone."""
        if not self._is_up:
            return False
        self._control.append(orjson.dumps(message))
        self._wake.set()
        return True

    def notice_records(self) -> None:
        """Records were added: send them when a batch is full, at the latest in 200 ms."""
        if self._is_up and self._records.waiting_bytes >= self._max_batch_bytes:
            self._wake.set()
        elif self._flush_timer is None and self._is_up:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(FLUSH_S, self._ask_flush)

    def hold_records(self) -> None:
        """Send no records for now: the gateway drops those of a charger that it has not added yet.

        `release_records` ends it, and so does a time that a gateway with all its rows at hand never needs.
        """
        loop = asyncio.get_running_loop()
        self._held_until = loop.time() + _HOLD_S
        loop.call_later(_HOLD_S, self._ask_flush)

    def release_records(self) -> None:
        """Every charger was added again."""
        self._held_until = 0.0
        self._ask_flush()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything told and recorded has gone through; False when time or line ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._is_up and (self._control or not self._records.is_empty):
                    self._ask_flush()
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return self._records.is_empty

    async def close(self) -> None:
        """End the line for good; `run` returns."""
        self._closing.set()
        if self._socket is not None:
            await self._socket.close(1000, "The runtime ends")

    # --- the line -------------------------------------------------------------------------------

    async def run(self) -> LinkEnd:
        """Keep a line to the gateway until it says that we are over, or `close` is called."""
        failures = 0
        while not self._closing.is_set():
            pause: float | None = None
            code = None
            try:
                code = await self._serve()
            except InvalidStatus as refusal:
                code = refusal.response.status_code
                log.warning("the gateway refused the link", extra={"http_status": code})
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                log.warning("the link could not be opened", extra={"reason": str(error)})
            finally:
                was_up = self._break()
            if code in (410, _OVER):
                return LinkEnd.OVER
            if code == _RESTARTS:
                pause = random.uniform(0, 1)  # noqa: S311 - spreads load, keeps no secret
            elif code in (401, 403):
                pause = self._settings.link_unauthorized_s
            failures = 1 if was_up else failures + 1
            await self._rest(self._pause(failures) if pause is None else pause)
        return LinkEnd.CLOSED

    def _pause(self, failures: int) -> float:
        settings = self._settings
        ceiling = min(settings.link_retry_max_s, settings.link_retry_min_s * 2 ** min(failures, 16))
        return random.uniform(0, ceiling)  # noqa: S311 - spreads load, keeps no secret

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _serve(self) -> int | None:
        """One line from dialling to its end; the close code that ended it."""
        socket = await connect(
            self._settings.link_url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Authorization": f"Bearer {self._settings.token}"},
            compression=None,
            proxy=None,
            open_timeout=_OPEN_TIMEOUT_S,
            max_size=_MAX_MESSAGE,
            ssl=self._tls,
        )
        self._socket = socket
        try:
            if not self._closing.is_set() and await self._greet(socket):
                await self._talk(socket)
        except ConnectionClosed as closed:
            log.warning("the link broke", extra={"reason": str(closed)})
        finally:
            self._socket = None
            await socket.close()
        return socket.close_code

    async def _greet(self, socket: ClientConnection) -> bool:
        if socket.subprotocol != SUBPROTOCOL:
            log.warning("what answers at the link's address is not a gateway")
            return False
        await socket.send(orjson.dumps(self._owner.greet()), text=True)
        async with asyncio.timeout(_WELCOME_TIMEOUT_S):
            welcome = _read(await socket.recv())
        if welcome is None or welcome.get("t") != "welcome":
            log.warning("the gateway did not say welcome")
            return False
        self._credits = max(1, int(welcome.get("credits", 1)))
        self._max_batch_bytes = int(welcome.get("max_batch_bytes", 262144))
        self._is_up = True
        log.info("linked", extra={"link": welcome.get("link")})
        self._owner.welcomed()
        self._ask_flush()
        return True

    async def _talk(self, socket: ClientConnection) -> None:
        pump = asyncio.create_task(self._pump(socket))
        try:
            async for text in socket:
                self._hear(text)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    def _hear(self, text: str | bytes) -> None:
        message = _read(text)
        if message is None:
            log.warning("the gateway sent what is no message")
            return
        if message.get("t") == "ack":
            self._records.ack(message.get("batch", -1))
            self._wake.set()
            self._progress.set()
            return
        try:
            self._owner.received(message)
        except Exception:
            # A message that this version cannot digest must not end the line for all chargers.
            ids = {"type": message.get("t"), "charger_id": message.get("charger")}
            log.exception("a message of the gateway failed", extra=ids)

    async def _pump(self, socket: ClientConnection) -> None:
        """Send what there is, control first, until the line breaks."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._send_control(socket)
            while self._may_send_batch():
                batch = self._records.next_batch(self._batch + 1, self._max_batch_bytes)
                if batch is None:
                    break
                self._batch += 1
                await socket.send(batch, text=True)
                await self._send_control(socket)
            if not self._records.has_waiting:
                self._flush_due = False
            self._progress.set()

    async def _send_control(self, socket: ClientConnection) -> None:
        while self._control:
            await socket.send(self._control[0], text=True)
            self._control.popleft()

    def _may_send_batch(self) -> bool:
        if self._records.batches_in_air >= self._credits:
            return False
        if self._held_until > asyncio.get_running_loop().time():
            return False
        return self._flush_due or self._records.waiting_bytes >= self._max_batch_bytes

    def _ask_flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._flush_due = True
        self._wake.set()

    def _break(self) -> bool:
        """The line is gone; whether it had been up."""
        was_up, self._is_up = self._is_up, False
        self._control.clear()
        self._records.rewind()
        self._progress.set()
        return was_up


def _read(text: str | bytes) -> dict[str, Any] | None:
    """One message; None when it is no JSON object."""
    try:
        message = orjson.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _trust(settings: Settings) -> ssl.SSLContext | None:
    if not settings.link_url.startswith("wss:"):
        return None
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    return context
