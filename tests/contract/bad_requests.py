"""The table of requests that are refused, each with its status and place. `test_bad_input.py` sends them.

To add one, add a line to the list that it belongs to: `order` changes fields of a good order, `raw` is a body as
bytes, `query` a query value, `Bad` anything else.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from tests.contract.conftest import ORDER

CHARGERS = "/ocpp/chargers"
NOBODY = f"{CHARGERS}/dep-{'0' * 32}"


@dataclass(frozen=True)
class Bad:
    """One request, and how it is refused. `loc`: the place of the first mistake (422); `code`: of the rest."""

    name: str
    status: int
    method: str = "POST"
    path: str = CHARGERS
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    loc: list[str | int] | None = None
    code: str | None = None


def order(
    name: str, status: int, *, loc: str | None = None, code: str | None = None, **fields: Any
) -> Bad:
    """An order with some fields changed; ... takes one out."""
    body = {key: value for key, value in (ORDER | fields).items() if value is not ...}
    return Bad(name, status, body=body, loc=["body", loc] if loc else None, code=code)


def raw(name: str, body: bytes, status: int = 422, **kwargs: Any) -> Bad:
    """A body as bytes; refused as a whole."""
    kwargs.setdefault("loc", ["body"] if status == 422 else None)
    kwargs.setdefault("headers", {"Content-Type": "application/json"})
    return Bad(name, status, body=body, **kwargs)


def query(name: str, path: str, loc: str) -> Bad:
    """A query value that is refused."""
    return Bad(name, 422, method="GET", path=path, loc=["query", loc])


def _with(text_of_identity: str) -> bytes:
    return json.dumps(ORDER).replace('"CP-001"', text_of_identity).encode()


BODIES = [
    raw("no body", b""),
    raw("not JSON", b"identity=CP-001"),
    raw("half of JSON", json.dumps(ORDER).encode()[:-1]),
    raw("two values", json.dumps(ORDER).encode() * 2),
    raw("an array", b"[]"),
    raw("a string", b'"CP-001"'),
    raw("null", b"null"),
    raw("not UTF-8", b'{"identity": "\xff\xfe"}'),
    raw("UTF-16", json.dumps(ORDER).encode("utf-16")),
    raw("a byte order mark", b"\xef\xbb\xbf" + json.dumps(ORDER).encode()),
    raw("NaN", _with("NaN")),
    raw("Infinity", _with("-Infinity")),
    raw("a number beyond doubles", _with("1e999")),
    raw("2^63", _with("9223372036854775808")),
    raw("-2^63-1", _with("-9223372036854775809")),
    raw("a number of 5,000 digits", _with("9" * 5000)),
    raw("the same key twice", b'{"identity": "a", "identity": "b"}'),
    raw("the same key twice inside", b'{"x": [{"a": 1, "a": 1}]}'),
    raw("2,000 brackets", b"[" * 2000 + b"]" * 2000),
    raw("2,000 open brackets", b"[" * 2000),
    raw("2,000 objects", b'{"a":' * 2000 + b"1" + b"}" * 2000),
    raw("100 levels", b'{"a":' * 100 + b"1" + b"}" * 100),
    raw("a control character", b'{"identity": "a\x01b"}'),
    raw("a lone surrogate", _with(r'"a\ud800b"'), loc=["body", "identity"]),
    raw("surrogates in reverse", _with(r'"a\udc00\ud800b"'), loc=["body", "identity"]),
    raw("U+0000", _with(r'"a\u0000b"'), loc=["body", "identity"]),
    raw("U+0000 in a key", b'{"a\\u0000": 1}'),
    raw("a lone surrogate in an unknown key", b'{"\\ud800": 1}'),
    raw("more than 1 MB", b'"' + b"x" * 1_000_000 + b'"', 413, code="body_too_large"),
    raw("5 MB", b"x" * 5_000_000, 413, code="body_too_large"),
    raw(
        "gzip",
        gzip.compress(json.dumps(ORDER).encode()),
        415,
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        code="unsupported_media_type",
    ),
    raw("text", b"{}", 415, headers={"Content-Type": "text/plain"}, code="unsupported_media_type"),
    raw(
        "a form",
        b"identity=CP-001",
        415,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        code="unsupported_media_type",
    ),
]

TYPES = [
    order(f"{name} as {kind}", 422, loc=name, **{name: value})
    for name in (
        "identity",
        "brand_slug",
        "connector_type",
        "ws_url",
        "ocpp_version",
        "location_id",
    )
    for kind, value in {"number": 1, "true": True, "list": ["a"], "object": {"a": 1}}.items()
]

FIELDS = [
    *(order(f"no {name}", 422, loc=name, **{name: ...}) for name in ORDER),
    *(order(f"{name} null", 422, loc=name, **{name: None}) for name in ORDER),
    *(order(f"{name} empty", 422, loc=name, **{name: ""}) for name in ORDER),
    *(
        order(f"{name} of 10,000 characters", 422, loc=name, **{name: "x" * 10_000})
        for name in (*ORDER, "charge_point_name", "location_name", "location_id")
    ),
    order("an unknown field", 422, loc="colour", colour="red"),
    order("an identity of 49", 422, loc="identity", identity="x" * 49),
    *(
        order(f"an identity with {char!r}", 422, loc="identity", identity=f"CP{char}1")
        for char in " /\\?#%&'\"<>,;äß\n\t~"
    ),
    order("an identity that ends a line", 422, loc="identity", identity="CP-001\n"),
    order("OCPP1.5", 422, loc="ocpp_version", ocpp_version="OCPP1.5"),
    order("ocpp1.6", 422, loc="ocpp_version", ocpp_version="ocpp1.6"),
    order("security profile 3", 422, loc="security_profile", security_profile=3),
    order("security profile -1", 422, loc="security_profile", security_profile=-1),
    order("security profile 2^31", 422, loc="security_profile", security_profile=2**31),
    order("security profile 1.5", 422, loc="security_profile", security_profile=1.5),
    order("security profile true", 422, loc="security_profile", security_profile=True),
    order("security profile as text", 422, loc="security_profile", security_profile="1"),
    order("a key with a line break", 422, loc="authorization_key", authorization_key="a\nb"),
    order("a ws_url of 2,049", 422, loc="ws_url", ws_url="ws://h/" + "x" * 2042),
]

ADDRESSES = [
    order(f"ws_url {url!r}", 400, code="ws_url_invalid", ws_url=url)
    for url in (
        "http://csms.example.com",
        "https://csms.example.com",
        "csms.example.com",
        "//csms.example.com",
        "javascript:alert(1)",
        "ws://",
        "ws:///ocpp",
        "ws://:80/",
        "ws://user@csms.example.com/",
        "ws://user:password@csms.example.com/",
        "ws://@csms.example.com/",
        "ws://csms.example.com/#",
        "ws://csms.example.com/#part",
        "ws://csms.example.com:0/",
        "ws://csms.example.com:65536/",
        "ws://csms.example.com:port/",
        "ws://csms.example.com:-1/",
        "ws://[::1/",
        "ws://[zz]/",
        "ws://csms example.com/",
        " ws://csms.example.com/",
        "ws://csms.example.com/\n",
        "ws://csms.example.com/\tx",
        "ws://csms.example.com\\@evil.example.com/",
        "ws://csms.exämple.com/",
    )
]

ORDERS = [
    order("an unknown brand", 400, code="unknown_brand", brand_slug="nobody"),
    order("an unknown model", 400, code="unknown_model", model_slug="nothing"),
    order(
        "a known connector that it lacks", 400, code="unsupported_connector", connector_type="CCS2"
    ),
    order("an unknown connector", 400, code="unsupported_connector", connector_type="Type9"),
    order(
        "a version that it lacks",
        400,
        code="unsupported_version",
        ocpp_version="OCPP2.0.1",
    ),
    order(
        "an unknown location",
        400,
        code="unknown_location",
        location_id="6f1c49a7-9e0d-4e65-8f0f-4a2d5e6d65f0",
    ),
    order("a location that is no id", 400, code="unknown_location", location_id="Berlin"),
    order("a profile without a key", 400, code="security_profile_mismatch", security_profile=1),
    order(
        "TLS without TLS",
        400,
        code="security_profile_mismatch",
        security_profile=2,
        authorization_key="k" * 16,
    ),
]

QUERIES = [
    *(
        query(f"page {page}", f"{CHARGERS}?page={page}", "page")
        for page in (
            "0",
            "-1",
            "1000001",
            "1" + "0" * 20,
            "1.5",
            "1e3",
            "one",
            "%EF%BC%91",
            "1_0",
            "+1",
            "0x1",
        )
    ),
    *(
        query(f"limit {limit}", f"{CHARGERS}?limit={limit}", "limit")
        for limit in ("0", "101", "-5", "ten")
    ),
    query("two pages", f"{CHARGERS}?page=1&page=2", "page"),
    query("an unknown status", f"{CHARGERS}?status=GONE", "status"),
    query("an unknown stage", f"{CHARGERS}?stage=gone", "stage"),
    query("a location that is no id", f"{CHARGERS}?location_id=Berlin", "location_id"),
    query("U+0000", f"{CHARGERS}?identity=a%00b", "identity"),
    query("a long identity", f"{CHARGERS}?identity={'x' * 49}", "identity"),
    query("wait 31", f"{NOBODY}/status?wait=31", "wait"),
    query("wait -1", f"{NOBODY}/status?wait=-1", "wait"),
    query("a date that is none", f"{NOBODY}/logs?start_date=yesterday", "start_date"),
    query("the 30th of February", f"{NOBODY}/logs?end_date=2026-02-30T00:00:00Z", "end_date"),
    query(
        "a date before time", f"{NOBODY}/logs?start_date=0001-01-01T00:00:00%2B14:00", "start_date"
    ),
    query("1,001 logs", f"{NOBODY}/logs?limit=1001", "limit"),
    query("an offset of 2^31", f"{NOBODY}/logs?offset=2147483648", "offset"),
    query("an action with U+0000", f"{NOBODY}/logs?event=%00", "event"),
]

PATHS = [
    *(
        Bad(
            f"GET {charger_id!r}",
            404,
            method="GET",
            path=f"{CHARGERS}/{charger_id}/status",
            code=code,
        )
        for charger_id, code in {
            "dep-" + "0" * 32: "charger_not_found",
            "dep-0": "charger_not_found",
            "DEP-" + "0" * 32: "charger_not_found",
            "dep-" + "0" * 31 + "%0A": "charger_not_found",
            "%00": "charger_not_found",
            "%ff": "charger_not_found",
            "' OR 1=1 --": "charger_not_found",
            "x" * 5000: "charger_not_found",
            "..": "charger_not_found",
        }.items()
    ),
    Bad(
        "an unknown brand",
        404,
        method="GET",
        path="/ocpp/catalog/brands/nobody/models",
        code="brand_not_found",
    ),
    Bad(
        "an unknown model",
        404,
        method="GET",
        path="/ocpp/catalog/brands/abb/models/x",
        code="model_not_found",
    ),
    Bad("an unknown path", 404, method="GET", path="/ocpp/nothing", code="route_not_found"),
    Bad("an unknown method", 405, method="PATCH", path=CHARGERS, code="method_not_allowed"),
    Bad(
        "a body to stop that is no object",
        422,
        path=f"{NOBODY}/stop-charger",
        body=b"[1]",
        loc=["body"],
    ),
    Bad("an update of nobody", 404, method="PUT", path=NOBODY, body={}, code="charger_not_found"),
    Bad(
        "an update of the identity",
        422,
        method="PUT",
        path=NOBODY,
        body={"identity": "x"},
        loc=["body", "identity"],
    ),
    Bad(
        "two names",
        422,
        method="PUT",
        path=NOBODY,
        body={"name": "a", "charge_point_name": "b"},
        loc=["body", "charge_point_name"],
    ),
    Bad("a delete of nobody", 404, method="DELETE", path=NOBODY, code="charger_not_found"),
    Bad(
        "an empty idempotency key",
        400,
        body=ORDER,
        headers={"Idempotency-Key": ""},
        code="idempotency_key_invalid",
    ),
    Bad(
        "a long idempotency key",
        400,
        body=ORDER,
        headers={"Idempotency-Key": "k" * 256},
        code="idempotency_key_invalid",
    ),
]

CASES = [*BODIES, *TYPES, *FIELDS, *ADDRESSES, *ORDERS, *QUERIES, *PATHS]
