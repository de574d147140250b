"""Valkey as a child: its configuration, when it is ready, and what to do with a broken append-only file.

It listens on a socket in a folder of mode 0700, with a password that stands in a file only. It does not lock its
folder (a second one would steal the socket and both would write): our flock does. What it holds are hints; the
rows in PostgreSQL are the truth, so a file that cannot be read is moved aside and the broker starts empty.
"""

from __future__ import annotations

import json
import re
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from app.embedded.binaries import Binaries
from app.embedded.credentials import write_private
from app.embedded.folders import DataFolder
from app.embedded.postgres import ENVIRONMENT
from app.embedded.programs import Program

#: Its name in the run folder.
SOCKET: Final = "valkey.sock"

_CONFIGURATION: Final = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
dir {folder}
daemonize no
logfile ""
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""
_BROKEN: Final = re.compile(
    r"Bad file format reading the append only file"
    r"|Unexpected end of file reading the append only file"
    r"|Unrecoverable error reading the append only file"
    r"|Invalid AOF manifest file format|AOF .* format error|AOF .* doesn't exist"
    r"|Fatal error loading the DB"
)
_PING_TIMEOUT_S: Final = 1


class Valkey:
    """The broker of a data folder. The caller holds the folder's lock."""

    def __init__(self, folder: DataFolder, binaries: Binaries, password: str) -> None:
        self._folder = folder
        self._binaries = binaries
        self._password = password

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder.run / SOCKET

    @property
    def url(self) -> str:
        """For Celery and redis-py's `redis+socket` transport; it contains the password."""
        return f"redis+socket://:{self._password}@{quote(str(self.socket))}?virtual_host=0"

    def make_program(self) -> Program:
        """How the supervisor runs it."""
        configuration = self._folder.valkey / "valkey.conf"
        # The file's quoting (sdssplitargs) is that of JSON for everything a path may contain.
        text = _CONFIGURATION.format(
            socket=json.dumps(str(self.socket), ensure_ascii=False),
            password=self._password,
            folder=json.dumps(str(self._folder.valkey), ensure_ascii=False),
        )
        write_private(configuration, text, self._folder.account)
        return Program(
            name="valkey",
            argv=(str(self._binaries.valkey), str(configuration)),
            environment=ENVIRONMENT,
            account=self._folder.account,
            stop=((signal.SIGTERM, 8),),
            is_ready=self._is_ready,
            mend=self._move_broken_file,
        )

    def _is_ready(self, _pid: int) -> bool:
        return ping(self.socket, self._password)

    def _move_broken_file(self, lines: list[str]) -> str | None:
        folder = self._folder.valkey / "appendonlydir"
        if not folder.is_dir() or not any(map(_BROKEN.search, lines)):
            return None
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        aside = folder.with_name(f"appendonlydir.broken-{moment}")
        folder.rename(aside)
        return (
            f"The broker's file could not be read: it was moved to {aside} and the broker starts "
            "empty; nothing is lost, the database sends its hints again."
        )


def ping(path: Path, password: str) -> bool:
    """Whether a Valkey behind the socket takes the password and answers.

    Inline commands of the protocol (RESP, "Inline commands"); redis-py would cost the supervisor 20 MB.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PING_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                part = connection.recv(256)
                if not part:
                    break
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
