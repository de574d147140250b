"""How long rows are kept, and the statements that remove them a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.settings import Settings

#: Rows per transaction.
BATCH: Final = 5_000
_DAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` that meet `where` may go."""

    table: str
    where: str
    #: Bound into `where` as `:age`.
    days: float
    #: What to select them from, where that is more than the table.
    source: str = ""
    #: Rows of one charger that stay; bound as `:keep`.
    keep: int = 0


# One look into the primary key per charger: numbers grow by one within an incarnation, so the newest says how
# many there are. Frames of earlier incarnations go once the newest alone fills the measure.
_BEYOND: Final = """chargers
    JOIN LATERAL (SELECT incarnation, number FROM ocpp_frames AS its WHERE its.charger_id = chargers.id
                  ORDER BY incarnation DESC, number DESC LIMIT 1) AS newest ON true
    JOIN ocpp_frames ON ocpp_frames.charger_id = chargers.id
     AND (ocpp_frames.incarnation, ocpp_frames.number) <= (newest.incarnation, newest.number - :keep)"""


def make_rules(settings: Settings) -> list[Rule]:
    """The rules, in an order that leaves nothing pointing at what is gone."""
    age = "clock_timestamp() - :age * interval '1 day'"
    orphan = "NOT EXISTS (SELECT FROM chargers WHERE chargers.id = {}.charger_id)"
    return [
        Rule("idempotency_keys", f"created_at < {age}", _DAY),
        Rule("commands", f"created_at < {age}", settings.keep_commands_days),
        Rule(
            "chargers",
            f"deleted_at < {age} AND NOT EXISTS (SELECT FROM runs"
            " WHERE runs.charger_id = chargers.id AND runs.status = 'active')",
            _DAY,
        ),
        # A FAILED run that is its charger's current one is kept, whatever its age.
        Rule(
            "runs",
            f"finished_at < {age} AND NOT EXISTS (SELECT FROM chargers"
            " WHERE chargers.current_run_id = runs.id)",
            settings.keep_runs_days,
        ),
        Rule("jobs", f"finished_at < {age}", settings.keep_runs_days),
        Rule("locations", f"deleted_at < {age}", _DAY),
        Rule("run_steps", "NOT EXISTS (SELECT FROM runs WHERE runs.id = run_steps.run_id)", 0),
        Rule("runtimes", f"gone_at < {age} AND {orphan.format('runtimes')}", 0),
        Rule(
            "runtimes",
            f"gone_at < {age} AND incarnation < (SELECT incarnation FROM chargers"
            " WHERE chargers.id = runtimes.charger_id)",
            settings.keep_runs_days,
        ),
        Rule("ocpp_frames", f"at < {age}", settings.keep_frames_days),
        Rule("charger_events", f"at < {age}", settings.keep_frames_days),
        Rule(
            "ocpp_frames",
            "newest.number > :keep",
            0,
            source=_BEYOND,
            keep=settings.keep_frames_per_charger,
        ),
    ]


def apply(session: Session, rule: Rule) -> int:
    """Remove one batch. How many rows went."""
    result = session.execute(
        text(
            f"""DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY(
                    SELECT {rule.table}.ctid FROM {rule.source or rule.table}
                    WHERE {rule.where} LIMIT {BATCH}))"""
        ),
        ({"age": rule.days} if ":age" in rule.where else {})
        | ({"keep": rule.keep} if rule.keep else {}),
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
