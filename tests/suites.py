"""Runs every suite that this machine can run, and ends with what each took and what was not run.

`make test` calls it. Options are those of pytest, for every suite. `GATEWAY_TEST_REQUIRE=node,docker` turns the
absence of these from a line at the end into a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from tests.docker_world import has_engine
from tests.node_csms import is_installed

_HERE: Final = Path(__file__).parent
#: In this order: what is quick and says most comes first.
_SUITES: Final = ("unit", "contract", "integration", "e2e", "chaos")
#: It measures how soon work goes on after a fault: nothing else beside it.
_ALONE: Final = ("chaos",)
_MOST_PROCESSES: Final = 4
#: pytest's exit codes: all passed; nothing was collected (a suite whose tests this machine cannot run).
_FINE: Final = (0, 5)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that not every machine has; tests that need it carry a mark of its name."""

    is_here: Callable[[], bool]
    lacking: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended."""

    suite: str
    seconds: float
    code: int


_PARTS: Final[Mapping[str, Part]] = {
    "node": Part(is_installed, "Node with the package ocpp-rpc is not here"),
    "docker": Part(has_engine, "no Docker engine answers that has the image of the simulator"),
    "promtool": Part(lambda: shutil.which("promtool") is not None, "promtool is not here"),
    "aws": Part(lambda: os.environ.get("GATEWAY_TEST_AWS") == "1", "GATEWAY_TEST_AWS is not 1"),
}


def main(arguments: list[str]) -> int:
    """Run the suites; the exit code."""
    absent = {name: part.lacking for name, part in _PARTS.items() if not part.is_here()}
    required = set(filter(None, os.environ.get("GATEWAY_TEST_REQUIRE", "").split(",")))
    if unmet := sorted(required & set(absent)):
        for name in unmet:
            click.echo(f"required, but {absent[name]}")
        return 1
    outcomes = [_run(suite, absent, arguments) for suite in _SUITES]
    _report(outcomes, absent)
    return int(any(outcome.code not in _FINE for outcome in outcomes))


def _run(suite: str, absent: Mapping[str, str], arguments: list[str]) -> Outcome:
    click.echo(f"\n== {suite}")
    command = [sys.executable, "-m", "pytest", "-q", "--durations=3", str(_HERE / suite)]
    command += ["-m", " and ".join(f"not {name}" for name in absent)] if absent else []
    if suite not in _ALONE:
        # Tests of servers and processes wait a good part of their time; whole gateways fill the cores.
        waiting = int(suite == "integration")
        processes = min((os.cpu_count() or 1) + waiting, _MOST_PROCESSES)
        # A file stays in one process: what its tests share is made once.
        command += ["-n", str(processes), "--dist", "loadfile"]
    command += arguments
    began = time.monotonic()
    code = subprocess.run(command, cwd=_HERE.parent, check=False).returncode
    return Outcome(suite, time.monotonic() - began, code)


def _report(outcomes: list[Outcome], absent: Mapping[str, str]) -> None:
    total = sum(outcome.seconds for outcome in outcomes)
    click.echo(f"\n{'suite':<12} {'seconds':>8} {'share':>6}")
    for outcome in outcomes:
        words = "" if outcome.code in _FINE else "  FAILED"
        share = outcome.seconds / total
        click.echo(f"{outcome.suite:<12} {outcome.seconds:>8.1f} {share:>6.0%}{words}")
    click.echo(f"{'all':<12} {total:>8.1f}")
    for name, lacking in absent.items():
        click.echo(f"not run: {name} ({lacking})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
