"""`gateway runs ...`: the durable runs behind orders. Without --organization, those of everybody."""

from __future__ import annotations

from typing import Any, Final

import click

from app.console.access import Door, door_options
from app.console.tables import print_facts, print_json, print_table, shorten

_ROOT: Final = "/ocpp/runs"
_STATUSES: Final = ("active", "done", "failed", "superseded", "cancelled")


@click.group()
def runs() -> None:
    """Look at runs, cancel and redrive them."""


@runs.command("list")
@click.option("--status", type=click.Choice(_STATUSES))
@click.option("--kind", help="provision, start, restart, replace, recover, stop, delete or bulk.")
@click.option("--charger", "charger_id", help="Only those of this charger (its id).")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@door_options
def list_runs(door: Door, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List runs, newest first."""
    found = list(door.open(admin=True).list_all(_ROOT, filters, most=limit))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["id"],
            one["organization_id"],
            one["identity"],
            one["kind"],
            one["status"],
            one["current_step"],
            one["attempts"],
            shorten(one["due_at"]),
            (one["error"] or {}).get("code"),
        )
        for one in found
    )
    columns = ["Run", "Organization", "Identity", "Kind", "Status", "Step", "Tries", "Due", "Error"]
    print_table(columns, rows, nothing="There are no such runs.")


@runs.command()
@click.argument("run_id", metavar="RUN")
@door_options
def show(door: Door, *, run_id: str, as_json: bool) -> None:
    """Show a run: its steps, attempts, errors and due times."""
    _print_run(door.open(admin=True).call("GET", f"{_ROOT}/{run_id}"), as_json=as_json)


@runs.command()
@click.argument("run_id", metavar="RUN")
@door_options
def cancel(door: Door, *, run_id: str, as_json: bool) -> None:
    """Cancel a run that brings a charger up, as a stop order does; of a bulk job's run, its job."""
    _print_run(door.open(admin=True).call("POST", f"{_ROOT}/{run_id}/cancel", {}), as_json=as_json)


@runs.command()
@click.argument("run_id", metavar="RUN")
@door_options
def redrive(door: Door, *, run_id: str, as_json: bool) -> None:
    """Bring up again what a FAILED run could not."""
    _print_run(door.open(admin=True).call("POST", f"{_ROOT}/{run_id}/redrive", {}), as_json=as_json)


def _print_run(run: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    error = run["error"] or {}
    print_facts(
        {
            "Run": run["id"],
            "Organization": run["organization_id"],
            "Charger": run["charger_id"],
            "Identity": run["identity"],
            "Job": run["job_id"],
            "Kind": run["kind"],
            "Status": run["status"],
            "Phase": run["phase"],
            "Waits": run["hint"],
            "Error": f"{error['code']}: {error['message']}" if error else None,
            "Due": shorten(run["due_at"]),
            "Created": shorten(run["created_at"]),
            "Finished": shorten(run["finished_at"]),
            "Goes on in": run.get("successor_run_id"),
        }
    )
    rows = (
        (
            step["name"],
            step["status"],
            step["attempts"],
            shorten(step["started_at"]),
            shorten(step["finished_at"]),
            (step["error"] or {}).get("message"),
        )
        for step in run["steps"]
    )
    columns = ["Step", "Status", "Tries", "Started", "Finished", "Error"]
    print_table(columns, rows, nothing="It has no steps.")
