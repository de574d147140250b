"""Which charger, run and command a request is about: ids for its log lines, the access log's among them.

Taken from the places where the contract has them: the path, a command's target, and the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Where the access log finds them in a request's environment.
NAMED: Final = "gateway.named"
_OF_PATH: Final = ("charger_id", "run_id", "command_id")


def name_path(path: Mapping[str, str]) -> dict[str, Any]:
    """What the path says, before anything is known."""
    return {name: path[name] for name in _OF_PATH if name in path}


def name_order(body: Any, answer: Any) -> dict[str, Any]:
    """What the request ordered: its charger, the run that carries it out, or its command where it is one."""
    if not isinstance(answer, Mapping):
        return {}
    target = body.get("target") if isinstance(body, Mapping) else None
    if target is not None:
        found = {"charger_id": target.get("charger_id"), "command_id": _find_command(answer)}
    else:
        payload = answer.get("payload")
        order = payload if isinstance(payload, Mapping) else answer
        found = {
            "charger_id": answer.get("charger_id"),
            "run_id": order.get("workflow_run_id"),
        }
    return {name: value for name, value in found.items() if value is not None}


def _find_command(answer: Mapping[str, Any]) -> str | None:
    """The one command that was written; None of a fan-out to several."""
    results = answer.get("results")
    if "targeted_count" in answer:
        return results[0]["command"]["id"] if results and len(results) == 1 else None
    found: str | None = answer.get("command_id") or answer.get("id")
    return found
