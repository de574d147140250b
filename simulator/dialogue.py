"""What is said on the wire: each frame heard gets what it is owed, each call gets its turn and its outcome.

Functions of the core, taking the charger they work on. Every payload is held against its schema in both
directions: an answer of ours that breaks it is never sent (InternalError goes instead, and an event says so).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulator import registration
from simulator.behaviour import (
    Answered,
    CallRefused,
    Command,
    CommandRejected,
    Outcome,
    Refused,
    Sent,
    Unanswered,
    attempt,
)
from simulator.effects import Heard, Send
from simulator.rpc import (
    Answer,
    Broken,
    Call,
    Failure,
    read,
    write_answer,
    write_call,
    write_failure,
)

if TYPE_CHECKING:
    from simulator.charger import Charger

log = logging.getLogger(__name__)


def hear(charger: Charger, text: str, now: float) -> None:
    """One frame from the CSMS."""
    message = read(text, charger.behaviour.wire)
    if isinstance(message, Call):
        charger.emit(Heard(text, message.action))
        _answer(charger, message, now)
    elif isinstance(message, Broken):
        _survive(charger, text, message, now)
    else:
        _settle(charger, text, message, now)


# --- calls from the CSMS --------------------------------------------------------------------------


def _answer(charger: Charger, call: Call, now: float) -> None:
    if charger.boot_status == "Rejected":
        code = charger.behaviour.refuses_while_rejected
        if code is None:
            charger.happen(
                "call_ignored", {"action": call.action, "reason": "The boot is Rejected."}
            )
            return
        reply = write_failure(call.id, code, "The charger's boot was Rejected.")
    else:
        reply = _carry_out(charger, call, now)
    charger.emit(Send(reply, call.action))


def _carry_out(charger: Charger, call: Call, now: float) -> str:
    """The reply to a call, as text."""
    behaviour = charger.behaviour
    if call.action not in behaviour.schemas.actions:
        return write_failure(call.id, "NotImplemented", f"The action {call.action} is not known.")
    handler = behaviour.actions.get(call.action)
    if handler is None:
        return write_failure(call.id, "NotSupported", f"{call.action} is not supported.")
    violation = behaviour.schemas.check_request(call.action, call.payload)
    if violation:
        return write_failure(call.id, violation.code, violation.message)
    try:
        payload = handler(charger, call.payload, now)
    except CallRefused as refusal:
        return write_failure(call.id, refusal.code, str(refusal))
    except Exception:
        log.exception("handler failed", extra={"action": call.action})
        return _fail_inside(charger, call, "The handler failed.")
    violation = behaviour.schemas.check_answer(call.action, payload)
    if violation:
        return _fail_inside(charger, call, violation.message)
    return write_answer(call.id, payload)


def _fail_inside(charger: Charger, call: Call, reason: str) -> str:
    charger.happen("answer_withheld", {"action": call.action, "reason": reason})
    return write_failure(call.id, "InternalError", f"{call.action} could not be carried out.")


# --- our own calls --------------------------------------------------------------------------------


def send_next(charger: Charger, now: float) -> None:
    """Put the next call in the air, when one may go."""
    if not charger.is_up:
        return
    while sent := charger.outbox.take(now, accepted=charger.is_online):
        violation = charger.behaviour.schemas.check_request(sent.action, sent.payload)
        if violation is None:
            charger.emit(Send(write_call(sent.id, sent.action, sent.payload), sent.action))
            charger.set_timer("call", now + charger.config.clocks.call_timeout_s)
            return
        charger.outbox.settle(sent.id)
        charger.happen("call_withheld", {"action": sent.action, "reason": violation.message})
        _conclude(charger, sent, Refused(violation.code, violation.message), now)


def _settle(charger: Charger, text: str, message: Answer | Failure, now: float) -> None:
    sent = charger.outbox.settle(message.id)
    if sent is None:
        _note_stray(charger, text, message)
        return
    charger.cancel_timer("call")
    charger.emit(Heard(text, sent.action))
    if isinstance(message, Failure):
        charger.happen(
            "call_refused",
            {"action": sent.action, "code": message.code, "description": message.description[:255]},
        )
        _conclude(charger, sent, Refused(message.code, message.description), now)
        return
    violation = charger.behaviour.schemas.check_answer(sent.action, message.payload)
    if violation is None:
        _conclude(charger, sent, Answered(message.payload), now)
        return
    charger.happen("answer_invalid", {"action": sent.action, "reason": violation.message})
    _conclude(charger, sent, Refused(violation.code, violation.message), now)


def _note_stray(charger: Charger, text: str, message: Answer | Failure) -> None:
    late = charger.outbox.name_late(message.id)
    charger.emit(Heard(text, late or ""))
    if late:
        charger.happen("answer_late", {"action": late, "message_id": message.id})
    else:
        charger.happen("answer_unknown", {"message_id": message.id})


def _survive(charger: Charger, text: str, broken: Broken, now: float) -> None:
    sent = charger.outbox.settle(broken.answers) if broken.answers else None
    charger.emit(Heard(text, sent.action if sent else ""))
    charger.happen("frame_broken", {"reason": broken.reason})
    if sent:
        charger.cancel_timer("call")
        _conclude(charger, sent, Refused("FormatViolation", broken.reason), now)
    if broken.reply is not None and charger.boot_status != "Rejected":
        charger.emit(Send(broken.reply, ""))


def expire(charger: Charger, now: float) -> None:
    """The call in the air was not answered in time."""
    sent = charger.outbox.give_up()
    if sent is None:
        return
    charger.happen("call_unanswered", {"action": sent.action, "message_id": sent.id})
    if sent.durable:
        charger.outbox.add(sent, first=True)
    _conclude(charger, sent, Unanswered(timed_out=True), now)


def lose(charger: Charger, now: float) -> None:
    """The connection is gone: what is durable waits, the rest is told that there is no answer."""
    charger.cancel_timer("call")
    in_air = charger.outbox.give_up()
    lost = list(charger.outbox.drop_volatile())
    if in_air is not None:
        lost.insert(0, in_air)
        if in_air.durable:
            charger.outbox.add(in_air, first=True)
    for sent in lost:
        _conclude(charger, sent, Unanswered(timed_out=False), now)


def _conclude(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    if sent.durable and not isinstance(outcome, Unanswered):
        charger.save()
    if sent.action == registration.BOOT:
        registration.settle_boot(charger, sent, outcome, now)
    handler = charger.behaviour.answers.get(sent.action)
    if handler is not None:
        attempt(charger, f"answer to {sent.action}", handler, sent, outcome, now)


# --- commands -------------------------------------------------------------------------------------


def obey(charger: Charger, command: Command, now: float) -> None:
    """One command from the gateway."""
    handler = charger.behaviour.commands.get(command.name)
    if handler is None:
        charger.end_command(
            command.id, {}, f"This charger does not know the command {command.name}."
        )
        return
    result: Mapping[str, Any] | None
    try:
        result = handler(charger, command, now)
    except CommandRejected as refusal:
        charger.end_command(command.id, {}, str(refusal))
        return
    except Exception:
        log.exception("command failed", extra={"command": command.name, "command_id": command.id})
        charger.end_command(command.id, {}, "The charger failed to carry out the command.")
        return
    if result is not None:
        charger.end_command(command.id, result)
