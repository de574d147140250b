"""What the engine tells by itself: which containers ended, ran out of memory or changed their health.

News only wakes the observer early; what it then sees is the truth. So nothing is lost when the stream breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from workers.runtimes.docker_request import LABEL_INSTALL, read_owner

#: `health_status` comes with its state behind a colon, and the engine's filter takes the name alone.
_NEWS: Final = ("die", "oom", "destroy", "health_status")


def listen(client: Any, install_id: str, heard: Callable[[str, int], None]) -> None:
    """Call `heard(charger_id, incarnation)` for each piece of news, until the stream ends or breaks.

    Raises what the client raises.
    """
    filters = {
        "type": "container",
        "event": list(_NEWS),
        "label": f"{LABEL_INSTALL}={install_id}",
    }
    for event in client.events(decode=True, filters=filters):
        owner = read_owner(event.get("Actor", {}).get("Attributes"))
        if owner is not None:
            heard(owner.charger_id, owner.incarnation)
