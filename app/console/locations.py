"""`gateway locations ...`"""

from __future__ import annotations

from typing import Any, Final

import click

from app.console.access import Door, door_options
from app.console.chargers import print_job
from app.console.tables import print_facts, print_json, print_table, shorten

_ROOT: Final = "/ocpp/locations"
_TEMPLATES: Final = "/ocpp/templates/locations"


@click.group()
def locations() -> None:
    """Create, list and delete sites."""


@locations.command()
@click.argument("name")
@click.option("--address", default="1 Main Street", show_default=True)
@click.option("--city", default="Anytown", show_default=True)
@click.option("--country", help="ISO 3166-1 alpha-2. Default: DE, or the template's.")
@click.option("--latitude", type=float, default=52.52, show_default=True)
@click.option("--longitude", type=float, default=13.405, show_default=True)
@click.option("--timezone", help="IANA, like Europe/Berlin.")
@click.option("--template", metavar="SLUG", help="With the chargers of a ready-made site.")
@click.option("--ws-url", help="Of a template's chargers: the CSMS.")
@click.option("--prefix", default="", help="Of a template's chargers: begins each identity.")
@click.option("--wait/--no-wait", default=True, help="Wait until the chargers are there.")
@door_options
@click.pass_context
def create(
    ctx: click.Context,
    door: Door,
    /,
    *,
    template: str | None,
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Create a site with a NAME, empty or as a --template has it."""
    site = {key: options[key] for key in ("name", "address", "city", "country", "timezone")}
    site["coordinates"] = {key: options[key] for key in ("latitude", "longitude")}
    client = door.open()
    if template is None:
        made = client.call("POST", _ROOT, site | {"country": options["country"] or "DE"})
        print_json(made) if as_json else _print_location(made)
        return
    if not options["ws_url"]:
        raise click.UsageError("--template needs --ws-url.")
    site |= {"ws_url": options["ws_url"], "identity_prefix": options["prefix"]}
    ordered = client.call("POST", f"{_TEMPLATES}/{template}", site)
    job: dict[str, Any] = ordered
    if wait:
        from app.console.progress import follow_job

        job = follow_job(client, ordered["status_url"], quiet=as_json)
    if as_json:
        print_json(ordered | job)
    else:
        _print_location(ordered["location"])
        print_job(job)
    ctx.exit(1 if job["status"] == "FAILED" else 0)


def _print_location(location: dict[str, Any]) -> None:
    print_facts(
        {
            "Location": location["name"],
            "Id": location["id"],
            "Slug": location["slug"],
            "Place": f"{location['address']}, {location['city']}, {location['country']}",
            "Timezone": location["timezone"],
            "Created": shorten(location["created_at"]),
        }
    )


@locations.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@door_options
def list_locations(door: Door, *, limit: int, as_json: bool) -> None:
    """List sites, newest first."""
    found = list(door.open().list_all(_ROOT, most=limit))
    if as_json:
        print_json(found)
        return
    rows = ((one["name"], one["id"], one["city"], one["country"]) for one in found)
    print_table(["Name", "Id", "City", "Country"], rows, nothing="There are no locations.")


@locations.command()
@click.argument("location_id", metavar="LOCATION")
@door_options
def show(door: Door, *, location_id: str, as_json: bool) -> None:
    """Show a site and how many chargers it has."""
    client = door.open()
    location = client.call("GET", f"{_ROOT}/{location_id}")
    number = client.call("GET", f"{_ROOT}/{location_id}/chargers", query={"limit": 1})["total"]
    if as_json:
        print_json(location | {"chargers": number})
    else:
        _print_location(location)
        print_facts({"Chargers": number})


@locations.command()
@click.argument("location_id", metavar="LOCATION")
@click.option("--cascade", is_flag=True, help="With its chargers.")
@door_options
def delete(door: Door, *, location_id: str, cascade: bool, as_json: bool) -> None:
    """Delete a site."""
    from app.console.client import CallFailed

    query = {"cascade": "true" if cascade else "false"}
    try:
        door.open().call("DELETE", f"{_ROOT}/{location_id}", query=query)
    except CallFailed as refusal:
        if (refusal.body or {}).get("code") != "location_not_empty":
            raise
        raise CallFailed("The location still has chargers; --cascade deletes them too.") from None
    print_json({"deleted": location_id}) if as_json else click.echo("Deleted.")


@locations.command()
@door_options
def templates(door: Door, *, as_json: bool) -> None:
    """List the ready-made sites."""
    found = door.open().call("GET", _TEMPLATES)["data"]
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["slug"],
            one["type"],
            one["country"],
            ", ".join(
                f"{g['count']} {g['model_slug']} {g['connector_type']}" for g in one["groups"]
            ),
        )
        for one in found
    )
    print_table(["Slug", "Type", "Country", "Chargers"], rows, nothing="There are none.")
