"""A crowd of chargers: kept waiting by its CSMS, and left by the link and by the host that it lives in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg
import pytest

from tests.gateways import Gateway, eventually, run_gateway
from tests.judges import Judge, run_judge
from tests.orders import HARDWARE, SITE
from tests.sizes import CROWD, CROWD_PATIENCE_S

#: The CSMS is asked again this often, seconds: fifty BootNotifications a second at most.
RETRY_S: Final = max(2, CROWD // 50)


@dataclass(frozen=True)
class Crowd:
    """One order of many, and the CSMS that it dials."""

    api: httpx.Client
    judge: Judge
    database: psycopg.Connection[Any]
    path: str

    def count(self, query: str) -> int:
        """`SELECT count(*) FROM ...`."""
        row = self.database.execute(f"SELECT count(*) FROM {query}".encode()).fetchone()
        assert row is not None
        return int(row[0])

    def read_progress(self) -> dict[str, int]:
        """What the job says of itself."""
        progress: dict[str, int] = self.api.get(self.path).json()["progress"]
        return progress

    def is_accepted(self) -> None:
        """The CSMS changes its mind, and all become READY."""
        for number in range(CROWD):
            self.judge.behaves(f"CROWD-{number}", boot="accepted")
        self.eventually(lambda: self.read_progress()["ready"] == CROWD, "all are READY")

    def count_online(self, *, link_id: str) -> int:
        """Chargers that are READY and online now, as another link than this one knows."""
        return self.count(
            "chargers AS c JOIN runtimes AS r ON r.charger_id = c.id AND r.incarnation = c.incarnation"
            " WHERE c.identity LIKE 'CROWD-%' AND c.status = 'READY' AND c.stage = 'online'"
            f" AND c.verdict = 'connected' AND r.link_id <> '{link_id}'"
        )

    def read_link(self) -> str:
        """The id of the link that the crowd is connected to."""
        rows = self.database.execute(
            "SELECT DISTINCT link_id FROM runtimes WHERE identity LIKE 'CROWD-%' AND state = 'started'"
        ).fetchall()
        assert len(rows) == 1
        return str(rows[0][0])

    def eventually(self, fact: Any, what: str) -> None:
        """Wait as long as a crowd needs."""
        eventually(fact, what, patience_s=CROWD_PATIENCE_S)


@pytest.fixture(scope="module")
def crowd(gateway: Gateway, base_url: str) -> Iterator[Crowd]:
    """All are started, connected, and told by their CSMS to wait."""
    token = run_gateway(
        "token", "--data-dir", str(gateway.data), "--organization", "crowded", "--show"
    )
    headers = {"Authorization": f"Bearer {token.stdout.strip().splitlines()[-1]}"}
    with (
        run_judge() as judge,
        gateway.connect() as database,
        httpx.Client(base_url=base_url, headers=headers, timeout=60) as api,
    ):
        for number in range(CROWD):
            judge.behaves(f"CROWD-{number}", boot="pending:1000000", retry_s=RETRY_S)
        site = api.post("/ocpp/locations", json=SITE).json()["id"]
        template = {**HARDWARE, "ws_url": judge.ws_url, "identity_prefix": "CROWD-"}
        group = {"template": template, "charger_ids": [str(number) for number in range(CROWD)]}
        job = api.post(f"/ocpp/locations/{site}/chargers", json=[group]).json()
        crowd = Crowd(api, judge, database, job["status_url"])
        waiting = (
            "runtimes WHERE identity LIKE 'CROWD-%' AND detail->>'boot_status' = 'Pending'"
            " AND state = 'started'"
        )
        crowd.eventually(lambda: crowd.count(waiting) == CROWD, "all wait")
        yield crowd
        assert api.delete(f"/ocpp/locations/{site}?cascade=true").status_code == 204


def test_those_who_wait_for_their_csms_hold_no_slot(crowd: Crowd, judge: Judge) -> None:
    other = {**HARDWARE, "identity": "NOT-WAITING", "ws_url": judge.ws_url}
    ordered = crowd.api.post("/ocpp/chargers", json=other).json()
    status_url = ordered["status_url"]
    eventually(lambda: crowd.api.get(status_url).json()["status"] == "READY", "another is READY")
    assert crowd.read_progress()["pending"] == CROWD
    crowd.is_accepted()
    assert crowd.count("runtimes WHERE identity LIKE 'CROWD-%'") == CROWD
    assert crowd.api.delete(f"/ocpp/chargers/{ordered['charger_id']}").status_code == 204


@pytest.mark.parametrize("part", ["link", "host"])
def test_all_come_back_when_a_part_is_killed_and_stay_ready_meanwhile(
    crowd: Crowd, gateway: Gateway, part: str
) -> None:
    crowd.is_accepted()
    crowd.eventually(lambda: crowd.count_online(link_id="") == CROWD, "all are online")
    left = crowd.read_link() if part == "link" else ""
    # Whom the link loses goes on; whom the host takes along is started anew, once.
    started_anew = CROWD if part == "host" else 0
    runs = crowd.count("runs WHERE identity LIKE 'CROWD-%'") + started_anew
    seen: set[str] = set()
    killed = gateway.get_child(part)
    killed.send_signal(signal.SIGKILL)

    def are_all_back() -> bool:
        rows = crowd.database.execute(
            "SELECT DISTINCT status FROM chargers WHERE identity LIKE 'CROWD-%'"
        )
        seen.update(row[0] for row in rows)
        return (
            not killed.is_running()
            and crowd.count("runs WHERE identity LIKE 'CROWD-%'") == runs
            and crowd.count_online(link_id=left) == CROWD
        )

    crowd.eventually(are_all_back, f"all are back after a new {part}")
    crowd.eventually(lambda: _count_open(crowd.judge) == CROWD, "the CSMS has each of them once")
    assert seen == {"READY"}
    assert crowd.count("runtimes WHERE identity LIKE 'CROWD-%' AND state = 'started'") == CROWD
    assert crowd.count("runs WHERE identity LIKE 'CROWD-%'") == runs
    assert not crowd.judge.report()["overlaps"]


def _count_open(judge: Judge) -> int:
    open_sockets = [one for one in judge.report()["sockets"] if one["closed_at"] is None]
    assert len({one["identity"] for one in open_sockets}) == len(open_sockets)
    return len(open_sockets)
