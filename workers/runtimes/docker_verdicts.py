"""What everything that a Docker engine can say means to a charger: tables, and the functions that apply them.

An error row matches by HTTP status (0 for any) and a pattern in the engine's text; an end row by exit code and by
what the engine notes beside it. The first row that matches decides, the last of each table matches everything.
`code` is our stable `error.code` with a heading of the same name in `docs/errors.md`. The texts are those of moby
20.10 to 28; exit codes are in "Exit status" of the docker run reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
from docker import errors

from workers.runtimes.base import (
    CapacityUnavailable,
    End,
    EndClass,
    RuntimeRejected,
    RuntimeTrouble,
    RuntimeUnavailable,
)

_TEXT_MAX: Final = 800
_SIGKILLED: Final = 137
_SIGTERMED: Final = 143
#: The exit code that the engine writes for a container that ran when the engine itself was killed.
_ENGINE_LOST: Final = 255


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it means. `trouble` is raised when a call failed; `kind` tells what an end means."""

    code: str
    #: One sentence for people; what the engine said follows it.
    message: str
    #: What to do about it, for whoever runs the gateway.
    hint: str = ""
    trouble: type[RuntimeTrouble] = RuntimeUnavailable
    kind: EndClass = EndClass.TRANSIENT


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of errors."""

    #: 0: any.
    status: int
    #: Case-insensitive; empty: any.
    pattern: str
    verdict: Verdict


UNREACHABLE: Final = Verdict(
    "docker_unavailable",
    "The Docker engine does not answer.",
    "Check that it runs and that GATEWAY_DOCKER_HOST (or DOCKER_HOST) names it; see `gateway doctor`.",
)
FORBIDDEN_SOCKET: Final = Verdict(
    "docker_unavailable",
    "The workers may not use the Docker socket.",
    "Give the workers the group of the socket (DOCKER_GID in compose); see `gateway doctor`.",
)
ENGINE_ERROR: Final = Verdict("docker_unavailable", "The Docker engine failed to do it.")
FORBIDDEN: Final = Verdict(
    "docker_forbidden",
    "The Docker engine, or a proxy before it, does not allow this.",
    "Allow the gateway to list, create, start, stop and remove containers and to pull images.",
    RuntimeRejected,
)
NAME_TAKEN: Final = Verdict(
    "docker_name_taken",
    "A container that the gateway did not start has the name of this charger's.",
    "Rename or remove that container, then order the charger again.",
    RuntimeRejected,
)
REFUSED: Final = Verdict(
    "docker_request_invalid",
    "The Docker engine does not accept the container as it is configured.",
    "Check the GATEWAY_DOCKER_* settings with `gateway doctor`.",
    RuntimeRejected,
)
NETWORK_MISSING: Final = Verdict(
    "docker_network_missing",
    "The Docker network of the settings does not exist.",
    "Create it, or correct GATEWAY_DOCKER_NETWORK.",
    RuntimeRejected,
)
START_FAILED: Final = Verdict(
    "container_start_failed",
    "The simulator's container cannot be started.",
    "Check that the image holds the simulator and runs on this architecture.",
    RuntimeRejected,
    EndClass.PERMANENT,
)
MOUNT_MISSING: Final = Verdict(
    "docker_mount_missing",
    "A file that the container needs is not on the engine's machine.",
    "Check GATEWAY_DOCKER_CA_FILE: it names a file there, not here.",
    RuntimeRejected,
)
DISK_FULL: Final = Verdict(
    "docker_disk_full",
    "The disk of the Docker engine is full.",
    "Make room (`docker system df`, `docker image prune`); chargers then start by themselves.",
    CapacityUnavailable,
)
NO_ADDRESS: Final = Verdict(
    "docker_addresses_exhausted",
    "The Docker network has no free address.",
    "Use a network with a larger subnet (GATEWAY_DOCKER_NETWORK), or run fewer chargers.",
    CapacityUnavailable,
)
NO_ROOM: Final = Verdict(
    "capacity_unavailable",
    "The machine of the Docker engine has no room for another container.",
    "Stop chargers, or add memory or processes to the machine.",
    CapacityUnavailable,
)
IMAGE_NOT_FOUND: Final = Verdict(
    "image_not_found",
    "The simulator's image does not exist.",
    "Build it (`docker compose build simulator`) or correct GATEWAY_DOCKER_IMAGE.",
    RuntimeRejected,
)
IMAGE_DENIED: Final = Verdict(
    "image_pull_denied",
    "The registry does not give the simulator's image to this engine.",
    "Check the name; for a private registry mount its config.json and set DOCKER_CONFIG.",
    RuntimeRejected,
)
IMAGE_WRONG: Final = Verdict(
    "image_pull_failed",
    "The simulator's image does not fit this engine.",
    "Use an image of this machine's architecture.",
    RuntimeRejected,
)
REGISTRY_BUSY: Final = Verdict(
    "image_pull_interrupted",
    "The registry limits how often images may be pulled.",
    "Sign in to the registry or pull the image by hand; it is tried again.",
    CapacityUnavailable,
)
PULL_INTERRUPTED: Final = Verdict(
    "image_pull_interrupted",
    "Pulling the simulator's image was interrupted.",
    "If it stays so, the engine has no way to the registry: build or load the image on its machine.",
)

OOM: Final = Verdict(
    "out_of_memory",
    "The simulator ran out of memory.",
    "Choose a bigger GATEWAY_DOCKER_MEMORY_MIB.",
)
EXITED: Final = Verdict("runtime_exited", "The simulator ended without being asked to.")
TERMINATED: Final = Verdict("stopped_elsewhere", "Somebody stopped the container (SIGTERM).")
KILLED: Final = Verdict(
    "runtime_killed",
    # A busy engine sometimes does not see that it was for want of memory (20.10, seen at a load of 15).
    "The container was killed (SIGKILL): by hand, with its engine, after a stop that took too long, or by the"
    " kernel for want of memory.",
)
LOST_ENGINE: Final = Verdict(
    "infrastructure_lost", "The container ended with its engine or its machine."
)
CRASHED: Final = Verdict("runtime_crashed", "The simulator ended with an error.")
REMOVED: Final = Verdict("runtime_lost", "The container was removed, not through this gateway.")

_ENDS: Final[Mapping[int, Verdict]] = {
    0: EXITED,
    # The program is not there or cannot be executed; the init process says so, or the engine.
    126: START_FAILED,
    127: START_FAILED,
    128: START_FAILED,
    _SIGKILLED: KILLED,
    _SIGTERMED: TERMINATED,
    _ENGINE_LOST: LOST_ENGINE,
}

_ROOM: Final = (
    Row(0, "no space left on device|disk quota exceeded", DISK_FULL),
    Row(0, r"no available i?p?v?4? ?address|address pools? (is |are )?exhausted", NO_ADDRESS),
    Row(0, "cannot allocate memory|resource temporarily unavailable|too many open files", NO_ROOM),
)
#: A call that failed.
_CALL_ROWS: Final = (
    *_ROOM,
    Row(404, "no such image", IMAGE_NOT_FOUND),
    Row(0, "network .*not found|could not find.* network", NETWORK_MISSING),
    # "failed to create shim", "exec: ... no such file", "exec format error", a bind that is not there.
    Row(0, "oci runtime|failed to create shim|exec format error|executable file not", START_FAILED),
    Row(0, "bind source path|invalid mount", MOUNT_MISSING),
    Row(401, "", FORBIDDEN),
    Row(403, "", FORBIDDEN),
    Row(409, "name .*already in use", NAME_TAKEN),
    Row(400, "", REFUSED),
    Row(0, "", ENGINE_ERROR),
)
#: A pull that failed; the engine answers 404 or 500 for many reasons, or says it in the stream.
_PULL_ROWS: Final = (
    *_ROOM,
    Row(0, "toomanyrequests|too many requests|rate limit", REGISTRY_BUSY),
    Row(
        0,
        "unauthorized|authentication required|no basic auth|forbidden|requested access.*denied"
        "|\\bdenied\\b|may require 'docker login'",
        IMAGE_DENIED,
    ),
    Row(0, "no matching manifest|does not match the (specified|detected)", IMAGE_WRONG),
    Row(0, "manifest.*(unknown|not found)|invalid reference|name unknown", IMAGE_NOT_FOUND),
    Row(
        0,
        "timeout|timed out|deadline|connection (refused|reset)|no such host|server misbehaving|eof"
        "|tls|certificate|no route|unreachable|50[0234]|temporar|cancel",
        PULL_INTERRUPTED,
    ),
    Row(404, "", IMAGE_NOT_FOUND),
    Row(0, "repository .*not found|not found", IMAGE_NOT_FOUND),
    Row(0, "", PULL_INTERRUPTED),
)


def classify_call(error: Exception) -> RuntimeTrouble:
    """What a failed call of the engine means, as what a driver raises."""
    return _classify(error, _CALL_ROWS)


def classify_pull(error: Exception) -> RuntimeTrouble:
    """What a failed pull means; `error` is an exception of the client, or the text of the stream in one."""
    return _classify(error, _PULL_ROWS)


def make_trouble(verdict: Verdict, said: str = "") -> RuntimeTrouble:
    """The exception of a verdict; its message tells people what to do, and what the engine said."""
    message = " ".join(part for part in (verdict.message, verdict.hint, _quote(said)) if part)
    # No part of it is the charger's: once the cause is mended, the same order may come up.
    if verdict.trouble is RuntimeRejected:
        return RuntimeRejected(message, code=verdict.code, hint=verdict.hint, retryable=True)
    return verdict.trouble(message, code=verdict.code, hint=verdict.hint or verdict.message)


def _classify(error: Exception, rows: tuple[Row, ...]) -> RuntimeTrouble:
    if isinstance(error, errors.APIError):
        status, said = int(error.status_code or 0), str(error.explanation or error)
    elif isinstance(error, requests.RequestException | errors.DockerException | OSError):
        return _explain_unreachable(error)
    else:
        status, said = 0, str(error)
    matching = (
        row.verdict
        for row in rows
        if row.status in (0, status)
        and re.search(row.pattern, said, re.IGNORECASE | re.DOTALL) is not None
    )
    return make_trouble(next(matching), said)


def _explain_unreachable(error: Exception) -> RuntimeTrouble:
    said = str(error)
    if "PermissionError" in said or "Permission denied" in said:
        return make_trouble(FORBIDDEN_SOCKET)
    if isinstance(error, requests.Timeout):
        return make_trouble(UNREACHABLE, "no answer in time")
    return make_trouble(UNREACHABLE, said)


def classify_end(state: Mapping[str, Any], log: str = "") -> End:
    """The final facts of a container that ended: `State` of its inspection, and the end of its output."""
    exit_code = int(state.get("ExitCode") or 0)
    error = str(state.get("Error") or "")
    verdict = OOM if state.get("OOMKilled") else _ENDS.get(exit_code, CRASHED)
    tells = verdict in (CRASHED, START_FAILED)
    last_words = (log.strip().splitlines() or [""])[-1] if tells else ""
    parts = (
        verdict.message,
        verdict.hint,
        _quote(error),
        f"Its last words: {last_words[:_TEXT_MAX]}" if last_words else "",
    )
    return End(
        kind=verdict.kind,
        code=verdict.code,
        message=" ".join(part for part in parts if part),
        exit_code=exit_code,
        facts={
            "oom_killed": bool(state.get("OOMKilled")),
            "error": error or None,
            "started_at": state.get("StartedAt"),
            "finished_at": state.get("FinishedAt"),
            "log": log[-_TEXT_MAX:] or None,
        },
    )


def describe_removed() -> End:
    """The end of a container that is not there any more."""
    return End(REMOVED.kind, REMOVED.code, REMOVED.message)


def _quote(said: str) -> str:
    said = " ".join(said.split())[:_TEXT_MAX]
    return f"Docker said: {said}" if said else ""
