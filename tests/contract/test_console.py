"""`gateway chargers`, `gateway locations` and `gateway runs` against a live API, the engine beside it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.console import commands
from app.console.chargers import print_job
from app.console.client import CallFailed, Client
from app.models import Frame
from app.settings import Settings
from app.tokens import Role
from tests.contract.conftest import ORDER, Caller
from tests.contract.test_locations import open_site
from tests.engine_world import World
from tests.gateways import eventually

WS = "ws://csms.example.com/ocpp"


class Terminal:
    """A person who types commands."""

    def __init__(self, base_url: str, token: str) -> None:
        self._access = ["--url", base_url, "--token", token]

    def types(self, line: str, *, says: str = "") -> Result:
        """Run a command to its end; `says` is what is answered to its questions."""
        group, name, *rest = line.split()
        found = next(command for command in commands if command.name == group)
        assert isinstance(found, click.Group)
        return CliRunner().invoke(found, [name, *rest, *self._access], input=says)

    def reads(self, line: str) -> Any:
        """Run a command with --json; what it printed."""
        result = self.types(f"{line} --json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def me(base_url: str, make_token: Callable[..., str]) -> Terminal:
    return Terminal(base_url, make_token())


@pytest.fixture
def operator(base_url: str, make_token: Callable[..., str]) -> Terminal:
    return Terminal(base_url, make_token("house", role=Role.ADMIN))


@pytest.fixture
def workers(engine: Engine, settings: Settings) -> Iterator[World]:
    """Workers, a link and a CSMS that let every charger come up, in a thread."""
    world = World(engine, settings)
    ends = threading.Event()

    def work() -> None:
        while not ends.wait(0.05):
            world.lets_time_pass(5)
            world.passes()
            world.work()
            with world.sessions() as session:
                waiting = session.scalars(
                    text(
                        "SELECT charger_id FROM runtimes WHERE stage = 'queued' AND state = 'started'"
                    )
                ).all()
            for charger_id in waiting:
                world.goes_online(charger_id)
            world.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield world
    ends.set()
    thread.join()


def test_a_charger_is_created_and_waited_for(me: Terminal, workers: World) -> None:
    made = me.types(f"chargers create CP-1 --ws-url {WS} --name Bay")
    assert made.exit_code == 0, made.output
    assert "READY" in made.stdout
    listed = me.types("chargers list")
    assert "CP-1" in listed.stdout
    assert "READY" in listed.stdout


def test_an_accepted_charger_need_not_be_waited_for(me: Terminal) -> None:
    made = me.reads(f"chargers create CP-1 --ws-url {WS} --no-wait")
    assert (made["identity"], made["status"]) == ("CP-1", "PENDING")
    status = me.types("chargers status CP-1")
    assert status.exit_code == 0
    assert "register_task_definition" in status.stdout
    assert me.reads(f"chargers status {made['charger_id']}")["status"] == "PENDING"


def test_a_refused_order_is_one_sentence(me: Terminal) -> None:
    me.types(f"chargers create CP-1 --ws-url {WS} --no-wait")
    for line, sentence in (
        (f"chargers create CP-1 --ws-url {WS}", "has a live charger with the identity CP-1"),
        (f"chargers create CP/1 --ws-url {WS}", "body.identity: Must be 1 to 48"),
        (f"chargers create CP-2 --ws-url {WS} --model x", "Unknown model 'x'"),
        ("chargers status CP-9", "No charger with the identity CP-9"),
        ("locations show nowhere", "No location with this id."),
    ):
        result = me.types(line)
        assert result.exit_code == 1
        assert isinstance(result.exception, CallFailed)
        assert sentence in result.exception.message


def test_many_chargers_are_one_job(me: Terminal, workers: World) -> None:
    site = me.reads("locations create Depot --country FR")
    made = me.types(f"chargers create --count 5 --prefix D- --location {site['id']} --ws-url {WS}")
    assert made.exit_code == 0, made.output
    assert "READY" in made.stdout
    assert len(me.reads("chargers list --identity D- --status READY")) == 5
    assert me.reads(f"locations show {site['id']}")["chargers"] == 5


def test_a_ready_made_site_comes_with_its_chargers(me: Terminal, workers: World) -> None:
    listed = me.types("locations templates")
    assert "urban-ac-hub" in listed.stdout
    line = f"locations create Hub --template multi-standard-dc --ws-url {WS} --prefix H-"
    made = me.reads(line)
    assert (made["status"], made["progress"]["ready"]) == ("READY", 3)
    assert made["location"]["name"] == "Hub"
    assert len(me.reads("chargers list --identity H-00")) == 3
    assert "Hub" in me.types("locations list").stdout


def test_a_job_of_which_nothing_comes_up_ends_with_code_1_and_says_why(
    me: Terminal, acme: Caller, workers: World
) -> None:
    site = open_site(acme).rsplit("/", 1)[1]
    body = {name: value for name, value in ORDER.items() if name != "identity"}
    group = {"template": body | {"identity_prefix": "X"}, "charger_ids": ["1"]}
    acme.post(f"/ocpp/locations/{site}/chargers", json=[group])
    job = acme.post(f"/ocpp/locations/{site}/chargers", json=[group]).json

    def look() -> Any:
        answer = acme.get(job["status_url"]).json
        return answer if answer["status"] in ("READY", "FAILED") else None

    ended = eventually(look, "the job ends")
    result = CliRunner().invoke(click.Command("x", callback=lambda: print_job(ended)))
    assert "identity_taken" in result.stdout
    assert "FAILED" in result.stdout


def test_frames_are_shown_oldest_first_and_followed(
    me: Terminal,
    acme: Caller,
    sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charger_id = acme.order()

    def tell(number: int, action: str) -> None:
        with sessions.begin() as session:
            session.add(
                Frame(
                    charger_id=charger_id,
                    incarnation=1,
                    number=number,
                    at=datetime(2026, 1, 1, 12, 0, number // 2, tzinfo=UTC),
                    direction="u",
                    action=action,
                    message=f'[2,"{number}","{action}",{{}}]',
                )
            )

    for number, action in enumerate(("BootNotification", "Heartbeat", "Heartbeat")):
        tell(number, action)
    shown = me.types("chargers logs CP-001").stdout.splitlines()
    assert ["BootNotification" in shown[0], "Heartbeat" in shown[1], len(shown)] == [True, True, 3]
    only = me.types("chargers logs CP-001 --event BootNotification --json").stdout
    assert json.loads(only)["action"] == "BootNotification"
    later = iter([3, 4])

    def pause(_: float) -> None:
        """Instead of sleeping: one more frame comes, in the end the person goes away."""
        number = next(later, None)
        if number is None:
            raise KeyboardInterrupt
        tell(number, "StatusNotification")

    module = sys.modules["app.console.chargers"]
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pause))
    followed = me.types("chargers logs CP-001 --follow").stdout.splitlines()
    numbers = [line.split('"')[1] for line in followed if '"' in line]
    assert numbers == ["0", "1", "2", "3", "4"]


def test_chargers_are_deleted_by_name_or_all_at_once(me: Terminal, acme: Caller) -> None:
    acme.order()
    acme.order(identity="CP-002")
    site = open_site(acme)
    body = {name: value for name, value in ORDER.items() if name != "identity"}
    acme.post(f"{site}/chargers", json=[{"template": body, "chargers_number": 250}])
    assert me.types("chargers delete CP-002").stdout.strip() == "Deleted: 1."
    kept = me.types("chargers delete --all", says="n\n")
    assert kept.exit_code == 1
    assert "Delete 251 chargers?" in kept.stdout
    assert acme.get("/ocpp/chargers").json["total"] == 251
    assert len(me.reads("chargers delete --all --yes")["deleted"]) == 251
    assert acme.get("/ocpp/chargers").json["total"] == 0
    assert "There are no such chargers." in me.types("chargers list").stdout


def test_a_site_with_chargers_is_deleted_with_them_only_when_asked(
    me: Terminal, acme: Caller
) -> None:
    location_id = open_site(acme).rsplit("/", 1)[1]
    acme.order(location_id=location_id)
    refused = me.types(f"locations delete {location_id}")
    assert refused.exit_code == 1
    assert str(refused.exception).endswith("--cascade deletes them too.")
    assert me.types(f"locations delete {location_id} --cascade").exit_code == 0
    assert acme.get("/ocpp/chargers").json["total"] == 0


def test_an_operator_sees_cancels_and_redrives_runs(
    operator: Terminal, acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    (run,) = operator.reads(f"runs list --charger {charger_id}")
    assert (run["organization_id"], run["status"]) == ("acme", "active")
    assert "provision" in operator.types("runs list").stdout
    assert "wait_for_health" in operator.types(f"runs show {run['id']}").stdout
    cancelled = operator.types(f"runs cancel {run['id']}")
    assert "superseded" in cancelled.stdout
    assert operator.types(f"runs redrive {run['id']}").exit_code == 1
    with sessions.begin() as session:
        session.execute(
            text(
                "UPDATE runs SET status = 'failed', finished_at = clock_timestamp()"
                " WHERE status = 'active'"
            )
        )
    (current,) = operator.reads("runs list --status failed")
    assert operator.reads(f"runs redrive {current['id']}")["successor_run_id"]
    assert "There are no such runs." in operator.types("runs list --kind delete").stdout


def test_a_command_without_a_gateway_says_what_to_do(tmp_path: Path) -> None:
    group = next(command for command in commands if command.name == "chargers")
    result = CliRunner().invoke(group, ["list", "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, CallFailed)
    assert "gateway up" in result.exception.message
    other = CliRunner().invoke(group, ["list", "--url", "http://127.0.0.1:9"])
    assert isinstance(other.exception, CallFailed)
    assert "--token" in other.exception.message


def test_a_token_may_lie_in_a_file(
    base_url: str, make_token: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(make_token() + "\n")
    group = next(command for command in commands if command.name == "chargers")
    result = CliRunner().invoke(group, ["list", "--url", base_url, "--token", str(file), "--json"])
    assert json.loads(result.stdout) == []


def test_an_address_where_nobody_answers_is_one_sentence() -> None:
    with pytest.raises(CallFailed, match="does not answer: nothing listens there"):
        Client("http://127.0.0.1:9", "x").call("GET", "/")
