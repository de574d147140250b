"""`gateway chargers ...`"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from app.console.access import Door, door_options
from app.console.tables import print_facts, print_json, print_table, shorten

if TYPE_CHECKING:
    from app.console.client import Client

_ROOT: Final = "/ocpp/chargers"
_FOLLOW_S: Final = 1.0
#: Chargers that one call deletes: their ids stand in its address.
_BATCH: Final = 200


@click.group()
def chargers() -> None:
    """Create, list, watch and delete chargers."""


@chargers.command()
@click.argument("identity", required=False)
@click.option("--ws-url", required=True, help="The CSMS: ws:// or wss://, without the identity.")
@click.option("--brand", default="wallbox", show_default=True)
@click.option("--model", default="wallbox-pulsar-plus", show_default=True)
@click.option("--connector", default="Type2", show_default=True)
@click.option("--ocpp", default="1.6", type=click.Choice(["1.6", "2.0.1"]), show_default=True)
@click.option("--name", help="What people call it; of many, what stands before the suffix.")
@click.option("--location", help="The id of a location. Many chargers need one.")
@click.option("--count", type=click.IntRange(1, 10_000), help="So many, as one durable job.")
@click.option("--prefix", default="", help="Begins the identity of each of many.")
@click.option("--wait/--no-wait", default=True, help="Wait until they are READY or FAILED.")
@door_options
@click.pass_context
def create(ctx: click.Context, door: Door, /, *, wait: bool, as_json: bool, **options: Any) -> None:
    """Create a charger with an IDENTITY, or --count of them at a --location."""
    if (options["identity"] is None) == (options["count"] is None):
        raise click.UsageError("Give an IDENTITY, or --count.")
    client = door.open()
    work = _create_one if options["count"] is None else _create_many
    settled = work(client, options, wait=wait, as_json=as_json)
    ctx.exit(1 if settled == "FAILED" else 0)


def _create_one(client: Client, options: dict[str, Any], *, wait: bool, as_json: bool) -> str:
    from app.console.progress import follow_charger

    body = _make_hardware(options) | {
        "identity": options["identity"],
        "charge_point_name": options["name"],
        "location_id": options["location"],
    }
    accepted = client.call("POST", _ROOT, body)
    status = accepted
    if wait:
        status = follow_charger(client, accepted["status_url"], quiet=as_json)
    if as_json:
        print_json(status)
    else:
        _print_status(accepted["charger_id"], options["identity"], status)
    return str(status["status"])


def _create_many(client: Client, options: dict[str, Any], *, wait: bool, as_json: bool) -> str:
    from app.console.progress import follow_job

    if not options["location"]:
        raise click.UsageError("--count needs a --location (gateway locations create).")
    template = _make_hardware(options) | {
        "identity_prefix": options["prefix"],
        "template_name": options["name"],
    }
    group = {"template": template, "chargers_number": options["count"]}
    job = client.call("POST", f"/ocpp/locations/{options['location']}/chargers", [group])
    if wait:
        job = follow_job(client, job["status_url"], quiet=as_json)
    if as_json:
        print_json(job)
    else:
        print_job(job)
    return str(job["status"])


def _make_hardware(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "brand_slug": options["brand"],
        "model_slug": options["model"],
        "connector_type": options["connector"],
        "ocpp_version": f"OCPP{options['ocpp']}",
        "ws_url": options["ws_url"],
    }


def print_job(job: dict[str, Any]) -> None:
    """A bulk job, and what failed of it."""
    results = job.get("results") or {}
    progress = job.get("progress") or {}
    print_facts(
        {
            "Job": job["job_id"],
            "Status": job["status"],
            "Ready": progress.get("ready"),
            "Failed": progress.get("failed"),
            "Pending": progress.get("pending"),
        }
    )
    failed = results.get("failed", [])
    if failed:
        rows = [(one["identity"], one["code"], one["error"]) for one in failed[:20]]
        print_table(["Identity", "Code", "Why"], rows, nothing="")
        if len(failed) > len(rows):
            click.echo(f"... and {len(failed) - len(rows)} more")


@chargers.command("list")
@click.option("--location", "location_id", help="Only those of this location.")
@click.option("--status", type=click.Choice(["PENDING", "PROVISIONING", "READY", "FAILED"]))
@click.option("--stage", help="Only those whose runtime is at this stage.")
@click.option("--identity", help="Only identities that begin like this.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@door_options
def list_chargers(door: Door, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List chargers, newest first."""
    found = list(door.open().list_all(_ROOT, filters, most=limit))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["identity"],
            one["id"],
            one["status"],
            one["runtime"]["stage"],
            one["runtime"]["verdict"],
            one["model"],
            one["name"],
        )
        for one in found
    )
    columns = ["Identity", "Id", "Status", "Stage", "Verdict", "Model", "Name"]
    print_table(columns, rows, nothing=f"There are no such chargers{door.whose}.")


@chargers.command()
@click.argument("charger")
@click.option("--wait", is_flag=True, help="Wait until it is READY or FAILED.")
@door_options
@click.pass_context
def status(ctx: click.Context, door: Door, /, *, charger: str, wait: bool, as_json: bool) -> None:
    """Show what a CHARGER (an id or an identity) does; exit code 1 when it is FAILED."""
    from app.console.progress import follow_charger

    client = door.open()
    charger_id, identity = find_charger(client, charger, door.whose)
    path = f"{_ROOT}/{charger_id}/status"
    answer = follow_charger(client, path, quiet=as_json) if wait else client.call("GET", path)
    if as_json:
        print_json(answer)
    else:
        _print_status(charger_id, identity, answer)
    ctx.exit(1 if answer["status"] == "FAILED" else 0)


