"""The one bounded buffer of a process: frames, events and gaps on their way to the gateway.

An entry is encoded when it is added and waits as bytes. `next_batch` puts entries in the air, `ack` lets
them go, `rewind` (a lost link) puts them back in front. Beyond its size the buffer drops the oldest waiting
entries; a gap per charger counts them and travels in their place (docs/link.md, "Records").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

#: What an entry costs beside its bytes.
_OVERHEAD = 200
_KINDS = (b"frames", b"events", b"gaps")
_FRAME, _EVENT, _GAP = 0, 1, 2
#: A frame longer than this (encoded) is cut, so that one frame always fits into a batch.
MAX_ENTRY = 192 * 1024


class _Entry(NamedTuple):
    kind: int
    charger: str
    incarnation: int
    number: int
    at_ms: int
    encoded: bytes
    #: How many records it stands for: 1, or those in a gap.
    stands_for: int


class RecordBuffer:
    """Records of every charger in this process, oldest first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[_Entry] = deque()
        self._in_air: dict[int, list[_Entry]] = {}
        self._gaps: dict[tuple[str, int], _Entry] = {}
        self._size = 0
        #: Bytes that wait to be put in a batch.
        self.waiting_bytes = 0
        #: Records dropped since the process started.
        self.dropped = 0

    @property
    def has_waiting(self) -> bool:
        """Something waits to be sent."""
        return bool(self._waiting or self._gaps)

    @property
    def is_empty(self) -> bool:
        """Everything ever added was acknowledged, or dropped and told as a gap."""
        return not (self._waiting or self._gaps or self._in_air)

    @property
    def batches_in_air(self) -> int:
        """Batches sent and not acknowledged."""
        return len(self._in_air)

    def add_frame(
        self,
        charger: str,
        incarnation: int,
        number: int,
        at_ms: int,
        direction: str,
        action: str,
        text: str,
    ) -> None:
        """One OCPP frame; `direction` is `u` (charger to CSMS) or `d`."""
        parts = [charger, incarnation, number, at_ms, direction, action[:64], text]
        encoded = orjson.dumps(parts)
        if len(encoded) > MAX_ENTRY:
            keep = MAX_ENTRY // 8  # an escaped character takes up to 6 bytes
            parts[-1] = f"{text[:keep]}... (cut: {len(text)} characters)"
            encoded = orjson.dumps(parts)
        self._add(_Entry(_FRAME, charger, incarnation, number, at_ms, encoded, 1))

    def add_event(
        self,
        charger: str,
        incarnation: int,
        number: int,
        at_ms: int,
        kind: str,
        data: Mapping[str, Any],
    ) -> None:
        """One of the charger's own events."""
        encoded = orjson.dumps([charger, incarnation, number, at_ms, kind, data])
        self._add(_Entry(_EVENT, charger, incarnation, number, at_ms, encoded, 1))

    def next_batch(self, batch: int, max_bytes: int) -> bytes | None:
        """The next batch as a message of at most `max_bytes`, now in the air; None when nothing waits."""
        taken: list[_Entry] = []
        size = 128  # the message around the entries
        for key in list(self._gaps):
            if size > max_bytes // 2:
                break  # thousands of gaps take several batches
            gap = self._close_gap(self._gaps.pop(key))
            taken.append(gap)
            size += len(gap.encoded) + 1
        while self._waiting:
            entry = self._waiting[0]
            if taken and size + len(entry.encoded) + 1 > max_bytes:
                break
            taken.append(self._waiting.popleft())
            self.waiting_bytes -= len(entry.encoded)
            size += len(entry.encoded) + 1
        if not taken:
            return None
        self._in_air[batch] = taken
        return _write_batch(batch, taken)

    def ack(self, batch: int) -> None:
        """The gateway has stored this batch. An unknown number does nothing."""
        for entry in self._in_air.pop(batch, ()):
            if entry.kind != _GAP:
                self._size -= len(entry.encoded) + _OVERHEAD

    def rewind(self) -> None:
        """The link is lost: what was in the air waits again, in front, in its order."""
        for batch in sorted(self._in_air, reverse=True):
            for entry in reversed(self._in_air[batch]):
                if entry.kind == _GAP:
                    self._widen_gap(entry)
                else:
                    self._waiting.appendleft(entry)
                    self.waiting_bytes += len(entry.encoded)
        self._in_air.clear()

    def _add(self, entry: _Entry) -> None:
        self._waiting.append(entry)
        self.waiting_bytes += len(entry.encoded)
        self._size += len(entry.encoded) + _OVERHEAD
        while self._size > self._max_bytes and self._waiting:
            oldest = self._waiting.popleft()
            self.waiting_bytes -= len(oldest.encoded)
            self._size -= len(oldest.encoded) + _OVERHEAD
            self.dropped += 1
            self._widen_gap(oldest)

    def _widen_gap(self, lost: _Entry) -> None:
        """Count a dropped record (or a gap that comes back) in its charger's gap."""
        key = (lost.charger, lost.incarnation)
        known = self._gaps.get(key)
        if known is None:
            self._gaps[key] = lost._replace(kind=_GAP, encoded=b"")
            return
        # The gap carries the number and time of the first record that it stands for.
        first = min(known, lost, key=lambda entry: entry.number)
        self._gaps[key] = first._replace(
            kind=_GAP, encoded=b"", stands_for=known.stands_for + lost.stands_for
        )

    def _close_gap(self, gap: _Entry) -> _Entry:
        parts = [gap.charger, gap.incarnation, gap.number, gap.at_ms, gap.stands_for]
        return gap._replace(encoded=orjson.dumps(parts))


def _write_batch(batch: int, entries: list[_Entry]) -> bytes:
    lists = [b'"%s":[%s]' % (name, b",".join(entry.encoded for entry in entries if entry.kind == kind))
             for kind, name in enumerate(_KINDS)]  # fmt: skip
    return b'{"t":"records","batch":%d,%s}' % (batch, b",".join(lists))
