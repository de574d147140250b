"""Answers kept for repeated requests, in the transaction of the effect they belong to.

`begin` writes the key before the effect. Whoever comes second waits at the primary key until the first has
committed, and then finds its answer; had the first failed, nothing is there and the second goes on. `keep` adds
the answer at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.errors import IdempotencyMismatch

#: Hours that an answer is kept.
KEPT_H: Final = 24


@dataclass(frozen=True, slots=True)
class Key:
    """What makes a request the same request."""

    organization_id: str
    method: str
    path: str
    key: str
    #: SHA-256 of the body, hexadecimal.
    body_hash: str

    def values(self) -> dict[str, Any]:
        """As parameters of a statement."""
        return {
            "organization_id": self.organization_id,
            "method": self.method,
            "path": self.path,
            "key": self.key,
            "body_hash": self.body_hash,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer."""

    status: int
    answer: Mapping[str, Any] | None


# A key that is over is taken anew; `status` 0 marks one without an answer yet.
_BEGIN: Final = text(
    f"""
    INSERT INTO idempotency_keys AS kept (organization_id, method, path, key, body_hash, status)
    VALUES (:organization_id, :method, :path, :key, :body_hash, 0)
    ON CONFLICT (organization_id, method, path, key) DO UPDATE
       SET body_hash = excluded.body_hash, status = 0, answer = NULL, created_at = clock_timestamp()
       WHERE kept.created_at < clock_timestamp() - interval '{KEPT_H} hours'
    RETURNING 1
    """
)
_FIND: Final = text(
    """
    SELECT body_hash, status, answer FROM idempotency_keys
    WHERE organization_id = :organization_id AND method = :method AND path = :path AND key = :key
    """
)
_KEEP: Final = text(
    """
    UPDATE idempotency_keys SET status = :status, answer = CAST(:answer AS jsonb)
    WHERE organization_id = :organization_id AND method = :method AND path = :path AND key = :key
    """
)


def begin(session: Session, key: Key) -> Kept | None:
    """Take the key, or find the answer that it was given before.

    Raises `IdempotencyMismatch` when it was used with another body.
    """
    if session.execute(_BEGIN, key.values()).one_or_none() is not None:
        return None
    row = session.execute(_FIND, key.values()).one_or_none()
    if row is None:  # housekeeping removed it between the two statements
        return begin(session, key)
    if row.body_hash != key.body_hash:
        raise IdempotencyMismatch("This Idempotency-Key was used before with another body.")
    return Kept(row.status, row.answer)


def keep(session: Session, key: Key, status: int, answer: Any) -> None:
    """The answer that a repetition gets."""
    rendered = None if answer is None else orjson.dumps(answer).decode()
    session.execute(_KEEP, {**key.values(), "status": status, "answer": rendered})
