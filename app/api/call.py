"""What a view is given: `Call`, one request, checked; and `Desk`, what the whole process shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from app.queue import Hints
from app.services.news import News
from app.services.policy import Policy
from app.settings import Settings
from app.tokens import Bearer


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once per process by `create_app`; found at `current_app.extensions["desk"]`."""

    settings: Settings
    #: Transactions.
    sessions: sessionmaker[Session]
    #: Sessions whose every statement is its own transaction: for answers made of one or two SELECTs.
    reads: sessionmaker[Session]
    queue: Hints
    #: What an order is judged by.
    policy: Policy
    #: Wakes those who wait for a charger or a command.
    news: News


@dataclass(slots=True)
class Call:
    """One request: who asks, for which organization, and what it says."""

    desk: Desk
    bearer: Bearer
    #: The organization that it is about; "" only where an operation says that it may be none.
    tenant: str
    session: Session
    #: The body and the query, as their schemas made them.
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    #: Further headers of the answer.
    headers: dict[str, str] = field(default_factory=dict)
    #: Another status than the operation's usual one.
    status: int | None = None

    @property
    def queue(self) -> Hints:
        """Where services leave their hints."""
        return self.desk.queue

    @property
    def policy(self) -> Policy:
        """What an order is judged by."""
        return self.desk.policy
