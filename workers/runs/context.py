"""What a worker process has at hand: settings, sessions, drivers, the hint queue. One per process.

Made lazily after a fork, so that no connection is ever shared between processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.queue import HintQueue
from app.settings import EngineSettings, Settings, load_settings
from workers.runtimes.base import Driver
from workers.runtimes.registry import Drivers


@dataclass
class Context:
    """The tools of one process."""

    settings: Settings
    sessions: sessionmaker[Session]
    queue: HintQueue
    drivers: Drivers

    @property
    def engine(self) -> EngineSettings:
        """Clocks and limits."""
        return self.settings.engine

    @cached_property
    def moments(self) -> sessionmaker[Session]:
        """Sessions whose every statement is its own transaction: a third of the round trips where one is all."""
        engine: Engine = self.sessions.kw["bind"]
        return make_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))

    @cached_property
    def provider(self) -> str:
        """Where new runtimes live."""
        return self.drivers.default_provider

    def driver(self, provider: str) -> Driver:
        """The driver of a provider; chargers of another provider than today's setting keep theirs."""
        return self.drivers.get(provider)


_contexts: dict[int, Context] = {}


def make_context(settings: Settings, engine: Engine, queue: HintQueue) -> Context:
    """A context out of given parts."""
    sessions = make_sessions(engine)
    return Context(settings, sessions, queue, Drivers(settings, sessions))


def get_context() -> Context:
    """This process's context."""
    pid = os.getpid()
    if pid not in _contexts:
        _contexts.clear()
        settings = load_settings()
        engine = make_engine(
            settings.database_url, pool_size=4, statement_timeout_s=10, name="gateway-worker"
        )
        queue = HintQueue(settings.broker_url, cap=settings.engine.org_inflight)
        _contexts[pid] = make_context(settings, engine, queue)
    return _contexts[pid]
