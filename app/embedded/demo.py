"""`gateway demo`: one charger, ordered by the public REST API, followed until a CSMS has accepted it.

`rehearse` is the demonstration itself and knows a gateway by its URL and token only. `run_demo` lends it one: a
whole gateway on free ports in a folder for the occasion, and the built-in CSMS. Nothing of either is left.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.embedded.errors import DemoFailed
from app.embedded.folders import make_temporary_folder
from app.embedded.parts import make_command
from app.embedded.processes import spawn
from app.embedded.state import GatewayState, read_state

Say = Callable[[str], None]

_UP_S: Final = 120.0
_READY_S: Final = 120.0
_STOP_S: Final = 30.0
_POLL_S: Final = 0.1
_FRAMES: Final = 6
_LONGEST: Final = 110
#: What the demonstration orders; the catalog knows it.
_ORDER: Final = {
    "brand_slug": "abb",
    "model_slug": "terra-184",
    "connector_type": "CCS2",
    "charge_point_name": "Demonstration",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a demonstration takes place."""

    base_url: str
    token: str
    #: The CSMS that the charger shall connect to; None: the built-in one is started.
    csms: str | None = None


def run_demo(stage: Stage | None, say: Say) -> None:
    """Show the whole way, on `stage` or on a gateway of our own.

    Raises `DemoFailed` with the reason when the charger does not become READY.
    """
    if stage is None:
        with _own_gateway(say) as own, _own_csms() as csms:
            rehearse(own.base_url, own.token, csms, say)
        say("Everything was stopped again; nothing is left.")
    elif stage.csms:
        rehearse(stage.base_url, stage.token, stage.csms, say)
    else:
        with _own_csms() as csms:
            rehearse(stage.base_url, stage.token, csms, say)


def rehearse(base_url: str, token: str, csms: str, say: Say) -> None:
    """Order a charger, follow it until READY, show its first frames, delete it."""
    client = _Client(base_url.rstrip("/"), token)
    identity = f"DEMO-{secrets.token_hex(3).upper()}"
    began = time.monotonic()
    order = {"identity": identity, "ws_url": csms, **_ORDER}
    ordered = client.call("POST", "/ocpp/chargers", order)
    say(f"\nPOST /ocpp/chargers: 202, {identity} is {ordered['charger_id']}")
    charger = f"/ocpp/chargers/{ordered['charger_id']}"
    try:
        _follow(client, charger, began, say)
        frames = _wait_for_frames(client, charger)
        shown = client.call("GET", charger)
    finally:
        client.call("DELETE", charger)
    runtime = shown["runtime"]
    say(f"READY ({runtime['provider']} runtime, {runtime['stage']}, {runtime['verdict']}).")
    say("\nIts first OCPP frames:")
    for frame in frames:
        arrow = "->" if frame["direction"] == "cp_to_csms" else "<-"
        text = frame["message"]
        say(f"  {arrow} {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}")
    say("\nThe charger was deleted again.")


def _follow(client: _Client, charger: str, began: float, say: Say) -> None:
    """Print each step as it ends, until the charger is READY."""
    told: set[str] = set()
    deadline = began + _READY_S
    while True:
        status = client.call("GET", f"{charger}/status")
        for step in status.get("steps", ()):
            if step["status"] == "done" and step["name"] not in told:
                told.add(step["name"])
                say(f"  {time.monotonic() - began:5.1f} s  {step['name']}: done")
        if status["status"] == "READY":
            return
        if status["status"] == "FAILED":
            error = status["error"]
            raise DemoFailed(f"The charger failed: {error['message']} ({error['code']})")
        if time.monotonic() > deadline:
            hint = (status.get("runtime") or {}).get("hint") or status.get("current_step")
            raise DemoFailed(f"The charger was not READY after {_READY_S:g} s: {hint}")
        time.sleep(_POLL_S)


def _wait_for_frames(client: _Client, charger: str) -> list[dict[str, Any]]:
    """The first frames, oldest first; they reach the log a moment after they were on the wire."""
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        page = client.call("GET", f"{charger}/logs?limit=1000")
        frames: list[dict[str, Any]] = page["data"]
        if any(frame["action"] == "BootNotification" for frame in frames):
            return frames[::-1][:_FRAMES]
        time.sleep(_POLL_S)
    raise DemoFailed("The charger is READY, but its BootNotification is not in the log.")


class _Client:
    """As much HTTP as the demonstration needs."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._token = token

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The answer. Raises `DemoFailed` for every error, in the server's words."""
        request = urllib.request.Request(  # noqa: S310  # the address is the caller's own
            self._base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # the same
                content = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            raise DemoFailed(f"{method} {path}: {error.code} {text}") from error
        except OSError as error:
            raise DemoFailed(f"{method} {self._base_url}{path}: {error}") from error
        return dict(json.loads(content)) if content else {}


@contextmanager
def _own_gateway(say: Say) -> Iterator[Stage]:
    """A whole gateway for the occasion; its folder stays only when something went wrong."""
    data = make_temporary_folder("demo")
    say(f"Starting a gateway on free ports, in {data} ...")
    began = time.monotonic()
    arguments = ("--data-dir", str(data), "--free-ports")
    try:
        with _child(make_command("up", *arguments), data / "up.log") as process:
            state = _wait_for_state(data, process)
            say(f"It is up after {time.monotonic() - began:.1f} s: {state.base_url}")
            token = Path(state.token_file or "").read_text()
            yield Stage(state.base_url, token)
    except DemoFailed as failure:
        raise DemoFailed(f"{failure.message}\nThe logs are in {data}.") from failure
    except KeyboardInterrupt:
        shutil.rmtree(data)
        raise DemoFailed("Stopped before its end; nothing is left.") from None
    shutil.rmtree(data)


def _wait_for_state(data: Path, process: subprocess.Popen[bytes]) -> GatewayState:
    deadline = time.monotonic() + _UP_S
    while process.poll() is None and time.monotonic() < deadline:
        state = read_state(data / "state.json")
        if state and state.pid == process.pid and state.token_file:
            return state
        time.sleep(_POLL_S)
    words = (data / "up.log").read_text().strip()
    raise DemoFailed(f"The gateway did not come up:\n{words}")


@contextmanager
def _own_csms() -> Iterator[str]:
    """The built-in CSMS on a free port; its address."""
    read, write = os.pipe()
    with os.fdopen(read) as lines, os.fdopen(write, "wb") as output:
        argv = make_command("csms", "--port", "0", "--quiet")
        process = spawn(argv, environment=os.environ, output=output)
        output.close()
        try:
            words = lines.readline()
            if "ws://" not in words:
                raise DemoFailed(f"The built-in CSMS did not start: {words.strip()}")
            yield words.split()[-1]
        finally:
            _end(process)


@contextmanager
def _child(argv: tuple[str, ...], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = spawn(argv, environment=os.environ, output=output)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
