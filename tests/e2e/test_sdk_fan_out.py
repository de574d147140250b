"""The official SDK tells a whole location at once, while some of its chargers are away from their CSMS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest
from ocpplab import (
    ChargerGroup,
    ChargerTemplate,
    CommandTarget,
    ConnectorCommandEvent,
    Coordinates,
    OcpplabSDK,
)

from tests.gateways import eventually
from tests.judges import Judge
from tests.sizes import CROWD, CROWD_PATIENCE_S

#: Every twentieth is away.
AWAY = CROWD // 20


@dataclass(frozen=True)
class Site:
    """A location full of chargers that are online."""

    id: str
    #: Identity to id.
    chargers: Mapping[str, str]


@pytest.fixture
def site(sdk: OcpplabSDK, judge: Judge, identity: str) -> Iterator[Site]:
    location = sdk.locations.create(
        name="Depot",
        address="1 Rue",
        city="Paris",
        country="FR",
        coordinates=Coordinates(latitude=1, longitude=2),
    )
    template = ChargerTemplate(
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ws_url=judge.ws_url,
        identity_prefix=f"{identity}-",
    )
    numbers = [str(number) for number in range(CROWD)]
    job = sdk.location_chargers.create(
        location.id, request=[ChargerGroup(template=template, charger_ids=numbers)]
    )

    def is_ready() -> bool:
        return sdk.location_chargers.get_bulk_job(location.id, job.job_id).status == "READY"

    eventually(is_ready, "the site is there", patience_s=CROWD_PATIENCE_S)
    pages = range(1, 1 + -(-CROWD // 100))
    listed = [sdk.location_chargers.list(location.id, limit=100, page=page).data for page in pages]
    chargers = {one.identity: one.id for page in listed for one in page}
    assert len(chargers) == CROWD
    yield Site(location.id, chargers)
    ids = list(chargers.values())
    for begin in range(0, CROWD, 200):  # they stand in the address
        sdk.location_chargers.delete(location.id, charger_ids=ids[begin : begin + 200])
    sdk.locations.delete(location.id)


def read_stage(sdk: OcpplabSDK, charger_id: str) -> str:
    return str(sdk.chargers.get(charger_id).runtime["stage"])


def count_arrivals(judge: Judge, identity: str) -> int:
    """How often the CSMS was told that a cable went in."""
    calls = [json.loads(frame["text"]) for frame in judge.report(identity)["frames"]]
    told = [call[3] for call in calls if call[0] == 2 and call[2] == "StatusNotification"]
    return sum(payload["status"] == "Preparing" for payload in told)


def test_those_who_are_away_are_told_when_they_return(
    sdk: OcpplabSDK, base_url: str, judge: Judge, site: Site
) -> None:
    away = sorted(site.chargers)[:AWAY]
    for identity in away:
        judge.behaves(identity, upgrade="503")
        judge.drops(identity)
    for identity in away:
        charger_id = site.chargers[identity]
        eventually(lambda one=charger_id: read_stage(sdk, one) == "offline", f"{identity} is away")
    told = sdk.commands.plug_connector(
        target=CommandTarget(location_id=site.id), event=ConnectorCommandEvent()
    )
    assert (told.targeted_count, told.queued_count, told.failed_count) == (CROWD, CROWD, 0)
    commands = {one.identity: one.command.id for one in told.results}
    http = httpx.Client(base_url=base_url, headers=sdk._client_wrapper.get_headers())

    def state(identity: str) -> str:
        return str(http.get(f"/ocpp/commands/{commands[identity]}").json()["state"])

    with http:
        for identity in sorted(set(commands) - set(away)):
            eventually(lambda one=identity: state(one) == "applied", f"{identity} was told")
        assert [state(identity) for identity in away] == ["deferred"] * AWAY
        assert [count_arrivals(judge, identity) for identity in away] == [0] * AWAY
        for identity in away:
            judge.behaves(identity, upgrade="accept")
        for identity in away:
            eventually(lambda one=identity: state(one) == "applied", f"{identity} was told")
    for identity in commands:
        eventually(lambda one=identity: count_arrivals(judge, one) == 1, f"{identity} plugged once")
