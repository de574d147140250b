"""An installation in a real AWS account, for the driver suite (`GATEWAY_TEST_AWS=1`, docs/ecs.md).

It takes the account from the usual credentials and `GATEWAY_ECS_*`, works under an installation id of its own, and
stops and removes everything that it made. Tasks are real simulators that call a link which nobody serves.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import boto3

from tests.ecs_world import Intents, Locks, MemoryTemplates
from workers.runtimes.base import End, Handle, Key, Observation, Phase, Spec
from workers.runtimes.ecs import EcsDriver
from workers.runtimes.ecs_clients import make_client, make_config
from workers.runtimes.ecs_settings import EcsSettings

IS_WANTED: Final = os.environ.get("GATEWAY_TEST_AWS") == "1"
_PREFIX: Final = "GATEWAY_ECS_"
_LINK: Final = "wss://nobody.invalid/link"
#: A task on Fargate may take minutes to come up on a bad day.
_PATIENCE_S: Final = float(os.environ.get("GATEWAY_TEST_AWS_PATIENCE_S", "300"))
_PAUSE_S: Final = float(os.environ.get("GATEWAY_TEST_AWS_PAUSE_S", "3"))


class AwsWorld:
    """One installation in the account."""

    def __init__(self) -> None:
        self.install_id = f"test-{secrets.token_hex(4)}"
        given = {
            name.removeprefix(_PREFIX).lower(): value
            for name, value in os.environ.items()
            if name.startswith(_PREFIX) and value
        }
        values = given | {"link_url": _LINK}
        self.settings = EcsSettings.read(values, install_id=self.install_id, processes=1)
        self.client = make_client(self.settings, "ecs")
        self._templates, self._locks = MemoryTemplates(), Locks()
        self._intents = Intents(time.time)
        self._clients: list[Any] = [self.client]
        self.driver = self.another_driver()

    def another_driver(self, client: Any = None) -> EcsDriver:
        """Of the same installation, in another worker as it were."""
        return EcsDriver(
            self.settings,
            client or self.client,
            templates=self._templates,
            lock=self._locks.hold,
            asked=self._intents.asked,
        )

    def driver_of_a_dead_backend(self) -> EcsDriver:
        """One that dials a port where nobody listens."""
        session = boto3.Session(region_name=self.settings.region or None)
        config = make_config(self.settings)
        client = session.client("ecs", endpoint_url="http://127.0.0.1:9", config=config)
        self._clients.append(client)
        return self.another_driver(client)

    @contextmanager
    def neighbour(self) -> Iterator[AwsWorld]:
        """Another installation in the same account, after a moment in which what was started becomes visible."""
        time.sleep(_PAUSE_S)
        with make_aws_world() as world:
            yield world

    def key(self, number: int = 1, incarnation: int = 1) -> Key:
        """The key of a charger's start."""
        return Key(self.install_id, f"dep-{number:032x}", incarnation)

    def request(self, key: Key) -> Mapping[str, Any]:
        """Commit the intent of a start: its rendered request."""
        token = f"b1.{key.charger_id}.{key.incarnation}.{'0' * 64}"
        spec = Spec("acme", "CP-1", "OCPP1.6", "Depot", _LINK, token)
        request = self.driver.render(key, spec, self.driver.ensure_template(spec))
        self._intents.commit(key)
        return request

    def unknown_handle(self) -> Handle:
        """A task that never was."""
        request = self.request(self.key(99))
        caller = boto3.client("sts", region_name=self.client.meta.region_name)
        account = caller.get_caller_identity()["Account"]
        caller.close()
        cluster = self.settings.cluster.rsplit("/", 1)[-1]
        arn = f"arn:aws:ecs:{self.client.meta.region_name}:{account}:task/{cluster}/{'0' * 32}"
        family = str(request["taskDefinition"]).rsplit("/", 1)[-1].partition(":")[0]
        return {"v": 1, "cluster": cluster, "arn": arn, "family": family, "created_at": 0.0}

    def look(self, handle: Handle) -> Observation:
        """One observation."""
        (seen,) = self.driver.observe([handle])
        return seen

    def runs(self, handle: Handle) -> None:
        """Wait until it is RUNNING and healthy."""
        self._wait(lambda: self.look(handle).healthy is True)

    def ends(self, handle: Handle) -> End:
        """Wait until it is gone; how it ended."""
        self._wait(lambda: self.look(handle).phase is Phase.GONE)
        end = self.look(handle).end
        assert end is not None
        return end

    def dies(self, handle: Handle) -> None:
        """Nobody can kill a process on Fargate; somebody stops the task in the console."""
        self.client.stop_task(cluster=handle["cluster"], task=handle["arn"], reason="by hand")

    def count(self) -> int:
        """Tasks of the installation that ought to run, a moment later: a new one is not listed at once."""
        time.sleep(_PAUSE_S)
        return len(self.driver.list_strays(self.install_id))

    def close(self) -> None:
        """Stop every task, those too that cannot be seen at once, and remove every definition."""
        time.sleep(_PAUSE_S)
        while strays := self.driver.list_strays(self.install_id):
            for stray in strays:
                self.driver.stop(stray.handle, f"{self.install_id}:over")
            time.sleep(_PAUSE_S)
        families = self.client.list_task_definition_families(familyPrefix=f"gw-{self.install_id}-")
        for family in families["families"]:
            listed = self.client.list_task_definitions(familyPrefix=family)
            for arn in listed["taskDefinitionArns"]:
                self.client.deregister_task_definition(taskDefinition=arn)
                self.client.delete_task_definitions(taskDefinitions=[arn])
        for client in self._clients:
            client.close()

    @staticmethod
    def _wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(_PAUSE_S)


@contextmanager
def make_aws_world() -> Iterator[AwsWorld]:
    """An installation for one test."""
    world = AwsWorld()
    try:
        yield world
    finally:
        world.close()
