"""What the ECS driver keeps in PostgreSQL: registered templates, their lock, and when each start was asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy.orm import Session, sessionmaker

from app.store import templates
from workers.runtimes.base import Key
from workers.runtimes.ecs import Asked
from workers.runtimes.ecs_templates import Template

_PROVIDER = "aws"


class EcsMemory:
    """A `TemplateStore`, a `Lock` and an `AskedOf` on one database; each call is a transaction of its own."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def get(self, content_hash: str) -> Template | None:
        """The template of this content, if it was ever registered."""
        with self._sessions.begin() as session:
            row = templates.get(session, _PROVIDER, content_hash)
            return None if row is None else Template(row.hash, row.family, str(row.arn))

    def put(self, template: Template) -> None:
        """Remember it, in place of an earlier one of the same hash."""
        with self._sessions.begin() as session:
            templates.put(
                session, _PROVIDER, template.hash, family=template.family, arn=template.arn
            )

    def remove(self, content_hash: str) -> None:
        """Forget it; unknown is fine."""
        with self._sessions.begin() as session:
            templates.remove(session, _PROVIDER, content_hash)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """A lock that every worker honours."""
        return templates.lock(self._sessions, name)

    def asked(self, key: Key) -> Asked | None:
        """When this start was intended and last asked for."""
        with self._sessions.begin() as session:
            times = templates.get_asked(session, key.charger_id, key.incarnation)
        return None if times is None else Asked(*times)
