"""The rows of `bench.large`: chargers, runs and frames by the million, written by the server itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

#: Locations of each organization.
LOCATIONS: Final = 10
#: Chargers that have a tenth of all frames between them.
BUSY: Final = 10
_BATCH: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is, and how often each thing is asked."""

    organizations: int = 100
    chargers: int = 100_000
    frames: int = 10_000_000
    rounds: int = 300


QUICK: Final = Sizes(20, 10_000, 500_000, 100)


# Ids as ours are, but made of numbers: charger n of organization n modulo their count.
_ID: Final = "'dep-' || lpad(to_hex({n}), 32, '0')"
_FILL: Final[Mapping[str, str]] = {
    "locations": """
        INSERT INTO locations (id, organization_id, slug, name, address, city, country, latitude, longitude)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'org-' || n % :organizations, 'site-' || n, 'Site ' || n,
               'Street', 'City', 'DE', 52, 13
        FROM generate_series(0, :organizations * {locations} - 1) AS n""",
    "chargers": """
        INSERT INTO chargers (id, organization_id, identity, name, brand_slug, model_slug, connector_type,
                              ocpp_version, ws_url, location_id, location_name, status, desired_state, stage,
                              verdict, current_run_id, incarnation, provider, provisioned_at)
        SELECT {id}, 'org-' || n % :organizations, 'CP-' || lpad(n::text, 7, '0'), 'Bay ' || n, 'wallbox',
               'wallbox-pulsar-plus', 'Type2', 'OCPP1.6', 'ws://csms.example.com/ocpp',
               lpad(to_hex(n % (:organizations * {locations})), 32, '0')::uuid, 'Site',
               CASE WHEN n % 97 = 0 THEN 'FAILED' ELSE 'READY' END, 'running',
               CASE WHEN n % 97 = 0 THEN 'stopped' WHEN n % 31 = 0 THEN 'offline' ELSE 'online' END,
               CASE WHEN n % 97 = 0 THEN 'csms_unreachable' ELSE 'connected' END,
               'wfr_' || lpad(to_hex(n), 32, '0'), 1, 'local', clock_timestamp()
        FROM generate_series(0, :chargers - 1) AS n""",
    "runs": """
        INSERT INTO runs (id, kind, charger_id, organization_id, identity, plan, at, status, finished_at)
        SELECT 'wfr_' || lpad(to_hex(n), 32, '0'), CASE WHEN n % 50 = 0 THEN 'start' ELSE 'provision' END,
               {id}, 'org-' || n % :organizations, 'CP-' || lpad(n::text, 7, '0'),
               ARRAY['register_task_definition', 'run_task', 'wait_for_health', 'mark_ready'], 4,
               CASE WHEN n % 97 = 0 THEN 'failed' ELSE 'done' END, clock_timestamp()
        FROM generate_series(0, :chargers - 1) AS n""",
    "run_steps": """
        INSERT INTO run_steps (run_id, position, name, status, attempt, started_at)
        SELECT 'wfr_' || lpad(to_hex(n), 32, '0'), place, 'run_task', 'done', 1, clock_timestamp()
        FROM generate_series(0, :chargers - 1) AS n, generate_series(0, 3) AS place""",
}
# Frames come in the order of time over all chargers, as they do in life; the busy ones' in between.
_FRAMES: Final = """
    INSERT INTO ocpp_frames (charger_id, incarnation, number, at, direction, action, message)
    SELECT {id}, 1, f, timestamptz '2026-01-01' + f * interval '100 milliseconds',
           CASE WHEN f % 2 = 0 THEN 'u' ELSE 'd' END,
           (ARRAY['Heartbeat', 'MeterValues', 'StatusNotification', 'Heartbeat', 'StartTransaction'])[1 + f % 5],
           '[2,"' || f || '","Heartbeat",{{"filler":"' || repeat('x', 100) || '"}}]'
    FROM (SELECT f, CASE WHEN f % 10 = 0 THEN f / 10 % {busy} ELSE f % :chargers END AS n
          FROM generate_series(:first, :last) AS f) AS numbered
"""


def _spell(statement: str) -> str:
    """Our templates with psycopg's placeholders."""
    filled = statement.format(id=_ID.format(n="n"), locations=LOCATIONS, busy=BUSY)
    for name in ("organizations", "chargers", "first", "last"):
        filled = filled.replace(f":{name}", f"%({name})s::bigint")
    return filled.replace("% :", "%% :").replace(" % ", " %% ")


def fill(connection: psycopg.Connection[Any], sizes: Sizes) -> None:
    """Write the rows, and let PostgreSQL look at them."""
    values = {"organizations": sizes.organizations, "chargers": sizes.chargers}
    for table, statement in _FILL.items():
        began = time.perf_counter()
        connection.execute(_spell(statement), values)
        print(f"  {table}: {time.perf_counter() - began:.1f} s", flush=True)
    began = time.perf_counter()
    for first in range(0, sizes.frames, _BATCH):
        last = min(first + _BATCH, sizes.frames) - 1
        connection.execute(_spell(_FRAMES), values | {"first": first, "last": last})
    print(f"  ocpp_frames: {time.perf_counter() - began:.1f} s", flush=True)
    connection.execute("VACUUM ANALYZE")
