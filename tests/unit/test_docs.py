"""The documentation says what the code does, where it is made from code."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from app.lifecycle import SETTLED, TRANSITIONS, Event, Status, move

DOCS = Path(__file__).parents[2] / "docs"


def test_generated_pages_are_current() -> None:
    make_pages = runpy.run_path(str(DOCS / "generate.py"))["make_pages"]
    for page, text in make_pages().items():
        assert page.read_text() == text, f"{page.name} is stale: python docs/generate.py"


def test_every_status_can_be_reached_and_left() -> None:
    reached = {Status.PENDING, *TRANSITIONS.values()}
    left = {old for old, _ in TRANSITIONS}
    assert reached == left == set(Status)
    assert {Status.READY, Status.FAILED} == SETTLED


def test_a_move_that_the_table_lacks_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        move(Status.FAILED, Event.CAME_UP)
