"""The supervisor over small shell scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.embedded.locking import is_alive
from tests.gateways import eventually

_ROOT = Path(__file__).parents[3]
READY = 'touch "$HERE/a.ready"; '
FOR_EVER = "while :; do sleep 0.05; done"

Rehearse = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def rehearse(tmp_path: Path) -> Iterator[Rehearse]:
    """Start a supervisor over scripts given as `name=script`."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*programs: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tests.unit.embedded.rehearsal", str(tmp_path), *programs]
        process = subprocess.Popen(argv, cwd=_ROOT, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _is_up(folder: Path) -> Callable[[], bool]:
    return (folder / "all.ready").exists


def test_a_program_that_ends_is_started_again(rehearse: Rehearse, tmp_path: Path) -> None:
    script = READY + 'echo begin >> "$HERE/starts"; sleep 0.1; exit 3'

    supervisor = rehearse(f"a={script}")

    eventually(lambda: _read(tmp_path / "starts").count("begin") >= 3, "it was started twice more")
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert "WARNING a ended (code 3); again in 0.5 s." in _read(tmp_path / "gateway.log")
    assert "again in 1 s." in _read(tmp_path / "gateway.log")


def test_what_a_program_started_ends_with_it(rehearse: Rehearse, tmp_path: Path) -> None:
    script = 'sh -c "trap : TERM; while :; do sleep 0.05; done" & echo $! > "$HERE/worker"; '
    rehearse(f"a={script}{READY}wait")
    eventually(_is_up(tmp_path), "all are ready")
    worker = psutil.Process(int(_read(tmp_path / "worker")))

    psutil.Process(worker.ppid()).kill()

    eventually(lambda: not is_alive(worker), "its worker has ended too")


def test_one_that_ignores_the_request_to_stop_is_killed(rehearse: Rehearse, tmp_path: Path) -> None:
    supervisor = rehearse(f'a=trap : TERM; echo $$ > "$HERE/pid"; {READY}{FOR_EVER}')
    eventually(_is_up(tmp_path), "all are ready")
    stubborn = psutil.Process(int(_read(tmp_path / "pid")))

    supervisor.terminate()

    assert supervisor.wait(10) == 0
    assert not is_alive(stubborn)
    assert "a stopped (signal SIGKILL)" in _read(tmp_path / "gateway.log")


def test_a_program_that_fails_while_starting_is_explained(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    supervisor = rehearse("a=echo no such thing; exit 4")

    _, said = supervisor.communicate(timeout=20)

    assert supervisor.returncode == 1
    assert said.splitlines()[0] == "a ended while starting (code 4): no such thing"
    assert str(tmp_path / "a.log") in said


def test_one_that_can_be_mended_is_tried_again(rehearse: Rehearse, tmp_path: Path) -> None:
    script = f'if mkdir "$HERE/once"; then echo mend me; exit 1; fi; {READY}{FOR_EVER}'

    rehearse(f"a={script}")

    eventually(_is_up(tmp_path), "all are ready")
    assert "WARNING a: It was mended." in _read(tmp_path / "gateway.log")


def test_one_that_is_never_ready_is_given_up(rehearse: Rehearse) -> None:
    supervisor = rehearse(f"late-a={FOR_EVER}")

    _, said = supervisor.communicate(timeout=30)

    assert supervisor.returncode == 1
    assert said.startswith("late-a was not ready after 0.3 s")


def test_a_request_to_stop_while_starting_is_obeyed(rehearse: Rehearse, tmp_path: Path) -> None:
    supervisor = rehearse(f'a=echo $$ > "$HERE/pid"; {FOR_EVER}')
    eventually(lambda: _read(tmp_path / "pid").strip(), "it was started")
    process = psutil.Process(int(_read(tmp_path / "pid")))

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(10) == 0
    assert not is_alive(process)


def test_a_first_step_that_fails_stops_everything(rehearse: Rehearse, tmp_path: Path) -> None:
    supervisor = rehearse("once-migrate=echo no database; exit 2", f"a={READY}{FOR_EVER}")

    _, said = supervisor.communicate(timeout=20)

    assert said.startswith("once-migrate ended while starting (code 2): no database")
    assert not (tmp_path / "a.ready").exists()


def test_much_output_stops_nobody(rehearse: Rehearse, tmp_path: Path) -> None:
    script = f'{READY}seq 1 200000; touch "$HERE/written"; {FOR_EVER}'

    rehearse(f"a={script}")

    eventually((tmp_path / "written").exists, "everything was written")
    eventually(lambda: _read(tmp_path / "a.log").endswith("\n200000\n"), "and is in the log")


def test_ctrl_c_in_the_terminal_reaches_the_supervisor_alone(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    supervisor = rehearse(f'a=echo $$ > "$HERE/pid"; {READY}{FOR_EVER}')
    eventually(_is_up(tmp_path), "all are ready")
    pid = int(_read(tmp_path / "pid"))

    assert os.getsid(pid) == pid
    assert os.getpgid(pid) != os.getpgid(supervisor.pid)
