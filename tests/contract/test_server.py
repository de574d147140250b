"""`gateway api` as a process: bodies as the network brings them, the access log, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text

from app.settings import Settings
from tests.contract.conftest import ORDER
from tests.gateways import eventually


@dataclass
class Server:
    """A running `gateway api`."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    def list_requests(self) -> list[dict[str, object]]:
        """The access log."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == "request"]


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def server(settings: Settings, make_token: Callable[..., str], tmp_path: Path) -> Iterator[Server]:
    port = _find_free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "GATEWAY_DATABASE_URL": settings.database_url,
        "GATEWAY_BROKER_URL": settings.broker_url,
        "GATEWAY_JWT_SECRETS": ",".join(":".join(pair) for pair in settings.jwt_secrets.items()),
        "GATEWAY_LINK_SECRET": settings.link_secret,
        "GATEWAY_INSTALL_ID": settings.install_id,
        "GATEWAY_API_PORT": str(port),
        "GATEWAY_API_WORKERS": "1",
    }
    log = tmp_path / "api.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "api"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[2],
        )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {make_token()}"},
        timeout=60,
    )
    _wait_until_ready(process, client, log)
    yield Server(process, client, log)
    client.close()
    if process.poll() is None:
        process.kill()
    process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            client.get("/health/live")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return


def _pour(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes * 10):
        yield b"x" * 100_000


def test_bodies_are_bounded_however_they_are_transferred(server: Server) -> None:
    kind = {"Content-Type": "application/json"}

    def post(path: str, *, content: Any, headers: dict[str, str]) -> httpx.Response:
        """A server that refuses while a body still comes may cut the line: then the answer is asked again."""
        for _ in range(9):
            with contextlib.suppress(httpx.TransportError):
                body = content() if callable(content) else content
                return server.client.post(path, content=body, headers=headers)
        raise AssertionError("no answer in nine tries")

    chunked = post("/ocpp/chargers", content=lambda: _pour(5), headers=kind)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")
    plain = post("/ocpp/chargers", content=b"x" * 5_000_000, headers=kind)
    assert (plain.status_code, plain.json()["code"]) == (413, "body_too_large")
    packed = post(
        "/ocpp/chargers", content=lambda: _pour(5), headers=kind | {"Content-Encoding": "gzip"}
    )
    assert packed.status_code == 415
    small = post("/ocpp/chargers", content=iter([json.dumps(ORDER).encode()]), headers=kind)
    assert small.status_code == 202


def test_a_delete_may_name_a_thousand_chargers(server: Server) -> None:
    wanted = [f"dep-{number:032x}" for number in range(1000)]
    path = "/ocpp/locations/4090477f-a416-4515-a302-97aa344a0a2a/chargers"
    answer = server.client.delete(path, params={"charger_ids": wanted})
    assert (answer.status_code, answer.json()["code"]) == (404, "location_not_found")


def test_the_access_log_is_json_without_queries_and_tokens(server: Server) -> None:
    answer = server.client.get(
        "/ocpp/chargers/a%0Ab%22/status?wait=1&key=hunter2", headers={"X-Request-Id": "seen-1"}
    )
    assert answer.status_code == 404
    # The line is written after the answer has gone out.
    line = eventually(
        lambda: next(
            (one for one in server.list_requests() if one["request_id"] == "seen-1"), None
        ),
        "the request is logged",
    )
    text = server.log.read_text()
    assert "hunter2" not in text
    assert server.client.headers["Authorization"].split()[1] not in text
    assert line["path"] == '/ocpp/chargers/a\nb"/status'
    assert (line["method"], line["status"], line["organization_id"]) == ("GET", 404, "acme")


def test_it_ends_in_order_and_leaves_nothing(server: Server, engine: Engine) -> None:
    url = server.client.post("/ocpp/chargers", json=ORDER).json()["status_url"]
    family = psutil.Process(server.process.pid).children(recursive=True)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(server.client.get, f"{url}?wait=30")
        _wait_for_a_listener(engine)
        server.process.send_signal(signal.SIGTERM)
        answer = poll.result()
    assert answer.status_code == 200
    assert answer.json()["status"] == "PENDING"
    assert server.process.wait(30) == 0
    assert not psutil.wait_procs(family, timeout=30)[1]


def _wait_for_a_listener(engine: Engine) -> None:
    """The poll has sat down when its process listens for news."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    until = time.monotonic() + 30
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        while connection.scalar(query) == 0:
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)
