"""Every suite in turn, and one report: `make bench`, or `python -m bench [--quick] [--markdown] [suite...]`.

Suites: api, engine, link, stack, density, fleet, ecs. Each starts its own servers and stops them. A figure stands
beside its floor or peer of the same run; docs/benchmarks.md says how to read them. An aim that is missed is
shown, and fails nothing; a suite that breaks is named, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench import api, density, ecs, engine, fleet, link, stack
from bench.figures import Figure, print_table


@dataclass(frozen=True, slots=True)
class Suite:
    """One program of this package."""

    title: str
    #: As `make bench` runs it, and with small counts: to see that it works, not to learn a number.
    full: Callable[[], list[Figure]]
    quick: Callable[[], list[Figure]]


SUITES: Final[dict[str, Suite]] = {
    "api": Suite(
        "API: create, status, list",
        lambda: api.measure(api.Sizes()),
        lambda: api.measure(api.QUICK),
    ),
    "engine": Suite(
        "Engine: provisioning runs with an instant driver",
        lambda: engine.measure(300),
        lambda: engine.measure(40),
    ),
    "link": Suite(
        "Link: idle chargers on one host",
        lambda: link.measure(1000, 30),
        lambda: link.measure(100, 12),
    ),
    "stack": Suite(
        "Stack: gateway up, idle",
        lambda: stack.measure(seconds=20),
        lambda: stack.measure(seconds=5),
    ),
    "density": Suite(
        "Density: chargers in one host process",
        lambda: density.measure(density.Sizes()),
        lambda: density.measure(density.QUICK),
    ),
    "fleet": Suite(
        "Fleet: chargers in one order, on a whole gateway",
        lambda: fleet.measure(1000),
        lambda: fleet.measure(50),
    ),
    "ecs": Suite(ecs.TITLE, lambda: ecs.measure(200), lambda: ecs.measure(20)),
}


@dataclass
class Report:
    """What came out."""

    markdown: bool
    took: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def run(self, name: str, *, quick: bool) -> None:
        """One suite."""
        suite = SUITES[name]
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            figures = suite.quick() if quick else suite.full()
        except (Exception, SystemExit) as trouble:  # noqa: BLE001  # the other suites still have something to say
            traceback.print_exception(trouble)
            self.broken.append(name)
            return
        finally:
            self.took[name] = time.monotonic() - began
        print_table(suite.title, figures, markdown=self.markdown)
        print(flush=True)
        self.missed += [
            f"{name}: {one.what}" for one in figures if one.aim and not one.aim.holds(one)
        ]
        if name == "api" and not quick:
            api.explain(figures)

    def conclude(self) -> int:
        """The end of the report; the exit code."""
        total = sum(self.took.values())
        shares = ", ".join(
            f"{name} {took:.0f} s ({took / total:.0%})" for name, took in self.took.items()
        )
        print(f"Took {total:.0f} s: {shares}")
        for line in self.missed:
            print(f"Missed: {line}")
        for name in self.broken:
            print(f"Broken: {name}")
        return 1 if self.broken else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="suite", help=", ".join(SUITES))
    parser.add_argument("--quick", action="store_true", help="small counts: does it work at all?")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/benchmarks.md")
    given = parser.parse_args()
    if unknown := set(given.suites) - set(SUITES):
        parser.error(f"There is no suite {', '.join(sorted(unknown))}.")
    report = Report(given.markdown)
    for name in given.suites or SUITES:
        report.run(name, quick=given.quick)
    return report.conclude()


if __name__ == "__main__":
    sys.exit(main())
