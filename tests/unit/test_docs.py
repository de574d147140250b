"""The documentation says what the code does, where it is made from code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from app.lifecycle import SETTLED, TRANSITIONS, Event, Status, move

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


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


def test_every_code_that_the_engine_and_the_api_give_has_a_heading() -> None:
    headings = set(re.findall(r"^### ([a-z_]+)$", (DOCS / "errors.md").read_text(), re.MULTILINE))
    sources = [*(ROOT / "app").rglob("*.py"), *(ROOT / "workers" / "runs").glob("*.py")]
    given: set[str] = set()
    for source in sources:
        if "embedded" not in source.parts and source.name != "cli_errors.py":
            given |= set(
                re.findall(r'(?:Problem\(|code ?= ?|"code": )"([a-z_]+)"', source.read_text())
            )
    base_classes = {"gateway_error"}
    assert given - base_classes - headings == set()
