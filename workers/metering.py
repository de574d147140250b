"""`/metrics` and `/health` of one worker, on a port of its own (GATEWAY_WORKER_METRICS_PORT).

The main process answers for its children: they count into the same folder (`app.metrics`). Healthy means that the
keeper's threads turn; a database or broker that is away is not the worker's illness.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from app import metrics

log = logging.getLogger(__name__)

#: A round of the keeper may take this long, seconds: drivers can be slow.
PATIENCE_S: Final = 120.0


class _Server(ThreadingHTTPServer):
    """A client that hangs up early is no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the base class's
        """In place of a traceback on standard error."""
        if not isinstance(sys.exception(), ConnectionError):
            log.exception("a request for metrics failed")


def serve(port: int, is_well: Callable[[], bool], *, host: str = "") -> ThreadingHTTPServer:
    """Answer in a thread of this process until it ends; the server, whose port is known when `port` is 0."""

    class Handler(BaseHTTPRequestHandler):
        """Two paths; whoever reaches the port may read both."""

        def do_GET(self) -> None:
            """Answer."""
            if self.path == "/metrics":
                self._answer(200, metrics.CONTENT_TYPE, metrics.render())
            elif self.path == "/health":
                well = is_well()
                body = b'{"status":"ok"}' if well else b'{"status":"the keeper stands still"}'
                self._answer(200 if well else 503, "application/json", body)
            else:
                self._answer(404, "application/json", b'{"detail":"/metrics or /health"}')

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A scrape each few seconds is no news."""

    server = _Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics are served on port %d", server.server_address[1])
    return server
