"""The control endpoint: what tests and people order of the stand-in, beside the AWS API.

GET    /_standin            figures, armed faults, settings
POST   /_standin/faults     arm a fault (faults.py has the words)
DELETE /_standin/faults     disarm all
POST   /_standin/settings   change settings (records.py), `time_scale` too
POST   /_standin/clock      {"advance_s": 3600}
GET    /_standin/tasks      every task as it is, without lag
POST   /_standin/interrupt  {"task": arn, "stop_code": ..., "reason": ...}: the infrastructure takes it away
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from workers.standin.ecs.errors import refuse
from workers.standin.ecs.lifecycle import Lifecycle
from workers.standin.ecs.records import Json
from workers.standin.ecs.show import show_task
from workers.standin.ecs.world import World

#: Settings that are part of names already given out.
_FIXED: Final = frozenset({"region", "account", "clusters"})


def control(world: World, lifecycle: Lifecycle, method: str, path: str, body: Json) -> Json:
    """Carry out one order. Raises `AwsError` with a sentence for one that cannot be."""
    action = _ACTIONS.get((method, path.removeprefix("/_standin").strip("/")))
    if action is None:
        raise refuse(f"The stand-in has no {method} {path}.")
    with world.changed:
        try:
            answer = action(world, lifecycle, body)
        except (ValueError, TypeError, KeyError) as mistake:
            raise refuse(f"The order is not understood: {mistake}") from None
        world.changed.notify_all()
        return answer


def _show(world: World, _lifecycle: Lifecycle, _body: Json) -> Json:
    return {
        "stats": world.count(),
        "faults": world.faults.show(),
        "settings": dataclasses.asdict(world.settings),
        "time_scale": world.clock.scale,
        "now": world.clock.now(),
    }


def _arm(world: World, _lifecycle: Lifecycle, body: Json) -> Json:
    return world.faults.arm(body, world.clock.now()).show()


def _disarm(world: World, _lifecycle: Lifecycle, _body: Json) -> Json:
    world.faults.clear()
    return {}


def _change(world: World, lifecycle: Lifecycle, body: Json) -> Json:
    changes = dict(body)
    scale = changes.pop("time_scale", None)
    known = {f.name for f in dataclasses.fields(world.settings)} - _FIXED
    if unknown := sorted(set(changes) - known):
        raise ValueError(f"no such setting: {', '.join(unknown)}")
    for name, value in changes.items():
        setattr(world.settings, name, value)
    if scale is not None:
        world.clock.rescale(float(scale))
        world.refill_buckets()
    return _show(world, lifecycle, {})


def _advance(world: World, _lifecycle: Lifecycle, body: Json) -> Json:
    world.clock.advance(float(body["advance_s"]))
    return {"now": world.clock.now()}


def _list(world: World, _lifecycle: Lifecycle, _body: Json) -> Json:
    return {"tasks": [show_task(task, with_tags=True) for task in world.tasks.values()]}


def _interrupt(world: World, lifecycle: Lifecycle, body: Json) -> Json:
    task = world.tasks[body["task"]]
    reason = body.get("reason", "Your Spot Task was interrupted.")
    lifecycle.stop(task, reason, body.get("stop_code", "SpotInterruption"))
    return show_task(task, with_tags=True)


def _kill(world: World, lifecycle: Lifecycle, body: Json) -> Json:
    lifecycle.kill(world.tasks[body["task"]])
    return {}


_ACTIONS: Final[Mapping[tuple[str, str], Callable[[World, Lifecycle, Json], dict[str, Any]]]] = {
    ("GET", ""): _show,
    ("POST", "faults"): _arm,
    ("DELETE", "faults"): _disarm,
    ("POST", "settings"): _change,
    ("POST", "clock"): _advance,
    ("GET", "tasks"): _list,
    ("POST", "interrupt"): _interrupt,
    ("POST", "kill"): _kill,
}
