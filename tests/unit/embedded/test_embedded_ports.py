"""Which ports a gateway listens on."""

from __future__ import annotations

import socket

import pytest

from app.embedded.errors import PortTaken
from app.embedded.ports import choose_ports


def test_zero_means_free_ports_that_all_differ() -> None:
    ports = choose_ports({"api": 0, "link": 0, "flower": 0}, host="127.0.0.1")

    assert len(set(ports.values())) == 3
    assert all(ports.values())


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"Port {port} for link is in use .* --link-port"):
            choose_ports({"api": 0, "link": port}, host="127.0.0.1")


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(PortTaken, match=r"Cannot listen on 192\.0\.2\.1:0 for api"):
        choose_ports({"api": 0}, host="192.0.2.1")


def test_a_port_is_free_again_after_the_choice() -> None:
    port = choose_ports({"api": 0}, host="127.0.0.1")["api"]

    assert choose_ports({"api": port}, host="127.0.0.1") == {"api": port}
