"""Calls to the ECS API: in their turn, and with every error turned into a verdict.

`EcsApi.call` raises `EcsRefusal`; `translate` makes of it one of the three exceptions that may leave a driver.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from workers.runtimes.base import (
    CapacityUnavailable,
    EndClass,
    RuntimeRejected,
    RuntimeTrouble,
    RuntimeUnavailable,
)
from workers.runtimes.buckets import Throttle
from workers.runtimes.ecs_classify import classify_error, explain
from workers.runtimes.ecs_verdicts import Verdict

#: Operation → the method of the client, in the way botocore names them.
_METHODS: Final[Mapping[str, str]] = {
    "DeleteTaskDefinitions": "delete_task_definitions",
    "DeregisterTaskDefinition": "deregister_task_definition",
    "DescribeTaskDefinition": "describe_task_definition",
    "DescribeTasks": "describe_tasks",
    "ListTaskDefinitionFamilies": "list_task_definition_families",
    "ListTaskDefinitions": "list_task_definitions",
    "ListTasks": "list_tasks",
    "RegisterTaskDefinition": "register_task_definition",
    "RunTask": "run_task",
    "StopTask": "stop_task",
}

#: Our error code → seconds until it is worth another try; jittered, so that a fleet does not come back at once.
_PAUSES_S: Final[Mapping[str, float]] = {
    "ecs_throttled": 2.0,
    "capacity_unavailable": 15.0,
    "ecs_quota_reached": 20.0,
    "ecs_placement_failed": 5.0,
}
_PAUSE_S: Final = 30.0


class EcsRefusal(Exception):
    """An API call did not succeed; `verdict` says what that means."""

    def __init__(self, verdict: Verdict, said: str, resource_ids: Sequence[str] = ()) -> None:
        super().__init__(explain(verdict, said))
        self.verdict = verdict
        self.said = said
        #: Of a ConflictException: the tasks of the first call.
        self.resource_ids = tuple(resource_ids)


class EcsApi:
    """The ECS client of one process."""

    def __init__(self, client: Any, throttle: Throttle) -> None:
        self._client = client
        self._throttle = throttle

    def call(self, operation: str, *, bucket: str = "", **request: Any) -> dict[str, Any]:
        """Call an operation when it is its turn. `bucket`: the throttle's name of it, where it differs.

        Raises `EcsRefusal`, and `CapacityUnavailable` when its turn is too far away.
        """
        self._throttle.admit(bucket or operation)
        try:
            answer: dict[str, Any] = getattr(self._client, _METHODS[operation])(**request)
        except ClientError as error:
            said = str(error.response.get("Error", {}).get("Message", ""))
            ids = error.response.get("resourceIds") or ()
            raise EcsRefusal(classify_error(error), said, ids) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise EcsRefusal(classify_error(error), str(error)) from error
        return answer

    def page(self, operation: str, field: str, **request: Any) -> Iterator[str]:
        """Every item of a paged list."""
        token: str | None = None
        while True:
            more = {"nextToken": token} if token else {}
            answer = self.call(operation, **request, **more)
            yield from answer.get(field, [])
            token = answer.get("nextToken")
            if not token:
                return


def translate(refusal: EcsRefusal) -> RuntimeTrouble:
    """The exception that leaves the driver. What is only slow waits, what is transient is tried again."""
    verdict = refusal.verdict
    if verdict.kind is EndClass.PERMANENT:
        # No part of it is the charger's: once the cause is mended, the same order may come up.
        return RuntimeRejected(str(refusal), code=verdict.code, hint=verdict.hint, retryable=True)
    if verdict.kind is EndClass.SLOW:
        return make_wait(verdict, refusal.said)
    return RuntimeUnavailable(str(refusal), code=verdict.code, hint=verdict.hint)


def make_wait(verdict: Verdict, said: str, *, new_attempt: bool = False) -> CapacityUnavailable:
    """Waiting may mend it: what the charger shows meanwhile, and when to look again."""
    pause = _PAUSES_S.get(verdict.code, _PAUSE_S)
    return CapacityUnavailable(
        explain(verdict, said),
        code=verdict.code,
        hint=verdict.advice,
        retry_after_s=pause * random.uniform(0.75, 1.5),  # noqa: S311 - spreads, hides nothing
        new_attempt=new_attempt,
    )
