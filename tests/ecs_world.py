"""An installation on the ECS stand-in: a driver, its store of templates, and the intents that it asks about.

`time_scale` AWS seconds pass in one of ours, for the driver too, so that its windows end while a test runs.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.ecs_cloud import EXEC_ROLE, Cloud, open_cloud
from workers.runtimes.base import End, Handle, Key, Observation, Phase, Spec
from workers.runtimes.buckets import Throttle, make_ecs_buckets
from workers.runtimes.ecs import Asked, EcsDriver
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.ecs_templates import Template

IMAGE = "charger-simulator:test"
#: Touches its health file and heeds SIGTERM: what ECS sees of a simulator.
LIGHT_SIMULATOR = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do touch $SIMULATOR_HEALTH_FILE; sleep 0.1; done",
]
LINK_URL = "wss://gateway.example/link"
_installs = itertools.count(1)


class MemoryTemplates:
    """A store of templates that forgets when the test ends."""

    def __init__(self) -> None:
        self.rows: dict[str, Template] = {}

    def get(self, content_hash: str) -> Template | None:
        """The template of this content."""
        return self.rows.get(content_hash)

    def put(self, template: Template) -> None:
        """Remember it."""
        self.rows[template.hash] = template

    def remove(self, content_hash: str) -> None:
        """Forget it."""
        self.rows.pop(content_hash, None)


class Locks:
    """Locks by name, for all drivers of one installation."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of this name."""
        with self._locks.setdefault(name, threading.Lock()):
            yield


class Intents:
    """When starts were ordered: what the `runtimes` rows tell."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}

    def commit(self, key: Key) -> None:
        """A start of this key is about to be called."""
        name = (key.charger_id, key.incarnation)
        self._first.setdefault(name, self._clock())
        self._last[name] = self._clock()

    def asked(self, key: Key) -> Asked | None:
        """What the driver wants to know."""
        name = (key.charger_id, key.incarnation)
        if name not in self._first:
            return None
        return Asked(self._clock() - self._first[name], self._clock() - self._last[name])


class EcsWorld:
    """One installation in an account."""

    def __init__(self, cloud: Cloud, **settings: Any) -> None:
        self.cloud = cloud
        self.install_id = f"t{next(_installs)}"
        self.templates, self.locks = MemoryTemplates(), Locks()
        self.intents = Intents(cloud.world.clock.now)
        self._values: dict[str, Any] = {
            "install_id": self.install_id,
            "image": IMAGE,
            "subnets": ("subnet-1",),
            "execution_role_arn": EXEC_ROLE,
            "api_share": 1.0,
            "processes": 1,
            "log_group": "/gw/test",
            "region": "us-east-1",
        }
        self.settings = EcsSettings(**self._values | settings)
        self.driver = self.another_driver()

    def another_driver(self, client: Any = None, **settings: Any) -> EcsDriver:
        """Of the same installation, in another worker as it were."""
        changed = EcsSettings(**self._values | settings) if settings else self.settings
        clock = self.cloud.world.clock
        share = changed.api_share / changed.processes
        return EcsDriver(
            changed,
            client or self.cloud.client("ecs"),
            templates=self.templates,
            lock=self.locks.hold,
            asked=self.intents.asked,
            logs=self.cloud.logs,
            clock=clock.now,
            throttle=Throttle(
                make_ecs_buckets(share, clock.now()),
                patience_s=changed.api_patience_s * clock.scale,
                clock=clock.now,
                sleep=lambda seconds: clock_sleep(self.cloud, seconds),
            ),
        )

    def driver_of_a_dead_backend(self) -> EcsDriver:
        """One that dials a port where nobody listens."""
        return self.another_driver(self.cloud.client("ecs", endpoint="http://127.0.0.1:9"))

    @contextmanager
    def neighbour(self) -> Iterator[EcsWorld]:
        """Another installation in the same account."""
        yield EcsWorld(self.cloud)

    def key(self, number: int = 1, incarnation: int = 1, attempt: int = 1) -> Key:
        """The key of a charger's start."""
        return Key(self.install_id, f"dep-{number:032x}", incarnation, attempt)

    def spec(self, key: Key) -> Spec:
        """What the engine would know of the charger."""
        token = f"b1.{key.charger_id}.{key.incarnation}.{'f' * 64}"
        return Spec("acme", f"CP-{key.charger_id[-2:]}", "OCPP1.6", "Dépôt № 7", LINK_URL, token)

    def request(self, key: Key) -> Mapping[str, Any]:
        """Commit the intent of a start: its rendered request."""
        spec = self.spec(key)
        request = self.driver.render(key, spec, self.driver.ensure_template(spec))
        self.intents.commit(key)
        return request

    def starts(self, number: int = 1, incarnation: int = 1) -> Handle:
        """A charger is started."""
        key = self.key(number, incarnation)
        return self.driver.start(key, self.request(key))

    def unknown_handle(self) -> Handle:
        """A task that was forgotten."""
        arn = self.cloud.world.make_arn("task", f"default/{'0' * 32}")
        family = self.driver.ensure_template(self.spec(self.key()))["family"]
        return {"v": 1, "cluster": "default", "arn": arn, "family": family, "created_at": 0.0}

    def look(self, handle: Handle) -> Observation:
        """One observation."""
        (seen,) = self.driver.observe([handle])
        return seen

    def runs(self, handle: Handle) -> None:
        """Wait until it is RUNNING and healthy."""
        self.cloud.until_health(handle["arn"], "HEALTHY")
        assert self.look(handle).phase is Phase.RUNNING

    def ends(self, handle: Handle) -> End:
        """Wait until it is gone; how it ended."""
        self.cloud.until_status(handle["arn"], "STOPPED")
        end = self.look(handle).end
        assert end is not None
        return end

    def dies(self, handle: Handle) -> None:
        """Its process is killed."""
        self.cloud.until_status(handle["arn"], "RUNNING")
        self.cloud.kill(handle["arn"])

    def count(self) -> int:
        """Tasks of the installation that are not stopped."""
        with self.cloud.world.changed:
            return sum(
                (task.started_by or "").startswith(f"{self.install_id}/") and not task.is_stopped
                for task in self.cloud.world.tasks.values()
            )


def clock_sleep(cloud: Cloud, seconds: float) -> None:
    """Let AWS seconds pass for a driver that waits its turn."""
    with cloud.world.changed:
        cloud.world.linger(seconds)


@contextmanager
def make_ecs_world(time_scale: float = 20.0, **settings: Any) -> Iterator[EcsWorld]:
    """An installation in an account of its own; `settings` are those of the driver, `cloud_*` of the account."""
    own = {name: settings.pop(name) for name in list(settings) if not name.startswith("cloud_")}
    account = {name.removeprefix("cloud_"): value for name, value in settings.items()}
    images = account.pop("images", {IMAGE: LIGHT_SIMULATOR})
    with open_cloud(time_scale, images=images, **account) as cloud:
        yield EcsWorld(cloud, **own)
