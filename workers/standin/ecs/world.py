"""The state of the stand-in: everything that ECS would know, in memory, under one lock.

`World.changed` is a condition: hold it to read or write, wait on it to see the next change. Operations are in
`definitions.py`, `runtask.py` and `tasks.py`; what tasks do by themselves is in `lifecycle.py`.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.runtimes.buckets import Buckets
from workers.standin.ecs import limits
from workers.standin.ecs.clock import ScaledClock
from workers.standin.ecs.errors import AwsError
from workers.standin.ecs.faults import Faults
from workers.standin.ecs.records import Definition, StandinSettings, Task
from workers.standin.ecs.scheduler import Scheduler
from workers.standin.ecs.tokens import Tokens


class World:
    """One AWS account in one region."""

    def __init__(self, settings: StandinSettings, time_scale: float) -> None:
        self.settings = settings
        self.clock = ScaledClock(time_scale)
        self.changed = threading.Condition(threading.RLock())
        self.scheduler = Scheduler(self.clock, self.changed)
        self.faults = Faults()
        self.tokens = Tokens()
        self.clusters: set[str] = set(settings.clusters)
        #: ARN → definition, in order of registration.
        self.definitions: dict[str, Definition] = {}
        #: Family → the revision given last; never given again, even after a deletion.
        self.revisions: dict[str, int] = {}
        #: Families whose registration is in the air.
        self.registering: set[str] = set()
        #: ARN → task, in order of creation; stopped ones until they are forgotten.
        self.tasks: dict[str, Task] = {}
        #: Calls by operation, throttled calls, tasks, and what must not happen.
        self.stats: Counter[str] = Counter()
        self.folder = Path(tempfile.mkdtemp(prefix="ecs-standin-"))
        self.refill_buckets()

    def refill_buckets(self) -> None:
        """Start over with full token buckets."""
        self._buckets = Buckets(limits.LIMITS, limits.MEMBERS, self.clock.now())

    def spend(self, action: str) -> None:
        """Take the tokens of one call or launch. Raises the throttling error when they are used up."""
        if self.settings.throttling and self._buckets.take(action, self.clock.now()) > 0:
            self.stats[f"throttled {action}"] += 1
            raise AwsError("ThrottlingException", "Rate exceeded")

    def name_cluster(self, given: str | None) -> str:
        """The short name of a cluster given by name or ARN. Raises ClusterNotFoundException."""
        name = (given or "default").rsplit("/", 1)[-1]
        if name not in self.clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return name

    def make_arn(self, kind: str, name: str) -> str:
        """The ARN of an ECS thing."""
        return f"arn:aws:ecs:{self.settings.region}:{self.settings.account}:{kind}/{name}"

    def find_task(self, cluster: str, given: str) -> Task | None:
        """The visible task of a cluster by ARN or id."""
        arn = given if given.startswith("arn:") else self.make_arn("task", f"{cluster}/{given}")
        task = self.tasks.get(arn)
        if task is None or task.cluster != cluster or self.clock.now() < task.visible_at:
            return None
        return task

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float = 30.0) -> bool:
        """Wait until `is_so` (called under the lock, at every change); for tests in this process."""
        with self.changed:
            return self.changed.wait_for(is_so, timeout_s)

    def linger(self, seconds: float) -> None:
        """Let `seconds` AWS seconds pass with the lock given away meanwhile. Call it with the lock held."""
        until = self.clock.now() + seconds
        self.changed.wait_for(lambda: self.clock.now() >= until, self.clock.to_real(seconds))

    def count(self) -> dict[str, Any]:
        """The figures so far, with what lives now."""
        live = [task for task in self.tasks.values() if not task.is_stopped]
        return {**self.stats, "live_tasks": len(live), "definitions": len(self.definitions)}

    def close(self) -> None:
        """Remove the scratch folders; the processes are ended by the lifecycle before."""
        shutil.rmtree(self.folder, ignore_errors=True)
