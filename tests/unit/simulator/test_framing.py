"""OCPP-J framing and what is owed to each frame, sensible or not."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.behaviour import Behaviour, CallRefused, CommandRejected
from simulator.rpc import WIRE16, WIRE201, Answer, Broken, Call, Failure, Wire, read, write_failure
from simulator.schemas import SCHEMAS16, SCHEMAS201
from tests.unit.simulator.lab import BEHAVIOURS, VERSIONS, Lab

#: About so many random frames are heard here in all.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10000"))
versions = pytest.mark.parametrize("version", VERSIONS)
wires = pytest.mark.parametrize("wire", [WIRE16, WIRE201], ids=["1.6", "2.0.1"])

UNREADABLE = [
    "",
    "hello",
    "{}",
    "[]",
    "null",
    '"2"',
    "[2",
    "[NaN]",
    '[2,"m1","Heartbeat",{"x":"\\ud800"}]',
    "[" * 2000 + "]" * 2000,
    '["2","m1","Heartbeat",{}]',
    "[true]",
    "[2]",
    '[2,7,"Heartbeat",{}]',
    '[2,"","Heartbeat",{}]',
    json.dumps([2, "x" * 37, "Heartbeat", {}]),
]


def online(version: str, **settings_: float) -> Lab:
    lab = Lab(version, **{"ping_interval_s": 10_000, **settings_}).start()
    lab.accept(interval=1000)
    return lab


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_16_charger_says_nothing_to_what_it_cannot_read(text: str) -> None:
    lab = online("OCPP1.6")
    before = len(lab.sent())
    lab.hear(text)
    assert len(lab.sent()) == before
    assert lab.events()[-1] == "frame_broken"
    assert lab.heard()[-1] == ("", text)


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_201_station_answers_what_it_cannot_read_under_the_id_minus_one(text: str) -> None:
    lab = online("OCPP2.0.1")
    lab.hear(text)
    assert lab.sent()[-1][:3] == [4, "-1", "RpcFrameworkError"]
    assert lab.events()[-1] == "frame_broken"


@pytest.mark.parametrize(
    "frame",
    [
        [2, "m1", "Reset"],
        [2, "m1", "Reset", {}, 1],
        [2, "m1", 5, {}],
        [2, "m1", "Reset", []],
        [2, "m1", "Reset", None],
    ],
)
def test_a_call_of_the_wrong_shape_is_answered_under_its_id(frame: list[Any]) -> None:
    for version, code in (("OCPP1.6", "FormationViolation"), ("OCPP2.0.1", "RpcFrameworkError")):
        lab = online(version)
        lab.hear(json.dumps(frame))
        assert lab.sent()[-1][:3] == [4, "m1", code]


def test_an_unknown_message_type_is_ignored_in_16_and_named_in_201() -> None:
    lab = online("OCPP1.6")
    before = len(lab.sent())
    lab.hear('[6,"m1",{}]')
    assert len(lab.sent()) == before
    lab = online("OCPP2.0.1")
    lab.hear('[6,"m1",{}]')
    assert lab.sent()[-1][:3] == [4, "m1", "MessageTypeNotSupported"]


@versions
@pytest.mark.parametrize("text", ['[3,"nope",{}]', '[4,"nope","GenericError","",{}]', "[3]", "[4]"])
def test_answers_to_nothing_are_survived_unanswered_and_logged(version: str, text: str) -> None:
    lab = online(version)
    before = len(lab.sent())
    lab.hear(text)
    assert len(lab.sent()) == before
    assert lab.events()[-1] in ("answer_unknown", "frame_broken")
    lab.pass_time(1000)
    assert lab.actions()[-1] == "Heartbeat"


@versions
def test_an_unknown_action_is_not_implemented_and_a_known_one_without_handler_not_supported(
    version: str,
) -> None:
    lab = online(version)
    assert lab.ask("MakeCoffee", {})[:3] == [4, "m1", "NotImplemented"]
    # A call that only chargers make is known, and nothing a charger could carry out.
    assert lab.ask("BootNotification", {})[:3] == [4, "m1", "NotSupported"]


@versions
@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({}, "occurrence"),
        ({"type": 5}, "TypeConstraintViolation"),
        ({"type": "Sideways"}, "PropertyConstraintViolation"),
        ({"type": "TYPE", "force": True}, "format"),
    ],
)
def test_a_payload_that_breaks_its_schema_gets_the_code_of_its_version(
    version: str, payload: dict[str, Any], kind: str
) -> None:
    lab = online(version)
    payload = json.loads(
        json.dumps(payload).replace("TYPE", "Soft" if version == "OCPP1.6" else "OnIdle")
    )
    spelled = {
        ("occurrence", "OCPP1.6"): "OccurenceConstraintViolation",
        ("occurrence", "OCPP2.0.1"): "OccurrenceConstraintViolation",
        ("format", "OCPP1.6"): "FormationViolation",
        ("format", "OCPP2.0.1"): "FormatViolation",
    }
    reply = lab.ask("Reset", payload)
    assert reply[:3] == [4, "m1", spelled.get((kind, version), kind)]
    assert len(reply[3]) <= 255
    assert reply[4] == {}


@versions
def test_only_one_call_is_in_the_air_and_the_next_follows_the_answer(version: str) -> None:
    lab = online(version)
    for number in range(3):
        lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}, f"m{number}")
    assert len(lab.calls("Heartbeat")) == 1
    lab.settle()
    assert len(lab.calls("Heartbeat")) == 3
    ids = [frame[1] for frame in lab.calls()]
    assert len(set(ids)) == len(ids)


@versions
def test_an_answer_that_comes_late_is_named_and_kept_in_the_records(version: str) -> None:
    lab = online(version, call_timeout_s=5)
    lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    late = lab.in_air()[1]
    lab.pass_time(5)
    assert "call_unanswered" in lab.events()
    text = json.dumps([3, late, {"currentTime": "2026-11-22T12:00:00Z"}])
    lab.hear(text)
    assert lab.heard()[-1] == ("Heartbeat", text)
    assert lab.events()[-1] == "answer_late"
    lab.hear(text)
    assert lab.events()[-1] == "answer_unknown", "an answer is late only once"


@versions
def test_after_a_timeout_the_next_call_goes_out(version: str) -> None:
    lab = online(version, call_timeout_s=5)
    for number in range(2):
        lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}, f"m{number}")
    lab.pass_time(5)
    assert len(lab.calls("Heartbeat")) == 2


@versions
def test_answers_are_recorded_under_the_action_of_their_call(version: str) -> None:
    lab = Lab(version).start()
    lab.boot("Accepted")
    assert [action for action, _ in lab.heard()] == ["BootNotification"]


@versions
def test_a_call_refused_by_the_csms_is_an_event_and_stops_nothing(version: str) -> None:
    lab = online(version)
    lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    lab.hear(json.dumps([4, lab.in_air()[1], "GenericError", "no", {}]))
    assert "call_refused" in lab.events()
    lab.pass_time(1000)
    assert len(lab.calls("Heartbeat")) == 2


@versions
def test_a_broken_answer_ends_the_call_it_answers(version: str) -> None:
    lab = online(version)
    lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    lab.hear(json.dumps([3, lab.in_air()[1], "soon"]))
    assert lab.charger.outbox.in_air is None


def with_handlers(version: str, **tables: Any) -> Behaviour:
    base = BEHAVIOURS[version]
    return Behaviour(
        wire=base.wire,
        schemas=base.schemas,
        write_boot=base.write_boot,
        refuses_while_rejected=None,
        **tables,
    )


def crash(*arguments: Any) -> Any:
    raise RuntimeError("a bug in a handler")


def refuse_call(*arguments: Any) -> Any:
    raise CallRefused("SecurityError", "not today")


def refuse_command(*arguments: Any) -> Any:
    raise CommandRejected("There is no cable.")


@versions
@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (lambda charger, payload, now: {"status": "Maybe"}, "InternalError"),
        (crash, "InternalError"),
        (refuse_call, "SecurityError"),
    ],
)
def test_an_answer_that_would_be_invalid_is_never_sent(
    version: str, handler: Any, code: str
) -> None:
    lab = Lab(version, behaviour=with_handlers(version, actions={"ClearCache": handler})).start()
    lab.accept()
    assert lab.ask("ClearCache", {})[:3] == [4, "m1", code]


@versions
def test_a_call_of_ours_that_would_be_invalid_is_never_sent(version: str) -> None:
    outcomes = []
    behaviour = with_handlers(
        version, answers={"Authorize": lambda charger, sent, outcome, now: outcomes.append(outcome)}
    )
    lab = Lab(version, behaviour=behaviour).start()
    lab.accept(interval=1000)
    lab.charger.call("Authorize", {"idTag": 5})
    lab.pass_time(0)
    lab.effects += lab.charger.tick(lab.now)
    assert lab.calls("Authorize") == []
    assert "call_withheld" in lab.events()
    assert len(outcomes) == 1


@versions
def test_a_command_is_answered_once_whatever_its_handler_does(version: str) -> None:
    behaviour = with_handlers(
        version,
        commands={
            "plug": lambda charger, command, now: {"connector_id": command.args["connector_id"]},
            "crash": crash,
            "refuse": refuse_command,
        },
    )
    lab = Lab(version, behaviour=behaviour).start()
    lab.accept()
    ends = [
        lab.command(name, connector_id=1)[-1] for name in ("plug", "crash", "refuse", "unknown")
    ]
    assert [(end.state, bool(end.error)) for end in ends] == [  # type: ignore[union-attr]
        ("applied", False),
        ("rejected", True),
        ("rejected", True),
        ("rejected", True),
    ]
    assert ends[2].error == "There is no cable."  # type: ignore[union-attr]


def test_descriptions_are_cut_to_what_a_call_error_may_hold() -> None:
    assert len(json.loads(write_failure("m1", "GenericError", "x" * 1000))[3]) == 255


def test_every_schema_of_both_versions_compiles_and_refuses_a_foreign_field() -> None:
    for schemas in (SCHEMAS16, SCHEMAS201):
        for action in schemas.actions:
            assert schemas.check_request(action, {"ours": 1}) is not None
            assert schemas.check_answer(action, {"ours": 1}) is not None


@pytest.mark.parametrize("wrong", ["yesterday", "2026-11-22", "2026-11-22T12:00:00", "25:00"])
def test_times_that_are_not_rfc_3339_break_the_schemas(wrong: str) -> None:
    assert SCHEMAS16.check_answer("Heartbeat", {"currentTime": wrong}) is not None
    assert SCHEMAS201.check_answer("Heartbeat", {"currentTime": wrong}) is not None


def test_steps_of_a_tenth_are_not_refused_for_binary_fractions() -> None:
    profile = {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}],
            },
        },
    }
    assert SCHEMAS16.check_request("SetChargingProfile", profile) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@wires
@settings(max_examples=EXAMPLES // 10, deadline=None)
@given(frame=st.lists(json_values, max_size=6) | json_values, kind=st.sampled_from([2, 3, 4, 9]))
def test_reading_any_json_gives_a_message_and_never_raises(
    wire: Wire, frame: Any, kind: int
) -> None:
    opened = [kind, *frame[1:]] if isinstance(frame, list) and frame else frame
    for value in (frame, opened):
        message = read(json.dumps(value), wire)
        assert isinstance(message, Call | Answer | Failure | Broken)


@wires
@settings(max_examples=EXAMPLES // 10, deadline=None)
@given(text=st.text(max_size=40))
def test_reading_any_text_never_raises(wire: Wire, text: str) -> None:
    assert isinstance(read(text, wire), Call | Answer | Failure | Broken)


@versions
@settings(max_examples=EXAMPLES // 20, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([2, 3, 4]),
            st.sampled_from(["m1", "m2", "IN-AIR"]),
            st.sampled_from(["Reset", "TriggerMessage", "DataTransfer", "Heartbeat", "Nope"]),
            json_values,
        ),
        max_size=8,
    )
)
def test_no_sequence_of_frames_makes_the_charger_send_what_is_invalid(
    version: str, frames: list[tuple[int, str, str, Any]]
) -> None:
    lab = online(version)
    schemas = BEHAVIOURS[version].schemas
    for kind, message_id, action, payload in frames:
        in_air = lab.charger.outbox.in_air
        ident = in_air.id if message_id == "IN-AIR" and in_air else message_id
        lab.hear(json.dumps([kind, ident, action, payload] if kind != 3 else [3, ident, payload]))
        lab.pass_time(1)
    for frame in lab.calls():
        assert schemas.check_request(frame[2], frame[3]) is None
    replies = [frame for frame in lab.sent() if frame[0] in (3, 4)]
    assert all(len(frame) == (3 if frame[0] == 3 else 5) for frame in replies)
