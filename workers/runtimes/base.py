"""The contract of a runtime driver, and the words it is written in.

A driver turns an intent that is already committed (a `Spec` under a `Key`) into one running simulator, finds
it again, looks at it, and ends it. Read `Driver` first. `tests/integration/test_driver_contract.py` holds
every driver to the promises made here.

Only three exceptions leave a driver:

    RuntimeTrouble
    ├── RuntimeUnavailable    the backend did not answer or said "later": the same call may be made again
    ├── CapacityUnavailable   no room now (quota, capacity, throttle): wait, and say so
    └── RuntimeRejected       the backend will never accept this: fail, with a code for people
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

#: Opaque to everybody but the driver that made it; JSON, with a version under "v".
Handle: TypeAlias = Mapping[str, Any]


class RuntimeTrouble(Exception):
    """Base of everything a driver raises.

    `code` is stable (docs/errors.md has a heading for it), the message is one sentence for people.
    """

    code = "runtime_trouble"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.hint = hint


class RuntimeUnavailable(RuntimeTrouble):
    """The backend did not answer, or asked to be called again; nothing is known to have happened."""

    code = "runtime_unavailable"


class CapacityUnavailable(RuntimeTrouble):
    """There is no room for this runtime now. Waiting may mend it; `hint` says what is missing."""

    code = "capacity_unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
        new_attempt: bool = False,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        #: Earliest useful next call, seconds from now; None leaves it to the engine.
        self.retry_after_s = retry_after_s
        #: The backend answered definitely: the next call must be made under a new attempt number.
        self.new_attempt = new_attempt


class RuntimeRejected(RuntimeTrouble):
    """The backend refused for good: repeating the same call cannot succeed."""

    code = "runtime_rejected"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        #: Whether a person who mends the cause may order the same charger again.
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Key:
    """The idempotency key of one start; committed before the first outside call.

    `attempt` grows only after a definite refusal of the same incarnation (ECS `failures[]`).
    """

    install_id: str
    charger_id: str
    incarnation: int
    attempt: int = 1

    @property
    def name(self) -> str:
        """`<charger hex>-i<incarnation>-a<attempt>`, at most 64 characters of ASCII 33 to 126."""
        return f"{self.charger_id.removeprefix('dep-')}-i{self.incarnation}-a{self.attempt}"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a driver needs to start one charger. Holds no secret but the bootstrap token."""

    organization_id: str
    identity: str
    ocpp_version: str
    location_name: str | None
    link_url: str
    bootstrap_token: str
    labels: Mapping[str, str] = field(default_factory=dict)


class Find(enum.Enum):
    """Answers of `Driver.find` that are not a handle."""

    #: It certainly does not exist and will not appear.
    NOTHING = "nothing"
    #: It may exist but cannot be seen yet; look again.
    UNKNOWN = "unknown"


class Phase(enum.StrEnum):
    """How far a runtime is, folded from each backend's own words."""

    #: Accepted; the backend is placing it.
    SCHEDULING = "scheduling"
    #: Its image is being fetched.
    PULLING = "pulling"
    #: Its process is coming up.
    STARTING = "starting"
    #: Its process runs (and its health check, where it has one, passes).
    RUNNING = "running"
    #: It was told to end and has not ended.
    STOPPING = "stopping"
    #: It ended. `Observation.end` says how.
    GONE = "gone"
    #: The backend cannot say now.
    UNKNOWN = "unknown"


class EndClass(enum.StrEnum):
    """What an end means for the charger."""

    #: We asked for it.
    EXPECTED = "expected"
    #: Starting again may work (infrastructure, a crash); capped by the engine.
    TRANSIENT = "transient"
    #: May work, slowly, and an operator should look (addresses, quotas).
    SLOW = "slow"
    #: Will not work until somebody changes something.
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class End:
    """The final facts of a runtime."""

    kind: EndClass
    code: str
    message: str
    retryable: bool = True
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at one runtime showed. A runtime that is not there is `Phase.GONE`, never an exception."""

    handle: Handle
    phase: Phase
    healthy: bool | None = None
    end: End | None = None
    hint: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stray:
    """A runtime of this installation, as the backend lists it, whoever owns it now."""

    handle: Handle
    charger_id: str
    incarnation: int
    #: It ended by itself some time ago; only its remains are to be cleared away.
    has_ended: bool = False


class Driver(Protocol):
    """One place where runtimes live. Synchronous; clients are passed in; safe to share between threads."""

    #: `local`, `docker` or `aws`: stored with each runtime.
    provider: str
    #: `host_process`, `container` or `ecs_task`: shown to clients.
    runtime_kind: str

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:
        """Make sure that what every start needs is there (task definition, image, live host).

        Idempotent; returns JSON facts that `render` may use. Raises the three troubles.
        """

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole outside request as JSON, stored before the call, so that a repeat is byte-equal. Pure."""

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:
        """Start it. Twice with one key (and its request) is one runtime, and the same handle."""

    def find(self, key: Key) -> Handle | Find:
        """The runtime of this key (any attempt), whether or not `start` ever answered."""

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        """Look at up to 100 runtimes at once; one observation each, in order."""

    def stop(self, handle: Handle, reason: str) -> None:
        """Ask it to end. What is gone already is success. Returns before it has ended."""

    def list_strays(self, install_id: str) -> Sequence[Stray]:
        """Every runtime of this installation that the backend still holds."""


class Herald(Protocol):
    """What a driver also has when its backend tells by itself that something happened to a runtime."""

    def listen(self, heard: Callable[[str, int], None]) -> None:
        """Call `heard(charger_id, incarnation)` for each piece of news, until the backend goes away.

        News only makes a look come early. Raises `RuntimeUnavailable`.
        """
