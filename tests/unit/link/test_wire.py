"""What runtimes send is read without trust."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.link import wire

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _is_storable(value: object) -> bool:
    if isinstance(value, str):
        value.encode()
        return "\x00" not in value
    if isinstance(value, dict):
        return all(map(_is_storable, value)) and all(map(_is_storable, value.values()))
    if isinstance(value, list):
        return all(map(_is_storable, value))
    return True


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_can_be_stored_once_escaped(text: str) -> None:
    assert _is_storable(wire.escape(text))


@given(_JSON)
def test_any_json_can_be_stored_once_cleaned(value: object) -> None:
    assert _is_storable(wire.clean(value))


@given(st.binary())
def test_any_bytes_are_a_message_or_none(raw: bytes) -> None:
    message = wire.parse(raw)
    assert message is None or isinstance(message, dict)


@given(st.dictionaries(st.sampled_from(["batch", "frames", "events", "gaps"]), _JSON))
def test_any_records_are_rows_or_left_out(message: dict[str, object]) -> None:
    records = wire.read_records(message)
    assert records is None or all(_is_storable(row.message) for row in records.frames)


@given(st.dictionaries(st.sampled_from(sorted(wire._DETAIL)), _JSON))
def test_any_detail_is_storable(detail: dict[str, object]) -> None:
    assert _is_storable(wire.read_detail({"detail": detail}))


@given(st.dictionaries(st.sampled_from(["t", "v", "epoch", "pid", "running", "capacity"]), _JSON))
def test_any_hello_is_one_or_none(message: dict[str, object]) -> None:
    hello = wire.read_hello({"t": "hello", "v": 1, **message})
    assert hello is None or _is_storable(hello.epoch)


def test_a_deep_message_is_no_message() -> None:
    assert wire.parse(b'{"a":' + b"[" * 100_000) is None


def test_numbers_beyond_64_bits_are_kept_as_text() -> None:
    assert wire.clean({"n": 2**70}) == {"n": str(2**70)}


def test_a_flag_is_no_number() -> None:
    assert not wire.is_int(True)
