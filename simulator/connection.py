"""One WebSocket connection to a CSMS, as lean as `websockets` allows.

`Dialer.dial` opens it: locate, resolve, check, connect, TLS, upgrade with exactly one subprotocol.
Every way in which that fails is a `CsmsUnusable` whose problem has a sentence. The open
`CsmsConnection` needs no task of its own: frames and the end are handed straight to its listener
from the event loop's callbacks, which is what keeps thousands of them small (a task, a queue and
the handshake's headers would double their size). Compression is off; pings are the charger's
business.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import deque
from pathlib import Path
from typing import Any, Protocol, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.messages import Assembler
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, PONG, CloseCode, Frame
from websockets.protocol import CLOSED, OPEN, Event
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from simulator.address import CsmsUnusable, Place, Resolver, check_allowed, locate
from simulator.config import Config
from simulator.refusals import explain, explain_subprotocol

#: The longest message taken from a CSMS, in bytes.
MAX_MESSAGE = 1024 * 1024
#: How long the other side may take to answer a close frame, in seconds.
CLOSE_TIMEOUT_S = 3.0
_USER_AGENT = "charger-gateway-simulator"


class Listener(Protocol):
    """Who is told what happens on a connection. Called from the event loop, never after `lost`."""

    def heard(self, text: str) -> None:
        """One whole text message."""

    def ponged(self) -> None:
        """The answer to a ping."""

    def lost(self, code: int, reason: str) -> None:
        """The connection is over, with the WebSocket close code and reason (1006: none came)."""


class _NoMessages:
    """Stands where a connection keeps messages for a reader; this one has none."""

    def close(self) -> None:
        """Nothing waits to be told."""


_NO_MESSAGES = cast(Assembler, _NoMessages())
_NO_WAITERS: deque[asyncio.Future[None]] = deque(maxlen=0)


class CsmsConnection(ClientConnection):
    """A client connection that calls its listener instead of queueing messages for a reader."""

    def __init__(self, protocol: ClientProtocol, listener: Listener) -> None:
        super().__init__(
            protocol, ping_interval=None, close_timeout=CLOSE_TIMEOUT_S, max_queue=None
        )
        self._listener = listener
        self._is_listening = False
        self._early: list[Event] | None = None
        self._parts: list[bytes] | None = None

    def listen(self) -> None:
        """The upgrade is through: from now on the listener is called. Frees what only it needed."""
        self._is_listening = True
        self.request = None
        self.response = None
        # Nobody receives or drains here; the queues for it would be a tenth of the connection.
        self.drain_waiters = _NO_WAITERS
        self.recv_messages = _NO_MESSAGES
        early, self._early = self._early, None
        for event in early or ():
            self.process_event(event)
        if self.protocol.state is CLOSED:
            self._tell_lost()

    def send_text(self, text: str) -> bool:
        """Send one message, without waiting; False when the connection is no longer open.

        What cannot be written yet is kept by the transport; reading pauses meanwhile, so that a
        CSMS which does not read cannot make us pile up answers.
        """
        if self.protocol.state is not OPEN:
            return False
        self.protocol.send_text(text.encode())
        self.send_data()
        return True

    def send_ping(self) -> None:
        """Send a ping, without waiting."""
        if self.protocol.state is OPEN:
            self.protocol.send_ping(b"")
            self.send_data()

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, and end the connection by force if nobody answers in time."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()
        self.loop.call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """End the connection without a word. A second call does nothing."""
        self.transport.abort()

    # --- what websockets calls ------------------------------------------------------------------

    def process_event(self, event: Event) -> None:
        """One parsed event: the response to the upgrade, then frames."""
        if not self._is_listening:
            if self.response is None:
                super().process_event(event)
            else:
                # Frames that came in one piece with the response, before the dialer had its turn.
                self._early = self._early or []
                self._early.append(event)
            return
        assert isinstance(event, Frame)  # noqa: S101 - the protocol gives nothing else once it is open
        if event.opcode is PONG:
            self._listener.ponged()
        elif event.opcode in DATA_OPCODES:
            self._collect(event)

    def _collect(self, frame: Frame) -> None:
        if not frame.fin or self._parts is not None:
            self._parts = self._parts or []
            self._parts.append(bytes(frame.data))
            if not frame.fin:
                return
            data, self._parts = b"".join(self._parts), None
        else:
            data = bytes(frame.data)
        # OCPP-J is UTF-8 text. What is not stays visible, and is no JSON, so it is answered as
        # such.
        self._listener.heard(data.decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        if self._is_listening:
            self._tell_lost()

    def _tell_lost(self) -> None:
        self._is_listening = False
        code = self.protocol.close_code or CloseCode.ABNORMAL_CLOSURE
        self._listener.lost(int(code), self.protocol.close_reason or "")

    def pause_writing(self) -> None:
        """The CSMS does not read: hear nothing more until it does."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The CSMS reads again."""
        super().resume_writing()
        self.transport.resume_reading()


class Dialer:
    """Opens connections for all chargers of a process."""

    def __init__(self, *, ca_file: Path | None = None, in_container: bool = False) -> None:
        self._resolver = Resolver()
        self._ca_file = ca_file
        self._in_container = in_container
        self._tls: ssl.SSLContext | None = None

    async def dial(self, config: Config, subprotocol: str, listener: Listener) -> CsmsConnection:
        """An open connection, not listening yet. Raises `CsmsUnusable`."""
        place = locate(config.ws_url, config.identity)
        try:
            async with asyncio.timeout(config.clocks.open_timeout_s):
                return await self._open(place, config, subprotocol, listener)
        except CsmsUnusable:
            raise
        except Exception as error:
            problem = explain(error, place, subprotocol, in_container=self._in_container)
            raise CsmsUnusable(problem) from error

    async def _open(
        self, place: Place, config: Config, subprotocol: str, listener: Listener
    ) -> CsmsConnection:
        found = await self._resolver.find(place.host, place.port)
        addresses = check_allowed(place.host, place.port, found, config.ws_allow)
        connection = await self._connect(place, addresses, subprotocol, listener)
        try:
            await connection.handshake(_write_headers(config), _USER_AGENT)
            _check_subprotocol(connection.subprotocol, subprotocol)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _connect(
        self, place: Place, addresses: list[str], subprotocol: str, listener: Listener
    ) -> CsmsConnection:
        """TCP and TLS, to the first address that answers."""
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if place.is_secure:
            tls = {"ssl": self._tls_context(), "server_hostname": place.host}

        def build() -> CsmsConnection:
            protocol = ClientProtocol(
                parse_uri(place.url),
                subprotocols=[Subprotocol(subprotocol)],
                max_size=MAX_MESSAGE,
            )
            return CsmsConnection(protocol, listener)

        failure: OSError | None = None
        for address in addresses:
            try:
                # The checked address is dialled, not the name: DNS gets no second say.
                _, connection = await loop.create_connection(build, address, place.port, **tls)
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = failure or error
            else:
                return connection
        raise failure or OSError(f"{place.host} has no address.")

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            if self._ca_file is not None:
                self._tls.load_verify_locations(self._ca_file)
        return self._tls


def _check_subprotocol(chosen: str | None, wanted: str) -> None:
    if chosen != wanted:
        raise CsmsUnusable(explain_subprotocol(chosen, wanted))


def _write_headers(config: Config) -> dict[str, str]:
    """HTTP Basic for security profiles 1 and 2: the identity is the user (1.6 security, A00; 2.0.1,
    A00).
    """
    if config.authorization_key is None or config.security_profile not in (1, 2):
        return {}
    pair = f"{config.identity}:{config.authorization_key}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
