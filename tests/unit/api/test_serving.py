"""One line per request, whatever a client puts into it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.api.serving import make_options, render_line
from app.settings import Settings

LINE = {
    "timestamp": datetime(2026, 1, 1, 12, tzinfo=UTC),
    "method": "GET",
    "path": '/a\n"b"\x1b[31m',
    "status": 200,
    "ms": 1.5,
    "request_id": "r1",
}


def test_a_line_of_json_is_one_line() -> None:
    rendered = render_line(LINE, as_json=True)
    assert rendered.count(b"\n") == 1
    assert json.loads(rendered)["path"] == LINE["path"]


def test_a_line_of_text_is_one_line_without_controls() -> None:
    rendered = render_line(LINE, as_json=False)
    assert rendered.count(b"\n") == 1
    assert b"\x1b" not in rendered


@pytest.mark.parametrize(
    ("host", "bind"), [("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000"), ("h", "h:8000")]
)
def test_the_address_is_spelled_as_gunicorn_wants_it(host: str, bind: str) -> None:
    settings = Settings(
        database_url="", broker_url="", jwt_secrets={}, link_secret="", install_id="", api_host=host
    )
    options = make_options(settings)
    assert options["bind"] == bind
    assert options["threads"] == settings.api_threads
