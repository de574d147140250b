"""Answers as tables for people, and as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

#: Colours of what `status`, `verdict` and a run's `status` may be.
_COLOURS: Final = {
    "READY": "green",
    "connected": "green",
    "done": "green",
    "PROVISIONING": "yellow",
    "PENDING": "yellow",
    "starting": "yellow",
    "active": "yellow",
    "FAILED": "red",
    "failed": "red",
    "crash_loop": "red",
    "csms_unreachable": "red",
    "csms_rejected": "red",
    "image_pull_failed": "red",
    "superseded": "dim",
    "cancelled": "dim",
    "stopped": "dim",
}


def print_json(answer: Any) -> None:
    """What the API answered."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, nothing: str) -> None:
    """Rows under their headings; the sentence `nothing` when there are none."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("Id", "Run"))
    for row in rows:
        table.add_row(*(_paint(cell) for cell in row))
    if table.row_count:
        Console(highlight=False, width=None if _is_terminal() else 200).print(table)
    else:
        click.echo(nothing)


def print_facts(facts: Mapping[str, Any]) -> None:
    """One thing: a name and a value per line; what is None is left out."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, _paint(value))
    Console(highlight=False, width=None if _is_terminal() else 200).print(table)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _paint(cell: Any) -> Any:
    from rich.text import Text

    text = "" if cell is None else str(cell)
    return Text(text, style=_COLOURS.get(text, ""))


def shorten(moment: str | None) -> str | None:
    """`2026-01-01T12:00:00.123456Z` → `2026-01-01 12:00:00`."""
    return None if moment is None else moment[:19].replace("T", " ")
