"""Charging profiles (OCPP 2.0.1 part 2, K01, K08, K09, K10)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from simulator.conclusions import refresh_all
from simulator.ocpp201 import BEHAVIOUR
from simulator.profiles import Profile, ProfileRejected, Purpose, parse201, purpose_of
from simulator.sampling import timestamp
from simulator.stacking import Electrics, Rules
from simulator.station import Station, station_of
from simulator.v201.remote import rejected
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger

#: The read-only variables of SmartChargingCtrlr say the same.
RULES = Rules(refuses_duplicates=True)


@BEHAVIOUR.action("SetChargingProfile")
def set_profile(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Install a profile; the limit changes the power at once."""
    station = station_of(charger)
    if not model_of(station).flag("SmartChargingCtrlr", "Enabled"):
        return rejected("NotEnabled", "Smart charging is not enabled.")
    number = payload["evseId"]
    if number and station.bay(number) is None:
        return rejected("UnknownEvse", f"There is no EVSE {number}.")
    message = payload["chargingProfile"]
    try:
        profile = _bind(station, parse201(number, message), message.get("transactionId"))
        station.need_profiles().install(profile, RULES)
    except ProfileRejected as refusal:
        charger.happen("profile_rejected", {"reason": str(refusal)})
        return rejected(refusal.reason_code, str(refusal))
    charger.save()
    refresh_all(charger, now)
    return {"status": "Accepted"}


def _bind(station: Station, profile: Profile, name: str | None) -> Profile:
    """A TxProfile names the transaction that runs on its EVSE (K01.FR.09, .16, .33)."""
    if profile.purpose is not Purpose.TX:
        return profile
    if name is None:
        raise ProfileRejected("A TxProfile needs a transactionId.", "MissingParam")
    bay = station.bay(profile.evse_id)
    if bay is None or bay.tx is None or bay.tx.key != name:
        raise ProfileRejected("This transaction does not run on that EVSE.", "TxNotFound")
    return profile.bound_to(name)


@BEHAVIOUR.action("ClearChargingProfile")
def clear(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Remove one profile by its id, or all that fit the criteria (K10)."""
    station = station_of(charger)
    if station.profiles is None:
        return {"status": "Unknown"}
    if "chargingProfileId" in payload:
        found = station.profiles.matching(ids=[payload["chargingProfileId"]])
    else:
        criteria = payload.get("chargingProfileCriteria", {})
        purpose = criteria.get("chargingProfilePurpose")
        found = station.profiles.matching(
            evse_id=criteria.get("evseId"),
            purpose=purpose_of(purpose) if purpose else None,
            stack_level=criteria.get("stackLevel"),
        )
    removed = station.profiles.remove(found)
    charger.save()
    refresh_all(charger, now)
    return {"status": "Accepted" if removed else "Unknown"}


@BEHAVIOUR.action("GetChargingProfiles")
def get_profiles(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Report the installed profiles that fit, in messages that follow the answer (K09)."""
    del now
    station = station_of(charger)
    criteria = payload["chargingProfile"]
    purpose = criteria.get("chargingProfilePurpose")
    sources = criteria.get("chargingLimitSource")
    found = []
    # All of them came from the CSMS, which is called CSO here.
    if station.profiles is not None and (sources is None or "CSO" in sources):
        found = station.profiles.matching(
            ids=criteria.get("chargingProfileId"),
            evse_id=payload.get("evseId"),
            purpose=purpose_of(purpose) if purpose else None,
            stack_level=criteria.get("stackLevel"),
        )
    if not found:
        return {"status": "NoProfiles"}
    found.sort(key=lambda profile: profile.evse_id)
    groups = [(k, list(g)) for k, g in itertools.groupby(found, lambda profile: profile.evse_id)]
    for number, (evse_id, profiles) in enumerate(groups, start=1):
        report = {
            "requestId": payload["requestId"],
            "chargingLimitSource": "CSO",
            "evseId": evse_id,
            "chargingProfile": [_write(profile) for profile in profiles],
            "tbc": number < len(groups),
        }
        charger.call("ReportChargingProfiles", report, triggered=True)
    return {"status": "Accepted"}


def _write(profile: Profile) -> dict[str, Any]:
    written = dict(profile.source)
    if profile.transaction is not None:
        written["transactionId"] = profile.transaction
    return written


@BEHAVIOUR.action("GetCompositeSchedule")
def get_composite(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """What the EVSE, or with 0 the station, may deliver in the time to come (K08)."""
    station = station_of(charger)
    number = payload["evseId"]
    bay = station.bay(number)
    if number and bay is None:
        return rejected("UnknownEvse", f"There is no EVSE {number}.")
    unit = payload.get("chargingRateUnit", "W")
    hardware = bay.meter.outlet.max_power_w if bay is not None else charger.config.max_power_w
    duration, periods = station.need_profiles().composite(
        number,
        now,
        payload["duration"],
        unit,
        bay.session if bay is not None else None,
        bay.electrics if bay is not None else Electrics(),
        min(hardware, charger.config.max_power_w),
    )
    return {
        "status": "Accepted",
        "schedule": {
            "evseId": number,
            "duration": duration,
            "scheduleStart": timestamp(now),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [
                {"startPeriod": p.start, "limit": p.limit, "numberPhases": p.phases}
                for p in periods
            ],
        },
    }
