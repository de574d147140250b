"""What a Docker engine says, as moby words it, and what the gateway makes of it."""

from __future__ import annotations

import pytest
import requests
from docker import errors

from workers.runtimes.base import (
    CapacityUnavailable,
    EndClass,
    RuntimeRejected,
    RuntimeUnavailable,
)
from workers.runtimes.docker_verdicts import classify_call, classify_end, classify_pull


def _answer(status: int, text: str) -> errors.APIError:
    response = requests.Response()
    response.status_code = status
    return errors.APIError(f"{status} Server Error", response=response, explanation=text)


CALLS = [
    (
        500,
        "write /var/lib/docker/x: no space left on device",
        CapacityUnavailable,
        "docker_disk_full",
    ),
    (
        500,
        "could not allocate: no available IPv4 addresses on this network's address pools: bridge",
        CapacityUnavailable,
        "docker_addresses_exhausted",
    ),
    (
        500,
        "fork/exec /proc/self/exe: cannot allocate memory",
        CapacityUnavailable,
        "capacity_unavailable",
    ),
    (
        500,
        "fork/exec: resource temporarily unavailable",
        CapacityUnavailable,
        "capacity_unavailable",
    ),
    (404, "No such image: sim:1", RuntimeRejected, "image_not_found"),
    (404, "network depot_default not found", RuntimeRejected, "docker_network_missing"),
    (
        400,
        'failed to create shim: OCI runtime create failed: exec: "python": executable file not found in $PATH',
        RuntimeRejected,
        "container_start_failed",
    ),
    (403, "authorization denied by plugin", RuntimeRejected, "docker_forbidden"),
    (
        409,
        'Conflict. The container name "/gw-x" is already in use',
        RuntimeRejected,
        "docker_name_taken",
    ),
    (400, "Minimum memory limit allowed is 6MB", RuntimeRejected, "docker_request_invalid"),
    (
        500,
        "dial unix /run/containerd.sock: connect: refused",
        RuntimeUnavailable,
        "docker_unavailable",
    ),
    (503, "", RuntimeUnavailable, "docker_unavailable"),
]


@pytest.mark.parametrize(("status", "text", "trouble", "code"), CALLS)
def test_a_failed_call_is_waited_for_repeated_or_final(
    status: int, text: str, trouble: type, code: str
) -> None:
    made = classify_call(_answer(status, text))
    assert (type(made), made.code) == (trouble, code)
    assert text in str(made)


PULLS = [
    (404, "manifest for sim:2 not found: manifest unknown", RuntimeRejected, "image_not_found"),
    (
        404,
        "pull access denied for sim, repository does not exist or may require 'docker login'",
        RuntimeRejected,
        "image_pull_denied",
    ),
    (
        500,
        "Head https://r/v2/: unauthorized: authentication required",
        RuntimeRejected,
        "image_pull_denied",
    ),
    (
        500,
        "toomanyrequests: You have reached your pull rate limit",
        CapacityUnavailable,
        "image_pull_interrupted",
    ),
    (
        500,
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        RuntimeRejected,
        "image_pull_failed",
    ),
    (
        500,
        "Get https://r/v2/: dial tcp: lookup r on 127.0.0.53:53: server misbehaving",
        RuntimeUnavailable,
        "image_pull_interrupted",
    ),
    (500, "net/http: TLS handshake timeout", RuntimeUnavailable, "image_pull_interrupted"),
    (
        500,
        "write /var/lib/docker/tmp: no space left on device",
        CapacityUnavailable,
        "docker_disk_full",
    ),
    (500, "something that nobody has seen", RuntimeUnavailable, "image_pull_interrupted"),
]


@pytest.mark.parametrize(("status", "text", "trouble", "code"), PULLS)
def test_a_failed_pull_is_waited_for_repeated_or_final(
    status: int, text: str, trouble: type, code: str
) -> None:
    for error in (_answer(status, text), RuntimeError(text)):
        made = classify_pull(error)
        assert (type(made), made.code) == (trouble, code)


def test_a_socket_that_the_workers_may_not_use_is_told_with_the_remedy() -> None:
    error = errors.DockerException(
        "Error while fetching server API version: "
        "('Connection aborted.', PermissionError(13, 'Permission denied'))"
    )
    made = classify_call(error)
    assert isinstance(made, RuntimeUnavailable)
    assert "DOCKER_GID" in str(made)


def test_an_engine_that_does_not_answer_in_time_is_unavailable() -> None:
    made = classify_call(requests.ReadTimeout("read timed out"))
    assert isinstance(made, RuntimeUnavailable)
    assert "no answer in time" in str(made)


@pytest.mark.parametrize(
    ("state", "code", "kind"),
    [
        ({"ExitCode": 137, "OOMKilled": True}, "out_of_memory", EndClass.TRANSIENT),
        ({"ExitCode": 1, "OOMKilled": True}, "out_of_memory", EndClass.TRANSIENT),
        ({"ExitCode": 137}, "runtime_killed", EndClass.TRANSIENT),
        ({"ExitCode": 143}, "stopped_elsewhere", EndClass.TRANSIENT),
        ({"ExitCode": 0}, "runtime_exited", EndClass.TRANSIENT),
        ({"ExitCode": 255}, "infrastructure_lost", EndClass.TRANSIENT),
        ({"ExitCode": 127, "Error": "exec failed"}, "container_start_failed", EndClass.PERMANENT),
        ({"ExitCode": 139}, "runtime_crashed", EndClass.TRANSIENT),
        ({}, "runtime_exited", EndClass.TRANSIENT),
    ],
)
def test_an_end_means_what_the_engine_noted_of_it(state: dict, code: str, kind: EndClass) -> None:
    end = classify_end(state)
    assert (end.code, end.kind, end.retryable) == (code, kind, True)


def test_the_last_words_of_a_crash_are_shown_and_bounded() -> None:
    end = classify_end({"ExitCode": 1}, "starting\n" + "x" * 5000 + " boom\n")
    assert "Its last words: xxx" in end.message
    assert len(end.message) < 1000
    assert len(end.facts["log"]) <= 800
