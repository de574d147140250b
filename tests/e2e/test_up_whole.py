"""`gateway up` with everything: what it says, what it mends, and that nothing outlives it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.embedded.locking import is_alive
from tests.gateways import Gateway, eventually, make_data_folder, make_environment, run_gateway
from tests.judges import run_judge

_QUICK = {"GATEWAY_CSMS_S": "3", "GATEWAY_START_LOCAL_S": "20"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A whole gateway that the tests of this module share; they mend what they break."""
    environment = make_environment(**_QUICK)
    with (
        make_data_folder() as data,
        Gateway(data, without=(), environment=environment) as gateway,
    ):
        yield gateway.comes_up()


def _get_health(gateway: Gateway) -> int:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{gateway.read_state()['base_url']}/health/ready").status_code
    return 0


def _list_family(gateway: Gateway, name: str) -> list[psutil.Process]:
    """A program and its workers, once it has them."""
    leader = gateway.get_child(name)
    workers = eventually(lambda: leader.children(recursive=True), f"{name} has workers")
    return [leader, *workers]


def test_status_shows_every_part_on_one_screen(gateway: Gateway) -> None:
    screen = run_gateway("status", "--data-dir", str(gateway.data))

    assert screen.returncode == 0, screen.stdout
    assert "Everything answers." in screen.stdout
    for part in ("postgres", "valkey", "api", "link", "worker", "beat", "host", "flower"):
        assert re.search(rf"^{part} +running", screen.stdout, re.MULTILINE), part
    assert len(screen.stdout.splitlines()) <= 24


def test_status_tells_what_does_not_answer(gateway: Gateway) -> None:
    link = gateway.get_child("link")
    api = gateway.get_child("api")
    before = gateway.count_restarts("link")
    link.kill()
    eventually(lambda: not is_alive(link), "the link has ended")

    screen = run_gateway("status", "--data-dir", str(gateway.data))

    was_back = gateway.count_restarts("link") > before and "PROBLEM" not in screen.stdout
    assert was_back or (screen.returncode == 1 and "the link does not listen" in screen.stdout)
    eventually(lambda: gateway.count_restarts("link") > before, "the link is started again")
    assert is_alive(api)


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_killed_program_is_started_again_and_its_workers_do_not_stay(
    gateway: Gateway, name: str
) -> None:
    family = _list_family(gateway, name)
    before = gateway.count_restarts(name)

    family[0].kill()

    eventually(lambda: gateway.count_restarts(name) > before, f"{name} is started again")
    eventually(lambda: not any(map(is_alive, family)), "the former workers are gone")
    eventually(lambda: _get_health(gateway) == 200, "the API answers")
    assert gateway.get_child(name).pid != family[0].pid


def test_flower_lets_in_only_who_has_the_password(gateway: Gateway) -> None:
    url = gateway.read_state()["flower_url"]
    password = (gateway.data / "secrets" / "flower_password").read_text()
    eventually(lambda: _answers(url), "Flower listens")

    assert httpx.get(f"{url}/workers").status_code == 401
    assert httpx.get(f"{url}/workers", auth=("gateway", "wrong")).status_code == 401
    assert httpx.get(f"{url}/workers", auth=("gateway", password)).status_code == 200


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return bool(httpx.get(url).status_code)
    return False


def test_a_token_of_the_command_opens_its_organization(gateway: Gateway) -> None:
    made = run_gateway("token", "--data-dir", str(gateway.data), "--organization", "acme")
    path = Path(made.stdout.strip().removeprefix("The token is in "))
    url = f"{gateway.read_state()['base_url']}/ocpp/chargers"

    answer = httpx.get(url, headers={"Authorization": f"Bearer {path.read_text()}"})

    assert path.stat().st_mode & 0o777 == 0o600
    assert answer.status_code == 200
    assert httpx.get(url).status_code == 401


def test_the_demo_succeeds_against_a_gateway_that_runs(gateway: Gateway) -> None:
    state = gateway.read_state()

    shown = run_gateway("demo", "--url", state["base_url"], "--token", state["token_file"])

    assert shown.returncode == 0, shown.stderr
    for step in ("register_task_definition", "run_task", "wait_for_health", "mark_ready"):
        assert f"{step}: done" in shown.stdout
    assert '"BootNotification"' in shown.stdout


def test_the_demo_fails_with_the_reason(gateway: Gateway) -> None:
    state = gateway.read_state()

    shown = run_gateway(
        *("demo", "--url", state["base_url"], "--token", state["token_file"]),
        *("--csms", "ws://127.0.0.1:1/nobody"),
    )

    assert shown.returncode == 1
    assert "csms_unreachable" in shown.stderr


def test_the_demo_alone_leaves_nothing_behind() -> None:
    shown = run_gateway("demo")

    assert shown.returncode == 0, shown.stderr
    (folder,) = re.findall(r"in (/\S+) \.\.\.", shown.stdout)
    assert not Path(folder).exists()
    assert not [p for p in psutil.process_iter() if folder in " ".join(_read_command(p))]


def _read_command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def test_a_killed_gateway_leaves_nothing_and_its_chargers_come_back() -> None:
    with run_judge() as judge, make_data_folder() as data:
        with Gateway(data, without=("flower", "beat")) as gateway:
            gateway.comes_up()
            api = httpx.Client(base_url=gateway.read_state()["base_url"], headers=_sign(data))
            with api:
                charger = _order(api, judge.ws_url)
                eventually(lambda: _read_status(api, charger) == "READY", "the charger is READY")
            everything = gateway.list_processes()
            assert len(everything) > 10

            gateway.is_killed()

            eventually(lambda: not any(map(is_alive, everything)), "everything has ended")
            assert gateway.list_processes() == []

        boots = judge.count_boots("CP-BACK")
        with Gateway(data, without=("flower", "beat")) as again:
            again.comes_up()
            eventually(lambda: judge.count_boots("CP-BACK") > boots, "the charger is back")

            stopped = run_gateway("down", "--data-dir", str(data), "--runtimes", "stop")

            assert stopped.returncode == 0, stopped.stderr
            assert "Ended 0 runtimes" in (data / "logs" / "evacuate.log").read_text()
            assert again.list_processes() == []
        said = again.ends()
        for line in ("The gateway is up:", "API token:", "Logs:", "  curl -H "):
            assert line in said
        refused = run_gateway("down", "--data-dir", str(data))
        assert refused.stderr == f"gateway: No gateway runs on {data}.\n"


def _sign(data: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {(data / 'tokens' / 'default').read_text()}"}


def _order(api: httpx.Client, ws_url: str) -> str:
    order = {
        "identity": "CP-BACK",
        "brand_slug": "abb",
        "model_slug": "terra-184",
        "connector_type": "CCS2",
        "ws_url": ws_url,
    }
    answer = api.post("/ocpp/chargers", json=order)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["charger_id"])


def _read_status(api: httpx.Client, charger: str) -> str:
    return str(api.get(f"/ocpp/chargers/{charger}/status").json()["status"])
