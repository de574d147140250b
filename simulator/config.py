"""What a charger is told about itself: the `config` of a link `add`, parsed once and shared where equal.

Thousands of chargers live in one process and most of them are alike, so equal parts (clocks, connectors,
names) are one object: `parse_config` keeps those it has made. docs/link.md has the fields.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class ConfigInvalid(ValueError):
    """The configuration cannot be run; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Every time that a charger lives by, in seconds. Each may be overridden per charger by `settings`."""

    #: Between heartbeats when the CSMS leaves it to us (interval 0).
    heartbeat_interval_s: float = 300.0
    #: Before the next BootNotification when the CSMS leaves it to us, or never answered.
    boot_retry_s: float = 30.0
    #: How long an answer from the CSMS may take.
    call_timeout_s: float = 30.0
    #: The first pause before connecting again is drawn from 0 to twice this.
    reconnect_min_s: float = 1.0
    #: The longest pause before connecting again.
    reconnect_max_s: float = 30.0
    #: A connection that lasted this long makes the pauses start small again.
    stable_after_s: float = 10.0
    #: After this long without a word from the CSMS a WebSocket ping asks; as long again, and it is lost.
    ping_interval_s: float = 30.0
    #: How long opening a connection may take, from DNS to the upgrade.
    open_timeout_s: float = 15.0
    #: How long a reboot keeps the charger away.
    reboot_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """One connector as the catalog describes it. Power in W."""

    id: int
    type: str
    current_type: str
    max_power_w: int
    phases: int


@dataclass(frozen=True, slots=True)
class Config:
    """One charger's configuration."""

    identity: str
    #: `OCPP1.6` or `OCPP2.0.1`.
    ocpp_version: str
    ws_url: str
    vendor_name: str
    model: str
    connectors: tuple[ConnectorSpec, ...]
    max_power_w: int
    clocks: Clocks
    security_profile: int = 0
    #: The Basic password of security profiles 1 and 2. Never logged: it has no place in `repr`.
    authorization_key: str | None = dataclasses.field(default=None, repr=False)
    #: Allowed CSMS hosts; None allows every host.
    ws_allow: tuple[str, ...] | None = None
    name: str | None = None
    location_name: str | None = None
    wire_faults: Mapping[str, Any] | None = None
    #: Overrides that are not clocks (configuration keys, variables): left to the behaviours.
    settings: Mapping[str, Any] = dataclasses.field(default_factory=lambda: _NOTHING)


_CLOCK_NAMES = frozenset(field.name for field in dataclasses.fields(Clocks))


def parse_config(raw: Mapping[str, Any], defaults: Clocks) -> Config:
    """The configuration in a link `add`. Raises `ConfigInvalid` with a sentence."""
    version = raw.get("ocpp_version")
    if version not in ("OCPP1.6", "OCPP2.0.1"):
        raise ConfigInvalid(f"The OCPP version {version!r} is not one that this simulator speaks.")
    for name in ("identity", "ws_url"):
        if not isinstance(raw.get(name), str) or not raw[name]:
            raise ConfigInvalid(f"The configuration has no {name}.")
    settings = raw.get("settings") or {}
    others = {key: value for key, value in settings.items() if key not in _CLOCK_NAMES}
    allow = raw.get("ws_allow")
    return Config(
        identity=raw["identity"],
        ocpp_version=sys.intern(version),
        ws_url=sys.intern(raw["ws_url"]),
        vendor_name=sys.intern(str(raw.get("vendor_name") or "Simulated")),
        model=sys.intern(str(raw.get("model") or "Charger")),
        connectors=_parse_connectors(raw),
        max_power_w=int(raw.get("max_power_w") or 22000),
        clocks=_parse_clocks(settings, defaults),
        security_profile=int(raw.get("security_profile") or 0),
        authorization_key=raw.get("authorization_key") or None,
        ws_allow=None if allow is None else _share(tuple(str(host) for host in allow)),
        name=raw.get("name"),
        location_name=raw.get("location_name"),
        wire_faults=raw.get("wire_faults") or None,
        settings=MappingProxyType(others) if others else _NOTHING,
    )


def _parse_clocks(settings: Mapping[str, Any], defaults: Clocks) -> Clocks:
    changes = []
    for key in sorted(_CLOCK_NAMES & settings.keys()):
        value = settings[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ConfigInvalid(f"The setting {key} is a number of seconds, not {value!r}.")
        changes.append((key, float(value)))
    return _vary(defaults, tuple(changes)) if changes else defaults


@lru_cache(maxsize=256)
def _vary(defaults: Clocks, changes: tuple[tuple[str, float], ...]) -> Clocks:
    return dataclasses.replace(defaults, **dict(changes))


def _parse_connectors(raw: Mapping[str, Any]) -> tuple[ConnectorSpec, ...]:
    power = int(raw.get("max_power_w") or 22000)
    listed = raw.get("connectors") or [{}]
    try:
        return _share(
            tuple(
                ConnectorSpec(
                    id=int(item.get("id") or number),
                    type=sys.intern(str(item.get("type") or "Type2")),
                    current_type=sys.intern(str(item.get("current_type") or "ac")),
                    max_power_w=int(item.get("max_power_w") or power),
                    phases=int(item.get("phases") or 3),
                )
                for number, item in enumerate(listed, start=1)
            )
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigInvalid("The list of connectors cannot be read.") from error


@lru_cache(maxsize=1024)
def _share_cached(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return value


def _share(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first tuple that equalled this one."""
    return _share_cached(value)
