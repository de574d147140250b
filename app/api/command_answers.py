"""Commands as answers (see `app.api.answers`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.errors import InvalidOrder
from app.models import Command
from app.services.commands import Failure, Ordered

_LATER: Final = "GET /ocpp/commands/{id} tells what becomes of it."
_WHEN_ONLINE: Final = "It is carried out if the charger comes online within 5 minutes."


def show_queued(ordered: Ordered, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A command that is on its way; `payload` is the echo."""
    command = ordered.command
    return {
        "id": command.id,
        "event_type": command.event_type,
        "ocpp_version": command.ocpp_version.lower(),
        "payload": payload,
    }


def show_fan_out(ordered: Sequence[Ordered], failed: Sequence[Failure]) -> dict[str, Any]:
    """Who got a command, and who did not."""
    return {
        "targeted_count": len(ordered) + len(failed),
        "queued_count": len(ordered),
        "failed_count": len(failed),
        "results": [
            {
                "charger_id": one.target.id,
                "identity": one.target.identity,
                "command": show_queued(one, one.command.args),
            }
            for one in ordered
        ],
        "failed": [
            {"identity": one.identity, "error": one.error, "charger_id": one.charger_id}
            for one in failed
        ],
    }


def show_pending(ordered: Ordered, empty: Mapping[str, Any]) -> dict[str, Any]:
    """The answer while the charger's own is not known; `empty` has the operation's other fields."""
    later = _LATER.format(id=ordered.command.id)
    if ordered.state == "deferred":
        why = ordered.target.obstacle or "The charger is not online."
        msg = f"{why} {_WHEN_ONLINE} {later}"
    else:
        msg = f"The charger has not answered yet. {later}"
    return {**empty, "status": "Pending", "msg": msg, "command_id": ordered.command.id}


def show_told(
    command: Command, pending: Mapping[str, Any], *, refusal_is_error: bool
) -> dict[str, Any]:
    """The charger's own answer, in place of the pending one.

    Raises `InvalidOrder` when the charger refused and the operation says so by an error.
    """
    if command.state == "applied":
        return {**_known(pending), **(command.result or {}), "command_id": command.id}
    if command.state in ("received", "delivered", "deferred"):
        return dict(pending)
    error = command.error or {"code": command.state, "message": f"It was {command.state}."}
    if command.state == "rejected" and refusal_is_error:
        raise InvalidOrder(error["message"], code=error["code"], command_id=command.id)
    return {**pending, "status": command.state.capitalize(), "msg": error["message"]}


def _known(pending: Mapping[str, Any]) -> dict[str, Any]:
    """What was said about the request itself holds in any case."""
    return {name: value for name, value in pending.items() if name not in ("status", "msg")}


def show_command(command: Command) -> dict[str, Any]:
    """What became of a command. Its arguments are not repeated: they may hold a secret."""
    return {
        "id": command.id,
        "charger_id": command.charger_id,
        "identity": command.identity,
        "name": command.name,
        "event_type": command.event_type,
        "ocpp_version": command.ocpp_version.lower(),
        "state": "received" if command.state == "delivered" else command.state,
        "result": command.result,
        "error": command.error,
        "created_at": command.created_at,
        "delivered_at": command.delivered_at,
        "finished_at": command.finished_at,
        "expires_at": command.expires_at,
    }
