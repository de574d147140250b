"""The output of children: cut into lines, kept in a rotated file each, remembered for error messages, echoed.

Bytes that are not UTF-8 are kept readable; an endless line is cut, so that no child can fill our memory.
"""

from __future__ import annotations

import logging
import logging.handlers
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 10_000_000
_OLDER_FILES: Final = 3
_LONGEST_LINE: Final = 65_536
_REMEMBERED: Final = 20

#: Takes a program's name and one of its lines.
Echo = Callable[[str, str], None]


class LogFile:
    """The log of one program: `<name>.log`, and at most three older ones of 10 MB."""

    def __init__(self, folder: Path, name: str, echo: Echo | None = None) -> None:
        self.name = name
        self.path = folder / f"{name}.log"
        self._echo = echo
        self._rest = b""
        self._last: deque[str] = deque(maxlen=_REMEMBERED)
        self._handler = logging.handlers.RotatingFileHandler(
            self.path, maxBytes=_MAX_BYTES, backupCount=_OLDER_FILES, encoding="utf-8"
        )

    def feed(self, data: bytes) -> None:
        """Take what a pipe gave; whole lines are written at once."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self.write(line.decode("utf-8", "backslashreplace").rstrip("\r"))

    def flush(self) -> None:
        """The pipe has ended: what has no line end is a line too."""
        if self._rest:
            self.feed(b"\n")

    def write(self, line: str) -> None:
        """Write one line, ours or the program's."""
        self._last.append(line)
        self._handler.emit(logging.makeLogRecord({"msg": line}))
        if self._echo:
            self._echo(self.name, line)

    def get_last_lines(self) -> list[str]:
        """The newest lines, oldest first."""
        return list(self._last)

    def forget(self) -> None:
        """Begin anew: the lines of an earlier start explain nothing of the next."""
        self._last.clear()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
