"""Building blocks of schemas: a body whose optional fields may be null, and the fields that we use.

Limits: docs/api.md, "Limits". Messages are sentences; `app.api.reading` gives each its `type`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, pre_load, validate

INT32: Final = 2**31 - 1
MAX_NAME: Final = 255
MAX_URL: Final = 2048
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
#: A plus sign that nobody escaped arrives as a space.
_SPACE_BEFORE_OFFSET: Final = re.compile(r" (\d\d:?\d\d)$")


class Body(Schema):
    """A JSON object. An optional field that is null counts as absent, a required one as missing."""

    class Meta:
        unknown = RAISE

    @pre_load
    def drop_nulls(self, data: Any, **_: Any) -> Any:
        """Null is the same as absent."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class Query(Schema):
    """Query parameters; a key whose field is a list may repeat."""

    class Meta:
        unknown = EXCLUDE


class Pattern(validate.Regexp):
    """The whole string must match; Python's `$` would let a line break follow."""

    def __call__(self, value: Any) -> Any:
        """The value. Raises `ValidationError`."""
        if self.regex.fullmatch(value) is None:
            raise ValidationError(self._format_error(value))
        return value


class Text(fields.String):
    """A string of `least` to `most` characters."""

    def __init__(self, *, least: int = 0, most: int = MAX_NAME, **kwargs: Any) -> None:
        checks = [validate.Length(min=least or None, max=most), *kwargs.pop("checks", [])]
        super().__init__(validate=checks, **kwargs)


class Name(Text):
    """A name for people: 1 to 255 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=1, **kwargs)


class Int(fields.Integer):
    """A JSON integer within `least` and `most`; a string of digits is none."""

    def __init__(self, *, least: int = -INT32 - 1, most: int = INT32, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=least, max=most), **kwargs)


class QueryInt(fields.Integer):
    """Decimal digits within `least` and `most`."""

    def __init__(self, *, least: int = 0, most: int = INT32, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=least, max=most), **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value)
        # More digits than any bound has are out of range, not malformed.
        if re.fullmatch(r"-?[0-9]{19,}", value):
            return -(2**63) if value.startswith("-") else 2**63
        if not _INTEGER.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class Flag(fields.Boolean):
    """true or false, and nothing that looks like it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Moment(fields.DateTime):
    """RFC 3339 with any offset; without one it is UTC. Loads to an aware datetime in UTC."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(_SPACE_BEFORE_OFFSET.sub(r"+\1", value))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise ValidationError("Not a valid datetime.") from None


class Uuid(fields.UUID):
    """A UUID in the usual form. Loads to `uuid.UUID`."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> uuid.UUID:
        if not isinstance(value, str) or len(value) not in (32, 36):
            raise self.make_error("invalid_uuid")
        return self._validated(value)


class Paging(Query):
    """`page` from 1, `limit` from 1 to 100."""

    page = QueryInt(
        least=1, most=1_000_000, load_default=1, metadata={"description": "Page, from 1."}
    )
    limit = QueryInt(
        least=1, most=100, load_default=50, metadata={"description": "Entries per page, up to 100."}
    )


class NoFields(Body):
    """Any object or none: what it says does not matter."""

    class Meta:
        unknown = EXCLUDE


@cache
def _list_wanted(kind: type[Schema]) -> tuple[tuple[str, bool], ...]:
    return tuple(
        (field.data_key or name, isinstance(field, fields.List))
        for name, field in kind().load_fields.items()
    )


def list_wanted(schema: Schema) -> tuple[tuple[str, bool], ...]:
    """Keys of a query schema, and whether each is a list."""
    return _list_wanted(type(schema))


def drop_unknown(schema: Schema, value: Any) -> Any:
    """`value` without the keys that the schema does not have, nested ones too."""
    if schema.many and isinstance(value, list):
        return [_drop(schema, item) for item in value]
    return _drop(schema, value)


def _drop(schema: Schema, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    known = {field.data_key or name: field for name, field in schema.load_fields.items()}
    return {key: _drop_nested(known[key], item) for key, item in value.items() if key in known}


def _drop_nested(field: fields.Field[Any], value: Any) -> Any:
    if isinstance(field, fields.Nested):
        return drop_unknown(field.schema, value)
    if isinstance(field, fields.List) and isinstance(value, list):
        return [_drop_nested(field.inner, item) for item in value]
    return value
