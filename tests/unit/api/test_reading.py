"""Reading JSON: what is taken comes out as it went in, and whatever else is refused in words."""

from __future__ import annotations

import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.errors import InvalidInput
from app.api.reading import parse_json

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)


@given(VALUES)
def test_what_is_taken_comes_out_as_it_went_in_and_can_be_sent_again(value: object) -> None:
    taken = parse_json(json.dumps(value).encode())
    assert taken == value
    orjson.dumps(taken)


@given(st.binary(max_size=60))
def test_bytes_are_json_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        orjson.dumps(parse_json(raw))


@given(st.recursive(st.just("0"), lambda inner: inner.map("[{}]".format), max_leaves=200))
def test_no_nesting_breaks_it(text: str) -> None:
    orjson.dumps(parse_json(text.encode()))


@pytest.mark.parametrize(
    ("depth", "taken"), [(32, True), (33, False), (300, False), (100_000, False)]
)
def test_nesting_is_bounded(depth: int, taken: bool) -> None:
    raw = b"[" * depth + b"]" * depth
    if taken:
        parse_json(raw)
    else:
        with pytest.raises(InvalidInput):
            parse_json(raw)


def test_a_mistake_names_its_place_without_repeating_it() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_json(rb'{"a": ["x", {"b\ud800": 1}]}')
    assert refusal.value.mistakes[0]["loc"] == ["body", "a", 1]
    with pytest.raises(InvalidInput) as refusal:
        parse_json(rb'{"a": ["x", {"b": "\u0000"}]}')
    assert refusal.value.mistakes[0]["loc"] == ["body", "a", 1, "b"]
