"""The simulator as a program: its environment, its signals, its lock, its files, and the CSMS beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.csms import Csms
from tests.link_gateway import GatewayLink, in_event_loop, make_config


@contextlib.asynccontextmanager
async def program(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        *arguments,
        env={**os.environ, **environ},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def environment(
    gateway: GatewayLink, folder: Path, token: str = "h1.one.topsecret"
) -> dict[str, str]:
    return {
        "SIMULATOR_LINK_URL": gateway.url,
        "SIMULATOR_TOKEN": token,
        "SIMULATOR_STATE_DIR": str(folder / "state"),
        "SIMULATOR_HEALTH_FILE": str(folder / "health"),
        "SIMULATOR_LINK_RETRY_MIN_S": "0.05",
        "SIMULATOR_LINK_RETRY_MAX_S": "0.2",
    }


async def exit_code(process: asyncio.subprocess.Process, within_s: float = 10) -> tuple[int, str]:
    _, err = await asyncio.wait_for(process.communicate(), within_s)
    assert process.returncode is not None
    return process.returncode, err.decode()


@in_event_loop
async def test_sigterm_closes_the_csms_sockets_and_exits_0_with_the_log_free_of_secrets(
    tmp_path: Path,
) -> None:
    csms = Csms()
    await csms.start()
    csms.behave(password="hunter2hunter2")
    async with (
        GatewayLink() as gateway,
        program("host", **environment(gateway, tmp_path)) as process,
    ):
        await gateway.wait_for(lambda: gateway.is_linked)
        config = make_config(
            f"{csms.url}?apikey=querysecret",
            "CP-1",
            security_profile=1,
            authorization_key="hunter2hunter2",
        )
        await gateway.add("dep-1", config)
        await csms.wait_for(lambda: csms.accepted())
        assert (tmp_path / "health").exists()
        process.send_signal(signal.SIGTERM)
        code, log = await exit_code(process, within_s=5)
        assert code == 0
        assert csms.sockets[0].close_code in (1000, 1001)
        for secret in ("topsecret", "hunter2", "querysecret"):
            assert secret not in log
        assert all(json.loads(line) for line in log.splitlines())
    await csms.stop()


@in_event_loop
async def test_a_container_whose_incarnation_is_over_exits_0(tmp_path: Path) -> None:
    async with GatewayLink() as gateway:
        gateway.refuses = 410
        async with program("host", **environment(gateway, tmp_path, "b1.dep-1.1.x")) as process:
            assert (await exit_code(process))[0] == 0


@in_event_loop
async def test_a_second_process_with_the_same_host_id_waits_until_the_first_is_dead(
    tmp_path: Path,
) -> None:
    async with GatewayLink() as gateway:
        settings = environment(gateway, tmp_path)
        async with program("host", **settings) as first:
            await gateway.wait_for(lambda: gateway.is_linked)
            async with program("host", **settings) as second:
                assert second.stderr is not None
                told = json.loads(await second.stderr.readline())
                assert "waiting" in told["event"]
                assert len(gateway.hellos) == 1
                first.kill()
                await gateway.wait_for(lambda: len(gateway.hellos) == 2)
                assert gateway.hellos[1]["pid"] == second.pid


@in_event_loop
async def test_two_host_ids_share_a_folder(tmp_path: Path) -> None:
    async with GatewayLink() as gateway:
        one = environment(gateway, tmp_path)
        two = environment(gateway, tmp_path, "h1.two.x")
        async with program("host", **one), program("host", **two):
            await gateway.wait_for(lambda: len(gateway.hellos) == 2)


def test_a_wrong_environment_is_refused_with_a_line_per_mistake() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "host"],
        env={
            "PATH": os.environ["PATH"],
            "SIMULATOR_LINK_URL": "http://x",
            "SIMULATOR_CAPACITY": "?",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    for name in ("SIMULATOR_LINK_URL", "SIMULATOR_CAPACITY", "SIMULATOR_TOKEN"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


# --- the CSMS as a program ------------------------------------------------------------------------


@pytest.fixture
def csms_url() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "csms", "--port", "0", "--boot", "pending:1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        process.stdout.close()
        assert process.wait(10) == 0


def test_another_process_reads_the_books_and_gives_orders(csms_url: str, tmp_path: Path) -> None:
    base = csms_url.replace("ws://", "http://").removesuffix("/ocpp")

    async def scenario(http: httpx.AsyncClient) -> None:
        behaved = await http.post("/behave", params={"retry_s": "1"})
        assert behaved.status_code == 200
        async with (
            GatewayLink() as gateway,
            program("host", **environment(gateway, tmp_path)),
        ):
            await gateway.wait_for(lambda: gateway.is_linked)
            await gateway.add("dep-1", make_config(csms_url, "CP-1"))
            await gateway.wait_for(lambda: "online" in gateway.stages("dep-1"))
            order = {"identity": "CP-1", "action": "DataTransfer", "payload": '{"vendorId":"x"}'}
            answer = (await http.post("/send", params=order)).json()
            assert answer == {"answer": {"status": "UnknownVendorId"}}
            report = (await http.get("/report", params={"identity": "CP-1"})).json()
            assert report["accepted"] == ["CP-1"]
            assert report["offences"] == report["overlaps"] == []
            actions = [f["action"] for f in report["frames"] if f["direction"] == "u"]
            assert actions[:2] == ["BootNotification", "BootNotification"]
            await http.post("/behave", params={"identity": "CP-1", "upgrade": "401"})
            await http.post("/drop", params={"identity": "CP-1", "code": "1000"})
            await gateway.wait_for(
                lambda: [m for m in gateway.told("state") if m["detail"].get("http_status") == 401]
            )

    async def run() -> None:
        async with httpx.AsyncClient(base_url=base) as http:
            await asyncio.wait_for(scenario(http), 30)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/behave?boot=sometimes", 400),
        ("POST", "/behave?colour=red", 400),
        ("POST", "/send?identity=nobody&action=Reset", 404),
        ("POST", "/send?identity=nobody", 400),
        ("GET", "/nothing", 404),
    ],
)
def test_orders_that_make_no_sense_are_refused_in_json(
    csms_url: str, method: str, path: str, status: int
) -> None:
    base = csms_url.replace("ws://", "http://").removesuffix("/ocpp")
    answer: Any = httpx.request(method, base + path)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_csms_on_a_port_in_use_is_refused_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "simulator", "csms", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == f"Error: 127.0.0.1:{port} is in use; --port names another, 0 any.\n"
