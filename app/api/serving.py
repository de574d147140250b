"""Runs the API under gunicorn: threads in a few processes, one JSON line per request.

`serve(settings)` is `gateway api`. Each worker makes its own application after the fork, so connections and
threads are never shared. On SIGTERM a worker stops to accept, lets its requests end, and sends those home that
only wait for news.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.workers.gthread import ThreadWorker

from app.api.application import create_app
from app.api.naming import NAMED
from app.api.operations import ORGANIZATION
from app.logs import set_up_logs
from app.services.policy import make_policy
from app.settings import Settings

#: A worker that does not turn its loop for this long is replaced; requests may end within this on SIGTERM.
TIMEOUT_S: Final = 60
GRACE_S: Final = 20
KEEPALIVE_S: Final = 15
#: Bytes of a request's first line: a delete of a thousand chargers names each in its query (50 kB).
REQUEST_LINE: Final = 131_072
# gunicorn takes no larger setting than this of its own, 8,190; no bound at all would fill the memory.
message.MAX_REQUEST_LINE = REQUEST_LINE


def make_options(settings: Settings) -> dict[str, Any]:
    """gunicorn's settings."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return {
        "bind": f"{host}:{settings.api_port}",
        "workers": settings.api_workers,
        "threads": settings.api_threads,
        "worker_class": "app.api.serving.Worker",
        "timeout": TIMEOUT_S,
        "graceful_timeout": GRACE_S,
        "keepalive": KEEPALIVE_S,
        "limit_request_line": REQUEST_LINE,
        "preload_app": False,
        "logger_class": "app.api.serving.Log",
        "accesslog": "-",
        "loglevel": settings.log_level.lower(),
        "proc_name": "gateway-api",
        "control_socket_disable": True,
    }


class Worker(ThreadWorker):  # type: ignore[misc]  # it ships no types
    """Threads of one process. Whoever only waits for news goes home when it stops."""

    wsgi: Flask

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM."""
        self.wsgi.extensions["desk"].news.hush()
        super().handle_exit(sig, frame)


class Log(Logger):  # type: ignore[misc]  # it ships no types
    """gunicorn's own lines go where all of ours go; a request is one line without its query or headers."""

    #: Set by `serve`, before gunicorn makes one.
    as_json = True

    def setup(self, cfg: Any) -> None:
        """Propagate instead of handling; the rest of the set-up is about files that we do not write."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.access_log.handlers.clear()

    def access(self, resp: Any, _req: Any, environ: Any, request_time: Any) -> None:
        """Write the line of one request, past the logging machinery: it is on the path of every request."""
        headers = {name.lower(): value for name, value in resp.headers}
        line = {
            "event": "request",
            "program": "api",
            "level": "info",
            "timestamp": datetime.now(UTC),
            "method": environ.get("REQUEST_METHOD"),
            "path": environ.get("PATH_INFO"),
            "status": int(str(resp.status).split(None, 1)[0]),
            "ms": round(request_time.total_seconds() * 1000, 1),
            "bytes": resp.sent,
            "request_id": headers.get("x-request-id"),
            "organization_id": environ.get(ORGANIZATION),
            **environ.get(NAMED, {}),
        }
        sys.stderr.buffer.write(render_line(line, as_json=self.as_json))
        sys.stderr.buffer.flush()


def render_line(line: dict[str, Any], *, as_json: bool) -> bytes:
    """One line, whatever a client put into the path."""
    if as_json:
        return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
    text = "{timestamp:%H:%M:%S} {method} {path} {status} {ms} ms {request_id}".format(**line)
    return text.encode("unicode_escape") + b"\n"


class _Server(BaseApplication):  # type: ignore[misc]  # it ships no types
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in make_options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(self._settings)


def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Raises `SettingsInvalid`, before any worker is forked, for what only this program can judge.
    """
    make_policy(settings)
    Log.as_json = settings.log_format == "json"
    set_up_logs(settings.log_level, settings.log_format, program="api")
    _Server(settings).run()
