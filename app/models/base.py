"""What all tables share: the naming of constraints, the types of columns, the database's clock."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import Uuid

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Every moment is written by the database's own clock.
NOW = text("clock_timestamp()")
EMPTY = text("'{}'::jsonb")


class Base(DeclarativeBase):
    """Registry and type map of all tables."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {
        str: Text,
        datetime: DateTime(timezone=True),
        # None is SQL NULL, not the JSON value null: `IS NULL` means what it says.
        dict[str, Any]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text),
        uuid.UUID: Uuid,
    }
