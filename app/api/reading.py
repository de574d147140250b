"""Read what a client sends, strictly: the JSON body and the query.

`read_body` takes bytes to a value that can be stored and echoed without a second thought: no NaN, no duplicate
keys, no U+0000, no lone surrogates, no number beyond 64 bits, no deep nesting. `load_body` and `load_query`
then apply a marshmallow schema. Everything wrong is an `InvalidInput` (422); a body that is too large, packed or
not JSON by its own word is an HTTP error (413, 415).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import marshmallow
from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from app.api.errors import InvalidInput, make_mistake
from app.api.schemas.base import drop_unknown, list_wanted

#: Bytes of an ordinary body, and of one that orders many chargers.
MAX_BODY: Final = 1_000_000
MAX_BULK_BODY: Final = 4_000_000
MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 20
_UNHOLDABLE: Final = re.compile("[\0\ud800-\udfff]")

#: What marshmallow says, and the stable word for it.
_KINDS: Final = {
    "Missing data for required field.": "missing",
    "Unknown field.": "extra_forbidden",
    "Not a valid string.": "string_type",
    "Not a valid integer.": "int_type",
    "Not a valid number.": "float_type",
    "Not a valid boolean.": "bool_type",
    "Not a valid list.": "list_type",
    "Not a valid mapping type.": "object_type",
    "Invalid input type.": "object_type",
    "Not a valid datetime.": "datetime_type",
    "Not a valid UUID.": "uuid_type",
}


class _Refused(ValueError):
    """JSON that we do not take; the message says why."""


def _refuse(message: str) -> NoReturn:
    raise InvalidInput([make_mistake(["body"], message, "json_invalid")])


def _take_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    taken = dict(pairs)
    if len(taken) != len(pairs):
        raise _Refused("An object has the same key twice.")
    return taken


def _take_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or not -(2**63) <= (number := int(digits)) < 2**63:
        raise _Refused("A number is out of range.")
    return number


def _take_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("A number is out of range.")
    return number


def _take_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_take_object,
    parse_int=_take_integer,
    parse_float=_take_float,
    parse_constant=_take_constant,
)


def _check(value: Any, loc: list[str | int]) -> None:
    """Depth and characters, at any place of a parsed value."""
    if len(loc) > MAX_DEPTH:
        raise InvalidInput([make_mistake(["body"], "Nested too deeply.", "json_invalid")])
    if isinstance(value, str):
        check_text(value, loc)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, loc)
            _check(item, [*loc, key])
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _check(item, [*loc, position])


def check_text(text: str, loc: list[str | int]) -> None:
    """Raise `InvalidInput` for characters that PostgreSQL or UTF-8 cannot hold."""
    if _UNHOLDABLE.search(text):
        message = "Must not contain U+0000 or lone surrogates."
        # The place is named without repeating such a character.
        clean = [part if isinstance(part, int) or part.isprintable() else "?" for part in loc]
        raise InvalidInput([make_mistake(clean, message, "string_characters")])


def parse_json(raw: bytes) -> Any:
    """Strict JSON (RFC 8259) in UTF-8. Raises `InvalidInput`."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except _Refused as refusal:
        _refuse(str(refusal))
    except json.JSONDecodeError as error:
        _refuse(f"Not valid JSON: {error.msg} at line {error.lineno} column {error.colno}.")
    except UnicodeDecodeError:
        _refuse("Not valid UTF-8.")
    except RecursionError:
        _refuse("Nested too deeply.")
    _check(value, ["body"])
    return value


def read_bytes(request: Request, limit: int) -> bytes:
    """The raw body, at most `limit` bytes of it, however it was transferred.

    Raises werkzeug's 413 and 415: a packed body is refused, since its size is not known before it is unpacked.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("A body must not be packed (Content-Encoding).")
    # One byte more than allowed: a chunked body is cut where the stream is told to end, not refused.
    request.max_content_length = limit + 1
    raw = request.get_data(cache=False)
    if len(raw) > limit:
        raise RequestEntityTooLarge
    if raw and request.mimetype and not request.is_json:
        raise UnsupportedMediaType("A body must be application/json.")
    return raw


def load_body(
    schema: marshmallow.Schema, raw: bytes, *, required: bool, ignore_unknown: bool
) -> Any:
    """The body as the schema makes it. Raises `InvalidInput`."""
    if not raw:
        if not required:
            return schema.load({})
        raise InvalidInput([make_mistake(["body"], "A JSON body is required.", "missing")])
    value = parse_json(raw)
    if ignore_unknown:
        value = drop_unknown(schema, value)
    try:
        return schema.load(value)
    except marshmallow.ValidationError as error:
        raise InvalidInput(list(_flatten(error.messages, ["body"]))) from None


def load_query(schema: marshmallow.Schema, args: MultiDict[str, str]) -> dict[str, Any]:
    """The query as the schema makes it; keys that it does not know are nobody's. Raises `InvalidInput`."""
    given: dict[str, Any] = {}
    for key, is_list in list_wanted(schema):
        values = args.getlist(key)
        for value in values:
            check_text(value, ["query", key])
        if is_list and values:
            given[key] = values
        elif len(values) > 1:
            raise InvalidInput([make_mistake(["query", key], "Given more than once.", "repeated")])
        elif values and values[0]:
            given[key] = values[0]
    try:
        loaded: dict[str, Any] = schema.load(given)
    except marshmallow.ValidationError as error:
        raise InvalidInput(list(_flatten(error.messages, ["query"]))) from None
    return loaded


def _flatten(messages: Any, loc: list[str | int]) -> Iterator[dict[str, Any]]:
    """marshmallow's nested messages as a list with a path each."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flatten(inner, loc if key == "_schema" else [*loc, key])
    else:
        for message in messages:
            yield make_mistake(loc, message, _KINDS.get(message, "value_error"))
