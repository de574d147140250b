"""OCPP-J framing: what a message on the wire is, without knowing what it means.

Read `read` (text to one of `Call`, `Answer`, `Failure`, `Broken`) and then the three `write_*` functions. The
facts are from "OCPP 1.6 JSON" section 4 and "OCPP 2.0.1 Part 4" section 4: a message is a JSON array that
opens with a type number (2 a call, 3 its answer, 4 its failure) and a message id of at most 36 characters.

The two versions differ in three points, all kept in `Wire`: how two error codes are spelled, what becomes of
a frame that nobody can read, and what becomes of an unknown type number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

CALL = 2
ANSWER = 3
FAILURE = 4

#: The longest message id either version allows.
MAX_ID = 36
#: The longest error description either version allows.
MAX_DESCRIPTION = 255
#: The id of an answer to a frame whose id cannot be read (2.0.1 Part 4, 4.2.3).
NO_ID = "-1"


@dataclass(frozen=True, slots=True)
class Wire:
    """How one OCPP version spells what goes wrong."""

    #: The WebSocket subprotocol.
    subprotocol: str
    #: A payload that does not follow the structure of its action.
    format_violation: str
    #: A field that is missing, or there too often.
    occurrence_violation: str
    #: The answer to a frame whose id cannot be read; None: such a frame is not answered.
    unreadable: str | None
    #: The answer to an unknown message type; None: such a frame is ignored, as 1.6 asks.
    unknown_type: str | None


WIRE16 = Wire(
    subprotocol="ocpp1.6",
    format_violation="FormationViolation",
    occurrence_violation="OccurenceConstraintViolation",  # spelled so in the specification
    unreadable=None,
    unknown_type=None,
)
WIRE201 = Wire(
    subprotocol="ocpp2.0.1",
    format_violation="FormatViolation",
    occurrence_violation="OccurrenceConstraintViolation",
    unreadable="RpcFrameworkError",
    unknown_type="MessageTypeNotSupported",
)


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody asks for something."""

    id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A call was carried out."""

    id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call was not carried out. The description is for people, the code for programs."""

    id: str
    code: str
    description: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A frame that is none of the three.

    `reply` is the failure that the specification wants in answer, ready to send, or None where silence is
    right. `answers` is the id of the call that the frame tried to answer, as far as it can be read.
    """

    reason: str
    reply: str | None = None
    answers: str | None = None


Message: TypeAlias = Call | Answer | Failure | Broken


def read(text: str, wire: Wire) -> Message:
    """What one frame says. Never raises: a frame that says nothing is `Broken`."""
    try:
        frame = orjson.loads(text)
    except ValueError:
        return _unreadable("The frame is not JSON.", wire)
    if not isinstance(frame, list) or not frame:
        return _unreadable("The frame is not a JSON array.", wire)
    kind = frame[0]
    if isinstance(kind, bool) or not isinstance(kind, int):
        return _unreadable("The message type is not a number.", wire)
    if kind == CALL:
        return _read_call(frame, wire)
    if kind == ANSWER:
        return _read_answer(frame)
    if kind == FAILURE:
        return _read_failure(frame)
    reason = f"The message type {kind} is not known."
    reply = None
    if wire.unknown_type:
        reply = write_failure(_readable_id(frame) or NO_ID, wire.unknown_type, reason)
    return Broken(reason, reply)


def _unreadable(reason: str, wire: Wire) -> Broken:
    return Broken(
        reason, write_failure(NO_ID, wire.unreadable, reason) if wire.unreadable else None
    )


def _readable_id(frame: list[Any]) -> str | None:
    if len(frame) > 1 and isinstance(frame[1], str) and 0 < len(frame[1]) <= MAX_ID:
        return frame[1]
    return None


def _read_call(frame: list[Any], wire: Wire) -> Message:
    message_id = _readable_id(frame)
    if message_id is None:
        return _unreadable("The call has no message id of 1 to 36 characters.", wire)
    problem = None
    if len(frame) != 4:
        problem = f"A call has 4 elements, not {len(frame)}."
    elif not isinstance(frame[2], str):
        problem = "The action of a call is a string."
    elif not isinstance(frame[3], dict):
        problem = "The payload of a call is a JSON object."
    if problem:
        code = wire.unreadable or wire.format_violation
        return Broken(problem, write_failure(message_id, code, problem))
    return Call(message_id, frame[2], frame[3])


def _read_answer(frame: list[Any]) -> Message:
    # A broken answer is never answered: that could go back and forth for ever.
    message_id = _readable_id(frame)
    if message_id is None:
        return Broken("The answer has no message id of 1 to 36 characters.")
    if len(frame) != 3:
        return Broken(f"An answer has 3 elements, not {len(frame)}.", answers=message_id)
    if not isinstance(frame[2], dict):
        return Broken("The payload of an answer is a JSON object.", answers=message_id)
    return Answer(message_id, frame[2])


def _read_failure(frame: list[Any]) -> Message:
    message_id = _readable_id(frame)
    if message_id is None:
        return Broken("The failure has no message id of 1 to 36 characters.")
    # Four elements come from senders that leave the details out; nothing is lost by accepting them.
    if len(frame) not in (4, 5) or not isinstance(frame[2], str) or not isinstance(frame[3], str):
        return Broken("A failure is an id, a code, a description and details.", answers=message_id)
    details = frame[4] if len(frame) == 5 and isinstance(frame[4], dict) else {}
    return Failure(message_id, frame[2], frame[3], details)


def write_call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    """A call as text."""
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def write_answer(message_id: str, payload: dict[str, Any]) -> str:
    """An answer as text."""
    return orjson.dumps([ANSWER, message_id, payload]).decode()


def write_failure(
    message_id: str, code: str, description: str, details: dict[str, Any] | None = None
) -> str:
    """A failure as text; a description over 255 characters is cut, as both versions demand."""
    return orjson.dumps(
        [FAILURE, message_id, code, description[:MAX_DESCRIPTION], details or {}]
    ).decode()
