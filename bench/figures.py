"""A figure beside its floor or peer, and the one table that shows them all.

A suite returns `Figure`s; `print_table` writes them. The ratio is always ours by theirs, so above 1 is better
for a rate and below 1 for everything else; an aim is held against the ratio, or against our value itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound on the ratio, or on our own value (`of="value"`). Missing it fails nothing, it is shown."""

    most: float | None = None
    least: float | None = None
    of: str = "ratio"

    def holds(self, figure: Figure) -> bool:
        """Whether the figure is within it."""
        seen = figure.ours if self.of == "value" else figure.ratio
        if seen is None:
            return False
        return (self.most is None or seen <= self.most) and (
            self.least is None or seen >= self.least
        )

    def describe(self, unit: str) -> str:
        """`at least x0.6`, `at most 100 ms`."""
        bound, word = (self.most, "at most") if self.least is None else (self.least, "at least")
        return f"{word} {bound:g} {unit}" if self.of == "value" else f"{word} x{bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    what: str
    ours: float
    unit: str
    #: The same of the floor or peer, measured in the same run; None: there is none, and `against` says why.
    theirs: float | None = None
    #: What stands beside it.
    against: str = ""
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else None

    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        theirs = "" if self.theirs is None else show(self.theirs, self.unit)
        ratio = "" if self.ratio is None else f"x{self.ratio:.2f}"
        verdict = ""
        if self.aim is not None:
            verdict = (
                f"{'met' if self.aim.holds(self) else 'MISSED'}: {self.aim.describe(self.unit)}"
            )
        return self.what, show(self.ours, self.unit), theirs, ratio, self.against, verdict


def show(value: float, unit: str) -> str:
    """Three digits or so, with the unit; a count as it is."""
    digits = 0 if abs(value) >= 100 or isinstance(value, int) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def find_percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Iterable[float]) -> float:
    """The middle one: one noisy round does not count."""
    return statistics.median(values)


_HEADINGS = ("figure", "ours", "theirs", "ratio", "beside", "aim")


def print_table(title: str, figures: Iterable[Figure], *, markdown: bool = False) -> None:
    """Write a table; as Markdown for docs/benchmarks.md."""
    if markdown:
        print(f"\n### {title}\n\n| {' | '.join(_HEADINGS)} |")
        print("|---|---:|---:|---:|---|---|")
        for figure in figures:
            print(f"| {' | '.join(figure.cells())} |")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in _HEADINGS[1:4] else "left")
    for figure in figures:
        table.add_row(*figure.cells())
    # A report is read in files and pipes too: never cut a line to a terminal's width.
    Console(width=200, highlight=False, soft_wrap=True).print(table)
