"""Chargers over real sockets against the strict CSMS: coming online, and every way of not getting there."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from simulator.csms import Csms
from simulator.rpc import Answer, Failure
from tests.link_gateway import GatewayLink, in_event_loop, make_config, running_host

VERSIONS = ("OCPP1.6", "OCPP2.0.1")
versions = pytest.mark.parametrize("version", VERSIONS)


class Yard:
    """A gateway, a host and a CSMS, all real."""

    def __init__(self, gateway: GatewayLink, csms: Csms) -> None:
        self.gateway = gateway
        self.csms = csms

    async def add(self, charger: str, identity: str, incarnation: int = 1, **changes: Any) -> None:
        url = changes.pop("ws_url", self.csms.url)
        await self.gateway.add(charger, make_config(url, identity, **changes), incarnation)

    async def state(self, charger: str, **wanted: Any) -> dict[str, Any]:
        """The first `state` whose fields or detail are these."""

        def find() -> list[dict[str, Any]]:
            return [
                message
                for message in self.gateway.told("state", charger)
                if all({**message["detail"], **message}.get(k) == v for k, v in wanted.items())
            ]

        await self.gateway.wait_for(find)
        return find()[0]


@contextlib.asynccontextmanager
async def yard(**settings: Any) -> AsyncIterator[Yard]:
    csms = Csms(interval_s=1)
    await csms.start()
    try:
        async with GatewayLink() as gateway, running_host(gateway, **settings):
            await gateway.wait_for(lambda: gateway.is_linked)
            yield Yard(gateway, csms)
    finally:
        await csms.stop()


@versions
@in_event_loop
async def test_a_charger_comes_online_beats_and_leaves_with_1000(version: str) -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ocpp_version=version)
        await it.csms.wait_for(lambda: it.csms.seen("CP-1", "Heartbeat"))
        subprotocol = {"OCPP1.6": "ocpp1.6", "OCPP2.0.1": "ocpp2.0.1"}[version]
        assert it.csms.sockets[0].subprotocol == subprotocol
        assert it.csms.seen("CP-1", "StatusNotification")
        assert it.gateway.stages("dep-1") == ["connecting", "registering", "online"]
        await it.gateway.drop("dep-1")
        await it.gateway.wait_for(lambda: it.gateway.told("dropped", "dep-1"))
        await it.csms.wait_for(lambda: it.csms.sockets[0].closed_at)
        assert it.csms.sockets[0].close_code == 1000
        assert it.csms.offences == []


@in_event_loop
async def test_the_identity_is_percent_encoded_in_the_path_and_the_query_kept() -> None:
    paths: list[str] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.wait_closed()

    async with (
        yard() as it,
        serve(note, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as s,
    ):
        port = next(iter(s.sockets)).getsockname()[1]
        await it.add("dep-1", "CP@1|x", ws_url=f"ws://127.0.0.1:{port}/a/b?tenant=t%201&x=2")
        await it.state("dep-1", stage="registering")
        assert paths == ["/a/b/CP%401%7Cx?tenant=t%201&x=2"]


@pytest.mark.parametrize(
    ("manners", "error", "definite", "verdict"),
    [
        ({"upgrade": "401"}, "http", True, "csms_rejected"),
        ({"upgrade": "403"}, "http", True, "csms_rejected"),
        ({"upgrade": "404"}, "http", True, "csms_rejected"),
        ({"upgrade": "503"}, "http", False, "csms_unreachable"),
        ({"upgrade": "drop"}, "closed", False, "csms_unreachable"),
        ({"upgrade": "never"}, "timeout", False, "csms_unreachable"),
        ({"subprotocol": ""}, "subprotocol", True, "csms_rejected"),
        ({"subprotocol": "ocpp2.0.1"}, "subprotocol", True, "csms_rejected"),
        ({"boot": "rejected"}, "boot_rejected", True, "csms_rejected"),
    ],
)
@in_event_loop
async def test_a_refusal_is_told_with_its_kind_and_tried_again_until_it_ends(
    manners: dict[str, Any], error: str, definite: bool, verdict: str
) -> None:
    async with yard() as it:
        it.csms.behave("CP-1", **manners)
        clocks = {"reconnect_min_s": 0.02, "reconnect_max_s": 0.05, "open_timeout_s": 0.3}
        await it.add("dep-1", "CP-1", settings=clocks)
        state = await it.state("dep-1", error=error)
        assert state["verdict"] == verdict
        assert state["detail"]["definite"] is definite
        assert state["detail"]["message"].endswith(".")
        if error == "http":
            assert state["detail"]["http_status"] == int(manners["upgrade"])
        if error == "subprotocol":
            assert state["detail"]["subprotocol"] == manners["subprotocol"]

        def told() -> list[Any]:
            return [m for m in it.gateway.told("state") if m["detail"].get("error") == error]

        await it.gateway.wait_for(lambda: len(told()) >= 3)
        it.csms.behave("CP-1", upgrade="accept", subprotocol=None, boot="accepted")
        await it.state("dep-1", stage="online")


@in_event_loop
async def test_an_address_where_nobody_listens_is_refused_in_plain_words() -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ws_url="ws://127.0.0.1:1/")
        state = await it.state("dep-1", error="refused")
        assert state["detail"]["message"] == "Nothing listens at 127.0.0.1:1."


@in_event_loop
async def test_a_host_name_that_does_not_exist_is_a_matter_of_dns() -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ws_url="ws://no-such-host.invalid/")
        state = await it.state("dep-1", error="dns")
        assert "no-such-host.invalid" in state["detail"]["message"]


@in_event_loop
async def test_localhost_in_a_container_is_explained() -> None:
    async with yard(in_container=True) as it:
        await it.add("dep-1", "CP-1", ws_url="ws://localhost:1/")
        state = await it.state("dep-1", error="refused")
        assert "container itself" in state["detail"]["message"]


@in_event_loop
async def test_a_host_outside_the_operators_list_is_never_dialled() -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ws_allow=["csms.example", "10.0.0.0/8"])
        state = await it.state("dep-1", error="not_allowed")
        assert state["detail"]["definite"] is True
        assert it.csms.attempts == {}
        await it.add("dep-2", "CP-2", ws_allow=["127.0.0.0/8"])
        await it.state("dep-2", stage="online")


@in_event_loop
async def test_pending_boots_again_until_accepted_and_nothing_else_is_sent_before() -> None:
    async with yard() as it:
        it.csms.behave("CP-1", boot="pending:2", retry_s=1)
        await it.add("dep-1", "CP-1")
        state = await it.state("dep-1", boot_status="Pending")
        assert (state["stage"], state["verdict"]) == ("registering", "starting")
        await it.state("dep-1", stage="online")
        assert len(it.csms.seen("CP-1", "BootNotification")) == 3
        assert it.csms.offences == []


@pytest.mark.parametrize("profile", [1, 2])
@in_event_loop
async def test_security_profiles_with_basic_send_the_password(profile: int) -> None:
    async with yard() as it:
        it.csms.behave(password="sixteen-chars-pw")
        await it.add("dep-1", "CP-1", security_profile=profile, authorization_key="wrong-one")
        assert (await it.state("dep-1", error="http"))["detail"]["http_status"] == 401
        await it.add(
            "dep-2", "CP-2", security_profile=profile, authorization_key="sixteen-chars-pw"
        )
        await it.state("dep-2", stage="online")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, certificate


@in_event_loop
async def test_a_private_authority_is_trusted_by_its_file_and_else_refused(tmp_path: Path) -> None:
    key, certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    opened = asyncio.Event()

    async def note(connection: ServerConnection) -> None:
        opened.set()
        await connection.wait_closed()

    async with serve(
        note, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], ssl=tls
    ) as server:
        url = f"wss://localhost:{next(iter(server.sockets)).getsockname()[1]}/"
        async with yard() as it:
            await it.add("dep-1", "CP-1", ws_url=url)
            state = await it.state("dep-1", error="tls")
            assert "GATEWAY_CA_FILE" in state["detail"]["message"]
            assert not opened.is_set()
        async with yard(ca_file=certificate) as it:
            await it.add("dep-1", "CP-1", ws_url=url)
            await it.state("dep-1", stage="registering")


@versions
@in_event_loop
async def test_a_dropped_connection_comes_back_without_a_new_boot(version: str) -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ocpp_version=version)
        await it.state("dep-1", stage="online")
        await it.csms.drop("CP-1", 1012)
        state = await it.state("dep-1", stage="offline")
        assert state["detail"]["close_code"] == 1012
        await it.csms.wait_for(lambda: len(it.csms.sockets) == 2)
        await it.csms.wait_for(lambda: len(it.csms.seen("CP-1", "Heartbeat")) >= 2)
        assert len(it.csms.seen("CP-1", "BootNotification")) == 1
        assert it.csms.overlaps() == []
        assert it.csms.offences == []


@in_event_loop
async def test_a_csms_that_stops_answering_pings_is_left_and_found_again() -> None:
    silent: list[asyncio.Transport] = []

    async def freeze(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        silent.append(connection.transport)
        await connection.wait_closed()

    async with (
        yard() as it,
        serve(
            freeze, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], ping_interval=None
        ) as server,
    ):
        port = next(iter(server.sockets)).getsockname()[1]
        clocks = {"ping_interval_s": 0.1, "reconnect_min_s": 0.02, "reconnect_max_s": 0.05}
        await it.add("dep-1", "CP-1", ws_url=f"ws://127.0.0.1:{port}/", settings=clocks)
        state = await it.state("dep-1", error="timeout")
        assert "ping" in state["detail"]["message"]
        await it.gateway.wait_for(lambda: it.gateway.stages("dep-1").count("registering") >= 2)
        for transport in silent:
            transport.abort()


@versions
@in_event_loop
async def test_reset_over_the_wire_closes_and_boots_with_one_socket_at_a_time(version: str) -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ocpp_version=version, settings={"reboot_s": 0.1})
        await it.state("dep-1", stage="online")
        kind = "Soft" if version == "OCPP1.6" else "Immediate"
        answer = await it.csms.send("CP-1", "Reset", {"type": kind})
        assert isinstance(answer, Answer)
        assert answer.payload == {"status": "Accepted"}
        await it.csms.wait_for(lambda: len(it.csms.seen("CP-1", "BootNotification")) == 2)
        await it.csms.wait_for(lambda: len(it.csms.seen("CP-1", "Heartbeat")) >= 1)
        assert it.csms.overlaps() == []
        assert it.csms.offences == []


@versions
@in_event_loop
async def test_nonsense_from_the_csms_is_survived_and_logged(version: str) -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1", ocpp_version=version)
        await it.state("dep-1", stage="online")
        for text in ("nonsense", "[]", '[3,"x",{}]', '[2,"m","Nope",{}]', '{"a":1}', "[9]"):
            await it.csms.send_text("CP-1", text)
        answer = await it.csms.send("CP-1", "DataTransfer", {"vendorId": "x"})
        assert isinstance(answer, Answer)
        assert isinstance(await it.csms.send("CP-1", "MakeCoffee", {}), Failure)
        await it.gateway.wait_for(
            lambda: [r for r in it.gateway.records("frames", "dep-1") if r[6] == "nonsense"]
        )
        kinds = {event[4] for event in it.gateway.records("events", "dep-1")}
        assert {"frame_broken", "answer_unknown"} <= kinds
        assert len(it.csms.sockets) == 1


@in_event_loop
async def test_long_and_fragmented_messages_arrive_whole() -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1")
        await it.state("dep-1", stage="online")
        data = "ü" * 150_000
        frame = f'[2,"big","DataTransfer",{{"vendorId":"x","data":"{data}"}}]'
        connection = it.csms._open["CP-1"][-1]
        await connection.send([frame[:1000], frame[1000:70_000], frame[70_000:]])
        await it.csms.wait_for(lambda: [f for f in it.csms.seen("CP-1") if '[3,"big"' in f.text])
        assert len(it.csms.sockets) == 1


@in_event_loop
async def test_a_message_over_the_limit_ends_the_connection_and_the_charger_returns() -> None:
    async with yard() as it:
        await it.add("dep-1", "CP-1")
        await it.state("dep-1", stage="online")
        await it.csms.send_text("CP-1", "x" * (1024 * 1024 + 1))
        await it.csms.wait_for(lambda: len(it.csms.sockets) == 2)
        assert it.csms.sockets[0].close_code == 1009


@in_event_loop
async def test_hundreds_of_chargers_open_no_more_connections_at_once_than_allowed() -> None:
    opening = 0
    most = 0

    class Slow(Csms):
        async def _process_request(self, connection: Any, request: Any) -> Any:
            nonlocal opening, most
            opening += 1
            most = max(most, opening)
            await asyncio.sleep(0.01)
            opening -= 1
            return await super()._process_request(connection, request)

    csms = Slow(interval_s=100)
    await csms.start()
    async with GatewayLink() as gateway, running_host(gateway, openings=5):
        await gateway.wait_for(lambda: gateway.is_linked)
        for number in range(60):
            await gateway.add(f"dep-{number}", make_config(csms.url, f"CP-{number}"))
        await csms.wait_for(lambda: len(csms.accepted()) == 60)
        assert most <= 5
        assert csms.offences == []
    await csms.stop()
