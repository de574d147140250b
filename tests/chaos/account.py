"""The pretended AWS account under a gateway of `--runtime ecs-standin`: what goes wrong in it, and its own books.

`Account` talks to the control endpoint of the stand-in (docs/ecs-standin.md), `AccountFaults` is the part of
`faults.Faults` that concerns the account, `check_account` compares the tasks that ever were with the rows that own
them. All its durations are AWS seconds, of which ten pass in one of ours.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
import psycopg

from app.embedded.elsewhere import STANDIN
from tests.chaos.invariants import Finding
from tests.gateways import Gateway, eventually

#: A task of the stand-in is a process of this machine: its probe is gentle, and patient with a busy machine. A
#: task may be invisible for two minutes of AWS, which pass in twelve seconds here.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "GATEWAY_ECS_HEALTH_INTERVAL_S": "20",
    "GATEWAY_ECS_HEALTH_TIMEOUT_S": "60",
    "GATEWAY_ECS_HEALTH_AGE_S": "30",
    "GATEWAY_ECS_VISIBILITY_S": "12",
}
#: Longer than any run of the harness: what must be counted may not be forgotten.
_NEVER_S: Final = 1e9


class Account:
    """The stand-in of one gateway, by its control endpoint."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._client = httpx.Client(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def order(self, path: str = "", body: Any = None, method: str = "POST") -> dict[str, Any]:
        """Call the control endpoint, again while nobody listens."""
        answer: httpx.Response = eventually(
            lambda: self._send(method, path, body), "the stand-in answers"
        )
        answer.raise_for_status()
        parsed: dict[str, Any] = answer.json()
        return parsed

    def remembers_everything(self) -> None:
        """From now on no task is forgotten."""
        self.order("settings", {"forget_s": _NEVER_S})

    def list_tasks(self) -> list[dict[str, Any]]:
        """Every task that ever was, as DescribeTasks would show it."""
        tasks: list[dict[str, Any]] = self.order("tasks", method="GET")["tasks"]
        return tasks

    def read_stats(self) -> dict[str, int]:
        """Figures of the account."""
        stats: dict[str, int] = self.order(method="GET")["stats"]
        return stats

    def _send(self, method: str, path: str, body: Any) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            command = self._gateway.get_child(STANDIN).cmdline()
            port = command[command.index("--port") + 1]
            password = (self._gateway.data / "secrets" / f"{STANDIN}_password").read_text()
            return self._client.request(
                method,
                f"http://127.0.0.1:{port}/_standin/{path}",
                headers={"Authorization": f"Bearer STANDIN{password[:24].upper()}"},
                json=body or {},
            )
        return None


@dataclass
class AccountFaults:
    """What AWS does to its customers. Each says what it did and ends by itself."""

    account: Account
    chance: random.Random

    def lose_replies(self) -> str:
        """Every second RunTask and StopTask is carried out and never answered, for 5 s."""
        for operation in ("RunTask", "StopTask"):
            self._arm("lost_reply", operation=operation, every=2, cut=True, for_s=50)
        return "for 5 s"

    def hold_replies(self) -> str:
        """RunTask and StopTask are in the air for 4 s each: orders come in between. For 20 s."""
        for operation in ("RunTask", "StopTask"):
            self._arm("slow_reply", operation=operation, after_s=40, for_s=200)
        return "for 20 s"

    def time_out_replies(self) -> str:
        """The next RunTask is carried out and answered long after its caller has given up."""
        self._arm("slow_reply", operation="RunTask", after_s=120, times=2)
        return "of 2 calls"

    def throttle_calls(self) -> str:
        """Every second call of any operation is refused for its rate, for 5 s."""
        self._arm("throttle", operation="*", probability=0.5, seed=self.chance.random(), for_s=50)
        return "for 5 s"

    def run_out_of_capacity(self) -> str:
        """RunTask answers `failures[]`, for 5 s."""
        self._arm("failures", for_s=50)
        return "for 5 s"

    def start_ghosts(self) -> str:
        """RunTask answers `failures[]` twice, and the tasks start all the same."""
        self._arm("ghost", times=2)
        return "2 calls"

    def fail_starts(self) -> str:
        """Half of all tasks get no network interface, for 5 s."""
        self._arm("stop_before_start", probability=0.5, seed=self.chance.random(), for_s=50)
        return "for 5 s"

    def hide_new_tasks(self) -> str:
        """From now on new tasks are invisible for another while, up to 3 s."""
        lag = self.chance.choice([0, 5, 30])
        self.account.order("settings", {"visibility_lag_s": lag})
        return f"for {lag / 10:g} s"

    def kill_tasks(self) -> str:
        """The processes of up to three tasks are killed."""
        return self._strike("kill")

    def take_machines_away(self) -> str:
        """Up to three tasks are interrupted, as on Spot."""
        return self._strike("interrupt")

    def _arm(self, kind: str, **more: Any) -> None:
        self.account.order("faults", {"kind": kind, **more})

    def _strike(self, path: str) -> str:
        running = [
            task["taskArn"]
            for task in self.account.list_tasks()
            if task["lastStatus"] == "RUNNING" and task["desiredStatus"] == "RUNNING"
        ]
        struck = self.chance.sample(running, min(3, len(running)))
        for arn in struck:
            # It may have ended in between.
            with suppress(httpx.HTTPStatusError):
                self.account.order(path, {"task": arn})
        return f"{len(struck)} of {len(running)}"


