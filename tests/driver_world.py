"""What the driver suite (`tests/integration/test_driver_contract.py`) needs of a backend: verbs, no more.

A world is one installation on one backend. To put another driver under the suite, write its world and add it to
`WORLDS` there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from workers.runtimes.base import Driver, End, Handle, Key, Observation


class DriverWorld(Protocol):
    """One installation on a backend."""

    driver: Driver
    install_id: str

    def another_driver(self) -> Driver:
        """Of the same installation, in another worker as it were."""

    def driver_of_a_dead_backend(self) -> Driver:
        """One whose backend does not answer."""

    def neighbour(self) -> AbstractContextManager[DriverWorld]:
        """Another installation on the same backend."""

    def key(self, number: int = 1, incarnation: int = 1) -> Key:
        """The key of a charger's start."""

    def request(self, key: Key) -> Mapping[str, Any]:
        """Commit the intent of a start: its rendered request. Its runtime runs until it is stopped."""

    def unknown_handle(self) -> Handle:
        """A handle of this driver for a runtime that is gone and forgotten."""

    def look(self, handle: Handle) -> Observation:
        """One observation."""

    def runs(self, handle: Handle) -> None:
        """Wait until it is RUNNING and healthy."""

    def ends(self, handle: Handle) -> End:
        """Wait until it is gone; how it ended."""

    def dies(self, handle: Handle) -> None:
        """It ends by itself, with an error."""

    def count(self) -> int:
        """Runtimes of the installation that run or may yet run, as the backend itself knows."""
