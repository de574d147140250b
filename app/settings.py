"""Every setting of the gateway, read once from `GATEWAY_*` and frozen.

Read `Settings` for the list; `docs/settings.md` is generated from the same fields. All mistakes are reported
together. A variable whose name ends in `_FILE` names a file that holds the value (secrets by file). No secret
has a default: `gateway up` makes them once, mode 0600, and passes them to its children.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import environs
from marshmallow import validate

from app.errors import SettingsInvalid

RUNTIMES: Final = ("local", "docker", "ecs")
_MIN_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Clocks and limits of the durable engine. Seconds unless the name says otherwise."""

    #: A claim holds this long without renewal.
    lease_s: float = 10.0
    #: Pause between two renewals of a held claim.
    renew_s: float = 3.0
    #: How early a hint may come before its run is due: Celery's clock is another than the database's.
    claim_grace_s: float = 1.0
    #: A hint that nobody took up is sent again after this, doubling up to `nudge_max_s`.
    nudge_s: float = 3.0
    #: Longest pause between two hints for one run.
    nudge_max_s: float = 60.0
    #: Pause between two passes of the keeper.
    sweep_s: float = 1.0
    #: Runs hinted by one pass at most.
    sweep_batch: int = 200
    #: A runtime that its backend calls unhealthy for this long is ended and brought back.
    unhealthy_s: float = 60.0
    #: Pause between two looks at runtimes that come up or end; what is well is looked at 15 times less.
    observe_s: float = 2.0
    #: Runtimes per call of a driver's observe.
    observe_batch: int = 100
    #: First pause after a passing failure; it doubles, with jitter.
    retry_min_s: float = 1.0
    #: Longest pause after a passing failure.
    retry_max_s: float = 60.0
    #: Claims of one step without an end before the run fails.
    max_claims: int = 5
    #: Runs of one organization that may be in workers' hands or on their way at a time.
    org_inflight: int = 32
    #: Clock from asking for capacity until the driver accepts.
    placement_s: float = 86_400.0
    #: Clock from accepted until the runtime calls home (Docker, ECS).
    start_s: float = 600.0
    #: The same for the local host.
    start_local_s: float = 30.0
    #: Clock from called home until the CSMS accepts the boot.
    csms_s: float = 120.0
    #: The same while the CSMS answers Pending.
    csms_pending_s: float = 86_400.0
    #: A definite refusal by the CSMS fails the run when seen this often, or for this long.
    csms_refusals: int = 3
    #: ... or when it lasts this long.
    csms_refused_s: float = 15.0
    #: First pause before a runtime that ended by itself is brought back; it doubles.
    recover_min_s: float = 1.0
    #: Longest such pause.
    recover_max_s: float = 60.0
    #: Health for this long forgets earlier restarts.
    recover_reset_s: float = 300.0
    #: At most this many RECOVER runs are opened per pass, so that a lost host is no herd.
    recover_batch: int = 50
    #: A link or host that was not heard of for this long counts as away.
    link_away_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The frozen configuration of one process."""

    #: PostgreSQL, `postgresql://user:password@host/name`.
    database_url: str
    #: Redis or Valkey (`redis://`, `rediss://`, `redis+socket://`), or RabbitMQ (`amqp://`).
    broker_url: str
    #: kid → secret; the first signs, all verify.
    jwt_secrets: dict[str, str] = field(repr=False)
    #: Derives bootstrap tokens and host credentials.
    link_secret: str = field(repr=False)
    #: Names this installation to itself and on every runtime it starts.
    install_id: str
    #: What clients call; used in printed texts only.
    base_url: str = "http://127.0.0.1:8000"
    #: Address that the API listens on.
    api_host: str = "127.0.0.1"
    #: Port that the API listens on.
    api_port: int = 8000
    #: Processes of the API.
    api_workers: int = 2
    #: Threads of each process of the API.
    api_threads: int = 8
    #: Address that the link listens on.
    link_host: str = "127.0.0.1"
    #: Port that the link listens on.
    link_port: int = 8001
    #: What runtimes dial.
    link_url: str = "ws://127.0.0.1:8001/link"
    #: Where new runtimes live.
    runtime: str = "local"
    #: `csms`: READY needs an accepted BootNotification. `running`: the runtime called home.
    ready_when: str = "csms"
    #: Host patterns that a ws_url may name; empty allows every host.
    ws_allow: tuple[str, ...] = ()
    #: `false` accepts any known connector for any model.
    catalog_strict: bool = True
    #: `reject` answers unknown body fields with 422; `ignore` drops them.
    unknown_fields: str = "reject"
    #: Live chargers that one organization may have.
    org_max_chargers: int = 100_000
    #: Steps that one worker carries out at a time.
    worker_concurrency: int = 2
    #: DEBUG, INFO, WARNING or ERROR.
    log_level: str = "INFO"
    #: `json` or `text`.
    log_format: str = "json"
    #: Days that OCPP frames and charger events are kept.
    keep_frames_days: float = 7.0
    #: Newest OCPP frames kept of each charger.
    keep_frames_per_charger: int = 100_000
    #: Days that finished runs are kept; a charger's current run is always kept.
    keep_runs_days: float = 30.0
    #: Days that commands are kept.
    keep_commands_days: float = 7.0
    #: Where prometheus_client's processes meet; empty keeps metrics per process.
    metrics_dir: str = ""
    #: Port of a worker's own `/metrics` and `/health`; 0: it has none.
    worker_metrics_port: int = 0
    #: Database connections of one process.
    db_pool_size: int = 8
    engine: EngineSettings = field(default_factory=EngineSettings)
    #: Settings of the ECS and Docker drivers, as read; the drivers check them.
    ecs: dict[str, str] = field(default_factory=dict)
    docker: dict[str, str] = field(default_factory=dict)


def _parse_secrets(text: str) -> dict[str, str]:
    """`kid:secret,kid2:secret2` → mapping, in order."""
    pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    if not pairs or any(not kid or not secret for kid, _, secret in pairs):
        raise environs.EnvError("must be kid:secret, several separated by commas")
    if any(len(secret.encode()) < _MIN_SECRET_BYTES for _, _, secret in pairs):
        raise environs.EnvError(f"each secret must have at least {_MIN_SECRET_BYTES} bytes")
    return {kid: secret for kid, _, secret in pairs}


def _parse_long_secret(text: str) -> str:
    if len(text.encode()) < _MIN_SECRET_BYTES:
        raise environs.EnvError(f"must have at least {_MIN_SECRET_BYTES} bytes")
    return text


def _parse_database_url(text: str) -> str:
    """Accept the usual spellings of a PostgreSQL URL; name our driver."""
    for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    raise environs.EnvError("must begin with postgresql://")


def _parse_broker_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")):
        raise environs.EnvError("must begin with redis://, rediss://, redis+socket:// or amqp://")
    return text


def _read_prefixed(prefix: str) -> dict[str, str]:
    """`GATEWAY_ECS_CLUSTER=a` → {"cluster": "a"}."""
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }


def _read_engine(env: environs.Env) -> EngineSettings:
    """Each field of EngineSettings from `GATEWAY_<FIELD>`; a number above zero."""
    defaults = EngineSettings()
    values: dict[str, Any] = {}
    for name in EngineSettings.__slots__:
        default = getattr(defaults, name)
        read: Callable[..., Any] = env.int if isinstance(default, int) else env.float
        values[name] = read(
            name.upper(), default, validate=validate.Range(min=0, min_inclusive=False)
        )
    return EngineSettings(**{name: value for name, value in values.items() if value is not None})


def _read_fields(env: environs.Env) -> dict[str, Any]:
    one_or_more = validate.Range(min=1)
    port = validate.Range(min=1, max=65_535)
    secrets = env.str("JWT_SECRETS")
    return {
        "database_url": _apply(env, "DATABASE_URL", env.str("DATABASE_URL"), _parse_database_url),
        "broker_url": _apply(env, "BROKER_URL", env.str("BROKER_URL"), _parse_broker_url),
        "jwt_secrets": _apply(env, "JWT_SECRETS", secrets, _parse_secrets),
        "link_secret": _apply(env, "LINK_SECRET", env.str("LINK_SECRET"), _parse_long_secret),
        "install_id": env.str("INSTALL_ID", validate=validate.Regexp(r"^[a-z0-9][a-z0-9-]{0,30}$")),
        "base_url": env.str("BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        "api_host": env.str("API_HOST", "127.0.0.1"),
        "api_port": env.int("API_PORT", 8000, validate=port),
        "api_workers": env.int("API_WORKERS", 2, validate=one_or_more),
        "api_threads": env.int("API_THREADS", 8, validate=one_or_more),
        "link_host": env.str("LINK_HOST", "127.0.0.1"),
        "link_port": env.int("LINK_PORT", 8001, validate=port),
        "link_url": env.str("LINK_URL", "ws://127.0.0.1:8001/link"),
        "runtime": env.str("RUNTIME", "local", validate=validate.OneOf(RUNTIMES)),
        "ready_when": env.str("READY_WHEN", "csms", validate=validate.OneOf(("csms", "running"))),
        "ws_allow": tuple(env.list("WS_ALLOW", [])),
        "catalog_strict": env.bool("CATALOG_STRICT", True),
        "unknown_fields": env.str(
            "UNKNOWN_FIELDS", "reject", validate=validate.OneOf(("reject", "ignore"))
        ),
        "org_max_chargers": env.int("ORG_MAX_CHARGERS", 100_000, validate=one_or_more),
        "worker_concurrency": env.int("WORKER_CONCURRENCY", 2, validate=one_or_more),
        "log_level": env.str("LOG_LEVEL", "INFO").upper(),
        "log_format": env.str("LOG_FORMAT", "json", validate=validate.OneOf(("json", "text"))),
        "keep_frames_days": env.float("KEEP_FRAMES_DAYS", 7.0),
        "keep_frames_per_charger": env.int(
            "KEEP_FRAMES_PER_CHARGER", 100_000, validate=one_or_more
        ),
        "keep_runs_days": env.float("KEEP_RUNS_DAYS", 30.0),
        "keep_commands_days": env.float("KEEP_COMMANDS_DAYS", 7.0),
        "metrics_dir": env.str("METRICS_DIR", ""),
        "worker_metrics_port": env.int(
            "WORKER_METRICS_PORT", 0, validate=validate.Range(min=0, max=65_535)
        ),
        "db_pool_size": env.int("DB_POOL_SIZE", 8, validate=one_or_more),
    }


def _apply(env: environs.Env, name: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    """Parse further, and add the mistake to those that `seal` reports."""
    if text is None:
        return None
    try:
        return parse(text)
    except environs.EnvError as mistake:
        env._errors[f"GATEWAY_{name}"].append(str(mistake))  # the one place where environs collects
        return None


def _list_mistakes(mistakes: environs.EnvValidationError) -> list[str]:
    """A line per variable; values are not repeated, they may be secret."""
    found = mistakes.error_messages
    if isinstance(found, Mapping):
        return [f"{name}: {' '.join(map(str, said))}" for name, said in found.items()]
    return [str(one) for one in found]


def load_settings() -> Settings:
    """Read the environment.

    Raises `SettingsInvalid` with every mistake, one per line; values are not repeated, they may be secret.
    """
    env = environs.FileAwareEnv(eager=False, prefix="GATEWAY_")
    fields = _read_fields(env)
    engine = _read_engine(env)
    try:
        env.seal()
    except environs.EnvValidationError as mistakes:
        raise SettingsInvalid("\n".join(sorted(_list_mistakes(mistakes)))) from None
    ecs, docker = _read_prefixed("GATEWAY_ECS_"), _read_prefixed("GATEWAY_DOCKER_")
    return Settings(engine=engine, ecs=ecs, docker=docker, **fields)
