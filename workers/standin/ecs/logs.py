"""CloudWatch Logs, as far as ECS writes it: one stream per container, read with GetLogEvents."""

from __future__ import annotations

from typing import Final

from workers.standin.ecs.errors import AwsError
from workers.standin.ecs.lifecycle import Lifecycle
from workers.standin.ecs.records import Json, Task
from workers.standin.ecs.world import World

#: GetLogEvents answers at most 10,000 events or 1 MB.
_EVENTS_MAX: Final = 10_000
_BYTES_MAX: Final = 1_000_000


def get_events(world: World, lifecycle: Lifecycle, request: Json) -> Json:
    """GetLogEvents: the newest `limit` lines, or with `startFromHead` the oldest.

    A stream that is not there is ResourceNotFoundException, and it is not there before the container runs.
    Lines carry the time of the reading: a process writes no times of its own.
    """
    with world.changed:
        _check_group(world, request)
        task = _find(world, request)
        path = lifecycle.folder_of(task) / "output.log" if task is not None else None
        now = int(world.clock.now() * 1000)
    if path is None or not path.exists():
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    lines = path.read_bytes()[-_BYTES_MAX:].decode(errors="replace").splitlines()
    limit = min(request.get("limit", _EVENTS_MAX), _EVENTS_MAX)
    chosen = lines[:limit] if request.get("startFromHead") else lines[-limit:]
    return {
        "events": [{"timestamp": now, "message": line, "ingestionTime": now} for line in chosen],
        "nextForwardToken": f"f/{len(lines)}",
        "nextBackwardToken": "b/0",
    }


def describe_groups(world: World, request: Json) -> Json:
    """DescribeLogGroups by prefix."""
    prefix, groups = request.get("logGroupNamePrefix", ""), world.settings.log_groups
    names = [prefix] if groups is None else [name for name in groups if name.startswith(prefix)]
    return {"logGroups": [{"logGroupName": name} for name in names if name]}


def _check_group(world: World, request: Json) -> None:
    groups = world.settings.log_groups
    if groups is not None and request.get("logGroupName") not in groups:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")


def _find(world: World, request: Json) -> Task | None:
    for task in world.tasks.values():
        options = task.log_options
        if options is None or task.log_stream != request.get("logStreamName"):
            continue
        if options.get("awslogs-group") == request.get("logGroupName"):
            return task
    return None
