"""PostgreSQL, app.link and chargers that are placed on one host: what a simulator process finds in real life.

    with open_placement(count, ws_url) as placement, placement.run_host() as host: ...

No API and no worker are needed for it: the rows say that the chargers are READY and placed on host `h1`, so the
link hands them to the first host that dials in with that name.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.store import commands
from app.tokens import make_host_credential
from bench.programs import SECRET, answers, run_program, take_port, wait_until
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_CHARGERS = text(
    """
    INSERT INTO chargers (id, organization_id, identity, brand_slug, model_slug, connector_type,
                          ocpp_version, ws_url, status, desired_state, incarnation)
    SELECT 'dep-' || lpad(n::text, 32, '0'), 'acme', 'CP-' || n, 'wallbox', 'wallbox-pulsar-plus', 'Type2',
           'OCPP1.6', :ws_url, 'READY', 'running', 1 FROM generate_series(1, :count) AS n
    """
)
_RUNTIMES = text(
    """
    INSERT INTO runtimes (charger_id, incarnation, generation, organization_id, identity, run_id, provider,
                          host_id, state)
    SELECT id, 1, 1, 'acme', identity, 'wfr_bench', 'local', 'h1', 'started' FROM chargers
    """
)
_NOT_TOLD = text(
    """
    SELECT id, identity FROM chargers
    WHERE NOT EXISTS (SELECT FROM commands WHERE charger_id = chargers.id) ORDER BY id LIMIT :count
    """
)
_START_LINK = (
    "from app.link import run; from app.settings import load_settings; run(load_settings())"
)


@dataclass
class Placement:
    """What runs, and what can be asked of it."""

    sessions: sessionmaker[Session]
    postgres: psutil.Process
    link: psutil.Process
    link_url: str
    states: str

    def run_host(self) -> contextlib.AbstractContextManager[psutil.Process]:
        """The simulator's host, as `gateway up` runs it."""
        return run_program(
            *("-m", "simulator", "host"),
            SIMULATOR_LINK_URL=self.link_url,
            SIMULATOR_TOKEN=make_host_credential(SECRET, "h1"),
            SIMULATOR_STATE_DIR=self.states,
            SIMULATOR_LOG_LEVEL="WARNING",
        )

    def count(self, what: str) -> int:
        """`SELECT count(*) FROM ...`."""
        with self.sessions() as session:
            return session.scalar(text(f"SELECT count(*) FROM {what}")) or 0

    def start_sessions(self, count: int) -> None:
        """The command of the API, for so many chargers that were not told yet, in one transaction."""
        with self.sessions.begin() as session:
            rows = session.execute(_NOT_TOLD, {"count": count}).all()
            orders = [
                commands.NewCommand(
                    organization_id="acme",
                    charger_id=row.id,
                    identity=row.identity,
                    name="start_session",
                    args={"id_tag": "BENCH"},
                    event_type="start_session",
                    ocpp_version="OCPP1.6",
                )
                for row in rows
            ]
            commands.insert_many(session, orders)


@contextlib.contextmanager
def open_placement(count: int, ws_url: str) -> Iterator[Placement]:
    """Servers, schema, rows and the link; all gone at the end."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(Postgres(stack.enter_context(make_folder()), durable=True))
        valkey = stack.enter_context(Valkey(stack.enter_context(make_folder())))
        # Commit times: when a frame was stored is what bench.link wants to know.
        with postgres.connect() as connection:
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        postgres.stop()
        postgres.start()
        url = postgres.create("bench")
        engine = make_engine(url)
        stack.callback(engine.dispose)
        upgrade(engine)
        sessions = make_sessions(engine)
        with sessions.begin() as session:
            session.execute(_CHARGERS, {"ws_url": ws_url, "count": count})
            session.execute(_RUNTIMES)
        port = take_port()
        settings = {
            "GATEWAY_DATABASE_URL": url,
            "GATEWAY_BROKER_URL": valkey.url,
            "GATEWAY_JWT_SECRETS": f"k:{SECRET}",
            "GATEWAY_LINK_SECRET": SECRET,
            "GATEWAY_INSTALL_ID": "bench",
            "GATEWAY_LINK_PORT": str(port),
        }
        link = stack.enter_context(run_program("-c", _START_LINK, **settings))
        wait_until(lambda: answers(port), "the link listens")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "states"
        server = psutil.Process(postgres.pid)
        yield Placement(sessions, server, link, f"ws://127.0.0.1:{port}/link", str(folder))
