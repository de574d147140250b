"""From an open connection to being online: the boot, its answers, and heartbeats.

Both versions say the same here: BootNotification is answered with a status, an interval and a time (OCPP 1.6
edition 2, 4.2; OCPP 2.0.1 Part 2, B01 to B03). Functions of the core, taking the charger they work on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.behaviour import Answered, Moment, Outcome, Refused, Sent
from simulator.problems import Problem

if TYPE_CHECKING:
    from simulator.charger import Charger

BOOT = "BootNotification"
HEARTBEAT = "Heartbeat"
#: Answers to a boot that no repetition will change.
_FINAL_CODES = frozenset({"SecurityError", "NotImplemented", "NotSupported"})


def begin(charger: Charger, now: float) -> None:
    """The connection is up: boot, unless the CSMS accepted us before (1.6 JSON 5.3) or said wait."""
    if charger.is_online:
        come_online(charger, now)
        return
    charger.state("registering", "starting", {"attempts": charger.attempts})
    if "boot" not in charger.timers:
        send_boot(charger)


def send_boot(charger: Charger) -> None:
    """Queue a BootNotification, unless one is waiting or in the air."""
    charger.cancel_timer("boot")
    if not charger.outbox.has(BOOT):
        charger.call(BOOT, charger.behaviour.write_boot(charger), triggered=True)


def boot_due(charger: Charger) -> None:
    """The wait that Pending or Rejected asked for is over."""
    # Without a connection the boot is sent when there is one.
    if charger.is_up:
        send_boot(charger)


def settle_boot(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """What the CSMS made of our BootNotification."""
    del sent
    retry_s = charger.config.clocks.boot_retry_s
    if isinstance(outcome, Answered):
        _settle_status(charger, outcome, now)
    elif isinstance(outcome, Refused):
        problem = Problem(
            "boot_rejected",
            f"The CSMS answered BootNotification with {outcome.code}: {outcome.description}"[:300],
            definite=outcome.code in _FINAL_CODES,
        )
        charger.state_problem(problem, "registering")
        charger.set_timer("boot", now + retry_s)
    elif outcome.timed_out:
        waited = charger.config.clocks.call_timeout_s
        message = f"The CSMS did not answer BootNotification within {waited:g} seconds."
        charger.state_problem(Problem("timeout", message), "registering")
        charger.set_timer("boot", now + retry_s)


def _settle_status(charger: Charger, outcome: Answered, now: float) -> None:
    status = outcome.payload["status"]
    interval = float(outcome.payload["interval"])
    charger.boot_status = status
    if status == "Accepted":
        # 0 leaves the choice to us; a negative one makes no sense and gets the same.
        beats = charger.config.clocks.heartbeat_interval_s
        charger.interval_s = interval if interval > 0 else beats
        charger.reach(Moment.ACCEPTED, now)
        come_online(charger, now)
        return
    wait_s = interval if interval > 0 else charger.config.clocks.boot_retry_s
    charger.cancel_timer("heartbeat")
    charger.set_timer("boot", now + wait_s)
    detail = {"boot_status": status, "interval_s": wait_s, "attempts": charger.attempts}
    if status == "Pending":
        detail["message"] = f"The CSMS says Pending; the next boot is in {wait_s:g} seconds."
        charger.state("registering", "starting", detail)
    else:
        problem = Problem("boot_rejected", "The CSMS rejected BootNotification.", definite=True)
        charger.state("registering", problem.verdict, {**problem.describe(), **detail})


def come_online(charger: Charger, now: float) -> None:
    """Calls may go out now."""
    detail = {
        "boot_status": charger.boot_status,
        "interval_s": charger.interval_s,
        "attempts": charger.attempts,
    }
    charger.attempts = 0
    charger.been_online = True
    charger.state("online", "connected", detail)
    charger.set_timer("heartbeat", now + charger.interval_s)
    charger.reach(Moment.ONLINE, now)


def beat(charger: Charger, now: float) -> None:
    """A heartbeat is due."""
    charger.set_timer("heartbeat", now + charger.interval_s)
    # With one still unanswered, another would only queue up behind it.
    if not charger.outbox.has(HEARTBEAT):
        charger.call(HEARTBEAT, {})
