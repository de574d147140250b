"""A real Docker engine in tests: containers of an installation of the test's own, gone afterwards.

`tests/docker_engine.sh start` starts an engine where there is none, `tests/docker_engine.sh images` builds the
image that these tests run. `needs_docker` marks a module; without an engine its tests are not run, unless
GATEWAY_TEST_REQUIRE names docker.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Final

import docker
import pytest

from tests.gateways import eventually
from workers.runtimes.base import End, Handle, Key, Observation, Phase, Spec
from workers.runtimes.docker import DockerDriver, make_client
from workers.runtimes.docker_settings import DockerSettings

IMAGE: Final = os.environ.get("GATEWAY_TEST_SIMULATOR_IMAGE", "charger-simulator:test")
#: Nobody listens there: a simulator that is only to run keeps trying.
NOWHERE: Final = "ws://host.docker.internal:1/link"
_numbers: Final = itertools.count(1)


@lru_cache(maxsize=1)
def has_engine() -> bool:
    """Whether a Docker engine answers that has the simulator's image; an engine alone runs no charger."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    return asked.returncode == 0


needs_docker: Final = [
    pytest.mark.docker,
    pytest.mark.skipif(
        not has_engine() and "docker" not in os.environ.get("GATEWAY_TEST_REQUIRE", ""),
        reason="not run: docker (no Docker engine answers that has the image of the simulator)",
    ),
]


class DockerWorld:
    """One installation on the engine."""

    def __init__(self, **settings: str) -> None:
        self.install_id = f"t{os.getpid()}-{next(_numbers)}"
        self._values = {"image": IMAGE, "pull": "never", "keep_ended_s": "0", **settings}
        self.settings = DockerSettings.read(self._values, install_id=self.install_id)
        self.client = make_client(self.settings)
        self.driver = DockerDriver(self.settings, self.client)
        self._more: list[Any] = []

    def another_driver(self, **settings: str) -> DockerDriver:
        """Of the same installation, in another process as it were."""
        changed = DockerSettings.read(self._values | settings, install_id=self.install_id)
        self._more.append(make_client(changed))
        return DockerDriver(changed, self._more[-1])

    def driver_of_a_dead_backend(self) -> DockerDriver:
        """One whose engine does not answer."""
        # A port that nobody listens at; with the version given, nothing is asked before the first call.
        client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41", timeout=5)
        self._more.append(client)
        return DockerDriver(self.settings, client)

    def neighbour(self) -> AbstractContextManager[DockerWorld]:
        """Another installation on the same engine."""
        return make_docker_world(**self._values)

    def unknown_handle(self) -> Handle:
        """Of a container that was removed."""
        return {"v": 1, "id": "0" * 64, "name": f"gw-{self.install_id}-none"}

    def close(self) -> None:
        """Remove every container of the installation."""
        for one in self._list():
            with contextlib.suppress(Exception):
                self.client.remove_container(one["Id"], force=True)
        for client in (self.client, *self._more):
            client.close()

    def key(self, number: int = 1, incarnation: int = 1) -> Key:
        """The key of a charger's start."""
        return Key(self.install_id, f"dep-{number:032x}", incarnation)

    def request(self, key: Key, *, program: str | None = None, **limits: Any) -> dict[str, Any]:
        """What `render` makes; `program` is Python that runs in place of the simulator."""
        spec = Spec("acme", "CP-1", "OCPP1.6", "Depot", NOWHERE, f"b1.{key.charger_id}.1.secret")
        template = self.driver.ensure_template(spec)
        request: dict[str, Any] = dict(self.driver.render(key, spec, template))
        if program is not None:
            request["body"] |= {"Entrypoint": ["python", "-c", program], "Cmd": []}
        request["body"]["HostConfig"] |= limits
        return request

    def starts(self, number: int = 1, *, program: str | None = None, **limits: Any) -> Handle:
        """A container that runs."""
        key = self.key(number)
        return self.driver.start(key, self.request(key, program=program, **limits))

    def look(self, handle: Handle) -> Observation:
        """One observation."""
        (seen,) = self.driver.observe([handle])
        return seen

    def runs(self, handle: Handle) -> None:
        """Wait until it is RUNNING and healthy."""

        def is_well() -> bool:
            seen = self.look(handle)
            return seen.phase is Phase.RUNNING and seen.healthy is True

        eventually(is_well, "the container is well")

    def dies(self, handle: Handle) -> None:
        """It is killed."""
        self.client.kill(handle["id"])

    def ends(self, handle: Handle) -> End:
        """Wait until it is gone; how it ended."""
        eventually(lambda: self.look(handle).phase is Phase.GONE, "the container ends")
        end = self.look(handle).end
        assert end is not None
        return end

    def inspect(self, handle: Handle) -> Mapping[str, Any]:
        """What the engine knows of it."""
        found: Mapping[str, Any] = self.client.inspect_container(handle["id"])
        return found

    def count(self) -> int:
        """Containers of the installation that run or may yet run."""
        return len(self._list(status=["created", "running", "paused"]))

    def count_all(self) -> int:
        """Those that have ended too."""
        return len(self._list())

    def _list(self, **filters: Any) -> list[dict[str, Any]]:
        wanted = {"label": f"gateway.install={self.install_id}", **filters}
        listed: list[dict[str, Any]] = self.client.containers(all=True, filters=wanted)
        return listed


@contextlib.contextmanager
def make_docker_world(**settings: str) -> Iterator[DockerWorld]:
    """An installation for one test."""
    world = DockerWorld(**settings)
    try:
        yield world
    finally:
        world.close()