#: What a round of faults has besides, where the account is pretended.
OF_ACCOUNT: Final = (
    "lose_replies",
    "hold_replies",
    "time_out_replies",
    "throttle_calls",
    "run_out_of_capacity",
    "start_ghosts",
    "fail_starts",
    "hide_new_tasks",
    "kill_tasks",
    "take_machines_away",
    "hold_replies",
    "freeze_standin",
)


def check_account(database: psycopg.Connection[Any], account: Account) -> list[Finding]:
    """What the account's books and ours must agree upon."""
    tasks, stats = account.list_tasks(), account.read_stats()
    rows = database.execute(
        """SELECT r.charger_id, r.incarnation, r.state, r.handle ->> 'arn',
                  runs.status = 'superseded' AND runs.plan[runs.at + 1] = 'run_task'
           FROM runtimes AS r JOIN runs ON runs.id = r.run_id"""
    ).fetchall()
    return [
        _check_once(tasks, [row[:2] for row in rows]),
        _check_living(tasks, {row[3] for row in rows if row[2] != "gone"}),
        _check_pairs(stats),
        _check_definitions(stats),
        _check_in_the_air(tasks, rows),
    ]


def _read_owner(task: Mapping[str, Any]) -> tuple[str, int]:
    pairs = task["overrides"]["containerOverrides"][0]["environment"]
    values = {pair["name"]: pair["value"] for pair in pairs}
    return values["GATEWAY_CHARGER_ID"], int(values["GATEWAY_INCARNATION"])


def _check_once(tasks: Sequence[Mapping[str, Any]], intended: Sequence[tuple[str, int]]) -> Finding:
    started = Counter(map(_read_owner, tasks))
    twice = [owner for owner, count in started.items() if count > 1]
    unintended = sorted(set(started) - set(intended))
    evidence = f"{len(tasks)} tasks of {len(intended)} intents; twice {twice[:3]}, unintended {unintended[:3]}"
    name = "one task at most per charger and incarnation, and none without an intent"
    return Finding(name, not twice and not unintended, evidence)


def _check_living(tasks: Sequence[Mapping[str, Any]], owned: set[str]) -> Finding:
    living = {task["taskArn"] for task in tasks if task["lastStatus"] != "STOPPED"}
    evidence = f"{len(living)} live; strays {sorted(living - owned)[:3]}, lost {sorted(owned - living)[:3]}"
    return Finding("exactly the tasks live that a row owns", living == owned, evidence)


def _check_pairs(stats: Mapping[str, int]) -> Finding:
    found = stats.get("overlaps", 0)
    return Finding("no charger ever had two tasks at a time", found == 0, f"{found} times")


def _check_definitions(stats: Mapping[str, int]) -> Finding:
    found = stats.get("definitions_registered", 0)
    return Finding("one task definition was registered", found == 1, f"{found}")


def _check_in_the_air(
    tasks: Sequence[Mapping[str, Any]], rows: Sequence[tuple[Any, ...]]
) -> Finding:
    """A run that was superseded in `run_task`, its intent committed: its call was out, or about to be repeated."""
    living = {_read_owner(task) for task in tasks if task["lastStatus"] != "STOPPED"}
    started = set(map(_read_owner, tasks))
    away = [row[:2] for row in rows if row[4]]
    left = [owner for owner in away if owner in living]
    name = "what was ordered away while RunTask was in the air left nothing"
    return Finding(
        name,
        not left,
        f"{len(away)} such starts, {len(started & set(away))} of them with a task; left {left[:3]}",
    )
