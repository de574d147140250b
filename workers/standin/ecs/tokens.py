"""Client tokens of RunTask: the same call twice is one task ("Ensuring idempotency", ECS API reference)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.standin.ecs.errors import AwsError
from workers.standin.ecs.records import StandinSettings, Task


def digest(request: Mapping[str, Any]) -> str:
    """What must not differ between two calls with one token."""
    rest = {name: value for name, value in request.items() if name != "clientToken"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class Entry:
    """What the first call with a token was and did."""

    digest: str
    used_at: float
    tasks: Sequence[Task]
    failures: Sequence[Mapping[str, Any]]

    def is_over(self, settings: StandinSettings, now: float) -> bool:
        """Lower of 24 h and the life of its tasks and one hour more."""
        if now >= self.used_at + settings.token_s:
            return True
        stops = [task.times.get("stoppedAt") for task in self.tasks]
        if not stops or any(at is None for at in stops):
            return False
        return now >= max(at for at in stops if at is not None) + settings.token_after_stop_s


class Tokens:
    """All tokens, scoped by cluster. Guarded by the world's lock."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def find(
        self, cluster: str, request: Mapping[str, Any], settings: StandinSettings, now: float
    ) -> Entry | None:
        """The entry of the request's token while it lives.

        Raises ConflictException, with the tasks of the first call, when the parameters differ.
        """
        key = (cluster, request.get("clientToken", ""))
        entry = self._entries.get(key)
        if entry is None or entry.is_over(settings, now):
            return None
        if entry.digest != digest(request):
            raise AwsError(
                "ConflictException",
                "The client token was used before with different parameters.",
                resourceIds=[task.arn for task in entry.tasks],
            )
        return entry

    def keep(self, cluster: str, request: Mapping[str, Any], entry: Entry) -> None:
        """Remember what a call did; a call without a token is not remembered."""
        if token := request.get("clientToken"):
            self._entries[cluster, token] = entry
