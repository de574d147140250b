"""The gate trusts a token that it has read for a moment, and no longer."""

from __future__ import annotations

import pytest

from app.api import auth
from app.api.auth import Access, Gate, choose_tenant
from app.errors import Forbidden, Unauthorized
from app.tokens import Bearer, Role


class Reader:
    """Reads every token until it is told that they are over."""

    def __init__(self) -> None:
        self.reads = 0
        self.over = False

    def __call__(self, _secrets: object, token: str) -> Bearer:
        self.reads += 1
        if self.over:
            raise Unauthorized("The token has expired.")
        return Bearer(token, "acme", Role.USER)


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()
    monkeypatch.setattr(auth, "read_token", reader)
    return reader


def test_a_token_is_not_read_for_each_request_of_a_poll(reader: Reader, clock: Clock) -> None:
    gate = Gate({}, clock=clock)
    assert gate.identify("Bearer a").subject == "a"
    clock.now += 1
    assert gate.identify("bearer  a").subject == "a"
    assert gate.identify("Bearer b").subject == "b"
    assert reader.reads == 2


def test_a_token_that_is_over_is_refused_within_the_leeway_of_clocks(
    reader: Reader, clock: Clock
) -> None:
    gate = Gate({}, clock=clock)
    gate.identify("Bearer a")
    reader.over = True
    clock.now += 5
    with pytest.raises(Unauthorized):
        gate.identify("Bearer a")


def test_a_refused_token_is_not_remembered(reader: Reader, clock: Clock) -> None:
    gate = Gate({}, clock=clock)
    reader.over = True
    for _ in range(2):
        with pytest.raises(Unauthorized):
            gate.identify("Bearer a")
    assert reader.reads == 2


def test_a_thousand_tokens_are_remembered_and_not_more(reader: Reader, clock: Clock) -> None:
    gate = Gate({}, clock=clock)
    for number in range(1025):
        gate.identify(f"Bearer {number}")
    gate.identify("Bearer 1024")
    assert reader.reads == 1025
    gate.identify("Bearer 0")
    assert reader.reads == 1026


USER = Bearer("s", "acme", Role.USER)
ADMIN = Bearer("s", "operators", Role.ADMIN)


@pytest.mark.parametrize(
    ("access", "bearer", "named", "tenant"),
    [
        (Access.TENANT, USER, None, "acme"),
        (Access.TENANT, USER, "acme", "acme"),
        (Access.TENANT, USER, "other", None),
        (Access.TENANT, USER, "", None),
        (Access.TENANT, ADMIN, None, None),
        (Access.TENANT, ADMIN, "acme", "acme"),
        (Access.TENANT, ADMIN, "", None),
        (Access.TENANT, ADMIN, "a/b", None),
        (Access.TOKEN, USER, None, "acme"),
        (Access.TOKEN, USER, "other", None),
        (Access.TOKEN, ADMIN, None, ""),
        (Access.FLEET, USER, None, "acme"),
        (Access.FLEET, ADMIN, None, ""),
        (Access.FLEET, ADMIN, "acme", "acme"),
        (Access.ADMIN, USER, None, None),
        (Access.ADMIN, USER, "acme", None),
        (Access.ADMIN, ADMIN, None, ""),
        (Access.ADMIN, ADMIN, "acme", "acme"),
    ],
)
def test_the_tenant_by_role_and_header(
    access: Access, bearer: Bearer, named: str | None, tenant: str | None
) -> None:
    if tenant is None:
        with pytest.raises(Forbidden):
            choose_tenant(access, bearer, named)
    else:
        assert choose_tenant(access, bearer, named) == tenant
