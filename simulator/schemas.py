"""Whether a payload is what the OCPP schemas say, for both versions and both directions.

The schemas are the OCA's own files, carried by the `ocpp` wheel (only its data is used, its code is
never imported). Each is compiled once per process, when it is first needed, by jsonschema-rs, with
`date-time` checked: `"yesterday"` is a violation. Read `Catalogue.check`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from simulator.rpc import WIRE16, WIRE201, Wire

#: The answer code per kind of violation that is not a matter of structure or count.
_CODES = {
    "Type": "TypeConstraintViolation",
    "Enum": "PropertyConstraintViolation",
    "Constant": "PropertyConstraintViolation",
    "Format": "PropertyConstraintViolation",
    "MaxLength": "PropertyConstraintViolation",
    "MinLength": "PropertyConstraintViolation",
    "Maximum": "PropertyConstraintViolation",
    "Minimum": "PropertyConstraintViolation",
    "ExclusiveMaximum": "PropertyConstraintViolation",
    "ExclusiveMinimum": "PropertyConstraintViolation",
    "MultipleOf": "PropertyConstraintViolation",
    "Pattern": "PropertyConstraintViolation",
}
_COUNTS = frozenset({"Required", "MaxItems", "MinItems", "UniqueItems"})


@dataclass(frozen=True, slots=True)
class Violation:
    """The first point at which a payload breaks its schema."""

    #: The OCPP-J error code, spelled as the version spells it.
    code: str
    #: One sentence with the field's path; never longer than an error description may be.
    message: str


class Catalogue:
    """The schemas of one OCPP version."""

    def __init__(self, package: str, request_suffix: str, wire: Wire) -> None:
        self._folder = _find_schemas() / package / "schemas"
        self._request_suffix = request_suffix
        self._wire = wire
        self._compiled: dict[str, jsonschema_rs.Validator] = {}
        #: Every action that the version knows, whoever sends it.
        self.actions: frozenset[str] = frozenset(
            path.name.removesuffix("Response.json") for path in self._folder.glob("*Response.json")
        )

    def check_request(self, action: str, payload: dict[str, Any]) -> Violation | None:
        """The first violation in a call's payload; None when there is none. The action must be
        known.
        """
        return self._check(action + self._request_suffix, payload)

    def check_answer(self, action: str, payload: dict[str, Any]) -> Violation | None:
        """The first violation in an answer's payload; None when there is none. The action must be
        known.
        """
        return self._check(action + "Response", payload)

    def property_names(self, action: str) -> dict[str, str]:
        """Every property in a call of this action, at any depth, by its name in lower case."""
        text = (self._folder / f"{action}{self._request_suffix}.json").read_text("utf-8-sig")
        found: dict[str, str] = {}
        _gather_names(orjson.loads(text), found)
        return found

    def _check(self, name: str, payload: dict[str, Any]) -> Violation | None:
        validator = self._compiled.get(name)
        if validator is None:
            validator = self._compile(name)
        if validator.is_valid(payload):
            return None
        error = next(iter(validator.iter_errors(payload)))
        return self._describe(error)

    def _compile(self, name: str) -> jsonschema_rs.Validator:
        # Some of the files open with a byte order mark.
        text = (self._folder / f"{name}.json").read_text("utf-8-sig")
        validator = jsonschema_rs.validator_for(orjson.loads(text), validate_formats=True)
        self._compiled[name] = validator
        return validator

    def _describe(self, error: jsonschema_rs.ValidationError) -> Violation:
        kind = type(error.kind).__name__
        if kind in _COUNTS:
            code = self._wire.occurrence_violation
        else:
            code = _CODES.get(kind, self._wire.format_violation)
        where = "/".join(str(part) for part in error.instance_path)
        return Violation(code, f"{where or 'payload'}: {error.message}"[:255])


def _gather_names(schema: Any, found: dict[str, str]) -> None:
    if isinstance(schema, dict):
        found.update({name.lower(): name for name in schema.get("properties", {})})
        for part in schema.values():
            _gather_names(part, found)
    elif isinstance(schema, list):
        for part in schema:
            _gather_names(part, found)


def _find_schemas() -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package ocpp, which carries the OCPP schemas, is not installed.")
    return Path(spec.submodule_search_locations[0])


SCHEMAS16 = Catalogue("v16", "", WIRE16)
SCHEMAS201 = Catalogue("v201", "Request", WIRE201)
