"""Choosing the ports to listen on, before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import Final

from app.embedded.errors import PortTaken

#: What each part listens on when nobody says otherwise.
DEFAULTS: Final[Mapping[str, int]] = {"api": 8000, "link": 8001, "flower": 5555}


def choose_ports(wanted: Mapping[str, int], *, host: str) -> dict[str, int]:
    """Check the ports that were asked for; 0 means any free one. All differ.

    Raises `PortTaken` for the first that another program has.
    """
    held: list[socket.socket] = []
    try:
        for part, port in wanted.items():
            held.append(_hold(part, host, port))
        return {part: sock.getsockname()[1] for part, sock in zip(wanted, held, strict=True)}
    finally:
        for sock in held:
            sock.close()


def _hold(part: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # As the servers do it: connections of an earlier run that still linger are no obstacle.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            option = "--port" if part == "api" else f"--{part}-port"
            raise PortTaken(
                f"Port {port} for {part} is in use by another program: "
                f"choose another with {option}, or any free ones with --free-ports."
            ) from error
        raise PortTaken(f"Cannot listen on {host}:{port} for {part}: {error.strerror}.") from error
    return sock
