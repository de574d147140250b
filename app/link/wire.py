"""Reads what runtimes send, and trusts none of it.

`parse` gives a message as a dict; the `read_*` functions give one part of it as a typed value, or None when it
is not what docs/link.md says. Text is made storable here: PostgreSQL holds neither U+0000 nor lone surrogates, so
they are written as the escapes that a reader of JSON knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from app.store.events import EventRow
from app.store.frames import FrameRow

_INT32: Final = 2**31 - 1
_INT64: Final = 2**63 - 1
#: A runtime's records are numbered from 1; the numbers far above are the link's own (`app.store.events`).
_LAST_NUMBER: Final = 2**53
#: Unix milliseconds of the years 2000 and 3000: what a sender's clock may say.
_OLDEST_MS: Final = 946_684_800_000
_NEWEST_MS: Final = 32_503_680_000_000
#: Texts for people are cut here.
_LONGEST: Final = 2_000
_DEEPEST: Final = 20

STAGES: Final = frozenset({"starting", "connecting", "registering", "online", "offline"})
VERDICTS: Final = frozenset({"starting", "csms_unreachable", "csms_rejected", "connected"})


def parse(raw: bytes) -> dict[str, Any] | None:
    """One message, or None when it is not a JSON object."""
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates and bytes that are not UTF-8; a frame may carry either.
        try:
            message = json.loads(raw.decode(errors="replace"))
        except (ValueError, RecursionError):
            return None
    return message if isinstance(message, dict) else None


def escape(text: str) -> str:
    r"""Text that PostgreSQL can hold: U+0000 and lone surrogates become `\u0000` and the like."""
    if "\x00" in text:
        text = text.replace("\x00", "\\u0000")
    if text.isascii():
        return text
    return text.encode(errors="backslashreplace").decode()


def clean(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL can hold: every text escaped, numbers within 64 bits, not too deep."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -_INT64 <= value <= _INT64 else str(value)
    if depth >= _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {escape(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [clean(item, depth + 1) for item in value]
    return value


def is_int(value: Any, *, most: int = _INT32, least: int = 0) -> bool:
    """Whether it is a whole number from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a runtime."""

    epoch: str
    capacity: int
    machine: str | None
    pid: int | None
    pid_start: float | None
    software: str
    running: frozenset[tuple[str, int]]


def read_hello(message: Mapping[str, Any]) -> Hello | None:
    """A hello of a protocol version that we speak."""
    epoch, pid_start = message.get("epoch"), message.get("pid_start")
    if message.get("t") != "hello" or message.get("v") != 1:
        return None
    if not isinstance(epoch, str) or not 1 <= len(epoch) <= 64:
        return None
    capacity, pid, machine = (message.get(name) for name in ("capacity", "pid", "machine"))
    return Hello(
        epoch=escape(epoch),
        capacity=capacity if isinstance(capacity, int) and is_int(capacity) else 1,
        machine=escape(machine[:256]) if isinstance(machine, str) else None,
        pid=pid if isinstance(pid, int) and is_int(pid, least=1) else None,
        pid_start=float(pid_start) if isinstance(pid_start, int | float) else None,
        software=escape(str(message.get("software"))[:100]),
        running=read_running(message),
    )


def read_running(message: Mapping[str, Any]) -> frozenset[tuple[str, int]]:
    """The pairs (charger, incarnation) under `running`."""
    listed = message.get("running")
    pairs = (read_pair(item) for item in listed) if isinstance(listed, list) else ()
    return frozenset(pair for pair in pairs if pair is not None)


def read_pair(item: Any) -> tuple[str, int] | None:
    """A charger and its incarnation out of the first two items of a list."""
    if not isinstance(item, list) or len(item) < 2:
        return None
    charger_id, incarnation = item[0], item[1]
    if not isinstance(charger_id, str) or not is_int(incarnation):
        return None
    return escape(charger_id[:64]), incarnation


@dataclass(frozen=True, slots=True)
class Records:
    """One batch. `malformed` says how many entries had to be left out."""

    batch: int
    frames: list[FrameRow]
    events: list[EventRow]
    malformed: int
    #: Frames that the sender had given up.
    lost: int

    def __len__(self) -> int:
        return len(self.frames) + len(self.events)


def read_records(message: Mapping[str, Any]) -> Records | None:
    """A batch of frames, events and gaps; None without a batch number to acknowledge."""
    batch = message.get("batch")
    if not isinstance(batch, int) or not is_int(batch, most=_INT64):
        return None
    listed = [_list(message, name) for name in ("frames", "events", "gaps")]
    frames = [row for row in map(_read_frame, listed[0]) if row is not None]
    events = [row for row in map(_read_event, listed[1]) if row is not None]
    gaps = [row for row in map(_read_gap, listed[2]) if row is not None]
    malformed = sum(map(len, listed)) - len(frames) - len(events) - len(gaps)
    rows = [row for row, _ in gaps]
    return Records(batch, frames, events + rows, malformed, sum(count for _, count in gaps))


def _list(message: Mapping[str, Any], name: str) -> list[Any]:
    value = message.get(name)
    return value if isinstance(value, list) else []


def _read_head(item: Any, length: int) -> tuple[str, int, int, int] | None:
    """Charger, incarnation, number and time, of an entry with `length` items."""
    pair = read_pair(item)
    if pair is None or len(item) != length or not is_int(item[2], most=_LAST_NUMBER, least=1):
        return None
    if not is_int(item[3], most=_NEWEST_MS, least=_OLDEST_MS):
        return None
    return (*pair, item[2], item[3])


def _read_frame(item: Any) -> FrameRow | None:
    head = _read_head(item, 7)
    if head is None:
        return None
    direction, action, message = item[4:]
    if direction not in ("u", "d") or not isinstance(action, str) or not isinstance(message, str):
        return None
    return FrameRow(*head, direction, escape(action[:100]), escape(message))


def _read_event(item: Any) -> EventRow | None:
    head = _read_head(item, 6)
    if head is None or not isinstance(item[4], str):
        return None
    data = item[5] if isinstance(item[5], dict) else {}
    return EventRow(*head, escape(item[4][:100]), orjson.dumps(clean(data)).decode())


def _read_gap(item: Any) -> tuple[EventRow, int] | None:
    head = _read_head(item, 5)
    if head is None or not is_int(item[4], most=_INT64):
        return None
    return EventRow(*head, "gap", orjson.dumps({"lost": item[4]}).decode()), item[4]


#: Fields of a state's `detail`, and what each is.
_DETAIL: Final[Mapping[str, type | tuple[type, ...]]] = {
    "http_status": int,
    "close_code": int,
    "close_reason": str,
    "subprotocol": str,
    "boot_status": str,
    "error": str,
    "message": str,
    "definite": bool,
    "attempts": int,
    "interval_s": (int, float),
}


def read_detail(message: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields of a state's `detail`, each of its type."""
    given = message.get("detail")
    if not isinstance(given, dict):
        return {}
    kept = {
        name: given[name] for name, kind in _DETAIL.items() if isinstance(given.get(name), kind)
    }
    return {
        name: escape(value[:_LONGEST]) if isinstance(value, str) else clean(value)
        for name, value in kept.items()
    }


def read_time(message: Mapping[str, Any]) -> int | None:
    """The sender's `at`, when it can be one."""
    at = message.get("at")
    return at if isinstance(at, int) and is_int(at, most=_NEWEST_MS, least=_OLDEST_MS) else None


def read_connectors(message: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The connectors, as they are to be shown."""
    listed = message.get("connectors")
    if not isinstance(listed, list) or len(listed) > 100:
        return None
    return [clean(item) for item in listed if isinstance(item, dict)]
