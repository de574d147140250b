"""CSMS addresses: which are read, and which hosts a list of patterns admits."""

from __future__ import annotations

import pytest

from app.errors import ForbiddenAddress, SettingsInvalid
from app.services.addresses import AllowList, CsmsAddress, read_ws_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://csms.example.com", CsmsAddress("ws", "csms.example.com", 80)),
        ("wss://csms.example.com/ocpp/", CsmsAddress("wss", "csms.example.com", 443)),
        ("WSS://CSMS.Example.COM:9000/a?b=c", CsmsAddress("wss", "csms.example.com", 9000)),
        ("ws://csms.example.com.:80", CsmsAddress("ws", "csms.example.com", 80)),
        ("ws://127.0.0.1:9000", CsmsAddress("ws", "127.0.0.1", 9000)),
        ("ws://[2001:db8::1]:9000/x", CsmsAddress("ws", "2001:db8::1", 9000)),
        ("ws://a@b.example.com".replace("a@", ""), CsmsAddress("ws", "b.example.com", 80)),
        ("ws://h/path@with:signs", CsmsAddress("ws", "h", 80)),
    ],
)
def test_a_good_address_is_read(url: str, expected: CsmsAddress) -> None:
    assert read_ws_url(url) == expected


@pytest.mark.parametrize(
    ("patterns", "url", "admitted"),
    [
        ([], "ws://anything.example.com", True),
        (["*"], "ws://10.0.0.1", True),
        (["csms.example.com"], "ws://csms.example.com:9000", True),
        (["csms.example.com"], "ws://CSMS.example.com.", True),
        (["CSMS.example.com"], "ws://csms.example.com", True),
        (["csms.example.com"], "ws://evil.example.com", False),
        (["csms.example.com"], "ws://csms.example.com.evil.org", False),
        (["csms.example.com:9000"], "ws://csms.example.com:9000", True),
        (["csms.example.com:443"], "wss://csms.example.com", True),
        (["csms.example.com:9000"], "ws://csms.example.com", False),
        (["*.example.com"], "ws://a.b.example.com", True),
        (["*.example.com"], "ws://example.com", False),
        (["*.example.com"], "ws://badexample.com", False),
        (["*.example.com:80"], "ws://a.example.com:81", False),
        (["10.0.0.0/8"], "ws://10.1.2.3:9000", True),
        (["10.0.0.0/8"], "ws://11.1.2.3", False),
        (["127.0.0.1"], "ws://127.0.0.1:1", True),
        (["10.0.0.0/8"], "ws://[::ffff:10.0.0.1]", True),
        (["2001:db8::/32"], "ws://[2001:db8::7]", True),
        (["2001:db8::/32"], "ws://[2001:db9::7]", False),
        (["[2001:db8::7]:9000"], "ws://[2001:db8::7]:9000", True),
        (["csms.example.com"], "ws://10.0.0.1", False),
        # Where a name leads is not known before DNS; the connection is judged again.
        (["10.0.0.0/8"], "ws://name.example.org", True),
        (["a.example.com", "10.0.0.0/8"], "ws://10.0.0.1", True),
    ],
)
def test_patterns_admit_what_they_say(patterns: list[str], url: str, admitted: bool) -> None:
    allowed = AllowList(patterns)
    if admitted:
        allowed.check(url)
    else:
        with pytest.raises(ForbiddenAddress) as refusal:
            allowed.check(url)
        assert refusal.value.code == "ws_url_forbidden"


@pytest.mark.parametrize(
    ("patterns", "host", "ip", "admitted"),
    [
        ([], "name.example.org", "10.0.0.1", True),
        (["10.0.0.0/8"], "name.example.org", "10.0.0.1", True),
        (["10.0.0.0/8"], "name.example.org", "169.254.169.254", False),
        (["*.example.org"], "name.example.org", "192.0.2.1", True),
        (["*.example.com"], "name.example.org", "192.0.2.1", False),
        (["fe80::/10"], "name.example.org", "fe80::1%eth0", True),
    ],
)
def test_a_connection_is_judged_by_where_the_name_led(
    patterns: list[str], host: str, ip: str, admitted: bool
) -> None:
    assert AllowList(patterns).admits_peer(host, 80, ip) is admitted


@pytest.mark.parametrize(
    "pattern", ["ws://h", "a b", "10.0.0.0/33", "h:0", "h:65536", "h:x", "*.", "**", "a.*.com", "/"]
)
def test_a_pattern_that_means_nothing_stops_the_program(pattern: str) -> None:
    with pytest.raises(SettingsInvalid) as mistake:
        AllowList([pattern])
    assert "GATEWAY_WS_ALLOW" in mistake.value.message
