"""The durable engine with the ECS driver in it, on an account of its own.

`EcsEngine` is `engine_world.World` with the real driver, its memory in PostgreSQL and the stand-in; `Wire` is the
way from a worker to the account, at both ends of which a worker may die. Time is the test's: `lets_time_pass`
moves what the database remembers, and the account's clock with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import text

from app.db import make_sessions
from app.settings import Settings
from tests.ecs_cloud import EXEC_ROLE, Cloud, open_cloud
from tests.ecs_world import LIGHT_SIMULATOR, LINK_URL
from tests.engine_world import World
from tests.reaper import BOUNDARIES, Reaper, WorkerKilled
from workers.runtimes.buckets import Throttle, make_ecs_buckets
from workers.runtimes.ecs import EcsDriver
from workers.runtimes.ecs_memory import EcsMemory
from workers.runtimes.ecs_settings import EcsSettings
from workers.standin.ecs.records import Task

IMAGE: Final = "charger-simulator:test"
#: Before the call; it was carried out and the answer lost; it was answered and nothing is written down.
ON_THE_WIRE: Final = ("before_call", "answer_lost", "after_answer")
MOMENTS: Final = (*BOUNDARIES[:2], *ON_THE_WIRE, *BOUNDARIES[2:])


class Wire:
    """A boto3 client that a worker may die with, once."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._armed: tuple[str, str] | None = None

    def kills(self, operation: str, moment: str) -> None:
        """The worker that next calls `operation` (`run_task`, ...) dies at this moment."""
        self._armed = (operation, moment)

    @property
    def has_killed(self) -> bool:
        """Whether nothing is armed any more."""
        return self._armed is None

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self.client, operation)

        def carry(**request: Any) -> Any:
            self._strike(operation, "before_call")
            try:
                answer = call(**request)
            except (BotoCoreError, ClientError):
                self._strike(operation, "answer_lost")
                raise
            self._strike(operation, "after_answer")
            return answer

        return carry

    def _strike(self, operation: str, moment: str) -> None:
        if self._armed == (operation, moment):
            self._armed = None
            raise WorkerKilled


class EcsEngine(World):
    """One installation whose chargers are tasks."""

    def __init__(self, sql: SqlEngine, settings: Settings, cloud: Cloud, **own: Any) -> None:
        self.cloud = cloud
        self.ecs_settings = EcsSettings(
            **{
                "install_id": settings.install_id,
                "image": IMAGE,
                "subnets": ("subnet-1",),
                "execution_role_arn": EXEC_ROLE,
                "link_url": LINK_URL,
                "region": "us-east-1",
                "api_share": 1.0,
                "processes": 1,
            }
            | own
        )
        self.wire = Wire(cloud.client("ecs"))
        super().__init__(sql, settings, self._make_driver(EcsMemory(make_sessions(sql))))

    def _make_driver(self, memory: EcsMemory) -> Any:
        clock = self.cloud.world.clock
        return EcsDriver(
            self.ecs_settings,
            self.wire,
            templates=memory,
            lock=memory.lock,
            asked=memory.asked,
            clock=clock.now,
            throttle=Throttle(
                make_ecs_buckets(1.0, clock.now()),
                patience_s=60.0,
                clock=clock.now,
                sleep=self._let_aws_pass,
            ),
        )

    # deaths

    def kills_worker(self, step: str, operation: str, moment: str) -> Reaper:
        """The worker that does `step` dies at one of `MOMENTS`; `operation` is the call that the step makes."""
        if moment in ON_THE_WIRE:
            self.wire.kills(operation, moment)
        if moment == "answer_lost":
            name = "".join(part.capitalize() for part in operation.split("_"))
            self.cloud.goes_wrong("lost_reply", operation=name, times=1, cut=True)
        reaper = Reaper(self, step, moment)
        reaper.struck = moment in ON_THE_WIRE
        return reaper

    # time

    def lets_time_pass(self, seconds: float) -> None:
        """So long ago was what the database remembers, and so much later is it in AWS."""
        self._grow_older(seconds)
        self.cloud.passes(seconds)

    def goes_on_until(self, is_so: Callable[[], bool], patience_s: int = 90) -> int:
        """Second after second passes and everybody does their work; after how many seconds it was so."""
        for second in range(patience_s):
            self.work()
            self.looks()
            self._play_link()
            self.work()
            if is_so():
                return second
            self._let_aws_pass(1.0)
            self._grow_older(1.0)
            self.passes()
        raise AssertionError("it never came to that")

    def _grow_older(self, seconds: float) -> None:
        super().lets_time_pass(seconds)
        with self.sessions.begin() as session:
            session.execute(
                text(
                    "UPDATE runtimes SET created_at = created_at - :s, asked_at = asked_at - :s"
                ).bindparams(s=timedelta(seconds=seconds))
            )

    def _let_aws_pass(self, seconds: float) -> None:
        with self.cloud.world.changed:
            self.cloud.world.linger(seconds)

    def _play_link(self) -> None:
        """Whatever runs calls home, and its CSMS accepts it."""
        running = [task.arn for task in self.list_tasks() if task.last_status == "RUNNING"]
        with self.sessions.begin() as session:
            rows = session.execute(
                text(
                    """SELECT charger_id FROM runtimes WHERE state = 'started' AND called_home_at IS NULL
                       AND handle ->> 'arn' = ANY(:running)"""
                ),
                {"running": running},
            ).all()
        for row in rows:
            self.goes_online(row.charger_id)

    # looks

    def list_tasks(self, *, live: bool = False) -> Sequence[Task]:
        """Every task that ever was, or those that are not stopped."""
        with self.cloud.world.changed:
            tasks = self.cloud.world.tasks.values()
            return [task for task in tasks if not (live and task.is_stopped)]

    def is_ready(self, charger_id: str) -> bool:
        """Whether it came up; a charger that FAILED fails the test with its reason."""
        charger = self.charger(charger_id)
        assert charger.status != "FAILED", charger.error
        return charger.status == "READY"

    def is_over(self, charger_id: str) -> bool:
        """Whether nothing is under way for it and nothing of it lives."""
        runs = self.runs(charger_id)
        return all(run.status != "active" for run in runs) and not self.list_tasks(live=True)

    def check_account(self, *, tasks: int, live: int) -> None:
        """So many tasks ever, so many live, never two of one charger, from one definition."""
        stats = self.cloud.stats()
        assert len(self.list_tasks()) == stats.get("tasks_created", 0) == tasks
        assert len(self.list_tasks(live=True)) == live
        assert stats.get("overlaps", 0) == 0
        assert stats["definitions_registered"] == 1


@contextmanager
def open_ecs_engine(sql: SqlEngine, settings: Settings, **own: Any) -> Iterator[EcsEngine]:
    """An engine and its account; `cloud_*` are settings of the account, others those of the driver."""
    account = {k.removeprefix("cloud_"): v for k, v in own.items() if k.startswith("cloud_")}
    account.setdefault("images", {IMAGE: LIGHT_SIMULATOR})
    kept = {k: v for k, v in own.items() if not k.startswith("cloud_")}
    with open_cloud(20.0, **account) as cloud:
        yield EcsEngine(sql, settings, cloud, **kept)
