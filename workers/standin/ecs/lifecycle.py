"""What tasks do by themselves: PROVISIONING to RUNNING to STOPPED, with a real process in the middle.

Read `begin` and follow the calls down; `stop` and `_finish` are the two ways out. Everything here runs under the
world's lock, and everything that starts a process runs in the scheduler's thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from workers.standin.ecs import definitions
from workers.standin.ecs.health import Health
from workers.standin.ecs.processes import Container, make_environment, read_pairs
from workers.standin.ecs.records import Task
from workers.standin.ecs.world import World

#: Seconds between SIGTERM and SIGKILL without `stopTimeout` (container definition, API reference).
_STOP_TIMEOUT_S: Final = 30.0
_ESSENTIAL_EXITED: Final = "Essential container in task exited"
_Move: TypeAlias = Callable[[Task], None]


class Lifecycle:
    """Moves every task of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._containers: dict[str, Container] = {}
        self._health: dict[str, Health] = {}

    def begin(self, task: Task) -> None:
        """A task was accepted: let it come up."""
        self._world.stats["tasks_created"] += 1
        self._later(self._world.settings.provisioning_s, task, self._pull)

    def stop(self, task: Task, reason: str, code: str = "UserInitiated") -> None:
        """StopTask, or the infrastructure going away. A stopped task stays as it is."""
        if task.desired_status == "STOPPED":
            return
        task.stop_code, task.stopped_reason = code, reason
        task.desired_status = "STOPPED"
        self._mark(task, "stoppingAt")
        container = self._containers.get(task.arn)
        if container is None:
            self._finish(task)
            return
        self._move(task, "STOPPING")
        init = task.definition.container.get("linuxParameters", {}).get("initProcessEnabled", False)
        container.terminate(has_init=bool(init))
        timeout = task.definition.container.get("stopTimeout", _STOP_TIMEOUT_S)
        self._world.scheduler.after(timeout, container.kill)

    def kill(self, task: Task) -> None:
        """The container of a running task dies."""
        self._containers[task.arn].kill()

    def close(self) -> None:
        """End every process."""
        for health in self._health.values():
            health.end()
        for container in self._containers.values():
            container.end()

    def folder_of(self, task: Task) -> Path:
        """The scratch folder that plays the container's file system."""
        return self._world.folder / task.id

    def _pull(self, task: Task) -> None:
        fate, settings = task.fate, self._world.settings
        if fate.never_starts is not None:
            self._fail_start(task, fate.never_starts)
            return
        self._move(task, "PENDING")
        self._mark(task, "pullStartedAt")
        self._later(settings.pull_s, task, self._activate)

    def _activate(self, task: Task) -> None:
        image = task.definition.container["image"]
        images = self._world.settings.images
        if images and image not in images:
            self._fail_start(
                task,
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                f"failed to resolve ref {image}: {image}: not found",
            )
            return
        self._mark(task, "pullStoppedAt")
        options, groups = task.log_options, self._world.settings.log_groups
        if options is not None and groups is not None and options["awslogs-group"] not in groups:
            self._fail_start(
                task,
                "ResourceInitializationError: failed to validate logger args: create stream has been "
                "retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: "
                "The specified log group does not exist.",
            )
            return
        self._move(task, "ACTIVATING")
        self._later(self._world.settings.activating_s, task, self._run)

    def _run(self, task: Task) -> None:
        folder = self.folder_of(task)
        folder.mkdir(mode=0o700)
        definition, override = task.definition.container, task.override
        image_command = self._world.settings.images.get(definition["image"], [])
        command = override.get("command") or definition.get("command") or image_command
        argv = [*definition.get("entryPoint", []), *command]
        env = make_environment(
            folder,
            read_pairs(definition.get("environment")),
            read_pairs(override.get("environment")),
        )
        try:
            if not argv:
                raise FileNotFoundError("no command specified")
            container = Container(argv, env, folder)
        except OSError as error:
            self._fail_start(task, f"CannotStartContainerError: {error}")
            return
        self._containers[task.arn] = container
        self._world.stats["processes_started"] += 1
        self._mark(task, "startedAt")
        self._move(task, "RUNNING")
        self._world.scheduler.watch(lambda: self._look(task, container))
        self._begin_health(task, container)
        self._plan_fate(task)

    def _begin_health(self, task: Task, container: Container) -> None:
        config = task.definition.container.get("healthCheck")
        if config is None:
            return
        health = Health(config, container, self._world, lambda status: self._judge(task, status))
        self._health[task.arn] = health
        health.begin()

    def _judge(self, task: Task, status: str) -> None:
        if task.health != status and task.last_status == "RUNNING":
            task.health = status
            task.version += 1

    def _plan_fate(self, task: Task) -> None:
        fate = task.fate
        if fate.oom_after_s is not None:
            self._later(fate.oom_after_s, task, self._run_out_of_memory)
        if fate.interrupted_after_s is not None:
            self._later(
                fate.interrupted_after_s,
                task,
                lambda task: self.stop(task, fate.stop_text, fate.stop_code),
            )

    def _run_out_of_memory(self, task: Task) -> None:
        task.container_reason = "OutOfMemoryError: Container killed due to memory usage"
        self.kill(task)

    def _look(self, task: Task, container: Container) -> bool:
        """Whether its process ended; then the task ends."""
        code = container.look()
        if code is None:
            return False
        task.exit_code = code
        if task.desired_status != "STOPPED":
            task.stop_code, task.stopped_reason = "EssentialContainerExited", _ESSENTIAL_EXITED
            task.desired_status = "STOPPED"
            self._mark(task, "stoppingAt")
        self._finish(task)
        return True

    def _fail_start(self, task: Task, reason: str) -> None:
        task.stop_code, task.stopped_reason = "TaskFailedToStart", reason
        task.desired_status = "STOPPED"
        kind, _, _ = reason.partition(":")
        if kind.startswith("Cannot"):
            task.container_reason = reason
        self._mark(task, "stoppingAt")
        self._finish(task)

    def _finish(self, task: Task) -> None:
        """The container is over, or never was: give back the network interface, then STOPPED."""
        if health := self._health.pop(task.arn, None):
            health.end()
        self._containers.pop(task.arn, None)
        self._mark(task, "executionStoppedAt")
        self._move(task, "DEPROVISIONING")
        self._world.scheduler.after(self._world.settings.deprovisioning_s, lambda: self._bury(task))

    def _bury(self, task: Task) -> None:
        task.health = "UNKNOWN"
        self._mark(task, "stoppedAt")
        self._move(task, "STOPPED")
        self._world.stats["tasks_stopped"] += 1
        definitions.sweep(self._world)
        self._world.scheduler.after(self._world.settings.forget_s, lambda: self._forget(task))

    def _forget(self, task: Task) -> None:
        self._world.tasks.pop(task.arn, None)
        shutil.rmtree(self.folder_of(task), ignore_errors=True)

    def _later(self, seconds: float, task: Task, action: _Move) -> None:
        """Do it to the task in `seconds`, unless it was told to stop by then."""

        def act() -> None:
            if task.desired_status == "RUNNING":
                action(task)

        self._world.scheduler.after(seconds, act)

    def _move(self, task: Task, status: str) -> None:
        task.last_status = status
        task.version += 1

    def _mark(self, task: Task, name: str) -> None:
        task.times[name] = self._world.clock.now()
