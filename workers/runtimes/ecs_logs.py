"""The last words of a simulator that ended, out of CloudWatch Logs."""

from __future__ import annotations

import logging
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

_LINES: Final = 8


def read_tail(client: Any, group: str, stream: str) -> list[str]:
    """The newest lines of a log stream, oldest first; it holds no secrets.

    Nothing is worth failing for here: without the stream (a container that never ran), the permission or the
    service there are no lines.
    """
    try:
        answer = client.get_log_events(
            logGroupName=group, logStreamName=stream, limit=_LINES, startFromHead=False
        )
    except (ClientError, BotoCoreError) as error:
        log.info("no log of the task: %s", error)
        return []
    return [str(event.get("message", "")) for event in answer.get("events", [])]
