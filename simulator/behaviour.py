"""How a charger of one OCPP version reacts: tables of handlers, filled by registration.

The core (`charger.py`) knows connections, calls and the boot; everything else is a handler in a
`Behaviour`. There is one per version (`ocpp16.BEHAVIOUR`, `ocpp201.BEHAVIOUR`); a module adds to it
by decorating:

    @BEHAVIOUR.action("ClearCache")             # a call from the CSMS, payload already checked
    def clear_cache(charger, payload, now):
        return {"status": "Accepted"}           # the answer; checked before it is sent

    @BEHAVIOUR.answer("Authorize")              # what became of a call of ours
    def note_authorization(charger, sent, outcome, now): ...

    @BEHAVIOUR.command("plug_connector")        # from the gateway
    def plug(charger, command, now):
        return {"connector_id": 1}              # applied; None: end_command(...) comes later

    @BEHAVIOUR.timer("sample")                  # set_timer("sample:2", at) fires this with "2"
    def take_sample(charger, argument, now): ...

    @BEHAVIOUR.moment(Moment.ONLINE)            # called in the order of registration
    def report(charger, now): ...

    BEHAVIOUR.keep("local_list", dump, load)    # what outlives a restart of the process

    @BEHAVIOUR.trigger("MeterValues")           # TriggerMessage asks for this message
    def trigger_meter_values(charger, payload, now):
        return "Accepted"                       # its TriggerMessageStatus

Timer names `boot call heartbeat parting ping reconnect release` are the core's. State of a behaviour goes
to `charger.facets["its name"]` (one object with slots per charger), made at `Moment.BORN`. A
handler calls `charger.call(...)` at will: the answer being given goes out first. A handler that
raises anything else than said here is logged and shown as an event; the charger lives on.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from simulator.rpc import Wire
from simulator.schemas import Catalogue

if TYPE_CHECKING:
    from simulator.charger import Charger


log = logging.getLogger(__name__)


class CallRefused(Exception):
    """A handler refuses the CSMS's call: it is answered with a CALLERROR of this code and sentence."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class CommandRejected(Exception):
    """A handler refuses a command; the message is the sentence that the client reads."""


class Moment(enum.StrEnum):
    """Points in a charger's life at which behaviours may act."""

    #: The charger was made; nothing was sent. What was kept is loaded right after this.
    BORN = "born"
    #: The CSMS accepted a BootNotification.
    ACCEPTED = "accepted"
    #: Calls may be sent: right after ACCEPTED, and when the connection came back without a boot.
    ONLINE = "online"
    #: The connection was lost while online.
    OFFLINE = "offline"
    #: A reboot begins (by Reset): the connection is about to be closed. RAM-like state is to be
    #: dropped.
    REBOOTING = "rebooting"
    #: The charger ends while online and nothing of it is kept: the last moment to say something.
    ENDING = "ending"


@dataclass(slots=True)
class Sent:
    """A call of ours, waiting, in the air, or ended."""

    action: str
    payload: dict[str, Any]
    #: Whatever the answer handler needs to know; JSON where the call is durable.
    context: Any = None
    #: It waits for a connection, and outlives the process; others are only sent while online.
    durable: bool = False
    #: The CSMS asked for it while Pending, so it may go out before Accepted.
    triggered: bool = False
    #: How often it was sent.
    attempts: int = 0
    #: The message id of the latest sending.
    id: str = ""
    #: Its place in the queue; kept by the outbox.
    order: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The CSMS answered with this payload, which is valid."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The CSMS answered with a CALLERROR, or with a payload that breaks its schema."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer in time, or the connection was lost first. Durable calls are sent again by
    themselves.
    """

    #: True: the time ran out; False: the connection was lost.
    timed_out: bool


Outcome: TypeAlias = Answered | Refused | Unanswered


@dataclass(frozen=True, slots=True)
class Command:
    """One command from the gateway (docs/link.md)."""

    id: str
    name: str
    args: Mapping[str, Any]


ActionHandler: TypeAlias = "Callable[[Charger, dict[str, Any], float], dict[str, Any]]"
AnswerHandler: TypeAlias = "Callable[[Charger, Sent, Outcome, float], None]"
CommandHandler: TypeAlias = "Callable[[Charger, Command, float], Mapping[str, Any] | None]"
TimerHandler: TypeAlias = "Callable[[Charger, str, float], None]"
TriggerHandler: TypeAlias = "Callable[[Charger, dict[str, Any], float], str]"
MomentHandler: TypeAlias = "Callable[[Charger, float], None]"
Dump: TypeAlias = "Callable[[Charger], Any]"
Load: TypeAlias = "Callable[[Charger, Any], None]"

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(slots=True)
class Behaviour:
    """The handlers of one OCPP version."""

    wire: Wire
    schemas: Catalogue
    #: The payload of BootNotification.
    write_boot: Callable[[Charger], dict[str, Any]]
    #: What a call gets while the boot is Rejected: an error code, or None for silence.
    refuses_while_rejected: str | None
    actions: dict[str, ActionHandler] = field(default_factory=dict)
    answers: dict[str, AnswerHandler] = field(default_factory=dict)
    commands: dict[str, CommandHandler] = field(default_factory=dict)
    triggers: dict[str, TriggerHandler] = field(default_factory=dict)
    timers: dict[str, TimerHandler] = field(default_factory=dict)
    moments: dict[Moment, list[MomentHandler]] = field(default_factory=dict)
    keeps: dict[str, tuple[Dump, Load]] = field(default_factory=dict)

    def action(self, name: str) -> Callable[[_Handler], _Handler]:
        """Register the handler of a call from the CSMS. A name is registered once."""
        return _register(self.actions, name)

    def answer(self, action: str) -> Callable[[_Handler], _Handler]:
        """Register what is done with the outcome of our calls of this action."""
        return _register(self.answers, action)

    def command(self, name: str) -> Callable[[_Handler], _Handler]:
        """Register the handler of a command from the gateway."""
        return _register(self.commands, name)

    def trigger(self, message: str) -> Callable[[_Handler], _Handler]:
        """Register what sends a message that TriggerMessage may ask for."""
        return _register(self.triggers, message)

    def timer(self, name: str) -> Callable[[_Handler], _Handler]:
        """Register what is done when the timer `name` or `name:argument` is due."""
        return _register(self.timers, name)

    def moment(self, moment: Moment) -> Callable[[_Handler], _Handler]:
        """Register something to do at a point in the charger's life; there may be several."""

        def register(handler: _Handler) -> _Handler:
            self.moments.setdefault(moment, []).append(handler)
            return handler

        return register

    def keep(self, name: str, dump: Dump, load: Load) -> None:
        """Register JSON to be kept across restarts of the process; `charger.save()` asks for it."""
        self.keeps[name] = (dump, load)


def attempt(charger: Charger, what: str, handler: Callable[..., None], *arguments: Any) -> None:
    """Run a handler whose failure must not take the charger, or the others beside it, along."""
    try:
        handler(charger, *arguments)
    except Exception:
        log.exception("handler failed", extra={"handler": what})
        charger.happen("handler_failed", {"handler": what})


def _register(table: dict[str, Any], name: str) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        if name in table:
            raise ValueError(f"There are two handlers for {name}.")
        table[name] = handler
        return handler

    return register
