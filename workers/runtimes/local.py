"""The local driver: chargers inside simulator host processes on this machine.

A start is one commit. It writes `runtimes.host_id`, choosing the live host with most room, and rings; the host's
link admits the charger by that alone. So there is no outside call that could be lost, and `find` is a look
at the row. A host that is away keeps its chargers until its process is seen to have ended: a frozen process
may still hold their connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_LINK, DatabaseAway, notify
from app.processes import has_ended
from app.store import hosts, runtimes
from workers.runtimes.base import (
    CapacityUnavailable,
    End,
    EndClass,
    Find,
    Handle,
    Key,
    Observation,
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
    Spec,
    Stray,
)

Result = TypeVar("Result")

_VERSION: Final = 1
#: A host usually connects within seconds; it rings nobody when it does.
_LOOK_AGAIN_S: Final = 2.0

_FORGOTTEN: Final = End(
    EndClass.EXPECTED, "runtime_unknown", "The gateway knows no such runtime on a host."
)
_STOPPED: Final = End(EndClass.EXPECTED, "stopped", "The runtime was stopped with its host.")
_HOST_ENDED: Final = End(
    EndClass.TRANSIENT, "host_ended", "The simulator host that ran it has ended."
)


class LocalDriver:
    """Places chargers on live hosts. `away_s`: a host that was not heard of for so long is away."""

    provider = "local"
    runtime_kind = "host_process"

    def __init__(self, sessions: sessionmaker[Session], *, away_s: float) -> None:
        self._sessions = sessions
        self._away_s = away_s

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:  # noqa: ARG002  # any charger fits any host
        """Make sure that a live host has room.

        Raises `CapacityUnavailable` with what to do, `RuntimeUnavailable` when the database is away.
        """
        room = self._run(partial(hosts.measure_room, away_s=self._away_s))
        self._check_room(room)
        return {"hosts": room.hosts}

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002  # the link hands out the rest
        """Who is started; the link gives the configuration."""
        return {"v": _VERSION, "charger_id": key.charger_id, "incarnation": key.incarnation}

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:  # noqa: ARG002  # the key says it all
        """Place it; a repeat finds it where it was placed.

        Raises `CapacityUnavailable` without a live host with room, `RuntimeRejected` when it was called off.
        """

        def place(session: Session) -> hosts.Placement:
            return hosts.place(session, key.charger_id, key.incarnation, away_s=self._away_s)

        placement = self._run(place)
        if placement.host_id is not None:
            return _make_handle(key.charger_id, key.incarnation, placement.host_id)
        if placement.over:
            raise RuntimeRejected("This start was called off.", code="start_called_off")
        self._check_room(self._run(partial(hosts.measure_room, away_s=self._away_s)))
        # A place was freed in between.
        raise CapacityUnavailable(
            "The simulator hosts were full a moment ago.", retry_after_s=_LOOK_AGAIN_S
        )

    def find(self, key: Key) -> Handle | Find:
        """Where it was placed. The row decides, so there is no doubt."""

        def find(session: Session) -> str | None:
            return hosts.find_place(session, key.charger_id, key.incarnation)

        host_id = self._run(find)
        if host_id is None:
            return Find.NOTHING
        return _make_handle(key.charger_id, key.incarnation, host_id)

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        """What the rows say, and for hosts that are away whether their process has ended."""
        keys = [(str(handle["charger_id"]), int(handle["incarnation"])) for handle in handles]

        def look(session: Session) -> Sequence[Any]:
            return hosts.look(session, keys, away_s=self._away_s)

        rows = self._run(look)
        return [_observe(handle, row) for handle, row in zip(handles, rows, strict=True)]

    def stop(self, handle: Handle, reason: str) -> None:  # noqa: ARG002  # hosts need none
        """Have the link tell its host. Nothing happens when it is gone."""

        def ask(session: Session) -> None:
            runtimes.request_stop(session, str(handle["charger_id"]), int(handle["incarnation"]))
            notify(session, CHANNEL_LINK, f"host:{handle['host_id']}")

        self._run(ask)

    def list_strays(self, install_id: str) -> Sequence[Stray]:  # noqa: ARG002  # the database is its own
        """What is placed and not gone: each has its row, so none is ever a stray.

        What a host runs and should not is dropped when link and host compare digests.
        """
        return [
            Stray(_make_handle(row.charger_id, row.incarnation, row.host_id), *row[:2])
            for row in self._run(hosts.list_placed)
        ]

    def _check_room(self, room: hosts.Room) -> None:
        if room.hosts == 0:
            raise CapacityUnavailable(
                "No local simulator host is connected.",
                code="no_host",
                hint="No local simulator host is connected; start one with `gateway host`.",
                retry_after_s=_LOOK_AGAIN_S,
            )
        if room.free == 0:
            raise CapacityUnavailable(
                "Every local simulator host is full.",
                code="hosts_full",
                hint="Every local simulator host is full; stop chargers or start another `gateway host`.",
                retry_after_s=_LOOK_AGAIN_S,
            )

    def _run(self, work: Callable[[Session], Result]) -> Result:
        try:
            with self._sessions.begin() as session:
                return work(session)
        except DatabaseAway as error:
            raise RuntimeUnavailable("The database does not answer.") from error


def _make_handle(charger_id: str, incarnation: int, host_id: str) -> Handle:
    return {
        "v": _VERSION,
        "host_id": host_id,
        "charger_id": charger_id,
        "incarnation": incarnation,
    }


def _observe(handle: Handle, row: Any) -> Observation:
    facts = {"host_id": handle["host_id"]}
    if row.state is None or not row.known:
        return Observation(handle, Phase.GONE, end=_FORGOTTEN, facts=facts)
    if row.state == "gone":
        return Observation(handle, Phase.GONE, end=_read_end(row.end), facts=facts)
    if not row.live and has_ended(row.machine, row.pid, row.pid_start) and _ended_with(row):
        end = _STOPPED if row.stopping else _HOST_ENDED
        return Observation(handle, Phase.GONE, end=end, facts=facts)
    if not row.live:
        hint = "The simulator host that runs it cannot be heard; it is waited for."
        return Observation(handle, Phase.UNKNOWN, hint=hint, facts=facts)
    if row.stopping:
        return Observation(handle, Phase.STOPPING, facts=facts)
    was_told = row.host_epoch is not None and row.host_epoch == row.epoch
    return Observation(handle, Phase.RUNNING if was_told else Phase.STARTING, facts=facts)


def _ended_with(row: Any) -> bool:
    """Whether the end of the host is this runtime's end.

    One that no process was told of may still be taken up by the host's next process, for a while.
    """
    return row.host_epoch is not None or row.stopping or row.long_away


def _read_end(end: Mapping[str, Any] | None) -> End:
    if not end:
        return _FORGOTTEN
    return End(
        EndClass(end["kind"]),
        str(end["code"]),
        str(end["message"]),
        retryable=bool(end.get("retryable", True)),
        exit_code=end.get("exit_code"),
        facts=end.get("facts") or {},
    )
