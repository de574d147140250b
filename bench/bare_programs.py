"""The programs of the bare stack (`bench.bare_stack`): `python -m bench.bare_programs api|link|host PORT`.

Each imports its own library and no other's: their memory is what is compared.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any


def _run_web(port: int) -> None:
    from flask import Flask
    from gunicorn.app.base import BaseApplication

    web = Flask(__name__)
    web.get("/")(lambda: "ok")

    class Server(BaseApplication):  # type: ignore[misc]  # it ships no types
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"127.0.0.1:{port}",
                "workers": 2,
                "threads": 8,
                "worker_class": "gthread",
                "control_socket_disable": True,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            return web

    Server().run()


async def _listen(port: int) -> None:
    from websockets.asyncio.server import serve

    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", port):
        await asyncio.Event().wait()


async def _dial(port: int) -> None:
    from websockets.asyncio.client import connect

    async for socket in connect(f"ws://127.0.0.1:{port}"):
        await socket.wait_closed()


def main() -> None:
    """One program of the floor: `api`, `link` or `host`, and a port."""
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "api":
        _run_web(port)
    asyncio.run(_listen(port) if name == "link" else _dial(port))


if __name__ == "__main__":
    main()
