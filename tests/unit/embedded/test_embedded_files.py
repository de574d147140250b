"""Small files of a data folder: secrets, tokens, state, logs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.embedded.children import ChildState
from app.embedded.credentials import Keyring, write_private
from app.embedded.logfiles import LogFile
from app.embedded.state import GatewayState, read_state, write_state
from app.embedded.tokenfiles import make_token, write_token
from app.errors import InvalidField
from app.tokens import Role, read_token

SECRETS = {"k1": "a-secret-that-is-long-enough-for-signing"}


def test_a_secret_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secret", "x")
    finally:
        os.umask(before)

    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_each_server_has_its_own_password(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)

    passwords = {keyring.get_password(server) for server in ("postgres", "valkey", "flower")}

    assert len(passwords) == 3
    assert keyring.get_password("valkey") in passwords


def test_a_token_file_holds_what_was_asked_for(tmp_path: Path) -> None:
    token = make_token(SECRETS, "acme", ttl_s=60, role="admin")

    path = write_token(tmp_path / "tokens", "acme", "admin", token)

    bearer = read_token(SECRETS, path.read_text())
    assert (bearer.organization_id, bearer.role) == ("acme", Role.ADMIN)
    assert path.name == "acme.admin"


def test_a_token_for_no_organization_is_refused() -> None:
    with pytest.raises(InvalidField):
        make_token(SECRETS, "../etc", ttl_s=60)


def test_the_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    state = GatewayState(
        pid=1,
        phase="running",
        started_at=2.0,
        data="/d",
        logs="/l",
        run="/r",
        base_url="http://a",
        api_address="http://b",
        link_url="ws://c",
        flower_url=None,
        token_file=None,
        runtime="local",
        embedded=("postgres",),
        children=(ChildState("api", "running", 3, 4.0, 5),),
    )

    write_state(tmp_path / "state.json", state)

    assert read_state(tmp_path / "state.json") == state


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"children": [], "embedded": []}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)

    assert read_state(tmp_path / "state.json") is None


class TestLogFile:
    """Lines of a child, however they come."""

    def test_pieces_become_lines(self, tmp_path: Path) -> None:
        seen: list[tuple[str, str]] = []
        log = LogFile(tmp_path, "api", lambda name, line: seen.append((name, line)))

        for piece in (b"one\ntw", b"o\r\nthr", b"ee"):
            log.feed(piece)
        log.flush()
        log.close()

        assert seen == [("api", "one"), ("api", "two"), ("api", "three")]
        assert (tmp_path / "api.log").read_text() == "one\ntwo\nthree\n"

    def test_bytes_that_are_no_text_stay_readable(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path, "api")

        log.feed(b"caf\xc3\xa9 \xff\n")
        log.close()

        assert log.get_last_lines() == ["café \\xff"]

    def test_a_line_without_end_is_cut(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path, "api")

        for _ in range(4):
            log.feed(b"x" * 50_000)
        log.close()

        assert max(map(len, log.get_last_lines())) <= 120_000
        assert (tmp_path / "api.log").stat().st_size > 100_000

    def test_old_logs_are_limited(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path, "api")

        for _ in range(60):
            log.feed(b"x" * 999_999 + b"\n")
        log.close()

        sizes = [path.stat().st_size for path in tmp_path.iterdir()]
        assert len(sizes) == 4
        assert max(sizes) <= 10_000_000

    def test_a_percent_sign_is_a_percent_sign(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path, "api")

        log.feed(b"100 %s of %d\n")
        log.close()

        assert (tmp_path / "api.log").read_text() == "100 %s of %d\n"
