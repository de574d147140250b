"""Papers that follow from files: they must say what is so."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        declared += extra
    names = {re.split(r"[\[<>=;!~ ]", text, maxsplit=1)[0] for text in declared}

    rows = re.findall(r"^\| (`.+?`) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.M)
    explained = {name for row in rows for name in re.findall(r"`(.+?)`", row)}

    assert explained == names


def test_each_pin_is_a_version_and_names_no_host() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert lines
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)
    ] == []


def test_every_target_of_the_makefile_is_listed_by_help() -> None:
    text = (ROOT / "Makefile").read_text()
    declared = set(re.search(r"^\.PHONY: (.+)$", text, re.M)[1].split())  # type: ignore[index]

    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(re.findall(r"^  make ([\w-]+)", shown.stdout, re.M)) == declared


def test_links_between_papers_lead_somewhere() -> None:
    papers = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for paper in papers:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text()):
            assert (paper.parent / target).exists(), f"{paper.name} → {target}"
