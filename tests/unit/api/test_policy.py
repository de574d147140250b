"""The quota: exact near its limit, cheap far from it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.errors import QuotaExceeded
from app.services import policy
from app.services.policy import Quota, warn_about


class Fleet:
    """Counts live chargers, and how often it was asked."""

    def __init__(self, live: int) -> None:
        self.live = live
        self.counts = 0

    def count_live(self, _session: object, _organization: str, *, most: int) -> int:
        self.counts += 1
        return min(self.live, most)


@pytest.fixture
def make_quota(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(most: int, live: int) -> tuple[Quota, Fleet, list[float]]:
        fleet, now = Fleet(live), [0.0]
        monkeypatch.setattr(policy.store, "count_live", fleet.count_live)
        return Quota(most, clock=lambda: now[0]), fleet, now

    return make


NO_SESSION = Session()


def test_the_last_charger_fits_and_the_next_does_not(make_quota: Any) -> None:
    quota, fleet, _ = make_quota(3, 2)
    quota.take(NO_SESSION, "acme")
    fleet.live = 3
    with pytest.raises(QuotaExceeded) as refusal:
        quota.take(NO_SESSION, "acme")
    assert refusal.value.extra["limit"] == 3


def test_an_order_of_many_fits_as_a_whole_or_not_at_all(make_quota: Any) -> None:
    quota, _, _ = make_quota(10, 5)
    with pytest.raises(QuotaExceeded):
        quota.take(NO_SESSION, "acme", 6)
    quota.take(NO_SESSION, "acme", 5)


def test_far_from_the_limit_most_orders_count_nothing(make_quota: Any) -> None:
    quota, fleet, _ = make_quota(100_000, 0)
    for _ in range(1000):
        quota.take(NO_SESSION, "acme")
    assert fleet.counts == 1
    quota.take(NO_SESSION, "other")
    assert fleet.counts == 2


def test_a_count_is_not_trusted_for_long(make_quota: Any) -> None:
    quota, fleet, now = make_quota(100_000, 0)
    quota.take(NO_SESSION, "acme")
    fleet.live, now[0] = 100_000, 60.0
    with pytest.raises(QuotaExceeded):
        quota.take(NO_SESSION, "acme")


def test_only_a_small_part_of_the_room_is_taken_uncounted(make_quota: Any) -> None:
    quota, fleet, _ = make_quota(640, 0)
    quota.take(NO_SESSION, "acme")
    fleet.live = 640  # others took the rest meanwhile
    taken = 0
    with contextlib.suppress(QuotaExceeded):
        while taken < 640:
            quota.take(NO_SESSION, "acme")
            taken += 1
    assert taken < 10


@pytest.mark.parametrize(
    ("identity", "version", "warned"),
    [("x" * 20, "OCPP1.6", False), ("x" * 21, "OCPP1.6", True), ("x" * 21, "OCPP2.0.1", False)],
)
def test_a_long_identity_is_warned_about(identity: str, version: str, warned: bool) -> None:
    assert bool(warn_about(identity, version)) is warned