def _print_status(charger_id: str, identity: str, answer: dict[str, Any]) -> None:
    runtime = answer.get("runtime") or {}
    error = answer.get("error") or {}
    print_facts(
        {
            "Charger": identity,
            "Id": charger_id,
            "Status": answer["status"],
            "Error": f"{error['code']}: {error['message']}" if error else None,
            "Step": answer.get("current_step"),
            "Stage": runtime.get("stage"),
            "Verdict": runtime.get("verdict"),
            "Hint": runtime.get("hint"),
            "Restarts": runtime.get("restarts"),
            "Run": answer.get("workflow_run_id"),
        }
    )
    for connector in runtime.get("connectors") or ():
        click.echo(
            f"connector {connector['id']}: {connector['status']}, {connector.get('power_w', 0)} W"
        )


def find_charger(client: Client, wanted: str, whose: str = "") -> tuple[str, str]:
    """(id, identity) of a charger named by either. Raises `CallFailed`."""
    from app.console.client import CallFailed

    if wanted.startswith("dep-"):
        found = client.call("GET", f"{_ROOT}/{wanted}")
        return found["id"], found["identity"]
    for one in client.list_all(_ROOT, {"identity": wanted}):
        if one["identity"] == wanted:
            return one["id"], wanted
    raise CallFailed(f"No charger with the identity {wanted}{whose}.")


@chargers.command()
@click.argument("charger")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option("--event", help="Only this action, e.g. BootNotification.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@door_options
def logs(door: Door, *, charger: str, follow: bool, event: str, limit: int, as_json: bool) -> None:
    """Show the OCPP frames of a CHARGER, oldest first; with --json one object per line."""
    client = door.open()
    charger_id, _ = find_charger(client, charger, door.whose)
    path = f"{_ROOT}/{charger_id}/logs"
    try:
        for frame in _read_frames(client, path, event, limit, follow=follow):
            click.echo(json.dumps(frame) if as_json else _show_frame(frame))
    except KeyboardInterrupt:
        click.echo()


def _read_frames(
    client: Client, path: str, event: str | None, limit: int, *, follow: bool
) -> Iterator[dict[str, Any]]:
    query: dict[str, Any] = {"event": event, "limit": limit}
    #: Frames of the newest moment that were shown: the next question includes that moment.
    shown: list[dict[str, Any]] = []
    while True:
        page = client.call("GET", path, query=query)["data"][::-1]
        fresh = [frame for frame in page if frame not in shown]
        yield from fresh
        if not follow:
            return
        if fresh:
            newest = fresh[-1]["timestamp"]
            shown = [frame for frame in page if frame["timestamp"] == newest]
            query |= {"start_date": newest, "limit": 1000}
        time.sleep(_FOLLOW_S)


def _show_frame(frame: dict[str, Any]) -> str:
    arrow = "→" if frame["direction"] == "cp_to_csms" else "←"
    return f"{shorten(frame['timestamp'])} {arrow} {frame['action']:<22} {frame['message']}"


@chargers.command()
@click.argument("wanted", nargs=-1, metavar="[CHARGER]...")
@click.option("--all", "everything", is_flag=True, help="Every charger of the organization.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@door_options
def delete(
    door: Door, *, wanted: Sequence[str], everything: bool, yes: bool, as_json: bool
) -> None:
    """Delete chargers by id or identity, or --all of them."""
    if bool(wanted) == everything:
        raise click.UsageError("Give chargers, or --all.")
    client = door.open()
    if everything:
        doomed = [(one["location_id"], one["id"]) for one in client.list_all(_ROOT)]
        if not yes and doomed:
            click.confirm(f"Delete {len(doomed)} chargers?", abort=True)
    else:
        doomed = [(None, find_charger(client, one, door.whose)[0]) for one in wanted]
    deleted = _delete_all(client, doomed, quiet=as_json)
    if as_json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"Deleted: {len(deleted)}.")


def _delete_all(client: Client, doomed: list[tuple[str | None, str]], *, quiet: bool) -> list[str]:
    """Those of one location together, the others one by one."""
    from app.console.progress import show_bar

    deleted: list[str] = []
    ordered = sorted(doomed, key=lambda one: one[0] or "")
    with show_bar("Deleting", len(doomed), quiet=quiet) as show:
        for location_id, group in itertools.groupby(ordered, key=lambda one: one[0]):
            ids = [charger_id for _, charger_id in group]
            size = _BATCH if location_id else 1
            for start in range(0, len(ids), size):
                deleted += _delete_some(client, location_id, ids[start : start + size])
                show(len(deleted))
    return deleted


def _delete_some(client: Client, location_id: str | None, ids: list[str]) -> list[str]:
    if location_id is None:
        client.call("DELETE", f"{_ROOT}/{ids[0]}")
        return ids
    query = [("charger_ids", charger_id) for charger_id in ids]
    answer = client.call("DELETE", f"/ocpp/locations/{location_id}/chargers", query=query)
    gone: list[str] = answer["deleted"]
    return gone
