"""The pages for people and for programs that read: all from this installation, none with a token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from app.api import pages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "decisions").mkdir()
    (tmp_path / "guide.md").write_text(
        "# The `guide`\n\nA <b>bold</b> | word\n\n<script>x</script>\n"
    )
    (tmp_path / "decisions" / "0001-why.md").write_text("# Why\n")
    (tmp_path.parent / "secret.md").write_text("# Secret\n")
    monkeypatch.setattr(pages.list_docs, "__defaults__", (tmp_path,))
    return tmp_path


def test_the_landing_page_leads_everywhere(app: Flask, folder: Path) -> None:
    page = app.test_client().get("/")
    assert page.mimetype == "text/html"
    for target in ("/docs", "/openapi.json", "/health/ready", "/llms.txt", "/docs/guide"):
        assert f'href="{target}"' in page.text
        assert app.test_client().get(target).status_code == 200


def test_pages_fetch_nothing_from_elsewhere(app: Flask, folder: Path) -> None:
    client = app.test_client()
    for path in ("/", "/docs", "/docs/guide", "/docs/assets/docs.js", "/docs/assets/docs.css"):
        page = client.get(path)
        assert page.status_code == 200
        assert not re.search(
            r"""(src|href|url|import|fetch)\s*[=(]?\s*["'(]?(https?:)?//""", page.text
        )
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for asset in re.findall(r'(?:src|href)="(/docs/assets/[^"]+)"', page.text):
            assert client.get(asset).status_code == 200


def test_a_guide_is_served_as_written_and_as_a_page(app: Flask, folder: Path) -> None:
    client = app.test_client()
    written = client.get("/docs/guide.md")
    assert written.mimetype == "text/markdown"
    assert written.text == (folder / "guide.md").read_text()
    shown = client.get("/docs/guide").text
    assert '<h1 id="the-guide">The <code>guide</code></h1>' in shown
    assert "<title>The guide" in shown
    assert "<script>x" not in shown
    assert client.get("/docs/decisions/0001-why").status_code == 200


def test_an_error_code_can_be_linked_to(app: Flask) -> None:
    assert 'id="csms_unreachable"' in app.test_client().get("/docs/errors").text


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret.md",
        "decisions/../../secret",
        "assets/../guide",
    ],
)
def test_only_pages_of_the_docs_are_served(name: str, app: Flask, folder: Path) -> None:
    answer = app.test_client().get(f"/docs/{name}")
    assert answer.status_code == 404
    assert "Secret" not in answer.text


def test_programs_find_every_page(app: Flask, folder: Path) -> None:
    client = app.test_client()
    index = client.get("/llms.txt").text
    assert "[The guide](/docs/guide.md)" in index
    assert "[Why](/docs/decisions/0001-why.md)" in index
    full = client.get("/llms-full.txt").text
    assert "# The `guide`" in full
    assert "# Why" in full


def test_the_api_is_documented_where_the_docs_are_not_installed(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.list_docs, "__defaults__", (tmp_path / "none",))
    client = app.test_client()
    for path in ("/", "/docs", "/llms.txt", "/llms-full.txt", "/openapi.json"):
        assert client.get(path).status_code == 200
