"""What clients see of many chargers' runtimes at once: stage, verdict, hint, last error, connectors.

One statement for any number of chargers. `app.store.runtimes.show` does the same for one, for the workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.advice import advise


@dataclass(frozen=True, slots=True)
class Shown:
    """What one charger is to show."""

    charger_id: str
    stage: str
    verdict: str
    hint: str | None
    error: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, charger: Any, stage: str, verdict: str, detail: Mapping[str, Any]) -> Self:
        """From a row that has `id`, `ws_url`, `ocpp_version`, `provider`, and what its runtime told."""
        hint = advise(
            verdict,
            detail,
            ws_url=charger.ws_url,
            ocpp_version=charger.ocpp_version,
            provider=charger.provider,
        )
        return cls(charger.id, stage, verdict, hint, _make_error(verdict, detail, hint))


def _make_error(
    verdict: str, detail: Mapping[str, Any], hint: str | None
) -> Mapping[str, Any] | None:
    """`last_error`: what the CSMS or the way to it did."""
    if verdict not in ("csms_unreachable", "csms_rejected"):
        return None
    facts = {key: detail[key] for key in ("error", "http_status", "close_code") if detail.get(key)}
    return {"code": verdict, "message": detail.get("message") or hint, **facts}


_SHOW: Final = text(
    """
    UPDATE chargers AS c SET stage = t.stage, verdict = t.verdict, hint = t.hint,
           stage_since = CASE WHEN c.stage = t.stage THEN c.stage_since ELSE clock_timestamp() END,
           last_error = coalesce(CAST(t.error AS jsonb), c.last_error)
    FROM unnest(CAST(:ids AS text[]), CAST(:stages AS text[]), CAST(:verdicts AS text[]),
                CAST(:hints AS text[]), CAST(:errors AS text[])) AS t (id, stage, verdict, hint, error)
    WHERE c.id = t.id
    """
)


def show_many(session: Session, shown: Sequence[Shown]) -> None:
    """Write what these chargers show; the caller has locked them and knows that it is their newest runtime."""
    if not shown:
        return
    session.execute(
        _SHOW,
        {
            "ids": [one.charger_id for one in shown],
            "stages": [one.stage for one in shown],
            "verdicts": [one.verdict for one in shown],
            "hints": [one.hint for one in shown],
            "errors": [one.error and orjson.dumps(one.error).decode() for one in shown],
        },
    )


_SHOW_CONNECTORS: Final = text(
    """
    UPDATE chargers AS c SET connectors = CAST(t.connectors AS jsonb)
    FROM unnest(CAST(:ids AS text[]), CAST(:connectors AS text[])) AS t (id, connectors)
    WHERE c.id = t.id
    """
)


def show_connectors(
    session: Session, connectors: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Write the state of these chargers' connectors."""
    if connectors:
        session.execute(
            _SHOW_CONNECTORS,
            {
                "ids": list(connectors),
                "connectors": [orjson.dumps(one).decode() for one in connectors.values()],
            },
        )
