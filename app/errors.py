"""What can go wrong, as domain errors; this module knows no HTTP (`app.api.errors` has the one status table).

    GatewayError
    ├── InvalidOrder             the order can never be carried out as it is (400)
    │   ├── IdentityTaken        a live charger of the organization has this identity
    │   ├── UnknownBrand, UnknownModel, UnsupportedConnector, UnsupportedVersion
    │   ├── UnknownLocation, LocationNotEmpty
    │   ├── ForbiddenAddress     the CSMS address is malformed or outside GATEWAY_WS_ALLOW
    │   ├── QuotaExceeded
    │   ├── IdempotencyMismatch  a key was used before with another body
    │   └── NotAllowedNow        the thing exists, but not in a state that admits this
    ├── InvalidField             one field of the input is wrong (422)
    ├── Unauthorized             no token, or one that is not ours (401)
    ├── Forbidden                the token does not reach that far (403)
    ├── NotFound                 (404)
    │   ├── ChargerNotFound, LocationNotFound, JobNotFound, RunNotFound, CommandNotFound
    │   └── BrandNotFound, ModelNotFound
    ├── DependencyDown           the database does not answer (503)
    └── SettingsInvalid          the program cannot start as configured

Each error has a stable `code` (docs/errors.md), a message that is one sentence, and `extra`: further fields
of the answer.
"""

from __future__ import annotations

from typing import Any


class GatewayError(Exception):
    """Base of everything that this project raises on purpose."""

    code = "gateway_error"

    def __init__(self, message: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        #: Fields to show beside `detail`; never a secret.
        self.extra = extra


class InvalidOrder(GatewayError):
    """The order can never be carried out as it is."""

    code = "invalid_order"


class IdentityTaken(InvalidOrder):
    """A live charger of this organization has the identity already."""

    code = "identity_taken"


class UnknownBrand(InvalidOrder):
    """The catalog has no such brand."""

    code = "unknown_brand"


class UnknownModel(InvalidOrder):
    """The brand has no such model."""

    code = "unknown_model"


class UnsupportedConnector(InvalidOrder):
    """The model is not built with this connector."""

    code = "unsupported_connector"


class UnsupportedVersion(InvalidOrder):
    """The model does not speak this OCPP version."""

    code = "unsupported_version"


class UnknownLocation(InvalidOrder):
    """The order names a location that this organization does not have."""

    code = "unknown_location"


class LocationNotEmpty(InvalidOrder):
    """The location still has chargers."""

    code = "location_not_empty"


class ForbiddenAddress(InvalidOrder):
    """The CSMS address is malformed, or the operator does not allow its host."""

    code = "forbidden_address"


class QuotaExceeded(InvalidOrder):
    """The organization has as many live chargers as it may have."""

    code = "quota_exceeded"


class IdempotencyMismatch(InvalidOrder):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_mismatch"


class NotAllowedNow(InvalidOrder):
    """The thing exists, but its state does not admit this."""

    code = "not_allowed_now"


class InvalidField(GatewayError):
    """One field of the input is wrong; `loc` is its path, beginning with `body`, `query` or `path`."""

    code = "invalid_field"

    def __init__(
        self, message: str, *, loc: tuple[str | int, ...], kind: str = "value_error"
    ) -> None:
        super().__init__(message)
        self.loc = loc
        self.kind = kind


class Unauthorized(GatewayError):
    """No token, or one that this installation did not sign, or one that is over."""

    code = "unauthorized"


class Forbidden(GatewayError):
    """The token is good but does not reach that far."""

    code = "forbidden"


class NotFound(GatewayError):
    """No such thing in this organization."""

    code = "not_found"


class ChargerNotFound(NotFound):
    """No live charger with this id in this organization."""

    code = "charger_not_found"


class LocationNotFound(NotFound):
    """No location with this id in this organization."""

    code = "location_not_found"


class JobNotFound(NotFound):
    """No bulk job with this id at this location."""

    code = "job_not_found"


class RunNotFound(NotFound):
    """No run with this id in this organization."""

    code = "run_not_found"


class CommandNotFound(NotFound):
    """No command with this id in this organization."""

    code = "command_not_found"


class BrandNotFound(NotFound):
    """The catalog has no brand with this slug."""

    code = "brand_not_found"


class ModelNotFound(NotFound):
    """The brand has no model with this slug."""

    code = "model_not_found"


class DependencyDown(GatewayError):
    """A server that this needs does not answer; nothing was written."""

    code = "dependency_down"

    def __init__(self, message: str, *, retry_after_s: int = 2, **extra: str) -> None:
        super().__init__(message, **extra)
        self.retry_after_s = retry_after_s


class SettingsInvalid(GatewayError):
    """The program cannot start as configured; the message lists every mistake."""

    code = "settings_invalid"
