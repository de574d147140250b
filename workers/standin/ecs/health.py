"""The health check of a container, as Docker and ECS run it: really, in turn, with retries and a start period.

The first probe comes one interval after the start, each next one an interval after the last ended. A success makes
it HEALTHY at once; `retries` failures in a row make it UNHEALTHY; failures inside the start period do not count
(HealthCheck, ECS API reference).
"""

from __future__ import annotations

from collections.abc import Callable

from workers.standin.ecs.processes import Container, Probe
from workers.standin.ecs.records import Json
from workers.standin.ecs.world import World


class Health:
    """Probes one container until `end`. Tells each verdict to `report`."""

    def __init__(
        self, config: Json, container: Container, world: World, report: Callable[[str], None]
    ) -> None:
        self._command: list[str] = config["command"]
        self._interval_s = float(config.get("interval", 30))
        self._timeout_s = float(config.get("timeout", 5))
        self._retries = int(config.get("retries", 3))
        self._start_period_s = float(config.get("startPeriod", 0))
        self._container = container
        self._world = world
        self._report = report
        self._began_at = 0.0
        self._failures = 0
        self._has_passed = False
        self._is_over = False
        self._probe: Probe | None = None
        self._deadline = 0.0

    def begin(self) -> None:
        """The container runs."""
        self._began_at = self._world.clock.now()
        self._world.scheduler.after(self._interval_s, self._try)

    def end(self) -> None:
        """The container is over."""
        self._is_over = True
        if self._probe is not None:
            self._probe.end()
            self._probe = None

    def _try(self) -> None:
        if self._is_over:
            return
        self._probe = Probe(self._command, self._container)
        self._deadline = self._world.clock.now() + self._timeout_s
        self._world.scheduler.watch(self._look)

    def _look(self) -> bool:
        """Whether the probe is over, in time or not."""
        if self._probe is None:
            return True
        has_passed = self._probe.look()
        if has_passed is None and self._world.clock.now() < self._deadline:
            return False
        self._probe.end()
        self._probe = None
        self._judge(bool(has_passed))
        self._world.scheduler.after(self._interval_s, self._try)
        return True

    def _judge(self, has_passed: bool) -> None:
        if has_passed:
            self._failures, self._has_passed = 0, True
            self._report("HEALTHY")
            return
        is_starting = self._world.clock.now() < self._began_at + self._start_period_s
        if is_starting and not self._has_passed:
            return
        self._failures += 1
        if self._failures >= self._retries:
            self._report("UNHEALTHY")
