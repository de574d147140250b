"""What the tables of two drivers must agree upon, so that clients need not know where a charger runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from workers.runtimes import docker_verdicts, ecs_verdicts
from workers.runtimes.base import End, EndClass, RuntimeRejected, RuntimeTrouble
from workers.runtimes.ecs_calls import EcsRefusal, translate
from workers.runtimes.ecs_classify import classify_stop

#: Exit codes that Docker's table names, and one that it does not.
_EXIT_CODES = (0, 1, 126, 127, 128, 137, 143, 255)
_STOPS = {
    "image_not_found": "CannotPullContainerError: simulator:1: not found",
    "image_pull_denied": "CannotPullContainerError: pull access denied",
    "image_pull_failed": "CannotPullContainerError: no matching manifest for linux/arm64",
    "container_start_failed": "CannotStartContainerError: exec format error",
    "ecs_resources_denied": "ResourceInitializationError: AccessDeniedException",
}


def list_troubles() -> Iterator[RuntimeTrouble]:
    """Every refusal of every table, as it leaves its driver."""
    for told in vars(ecs_verdicts).values():
        if isinstance(told, ecs_verdicts.Verdict):
            yield translate(EcsRefusal(told, "said"))
    for told in vars(docker_verdicts).values():
        if isinstance(told, docker_verdicts.Verdict):
            yield docker_verdicts.make_trouble(told, "said")


def list_ends() -> Iterator[tuple[str, End]]:
    """Ends of containers and tasks, by their driver."""
    for code in _EXIT_CODES:
        yield "docker", docker_verdicts.classify_end({"ExitCode": code})
    yield "docker", docker_verdicts.classify_end({"ExitCode": 137, "OOMKilled": True})
    for reason in (*_STOPS.values(), "OutOfMemoryError: Container killed"):
        stopped: dict[str, Any] = {"stopCode": "TaskFailedToStart", "stoppedReason": reason}
        yield "ecs", classify_stop(stopped, "gw")


@pytest.mark.parametrize(
    "trouble", [t for t in list_troubles() if isinstance(t, RuntimeRejected)], ids=lambda t: t.code
)
def test_what_a_backend_refuses_may_be_ordered_again_once_it_is_mended(
    trouble: RuntimeRejected,
) -> None:
    assert trouble.retryable


@pytest.mark.parametrize(
    ("driver", "end"), list(list_ends()), ids=lambda one: getattr(one, "code", one)
)
def test_what_has_ended_may_be_ordered_again_wherever_it_ran(driver: str, end: End) -> None:
    assert end.retryable


@pytest.mark.parametrize(("code", "reason"), list(_STOPS.items()))
def test_what_waiting_does_not_mend_is_permanent_and_has_its_code(code: str, reason: str) -> None:
    end = classify_stop({"stopCode": "TaskFailedToStart", "stoppedReason": reason}, "gw")
    assert (end.code, end.kind) == (code, EndClass.PERMANENT)


def test_a_container_that_cannot_start_means_the_same_on_docker_and_ecs() -> None:
    reason = _STOPS["container_start_failed"]
    task = classify_stop({"stopCode": "TaskFailedToStart", "stoppedReason": reason}, "gw")
    container = docker_verdicts.classify_end({"ExitCode": 127})
    assert (task.code, task.kind, task.retryable) == (
        container.code,
        container.kind,
        container.retryable,
    )
