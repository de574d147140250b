"""How a station comes into being with its charger. The same for both OCPP versions.

What equal chargers have in common (hardware, cars, unchanged settings) is one object in the
process: the functions with a cache below keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulator.connectors import Connector
from simulator.device_model import DeviceModel
from simulator.ev import DEFAULT_MODEL, DEFAULT_SOC, Model
from simulator.keys16 import Configuration
from simulator.meter import Outlet
from simulator.station import FACET, Bay, Station, Voice

if TYPE_CHECKING:
    from simulator.charger import Charger
    from simulator.config import ConnectorSpec

#: What the setting `ev` may say; `soc` is a share from 0 to 1, everything else as in `ev.Model`.
_EV_NAMES = ("battery_wh", "ac_phases", "ac_current_a", "dc_power_w")


def bear(
    charger: Charger,
    voice: Voice,
    make_connector: Callable[[int], Connector],
    settings: Configuration | DeviceModel,
) -> Station:
    """Make the station of a charger and put it where `station_of` finds it."""
    bays = [
        Bay(shown, make_connector(shown.spec.id), hardware(shown.spec)) for shown in charger.outlets
    ]
    station = Station(voice, bays, settings, parse_ev(charger.config.settings.get("ev")))
    charger.facets[FACET] = station
    return station


@lru_cache(maxsize=1024)
def hardware(spec: ConnectorSpec) -> Outlet:
    """What this kind of connector can do."""
    return Outlet(spec.current_type.lower(), float(spec.max_power_w), spec.phases)


def parse_ev(raw: Any) -> tuple[Model, float]:
    """The car of the setting `ev`, and its state of charge on arrival."""
    if not isinstance(raw, Mapping):
        return DEFAULT_MODEL, DEFAULT_SOC
    values = tuple((name, raw[name]) for name in _EV_NAMES if name in raw)
    return _model(values), float(raw.get("soc", DEFAULT_SOC))


@lru_cache(maxsize=256)
def _model(values: tuple[tuple[str, float], ...]) -> Model:
    known = {name: int(v) if name == "ac_phases" else float(v) for name, v in values}
    return Model(**known)  # type: ignore[arg-type]  # the one integer among the numbers is made above
