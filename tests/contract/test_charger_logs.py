"""What a charger said: frames and events by time, kind and page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.models import ChargerEvent, Frame
from tests.contract.conftest import Caller

CHARGERS = "/ocpp/chargers"


@pytest.fixture
def talker(acme: Caller, sessions: sessionmaker[Session]) -> str:
    """A charger with four frames, one second apart, two of them with the same time."""
    charger_id = acme.order()
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    said = [("u", "BootNotification", 0), ("d", "BootNotification", 1), ("u", "Heartbeat", 1)]
    with sessions.begin() as session:
        for number, (direction, action, second) in enumerate([*said, ("d", "Heartbeat", 2)]):
            session.add(
                Frame(
                    charger_id=charger_id,
                    incarnation=1,
                    number=number,
                    at=start + timedelta(seconds=second),
                    direction=direction,
                    action=action,
                    message=f'[{number},"x"]',
                )
            )
        session.add(
            ChargerEvent(
                charger_id=charger_id,
                incarnation=1,
                number=1,
                at=start,
                kind="stage",
                data={"a": 1},
            )
        )
    return f"{CHARGERS}/{charger_id}"


def test_logs_are_newest_first(acme: Caller, talker: str) -> None:
    logs = acme.get(f"{talker}/logs").json
    assert [entry["message"] for entry in logs["data"]] == [f'[{n},"x"]' for n in (3, 2, 1, 0)]
    assert logs["data"][0]["direction"] == "csms_to_cp"
    assert logs["data"][3]["direction"] == "cp_to_csms"
    assert logs["data"][3]["timestamp"] == "2026-01-01T12:00:00Z"
    assert (logs["total"], logs["limit"], logs["offset"]) == (4, 100, 0)


@pytest.mark.parametrize(
    ("query", "numbers", "total"),
    [
        ("event=Heartbeat", [3, 2], 2),
        ("event=heartbeat", [], 0),
        ("limit=2", [3, 2], 4),
        ("limit=2&offset=3", [0], 4),
        ("offset=2000000000", [], 4),
        ("start_date=2026-01-01T12:00:01Z", [3, 2, 1], 3),
        ("end_date=2026-01-01T12:00:01Z", [2, 1, 0], 3),
        ("start_date=2026-01-01T14:00:01%2B02:00&end_date=2026-01-01T12:00:01Z", [2, 1], 2),
        ("start_date=2026-01-01T14:00:02+02:00", [3], 1),
        ("start_date=2026-01-01T12:00:02", [3], 1),
        ("end_date=2025-12-31", [], 0),
        ("event=Heartbeat&end_date=2026-01-01T12:00:01Z", [2], 1),
    ],
)
def test_logs_are_filtered_and_paged(
    query: str, numbers: list[int], total: int, acme: Caller, talker: str
) -> None:
    logs = acme.get(f"{talker}/logs?{query}").json
    assert [entry["message"] for entry in logs["data"]] == [f'[{n},"x"]' for n in numbers]
    assert logs["total"] == total


def test_events_are_the_chargers_own(acme: Caller, talker: str) -> None:
    events = acme.get(f"{talker}/events").json
    expected = [{"kind": "stage", "timestamp": "2026-01-01T12:00:00Z", "data": {"a": 1}}]
    assert events == {"data": expected, "total": 1, "limit": 100, "offset": 0}
    assert acme.get(f"{talker}/events?event=fault").json["total"] == 0
