"""The ECS documents agree with the code: every setting, every fault and every test that they name exists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from workers.runtimes.ecs_settings import EcsSettings
from workers.standin.ecs.faults import KINDS

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "ecs.md").read_text()
STANDIN = (ROOT / "docs" / "ecs-standin.md").read_text()


def list_tests() -> set[str]:
    files = (ROOT / "tests" / "integration").glob("test_ecs_standin_*.py")
    return {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }


def test_every_setting_of_the_driver_is_in_the_guide_and_no_other() -> None:
    table = GUIDE[GUIDE.index("## Settings") :]
    told = set(re.findall(r"`GATEWAY_ECS_(\w+)`", table[: table.index("\n## ")]))
    assert told == {f.name.upper() for f in fields(EcsSettings)} - {"INSTALL_ID"}


def test_every_copied_quirk_names_a_test_that_exists() -> None:
    told = set(re.findall(r"`(test_\w+)`", STANDIN.replace("test_ecs_standin_*", "")))
    assert told
    assert told - list_tests() == set()


def test_every_fault_is_told() -> None:
    table = STANDIN[STANDIN.index("## Faults to order") :]
    assert set(KINDS) <= set(re.findall(r"^\| `(\w+)` \|", table, re.M))


def test_links_of_the_documents_lead_somewhere() -> None:
    for text in (GUIDE, STANDIN):
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (ROOT / "docs" / target).exists(), target
