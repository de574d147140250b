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
    """Rows of `table` that meet `where` may go; `days` is bound into it as `:age`."""

    table: str
    where: str
    days: float


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
    ]


def apply(session: Session, rule: Rule) -> int:
    """Remove one batch. How many rows went."""
    result = session.execute(
        text(
            f"""DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM {rule.table} WHERE {rule.where} LIMIT {BATCH}))"""
        ),
        {"age": rule.days} if ":age" in rule.where else {},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
