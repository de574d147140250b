"""The ECS driver: a task per charger, Fargate by default.

Read `start` first: it is the one call that must never make two tasks. Three things keep it from that: the client
token (ECS answers a repeat with the first task), a look before every call that may be a repeat too late for the
token, and `startedBy`, by which `find` sees what became of a call whose answer was lost. `docs/ecs.md` says how
to set it up, `ecs_verdicts.py` what each answer of AWS means.

Nothing is kept in memory but caches and token buckets: a worker may die at any line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.runtimes.base import (
    CapacityUnavailable,
    End,
    Find,
    Handle,
    Key,
    Observation,
    Phase,
    RuntimeUnavailable,
    Spec,
    Stray,
)
from workers.runtimes.buckets import Throttle, make_ecs_buckets
from workers.runtimes.ecs_calls import EcsApi, EcsRefusal, make_wait, translate
from workers.runtimes.ecs_classify import classify_failures
from workers.runtimes.ecs_logs import read_tail
from workers.runtimes.ecs_observe import add_last_words, observe_task
from workers.runtimes.ecs_request import Owner, choose_link_url, is_of, read_owner, render_run
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.ecs_tasks import DESCRIBE_MAX, EcsTasks
from workers.runtimes.ecs_templates import Lock, Templates, TemplateStore
from workers.runtimes.ecs_verdicts import CONFLICT, CRASHED, INACTIVE, LOST, PLACEMENT, TASK_GONE

log = logging.getLogger(__name__)

#: A repeat of RunTask within this time is surely covered by its token, which lives an hour at the very least.
_TOKEN_SAFE_S: Final = 60.0
_REASON_MAX: Final = 255
#: Logs read during one look.
_LOGS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """When a start was ordered, as the database knows it. Seconds ago."""

    #: Since its intent was committed.
    first_s: float
    #: Since `start` may last have been called; never more than it truly is.
    last_s: float


#: Tells when a key was intended; None when it never was.
AskedOf = Callable[[Key], Asked | None]


class EcsDriver:
    """`workers.runtimes.base.Driver` for ECS."""

    provider = "aws"
    runtime_kind = "ecs_task"

    def __init__(
        self,
        settings: EcsSettings,
        client: Any,
        *,
        templates: TemplateStore,
        lock: Lock,
        asked: AskedOf,
        logs: Any = None,
        clock: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        """`client`: a boto3 ECS client of this process, `logs`: one of CloudWatch Logs, for last words.

        `clock`: Unix seconds.
        """
        self._settings = settings
        share = settings.api_share / settings.processes
        self._api = EcsApi(
            client,
            throttle
            or Throttle(
                make_ecs_buckets(share, time.monotonic()), patience_s=settings.api_patience_s
            ),
        )
        self._tasks = EcsTasks(settings, self._api)
        self._templates = Templates(settings, self._api, templates, lock)
        self._asked = asked
        self._logs = logs
        self._clock = clock

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:
        """Register the task definition if its content is new; `{"hash", "family", "arn"}`."""
        choose_link_url(self._settings, spec.link_url)
        try:
            template = self._templates.ensure()
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal
        return {"hash": template.hash, "family": template.family, "arn": template.arn}

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:
        """The RunTask request, with the definition's revision pinned."""
        return render_run(self._settings, key, spec, str(template["arn"]))

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:
        """RunTask under the key's token, unless a task of this incarnation is there already.

        `failures[]` are definite for their token, so the next call needs a new attempt; but AWS says of them
        that a task may start all the same (airflow #16150), so a new attempt looks first.
        """
        asked = self._asked(key)
        try:
            if key.attempt > 1 or asked is None or asked.first_s > _TOKEN_SAFE_S:
                found = self._tasks.find(key)
                if found is not None:
                    return found
            return self._run(key, request)
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal

    def find(self, key: Key) -> Handle | Find:
        """By `startedBy` among running and stopped tasks. Unknown while a task may still be invisible."""
        asked = self._asked(key)
        try:
            found = self._tasks.find(key)
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal
        if found is not None:
            return found
        if asked is not None and asked.last_s < self._settings.visibility_s:
            return Find.UNKNOWN
        return Find.NOTHING

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        """DescribeTasks, a hundred at a time, per cluster."""
        seen: dict[str, Observation] = {}
        by_cluster: dict[str, list[Handle]] = {}
        for handle in handles:
            by_cluster.setdefault(str(handle["cluster"]), []).append(handle)
        try:
            for cluster, group in by_cluster.items():
                for start in range(0, len(group), DESCRIBE_MAX):
                    seen |= self._observe(cluster, group[start : start + DESCRIBE_MAX])
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal
        return [seen[str(handle["arn"])] for handle in handles]

    def stop(self, handle: Handle, reason: str) -> None:
        """StopTask. A task that ECS does not know is gone, unless it is too young to be known."""
        try:
            self._api.call(
                "StopTask",
                cluster=handle["cluster"],
                task=handle["arn"],
                reason=reason[:_REASON_MAX],
            )
        except EcsRefusal as refusal:
            if refusal.verdict is not TASK_GONE:
                raise translate(refusal) from refusal
            if self._may_be_invisible(handle):
                raise RuntimeUnavailable(
                    "The task was started a moment ago and cannot be seen yet."
                ) from refusal

    def list_strays(self, install_id: str) -> Sequence[Stray]:
        """Every running task of this installation. A second task of one incarnation is stopped right here.

        Such a twin is a refused attempt that started all the same: its row knows the newer attempt, so nobody
        else would ever find it.
        """
        owned: dict[tuple[str, int], tuple[Owner, Mapping[str, Any]]] = {}
        try:
            for task, owner in self._tasks.list_running(install_id):
                name = (owner.charger_id, owner.incarnation)
                rival = owned.get(name)
                if rival is None:
                    owned[name] = (owner, task)
                    continue
                older, newer = sorted([rival, (owner, task)], key=lambda pair: pair[0].attempt)
                log.warning("twin task stopped", extra={"task": older[1]["taskArn"]})
                self.stop(self._tasks.make_handle(older[1]), f"{install_id}:twin")
                owned[name] = newer
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal
        return [
            Stray(self._tasks.make_handle(task), owner.charger_id, owner.incarnation)
            for owner, task in owned.values()
        ]

    def collect_templates(self, keep: Collection[str]) -> int:
        """Remove this installation's definitions whose hash is not in `keep`; how many revisions went.

        `keep`: the hashes of templates that a run may still start from. Today's is kept anyway.
        """
        try:
            return self._templates.collect(keep)
        except EcsRefusal as refusal:
            raise translate(refusal) from refusal

    # starting

    def _run(self, key: Key, request: Mapping[str, Any], *, is_renewed: bool = False) -> Handle:
        """RunTask; once more, from a new definition, if the pinned revision was removed behind our back.

        The token stays then: if an earlier call with it did start a task, ECS answers Conflict and names it.
        """
        try:
            answer = self._call_run(request)
        except EcsRefusal as refusal:
            if refusal.verdict is INACTIVE and not is_renewed:
                self._templates.doubt()
                renewed = {**request, "taskDefinition": self._templates.ensure().arn}
                return self._run(key, renewed, is_renewed=True)
            if refusal.verdict is CONFLICT:
                return self._adopt(key, refusal)
            raise
        tasks = answer.get("tasks") or []
        if tasks:
            return self._tasks.make_handle(tasks[0], request)
        raise self._refuse(answer.get("failures") or [])

    def _call_run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        bucket = "RunTask:FARGATE" if self._settings.is_fargate else "RunTask"
        return self._api.call("RunTask", bucket=bucket, **request)

    def _refuse(self, failures: Sequence[Mapping[str, Any]]) -> Exception:
        verdict = classify_failures(failures)
        said = "; ".join(str(f.get("reason") or "") for f in failures)
        trouble = translate(EcsRefusal(verdict, said))
        if isinstance(trouble, CapacityUnavailable):
            return make_wait(verdict, said, new_attempt=True)
        return trouble

    def _adopt(self, key: Key, refusal: EcsRefusal) -> Handle:
        """The token was used before: the task is ours if it carries our incarnation.

        Else (a call with it ended in `failures[]`) the next attempt has a token of its own.
        """
        known = self._tasks.describe(self._settings.cluster, refusal.resource_ids)
        for task in known.values():
            if is_of(read_owner(task, key.install_id), key):
                return self._tasks.make_handle(task)
        if len(known) < len(refusal.resource_ids):
            # It exists and cannot be seen yet; the next look will tell.
            raise refusal
        raise make_wait(PLACEMENT, refusal.said, new_attempt=True)

    # looking

    def _observe(self, cluster: str, handles: Sequence[Handle]) -> dict[str, Observation]:
        tasks = self._tasks.describe(
            cluster, dict.fromkeys(str(handle["arn"]) for handle in handles)
        )
        seen, missing = {}, []
        for handle in handles:
            arn = str(handle["arn"])
            if arn in tasks:
                seen[arn] = observe_task(handle, tasks[arn], self._settings.install_id)
            elif self._may_be_invisible(handle):
                seen[arn] = Observation(handle, Phase.SCHEDULING, facts={"last_status": "MISSING"})
            else:
                missing.append(handle)
        self._end_twins(seen, tasks)
        self._add_last_words(seen)
        return seen | self._confirm_gone(cluster, missing)

    def _end_twins(
        self, seen: dict[str, Observation], tasks: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """A refused attempt may have started all the same: a start is over when no attempt of it lives."""
        for arn, observation in seen.items():
            owner = read_owner(tasks.get(arn, {}), self._settings.install_id)
            if observation.phase is not Phase.GONE or owner is None or owner.attempt == 1:
                continue
            for twin in self._tasks.list_living(owner):
                log.warning("twin task stopped", extra={"task": twin["arn"]})
                self.stop(twin, f"{self._settings.install_id}:twin")
                seen[arn] = Observation(observation.handle, Phase.STOPPING)

    def _add_last_words(self, seen: dict[str, Observation]) -> None:
        """What those said that ended with an error; of a few at a time, a look must not take long."""
        if self._logs is None or not self._settings.log_group:
            return
        crashed = [arn for arn, one in seen.items() if one.end and one.end.code == CRASHED.code]
        for arn in crashed[:_LOGS_MAX]:
            stream = str(seen[arn].facts["log_stream"])
            lines = read_tail(self._logs, self._settings.log_group, stream)
            seen[arn] = add_last_words(seen[arn], lines)

    def _confirm_gone(self, cluster: str, missing: Sequence[Handle]) -> dict[str, Observation]:
        """MISSING for longer than a new task can be invisible: gone, if the lists of its family agree."""
        families = {str(handle["family"]) for handle in missing}
        listed = {
            arn
            for family in families
            for status in ("RUNNING", "STOPPED")
            for arn in self._tasks.list_family(cluster, family, status)
        }
        end = End(LOST.kind, LOST.code, LOST.message)
        return {
            str(handle["arn"]): Observation(handle, Phase.UNKNOWN)
            if handle["arn"] in listed
            else Observation(handle, Phase.GONE, end=end, facts={"last_status": "MISSING"})
            for handle in missing
        }

    def _may_be_invisible(self, handle: Handle) -> bool:
        created = handle.get("created_at")
        return created is not None and self._clock() - created < self._settings.visibility_s
