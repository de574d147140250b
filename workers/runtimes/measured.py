"""Counts and times what is asked of a driver; the drivers themselves know nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, cast

from app import metrics
from workers.runtimes.base import (
    CapacityUnavailable,
    Driver,
    RuntimeRejected,
    RuntimeTrouble,
    RuntimeUnavailable,
)

#: What goes to the outside; `render` is pure and `listen` lasts.
_MEASURED: Final = frozenset(
    {"ensure_template", "start", "find", "observe", "stop", "list_strays", "collect_templates"}
)
_OUTCOMES: Final = {
    RuntimeUnavailable: "unavailable",
    CapacityUnavailable: "capacity",
    RuntimeRejected: "rejected",
}


class _Measured:
    """A driver whose every call to the outside is counted. Everything else is the driver's own."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in _MEASURED:
            return found
        return _make_counted(found, self._driver.provider, name)


def measure(driver: Driver) -> Driver:
    """The same driver, counted under its provider's name."""
    return cast("Driver", _Measured(driver))


def _make_counted(call: Callable[..., Any], provider: str, operation: str) -> Callable[..., Any]:
    def counted(*args: Any, **options: Any) -> Any:
        began = time.monotonic()
        outcome = "error"
        try:
            answer = call(*args, **options)
            outcome = "ok"
        except RuntimeTrouble as trouble:
            outcome = _OUTCOMES.get(type(trouble), "error")
            metrics.DRIVER_TROUBLES.labels(provider, operation, trouble.code).inc()
            raise
        finally:
            metrics.DRIVER_CALLS.labels(provider, operation, outcome).inc()
            metrics.DRIVER_SECONDS.labels(provider, operation).observe(time.monotonic() - began)
        return answer

    return counted
