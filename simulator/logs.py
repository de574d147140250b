"""Logs as JSON lines on standard error, for everything that uses `logging`.

A line that is written while a charger is at work carries that charger's ids, whoever writes it: `speaking` says
whose work it is, and the ids are read only when a line is really written. Secrets have no way in: credentials and
passwords are never passed to a logger, and addresses go through `address.mask_url`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

import structlog


class Speaker(Protocol):
    """Whoever can be the subject of log lines."""

    def name_for_logs(self) -> Mapping[str, Any]:
        """The ids that its lines carry."""


#: Whose work is being done in this context.
speaking: ContextVar[Speaker | None] = ContextVar("speaking", default=None)


def configure_logs(level: str, program: str) -> None:
    """Send all records of this process to standard error, one JSON object per line, `program` in each."""

    def sign(_: Any, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
        line["program"] = program
        speaker = speaking.get()
        # What a line says itself counts more than what was being done.
        return line if speaker is None else {**speaker.name_for_logs(), **line}

    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        sign,
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its lines about single connections would be thousands.
    logging.getLogger("websockets").setLevel(logging.WARNING)
