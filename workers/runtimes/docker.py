"""The Docker driver: a hardened container per charger.

The container's name is the idempotency key: it is made of the charger and its incarnation, and the engine admits
one container of a name. So `start` creates, adopts what a lost answer left behind, and starts; `find` asks by
name. A container is never restarted by the engine, because a start is the gateway's decision, under a new
incarnation. Ended containers stay for a few minutes (`docker logs`) and are then cleared away as strays.

`docker_request.py` is what a container looks like, `docker_verdicts.py` what the engine's answers mean,
`docs/docker.md` how to set it up. Nothing is kept in memory but pulls under way: a worker may die at any line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import docker
import requests
from docker import errors

from workers.runtimes.base import (
    CapacityUnavailable,
    Find,
    Handle,
    Key,
    Observation,
    Phase,
    RuntimeTrouble,
    Spec,
    Stray,
)
from workers.runtimes.docker_events import listen
from workers.runtimes.docker_images import Images
from workers.runtimes.docker_request import (
    LABEL_INSTALL,
    choose_link_url,
    name_container,
    read_owner,
    render_container,
)
from workers.runtimes.docker_settings import DockerSettings
from workers.runtimes.docker_verdicts import (
    ENGINE_ERROR,
    NAME_TAKEN,
    NO_ROOM,
    classify_call,
    classify_end,
    describe_removed,
    make_trouble,
)

log = logging.getLogger(__name__)

_VERSION: Final = 1
_LOG_LINES: Final = 8
_FULL_RETRY_S: Final = 15.0
#: Another worker may be making the very same container.
_NAME_TRIES: Final = 25
_NAME_PAUSE_S: Final = 0.2
_HEALTH: Final = re.compile(r"\((health: starting|healthy|unhealthy)\)")
#: What the engine's list calls `State`, folded; what ended is looked at more closely.
_PHASES: Final = {
    "created": Phase.SCHEDULING,
    "running": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "removing": Phase.STOPPING,
}
_ENDED: Final = frozenset({"exited", "dead"})
#: Everything that the client raises about the engine and the way to it.
_CLIENT_ERRORS: Final = (errors.DockerException, requests.RequestException, OSError)


def make_client(settings: DockerSettings) -> Any:
    """A client of the engine; nothing is asked of it yet. Make it after a fork.

    TLS and contexts as the docker command has them (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), registry credentials
    of DOCKER_CONFIG. Raises the three troubles.
    """
    environment = dict(os.environ)
    if settings.host:
        environment["DOCKER_HOST"] = settings.host
    try:
        return docker.from_env(
            environment=environment, timeout=settings.timeout_s, use_ssh_client=True
        ).api
    except errors.DockerException as error:
        raise classify_call(error) from error


class DockerDriver:
    """`workers.runtimes.base.Driver` for a Docker engine."""

    provider = "docker"
    runtime_kind = "container"

    def __init__(self, settings: DockerSettings, client: Any, images: Images | None = None) -> None:
        """`client`: a low-level `docker.APIClient` of this process."""
        self._settings = settings
        self._client = client
        self._images = images or Images(client, policy=settings.pull)

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:
        """Make sure that the image is there and the link can be reached; `{"image", "image_id"}`."""
        choose_link_url(self._settings, spec)
        image = self._settings.image
        return {"image": image, "image_id": self._images.ensure(image)}

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:
        """Name and body of the create call."""
        return render_container(self._settings, key, spec, template)

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:
        """Create and start, or adopt the container of this key, in whatever state it is."""
        with _translated():
            self._refuse_when_full()
            found = self._create_or_adopt(key, request)
        if found["State"]["Status"] == "created":
            self._start(str(found["Id"]))
        return {"v": _VERSION, "id": str(found["Id"]), "name": request["name"]}

    def find(self, key: Key) -> Handle | Find:
        """By name; the engine knows at once what it has."""
        name = name_container(key)
        with _translated():
            found = self._inspect(name)
        if found is None:
            return Find.NOTHING
        return {"v": _VERSION, "id": str(found["Id"]), "name": name}

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        """One list call for all of them; only what has ended is inspected."""
        if not handles:
            return []
        with _translated():
            wanted = {"id": [str(handle["id"]) for handle in handles]}
            listed = self._client.containers(all=True, filters=wanted)
            by_id = {str(one["Id"]): one for one in listed}
            return [self._look(handle, by_id.get(str(handle["id"]))) for handle in handles]

    def stop(self, handle: Handle, reason: str) -> None:
        """SIGTERM now, SIGKILL after `stop_timeout_s`. What ended a while ago is cleared away."""
        with _translated():
            found = self._inspect(str(handle["id"]))
            if found is None:
                return
            state = str(found["State"]["Status"])
            if state == "created" or (state in _ENDED and self._is_past(found["State"])):
                self._remove(str(handle["id"]))
            elif state not in _ENDED:
                log.info("container stops", extra={"container": handle["name"], "reason": reason})
                self._ask_to_end(str(handle["id"]), is_paused=state == "paused")

    def list_strays(self, install_id: str) -> Sequence[Stray]:
        """Everything of this installation that the engine holds, but for what ended just now."""
        with _translated():
            wanted = {"label": f"{LABEL_INSTALL}={install_id}"}
            listed = self._client.containers(all=True, filters=wanted)
            return [stray for one in listed if (stray := self._make_stray(one)) is not None]

    def listen(self, heard: Callable[[str, int], None]) -> None:
        """The engine's events, as long as the stream holds."""
        with _translated():
            listen(self._client, self._settings.install_id, heard)

    # starting

    def _refuse_when_full(self) -> None:
        limit = self._settings.max_containers
        if not limit:
            return
        wanted = {"label": f"{LABEL_INSTALL}={self._settings.install_id}"}
        running = len(self._client.containers(filters=wanted))
        if running >= limit:
            raise CapacityUnavailable(
                f"{running} chargers run on this Docker engine, as many as GATEWAY_DOCKER_MAX_CONTAINERS allows.",
                code=NO_ROOM.code,
                hint="Stop chargers, or raise GATEWAY_DOCKER_MAX_CONTAINERS if the machine has room; "
                "this one starts as soon as there is a place.",
                retry_after_s=_FULL_RETRY_S,
            )

    def _create_or_adopt(self, key: Key, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The container as the engine knows it, made by us or by an earlier call of this start."""
        for _ in range(_NAME_TRIES):
            try:
                made = self._client.create_container_from_config(request["body"], request["name"])
            except errors.APIError as error:
                if error.status_code != 409:
                    raise
            else:
                return {"Id": made["Id"], "State": {"Status": "created"}}
            # The engine reserves a name before the container can be seen.
            found = self._inspect(request["name"])
            if found is not None:
                return _admit(key, found)
            time.sleep(_NAME_PAUSE_S)
        raise make_trouble(ENGINE_ERROR, f"the name {request['name']} is reserved")

    def _start(self, container_id: str) -> None:
        """A container that the engine refuses to start stays in `created`; it is of no use then."""
        try:
            with _translated():
                self._client.start(container_id)
        except RuntimeTrouble as trouble:
            if trouble.code != "docker_unavailable":
                with contextlib.suppress(errors.APIError):
                    self._remove(container_id)
            raise

    # looking

    def _inspect(self, container: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._client.inspect_container(container)
        except errors.NotFound:
            return None
        return found

    def _look(self, handle: Handle, listed: Mapping[str, Any] | None) -> Observation:
        if listed is None:
            return Observation(handle, Phase.GONE, end=describe_removed())
        state = str(listed.get("State") or "")
        if state in _ENDED:
            return self._look_at_end(handle)
        healthy = _read_health(str(listed.get("Status") or ""))
        hint = None
        if state == "paused":
            healthy = False
            hint = (
                f"Somebody paused the container; `docker unpause {handle['name']}` lets it go on."
            )
        facts = {"container": handle["name"], "status": listed.get("Status")}
        return Observation(
            handle, _PHASES.get(state, Phase.UNKNOWN), healthy, hint=hint, facts=facts
        )

    def _look_at_end(self, handle: Handle) -> Observation:
        found = self._inspect(str(handle["id"]))
        if found is None:
            return Observation(handle, Phase.GONE, end=describe_removed())
        end = classify_end(found["State"], self._read_log(str(handle["id"])))
        return Observation(handle, Phase.GONE, end=end, facts={"container": handle["name"]})

    def _read_log(self, container_id: str) -> str:
        """The last lines that it wrote; it writes no secrets."""
        try:
            written: bytes = self._client.logs(container_id, tail=_LOG_LINES)
        except errors.APIError:
            # Removed meanwhile, or a log driver that cannot be read.
            return ""
        return written.decode("utf-8", "replace")

    def _make_stray(self, listed: Mapping[str, Any]) -> Stray | None:
        owner = read_owner(listed.get("Labels"))
        if owner is None:
            return None
        has_ended = str(listed.get("State")) in _ENDED
        if has_ended:
            found = self._inspect(str(listed["Id"]))
            if found is None or not self._is_past(found["State"]):
                return None
        name = str((listed.get("Names") or [""])[0]).lstrip("/")
        handle = {"v": _VERSION, "id": str(listed["Id"]), "name": name}
        return Stray(handle, owner.charger_id, owner.incarnation, has_ended=has_ended)

    def _is_past(self, state: Mapping[str, Any]) -> bool:
        """Whether it ended long enough ago to be cleared away."""
        finished = str(state.get("FinishedAt") or "")
        try:
            ended_at = datetime.fromisoformat(finished[:19]).replace(tzinfo=UTC)
        except ValueError:
            return True
        return (datetime.now(UTC) - ended_at).total_seconds() >= self._settings.keep_ended_s

    # ending

    def _ask_to_end(self, container_id: str, *, is_paused: bool) -> None:
        """The signal now, so that its failure is seen; the wait for the end in a thread that nobody waits for."""
        if is_paused:
            with contextlib.suppress(errors.APIError):
                self._client.unpause(container_id)
        try:
            self._client.kill(container_id, "SIGTERM")
        except errors.APIError as error:
            # 409: it ended a moment ago.
            if error.status_code not in (404, 409):
                raise
            return
        threading.Thread(
            target=self._insist, args=(container_id,), name="docker-stop", daemon=True
        ).start()

    def _insist(self, container_id: str) -> None:
        """When this process dies meanwhile, the step that waits asks again.

        Not the engine's own stop call: it would send a second SIGTERM, which finds a simulator whose handlers are
        gone already and turns a clean end into exit code 143.
        """
        try:
            self._client.wait(container_id, timeout=self._settings.stop_timeout_s)
        except requests.RequestException:
            with contextlib.suppress(*_CLIENT_ERRORS):
                self._client.kill(container_id, "SIGKILL")

    def _remove(self, container_id: str) -> None:
        try:
            self._client.remove_container(container_id, v=True, force=True)
        except errors.APIError as error:
            # 409: it is being removed already.
            if error.status_code not in (404, 409):
                raise


def _admit(key: Key, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """A container that has our name, if it is ours."""
    owner = read_owner(found["Config"].get("Labels"))
    ours = (key.install_id, key.charger_id, key.incarnation)
    if owner is None or (owner.install_id, owner.charger_id, owner.incarnation) != ours:
        raise make_trouble(NAME_TAKEN, str(found.get("Name")))
    return found


def _read_health(status: str) -> bool | None:
    """`Up 2 minutes (healthy)` → True; None while the first check is out."""
    match = _HEALTH.search(status)
    return {"healthy": True, "unhealthy": False}.get(match[1]) if match else None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What the client raises, as one of the three troubles."""
    try:
        yield
    except _CLIENT_ERRORS as error:
        raise classify_call(error) from error
