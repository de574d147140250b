"""The short form of the fault harness, for every change; `make chaos` is the long one."""

from __future__ import annotations

import pytest

from tests.chaos.harness import run_seed


@pytest.mark.timeout(300)
def test_orders_are_kept_under_fire() -> None:
    assert run_seed(seed=11, orders=80, faults=8, pause_s=3.0)
