"""Looks at runtimes through their drivers, many per call, and records what changed.

What is coming up or ending is looked at every few seconds, what is well each half minute. An end is recorded with
its final facts and wakes the runs that wait for it. Strays, runtimes of this installation that no row owns,
are stopped; never those of another installation, and none at all while the database is not known to be ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import metrics
from app.store import hints, installation, runtimes
from workers.runs.context import Context
from workers.runs.reconciler import find_forgotten
from workers.runtimes.base import Driver, End, EndClass, Observation, Phase, RuntimeTrouble

log = logging.getLogger(__name__)

_STRAYS_EVERY_S: Final = 60.0
_FULL_LOOK_EVERY_S: Final = 60.0
_UNKNOWN_END: Final = End(
    EndClass.TRANSIENT, "runtime_gone", "The runtime is gone and left no reason."
)

# Claims the rows for this look by writing observed_at; what moves is due soon, what is well later.
_DUE: Final = text(
    """
    WITH due AS (
        SELECT charger_id, incarnation FROM runtimes
        WHERE provider = :provider AND state <> 'gone' AND handle IS NOT NULL
          AND coalesce(observed_at, '-infinity') < clock_timestamp()
              - (CASE WHEN stop_requested_at IS NULL AND called_home_at IS NOT NULL AND phase = 'running'
                           AND facts -> 'healthy' IS DISTINCT FROM 'false'
                      THEN :calm ELSE :busy END) * interval '1 second'
        ORDER BY observed_at NULLS FIRST LIMIT :batch FOR UPDATE SKIP LOCKED)
    UPDATE runtimes AS r SET observed_at = clock_timestamp() FROM due
    WHERE r.charger_id = due.charger_id AND r.incarnation = due.incarnation
    RETURNING r.charger_id, r.incarnation, r.provider, r.handle, r.phase, r.facts
    """
)

# Lock order: chargers, by id, before anything else.
_LOCK: Final = text("SELECT 1 FROM chargers WHERE id = ANY(:charger_ids) ORDER BY id FOR UPDATE")

# Read under the lock: what is at home tells its stage itself, and a look takes long enough for it to get there.
_ON_THE_WAY: Final = text(
    """
    SELECT r.charger_id, r.incarnation FROM runtimes AS r
    JOIN chargers AS c ON c.id = r.charger_id AND c.incarnation = r.incarnation
    WHERE r.charger_id = ANY(:charger_ids) AND r.state <> 'gone'
      AND r.called_home_at IS NULL AND r.stop_requested_at IS NULL
    """
)

_RECORD: Final = text(
    """
    UPDATE runtimes SET phase = :phase, facts = facts || CAST(:facts AS jsonb)
    WHERE charger_id = :charger_id AND incarnation = :incarnation AND state <> 'gone'
    """
)

_PHASE_STAGES: Final = {
    Phase.SCHEDULING: ("scheduling", "scheduling"),
    Phase.PULLING: ("pulling", "scheduling"),
    Phase.STARTING: ("starting", "starting"),
    Phase.RUNNING: ("starting", "starting"),
}


class Watch:
    """One process's eyes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._strays_at = 0.0
        self._full_look_at = 0.0
        self._warned = False

    def look(self) -> bool:
        """Look at what is due, of every provider. Whether more was due than one call takes."""
        if time.monotonic() >= self._full_look_at:
            self._full_look_at = time.monotonic() + _FULL_LOOK_EVERY_S
            with self._context.sessions.begin() as session:
                find_forgotten(session, batch=self._context.engine.recover_batch)
        more = [self._look_at(name) for name in self._list_providers()]
        return any(more)

    def _list_providers(self) -> Sequence[str]:
        with self._context.sessions.begin() as session:
            return session.scalars(
                text("SELECT DISTINCT provider FROM runtimes WHERE state <> 'gone'")
            ).all()

    def _look_at(self, provider: str) -> bool:
        batch = self._context.engine.observe_batch
        with self._context.sessions.begin() as session:
            rows = session.execute(
                _DUE,
                {
                    "provider": provider,
                    "batch": batch,
                    "busy": self._context.engine.observe_s,
                    "calm": 15 * self._context.engine.observe_s,
                },
            ).all()
        if not rows:
            return False
        try:
            seen = self._context.driver(provider).observe([row.handle for row in rows])
        except RuntimeTrouble as trouble:
            log.warning("observe: %s", trouble, extra={"provider": provider})
            return False
        self._record(list(zip(rows, seen, strict=True)))
        return len(rows) == batch

    def _record(self, pairs: Sequence[tuple[Any, Observation]]) -> None:
        ended = [
            runtimes.Gone(row.charger_id, row.incarnation, render_end(seen.end or _UNKNOWN_END))
            for row, seen in pairs
            if seen.phase is Phase.GONE
        ]
        changed = [(row, seen) for row, seen in pairs if _is_news(row, seen)]
        clocks = self._context.engine
        touched = {
            "charger_ids": [one.charger_id for one in ended]
            + [row.charger_id for row, _ in changed]
        }
        with self._context.sessions.begin() as session:
            session.execute(_LOCK, touched)
            woken = runtimes.mark_gone(
                session,
                ended,
                cap=clocks.org_inflight,
                recover_min_s=clocks.recover_min_s,
                recover_max_s=clocks.recover_max_s,
                recover_reset_s=clocks.recover_reset_s,
            )
            on_the_way = {tuple(row) for row in session.execute(_ON_THE_WAY, touched)}
            for row, seen in changed:
                if (row.charger_id, row.incarnation) in on_the_way:
                    _show(session, row, seen)
                session.execute(_RECORD, _make_record(row, seen))
            # Runs wait for it to run well; each step on the way there is news for people alone.
            came_up = {row.charger_id for row, seen in changed if seen.phase is Phase.RUNNING}
            woken += hints.wake_many(session, came_up, cap=clocks.org_inflight)
        self._context.queue.send(woken)
        self._end_unwell(pairs)

    def _end_unwell(self, pairs: Sequence[tuple[Any, Observation]]) -> None:
        """No backend ends a runtime for being unhealthy, so we do; the reconciler brings it back."""
        limit = self._context.engine.unhealthy_s
        for row, seen in pairs:
            since = row.facts.get("unhealthy_since")
            if seen.healthy is not False or since is None or time.time() - since < limit:
                continue
            log.warning("unhealthy runtime ended", extra={"charger_id": row.charger_id})
            try:
                self._context.driver(row.provider).stop(row.handle, "unhealthy")
            except RuntimeTrouble as trouble:
                log.warning("unhealthy runtime: %s", trouble, extra={"charger_id": row.charger_id})

    def stop_strays(self) -> None:
        """Stop what this installation started and no row owns."""
        if time.monotonic() < self._strays_at:
            return
        self._strays_at = time.monotonic() + _STRAYS_EVERY_S
        install_id = self._context.settings.install_id
        with self._context.sessions.begin() as session:
            ours = installation.is_ours(session, install_id)
        if not ours:
            self._warn_foreign(install_id)
            return
        for provider in self._context.drivers.list_configured():
            self._stop_strays_of(self._context.driver(provider), install_id)

    def _stop_strays_of(self, driver: Driver, install_id: str) -> None:
        try:
            listed = driver.list_strays(install_id)
            with self._context.sessions.begin() as session:
                owned = runtimes.list_owned(session, driver.provider)
            for stray in listed:
                if (stray.charger_id, stray.incarnation) not in owned:
                    if not stray.has_ended:
                        log.warning("stray stopped", extra={"charger_id": stray.charger_id})
                        metrics.STRAYS.labels(driver.provider).inc()
                    driver.stop(stray.handle, f"{install_id}:stray")
        except RuntimeTrouble as trouble:
            log.warning("strays: %s", trouble, extra={"provider": driver.provider})

    def _warn_foreign(self, install_id: str) -> None:
        if not self._warned:
            log.error(
                "this database belongs to another installation than %s: strays are left alone "
                "until `gateway adopt`",
                install_id,
            )
        self._warned = True


def render_end(end: End) -> Mapping[str, Any]:
    """An `End` as the JSON of `runtimes.end`."""
    return {**asdict(end), "kind": end.kind.value, "facts": dict(end.facts)}


def _show(session: Session, row: Any, seen: Observation) -> None:
    if seen.phase in _PHASE_STAGES:
        stage, verdict = _PHASE_STAGES[seen.phase]
        runtimes.show(session, row.charger_id, stage=stage, verdict=verdict, hint=seen.hint)


def _is_news(row: Any, seen: Observation) -> bool:
    if seen.phase in (Phase.GONE, Phase.UNKNOWN):
        return False
    return bool(row.phase != seen.phase.value or row.facts.get("healthy") != seen.healthy)


def _make_record(row: Any, seen: Observation) -> dict[str, Any]:
    facts = {**seen.facts, "healthy": seen.healthy, "unhealthy_since": None}
    if seen.healthy is False:
        facts["unhealthy_since"] = row.facts.get("unhealthy_since") or time.time()
    return {
        "charger_id": row.charger_id,
        "incarnation": row.incarnation,
        "phase": seen.phase.value,
        "facts": orjson.dumps(facts, default=str).decode(),
    }
