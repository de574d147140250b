"""After a bulk order, deletes and stops, what the programs counted is what the database holds.

A gateway of its own, so that its counters began at 0. Nothing is killed here: a process that is killed between an
act and its count loses that one count (docs/metrics.md); what comes from the database stays right even then, which
`python -m tests.compose_tour <folder> kills metrics` shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateways import Gateway, eventually, make_data_folder
from tests.judges import Judge
from tests.orders import HARDWARE, SITE

ORDERED, DELETED, STOPPED = 30, 10, 5


@pytest.fixture(scope="module")
def counted() -> Iterator[Gateway]:
    with make_data_folder() as data, Gateway(data, without=("flower", "beat")) as gateway:
        yield gateway.comes_up()


@pytest.fixture
def client(counted: Gateway) -> Iterator[httpx.Client]:
    with counted.open_client() as client:
        yield client


def _scrape(url: str) -> dict[tuple[str, ...], float]:
    """(sample, then the values of its labels) → value."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(httpx.get(url, timeout=30).text)
        for sample in family.samples
    }


def _sum(samples: dict[tuple[str, ...], float], name: str, *labels: int) -> dict[Any, float]:
    """The values of one metric by some of its labels (their places in the alphabet), zeros left out."""
    sums: Counter[Any] = Counter()
    for (found, *values), value in samples.items():
        if found == name and value:
            sums[tuple(values[at] for at in labels)] += value  # type: ignore[assignment]  # floats
    return dict(sums)


def _ask(gateway: Gateway, statement: str) -> dict[Any, float]:
    """The last column by the others, zeros left out."""
    with gateway.connect() as database:
        rows = database.execute(statement).fetchall()  # type: ignore[arg-type]  # our own text
    return {tuple(row[:-1]): float(row[-1]) for row in rows if row[-1]}


def _order_and_change(gateway: Gateway, client: httpx.Client, ws_url: str) -> None:
    site = client.post("/ocpp/locations", json=SITE).json()["id"]
    group = {
        "template": {**HARDWARE, "identity_prefix": "METER-", "ws_url": ws_url},
        "chargers_number": ORDERED,
    }
    job = client.post(f"/ocpp/locations/{site}/chargers", json=[group]).json()["status_url"]
    eventually(lambda: client.get(job).json()["status"] == "READY", "the bulk order is carried out")
    ids = [one["id"] for one in client.get("/ocpp/chargers", params={"limit": 100}).json()["data"]]
    for charger_id in ids[:DELETED]:
        assert client.delete(f"/ocpp/chargers/{charger_id}").status_code == 204
    for charger_id in ids[DELETED : DELETED + STOPPED]:
        answer = client.post(f"/ocpp/chargers/{charger_id}/stop-charger", json={})
        assert answer.status_code < 300, answer.text
    active = "SELECT count(*) FROM runs WHERE status = 'active'"
    eventually(lambda: not _ask(gateway, active), "every order has ended")


def test_what_was_counted_after_a_bulk_order_is_what_the_database_holds(
    counted: Gateway, client: httpx.Client, judge: Judge
) -> None:
    _order_and_change(counted, client, judge.ws_url)
    state = counted.read_state()
    samples = _scrape(f"{state['base_url']}/metrics")

    runs = _ask(counted, "SELECT kind, status, count(*) FROM runs GROUP BY 1, 2")
    assert runs[("provision", "done")] == ORDERED
    assert _sum(samples, "gateway_runs", 0, 1) == runs
    live = "FROM chargers WHERE deleted_at IS NULL GROUP BY 1"
    chargers = _ask(counted, f"SELECT status, count(*) {live}")
    assert _sum(samples, "gateway_chargers", 2) == chargers
    assert sum(chargers.values()) == ORDERED - DELETED
    runtimes = _ask(counted, "SELECT count(*) FROM runtimes WHERE state <> 'gone'")
    assert _sum(samples, "gateway_runtimes") == runtimes == {(): ORDERED - DELETED - STOPPED}

    steps = _ask(
        counted,
        """SELECT kind, name, count(*) FROM run_steps JOIN runs ON runs.id = run_id
           WHERE run_steps.status = 'done' GROUP BY 1, 2""",
    )
    carried_out = {
        (kind, step): value
        for (kind, outcome, step), value in _sum(samples, "gateway_steps_total", 0, 1, 2).items()
        if outcome == "done"
    }
    assert carried_out == steps
    link = state["link_url"].replace("ws://", "http://").removesuffix("/link")

    # Stages are told apart from records, as reports.
    def agree_on_records() -> bool:
        held = _ask(
            counted,
            """SELECT sum(number) FROM (SELECT count(*) AS number FROM ocpp_frames
               UNION ALL SELECT count(*) FROM charger_events WHERE kind <> 'stage') AS stored""",
        )
        return _sum(_scrape(f"{link}/metrics"), "gateway_link_records_total") == held

    eventually(agree_on_records, "the link has counted each frame and event that is stored")
    told = _scrape(f"{link}/metrics")
    assert _sum(told, "gateway_link_admissions_total") == {(): ORDERED}
    assert _sum(told, "gateway_link_chargers") == runtimes
