"""Makes HTTP requests as fast as a server answers them, with as little work of its own as Python allows.

`run_load(port, make_request, clients=16, seconds=2)` keeps that many connections busy, each with one request at
a time (a closed loop), and returns every latency. A request is bytes, made before the clock starts running.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.figures import find_percentile

_PATIENCE_S = 30.0


@dataclass(slots=True)
class Load:
    """What one round saw."""

    seconds: float = 0.0
    #: Seconds, one for each answer.
    latencies: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    #: Answers that were not 2xx.
    refused: int = 0
    #: CPU that the server used meanwhile, in seconds; whoever knows the server's process writes it.
    cpu_s: float = 0.0

    @property
    def cpu_ms(self) -> float:
        """CPU of the server per answer, in milliseconds."""
        return 1000 * self.cpu_s / len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def read_ms(self, share: float) -> float:
        """A percentile in milliseconds."""
        return 1000 * find_percentile(self.latencies, share)


def write_request(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """HTTP/1.1 as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run_load(
    port: int,
    make_request: Callable[[], bytes],
    *,
    clients: int,
    seconds: float = 3600.0,
    most: int | None = None,
) -> Load:
    """Ask for so many seconds, or until `most` answers have come."""
    return asyncio.run(_run(port, make_request, clients, seconds, most))


async def _run(
    port: int, make_request: Callable[[], bytes], clients: int, seconds: float, most: int | None
) -> Load:
    load = Load()
    began = time.perf_counter()
    until = began + seconds
    left = most if most is not None else 10**9

    def take() -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and time.perf_counter() < until

    await asyncio.gather(*(_ask(port, make_request, take, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def _ask(
    port: int, make_request: Callable[[], bytes], take: Callable[[], bool], load: Load
) -> None:
    """One connection, one request at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while take():
            request = make_request()
            sent = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
                body = await reader.readexactly(length)
            load.latencies.append(time.perf_counter() - sent)
            load.bodies.append(body)
            load.refused += head[9:10] != b"2"
            if b"\r\nConnection: close" in head:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
    finally:
        writer.close()
