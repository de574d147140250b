"""Finds tasks: by their starter, by family, by ARN. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from workers.runtimes.base import Handle, Key
from workers.runtimes.ecs_calls import EcsApi, EcsRefusal
from workers.runtimes.ecs_definition import read_family_hash
from workers.runtimes.ecs_request import Owner, is_of, name_starter, read_owner
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.ecs_verdicts import INVALID

_VERSION: Final = 1
#: DescribeTasks takes this many.
DESCRIBE_MAX: Final = 100
_OVER: Final = ("STOPPED", "DELETED")


class EcsTasks:
    """The tasks of one cluster; those of others by their handles. Every call may raise `EcsRefusal`."""

    def __init__(self, settings: EcsSettings, api: EcsApi) -> None:
        self._cluster = settings.cluster
        self._install_id = settings.install_id
        self._api = api

    def find(self, key: Key) -> Handle | None:
        """The task of this incarnation: a living one of any attempt, else a stopped one of this attempt.

        An earlier attempt that stopped says nothing about this one.
        """
        starter = name_starter(key.install_id, key.charger_id)
        arns = [*self._list_started(starter), *self._list_stopped(starter)]
        best: tuple[tuple[bool, int], Mapping[str, Any]] | None = None
        for task in self.describe(self._cluster, dict.fromkeys(arns)).values():
            owner = read_owner(task, key.install_id)
            if owner is None or not is_of(owner, key):
                continue
            rank = (task.get("lastStatus") not in _OVER, owner.attempt)
            if (rank[0] or owner.attempt >= key.attempt) and (best is None or rank > best[0]):
                best = (rank, task)
        return None if best is None else self.make_handle(best[1])

    def list_living(self, owner: Owner) -> list[Handle]:
        """Tasks of this start, in whatever attempt, that have not ended, also those that were told to."""
        starter = name_starter(self._install_id, owner.charger_id)
        arns = [*self._list_started(starter), *self._list_stopped(starter)]
        return [
            self.make_handle(task)
            for task in self.describe(self._cluster, dict.fromkeys(arns)).values()
            if (other := read_owner(task, self._install_id)) is not None
            and (other.charger_id, other.incarnation) == (owner.charger_id, owner.incarnation)
            and task.get("lastStatus") not in _OVER
        ]

    def describe(self, cluster: str, arns: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """ARN → task, for those that ECS knows."""
        found: dict[str, Mapping[str, Any]] = {}
        wanted = list(arns)
        for start in range(0, len(wanted), DESCRIBE_MAX):
            chunk = wanted[start : start + DESCRIBE_MAX]
            answer = self._api.call("DescribeTasks", cluster=cluster, tasks=chunk)
            found |= {str(task["taskArn"]): task for task in answer.get("tasks", [])}
        return found

    def list_running(self, install_id: str) -> Iterator[tuple[Mapping[str, Any], Owner]]:
        """Every task of the installation that runs or ought to."""
        for family in self._list_families(install_id):
            arns = self.list_family(self._cluster, family, "RUNNING")
            for task in self.describe(self._cluster, arns).values():
                owner = read_owner(task, install_id)
                if owner is not None:
                    yield task, owner

    def list_family(self, cluster: str, family: str, status: str) -> list[str]:
        """ARNs by family and desired status."""
        found = self._api.page(
            "ListTasks", "taskArns", cluster=cluster, family=family, desiredStatus=status
        )
        return list(found)

    def make_handle(
        self, task: Mapping[str, Any], request: Mapping[str, Any] | None = None
    ) -> Handle:
        """`created_at` is Unix seconds by AWS's clock; None for a task that was stopped when we met it."""
        definition = task.get("taskDefinitionArn") or (request or {}).get("taskDefinition", "")
        created = task.get("createdAt")
        arn = str(task["taskArn"])
        # arn:aws:ecs:<region>:<account>:task/<cluster>/<id>
        return {
            "v": _VERSION,
            "cluster": arn.split("/")[1] if arn.count("/") == 2 else self._cluster,
            "arn": arn,
            "family": str(definition).rsplit("/", 1)[-1].partition(":")[0],
            "created_at": created.timestamp() if created is not None else None,
        }

    def _list_started(self, starter: str) -> Iterator[str]:
        """Tasks by `startedBy`, that run or ought to: `desiredStatus` defaults to RUNNING."""
        return self._api.page("ListTasks", "taskArns", cluster=self._cluster, startedBy=starter)

    def _list_stopped(self, starter: str) -> list[str]:
        """Stopped tasks by `startedBy`.

        It "must be the only filter" (ListTasks); `desiredStatus` beside it works today. Should it ever be
        refused, our stopped tasks are listed by family, of which there are few.
        """
        status = "STOPPED"
        try:
            return list(
                self._api.page(
                    "ListTasks",
                    "taskArns",
                    cluster=self._cluster,
                    startedBy=starter,
                    desiredStatus=status,
                )
            )
        except EcsRefusal as refusal:
            if refusal.verdict is not INVALID:
                raise
        families = self._list_families(self._install_id)
        return [
            arn for family in families for arn in self.list_family(self._cluster, family, status)
        ]

    def _list_families(self, install_id: str) -> list[str]:
        families = self._api.page(
            "ListTaskDefinitionFamilies", "families", familyPrefix=f"gw-{install_id}-"
        )
        return [family for family in families if read_family_hash(install_id, family)]
