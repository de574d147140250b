"""Log lines: JSON (or text) on standard error, with the ids that were bound once.

`with bound(charger_id=..., run_id=...)` adds ids to every line that is written inside, by any library. Secrets
are never bound, and `ws_url` goes through `mask_url` first.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import structlog

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logs(level: str, form: str, *, program: str) -> None:
    """Route every logger of this process to one handler. `form` is `json` or `text`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_extra,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    structlog.contextvars.bind_contextvars(program=program)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Add ids to every log line written inside."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def mask_url(url: str) -> str:
    """A URL whose query values are hidden: they often carry keys."""
    parts = urlsplit(url)
    query = "&".join(f"{name}=***" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _add_extra(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """What callers gave as `extra=` becomes fields."""
    record = event.get("_record")
    if record is not None:
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        event.update(extra)
    return event
