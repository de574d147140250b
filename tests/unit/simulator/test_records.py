"""The buffer of frames, events and gaps: numbering, batches, acknowledgement, loss."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.records import MAX_ENTRY, RecordBuffer

BIG = 1 << 20


def fill(buffer: RecordBuffer, count: int, charger: str = "dep-1", text: str = "x" * 100) -> None:
    for number in range(1, count + 1):
        buffer.add_frame(charger, 3, number, 1000 + number, "u", "Heartbeat", text)


def take(buffer: RecordBuffer, batch: int, max_bytes: int = BIG) -> dict[str, Any] | None:
    message = buffer.next_batch(batch, max_bytes)
    assert message is None or len(message) <= max_bytes
    return json.loads(message) if message is not None else None


def test_a_batch_has_the_shape_that_the_link_wants() -> None:
    buffer = RecordBuffer(BIG)
    buffer.add_frame("dep-1", 3, 41, 123, "u", "BootNotification", '[2,"ä"]')
    buffer.add_event("dep-1", 3, 42, 124, "fault", {"connector_id": 1})
    assert take(buffer, 17) == {
        "t": "records",
        "batch": 17,
        "frames": [["dep-1", 3, 41, 123, "u", "BootNotification", '[2,"ä"]']],
        "events": [["dep-1", 3, 42, 124, "fault", {"connector_id": 1}]],
        "gaps": [],
    }


def test_batches_keep_within_their_size_and_lose_nothing() -> None:
    buffer = RecordBuffer(BIG)
    fill(buffer, 100)
    numbers: list[int] = []
    batch = 0
    while message := take(buffer, batch := batch + 1, 2000):
        numbers += [frame[2] for frame in message["frames"]]
    assert batch > 5
    assert numbers == list(range(1, 101))


def test_what_is_acknowledged_is_gone_and_what_is_not_comes_again_in_order() -> None:
    buffer = RecordBuffer(BIG)
    fill(buffer, 30)
    first, second = take(buffer, 1, 2000), take(buffer, 2, 2000)
    assert first is not None
    assert second is not None
    buffer.ack(1)
    buffer.rewind()
    again = take(buffer, 3, BIG)
    assert again is not None
    done = len(first["frames"])
    assert [frame[2] for frame in again["frames"]] == list(range(done + 1, 31))
    buffer.ack(3)
    assert buffer.is_empty


def test_acknowledging_twice_or_an_unknown_batch_does_nothing() -> None:
    buffer = RecordBuffer(BIG)
    fill(buffer, 3)
    take(buffer, 1)
    buffer.ack(9)
    assert not buffer.is_empty
    buffer.ack(1)
    buffer.ack(1)
    assert buffer.is_empty


def test_beyond_its_size_the_oldest_go_and_a_gap_counts_them() -> None:
    buffer = RecordBuffer(10_000)
    fill(buffer, 100)
    message = take(buffer, 1)
    assert message is not None
    kept = [frame[2] for frame in message["frames"]]
    assert kept == list(range(101 - len(kept), 101))
    assert message["gaps"] == [["dep-1", 3, 1, 1001, 100 - len(kept)]]


def test_gaps_are_counted_per_charger() -> None:
    buffer = RecordBuffer(10_000)
    fill(buffer, 40, "dep-1")
    fill(buffer, 60, "dep-2")
    message = take(buffer, 1)
    assert message is not None
    lost = {gap[0]: gap[4] for gap in message["gaps"]}
    kept = {"dep-1": 0, "dep-2": 0}
    for frame in message["frames"]:
        kept[frame[0]] += 1
    assert lost["dep-1"] + kept["dep-1"] == 40
    assert lost.get("dep-2", 0) + kept["dep-2"] == 60


def test_a_gap_that_was_not_acknowledged_grows_with_what_is_lost_after_it() -> None:
    buffer = RecordBuffer(10_000)
    fill(buffer, 100)
    first = take(buffer, 1)
    assert first is not None
    buffer.rewind()
    for number in range(101, 151):
        buffer.add_frame("dep-1", 3, number, 1000 + number, "u", "Heartbeat", "x" * 100)
    second = take(buffer, 2)
    assert second is not None
    assert len(second["gaps"]) == 1
    assert second["gaps"][0][4] == 150 - len(second["frames"])


def test_a_frame_longer_than_a_batch_is_cut_and_says_so() -> None:
    buffer = RecordBuffer(8 * BIG)
    buffer.add_frame("dep-1", 3, 1, 1, "d", "DataTransfer", "\x01" * BIG)
    message = take(buffer, 1, MAX_ENTRY + 4096)
    assert message is not None
    assert f"(cut: {BIG} characters)" in message["frames"][0][6]


class Gateway:
    """Stores what it is given once, as the real one does."""

    def __init__(self, buffer: RecordBuffer) -> None:
        self.buffer = buffer
        self.stored: dict[str, set[int]] = {}
        self.missing: dict[str, int] = {}
        self._in_air: dict[int, dict[str, Any]] = {}
        self._batch = 0

    def take(self, max_bytes: int = BIG) -> bool:
        self._batch += 1
        message = take(self.buffer, self._batch, max_bytes)
        if message is not None:
            self._in_air[self._batch] = message
        return message is not None

    def store(self) -> None:
        for number, message in self._in_air.items():
            for frame in message["frames"]:
                self.stored.setdefault(frame[0], set()).add(frame[2])
            for gap in message["gaps"]:
                self.missing[gap[0]] = self.missing.get(gap[0], 0) + gap[4]
            self.buffer.ack(number)
        self._in_air.clear()

    def lose_line(self) -> None:
        self._in_air.clear()
        self.buffer.rewind()


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "take", "ack", "rewind"]),
            st.integers(1, 3),
            st.integers(0, 400),
        ),
        max_size=60,
    )
)
def test_every_record_is_stored_or_counted_in_a_gap(steps: list[tuple[str, int, int]]) -> None:
    buffer = RecordBuffer(5_000)
    gateway = Gateway(buffer)
    added: dict[str, int] = {}
    for kind, charger, amount in steps:
        if kind == "add":
            name = f"dep-{charger}"
            added[name] = added.get(name, 0) + 1
            buffer.add_frame(name, 1, added[name], 1, "u", "A", "x" * amount)
        elif kind == "take":
            gateway.take(600 + 5 * amount)
        elif kind == "ack":
            gateway.store()
        else:
            gateway.lose_line()
    while gateway.take():
        pass
    gateway.store()
    assert buffer.is_empty
    for name, count in added.items():
        assert len(gateway.stored.get(name, ())) + gateway.missing.get(name, 0) == count
