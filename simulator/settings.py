"""The settings of a simulator process, read once from `SIMULATOR_*`; all mistakes are reported together.

`GATEWAY_CA_FILE` has the gateway's prefix because operators set it for the whole house. No secret has a
default, and the token has no place in `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from simulator.config import Clocks


class SettingsInvalid(ValueError):
    """The environment cannot be used; the message has one line per mistake."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process needs to know before it is told anything by the gateway."""

    #: `ws://` or `wss://`, with the path `/link`.
    link_url: str
    #: A host credential (`h1...`) or a bootstrap token (`b1...`): docs/link.md.
    token: str = field(repr=False)
    #: Lock and kept state; None: nothing outlives the process (a container).
    state_dir: Path | None = None
    #: Touched each second while the event loop turns.
    health_file: Path | None = None
    #: How many chargers the gateway may place here.
    capacity: int = 5000
    #: How many connections to CSMSs may be opening at the same time.
    openings: int = 200
    #: Frames and events waiting for the gateway, in bytes; beyond it the oldest go.
    buffer_bytes: int = 64 * 1024 * 1024
    #: Whether `localhost` is the inside of a container; only the wording of errors depends on it.
    in_container: bool = False
    ca_file: Path | None = None
    log_level: str = "INFO"
    #: Pauses between attempts to reach the gateway, in seconds.
    link_retry_min_s: float = 0.5
    link_retry_max_s: float = 30.0
    #: The pause after the gateway did not know our credential.
    link_unauthorized_s: float = 30.0
    #: Between digests of what runs here.
    digest_s: float = 30.0
    #: How long a graceful end may take altogether; half of it is for the CSMS sockets.
    stop_s: float = 4.0
    clocks: Clocks = field(default_factory=Clocks)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in this environment. Raises `SettingsInvalid` with a line per mistake."""
    mistakes: list[str] = []
    clocks = {item.name: _read(item, environ, mistakes) for item in fields(Clocks)}
    values = {
        item.name: _read(item, environ, mistakes)
        for item in fields(Settings)
        if item.name not in ("token", "ca_file", "clocks", "link_url")
    }
    link_url = environ.get("SIMULATOR_LINK_URL", "")
    if not link_url.startswith(("ws://", "wss://")):
        mistakes.append("SIMULATOR_LINK_URL must be the gateway's link, ws:// or wss://.")
    token = _read_token(environ, mistakes)
    if mistakes:
        raise SettingsInvalid("\n".join(mistakes))
    ca_file = environ.get("GATEWAY_CA_FILE")
    return Settings(
        link_url=link_url,
        token=token,
        ca_file=Path(ca_file) if ca_file else None,
        clocks=Clocks(**clocks),
        **values,
    )


def _read(item: Field[Any], environ: Mapping[str, str], mistakes: list[str]) -> Any:
    name = f"SIMULATOR_{item.name.upper()}"
    text = environ.get(name)
    if not text:
        return item.default
    convert, wanted = _CONVERTERS[str(item.type)]
    try:
        return convert(text)
    except ValueError:
        mistakes.append(f"{name} must be {wanted}, not {text!r}.")
        return item.default


def _read_bool(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _read_amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _read_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


_CONVERTERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "int": (_read_count, "a whole number of 1 or more"),
    "float": (_read_amount, "a number of seconds"),
    "bool": (_read_bool, "true or false"),
    "str": (str, "text"),
    "Path | None": (Path, "a path"),
}


def _read_token(environ: Mapping[str, str], mistakes: list[str]) -> str:
    token = environ.get("SIMULATOR_TOKEN", "")
    path = environ.get("SIMULATOR_TOKEN_FILE")
    if path:
        try:
            token = Path(path).read_text("utf-8")
        except OSError as error:
            mistakes.append(f"SIMULATOR_TOKEN_FILE cannot be read: {error.strerror}.")
            return ""
    token = token.strip()
    if not token.startswith(("b1.", "h1.")):
        mistakes.append(
            "SIMULATOR_TOKEN or SIMULATOR_TOKEN_FILE must hold a b1. or h1. credential."
        )
    return token
