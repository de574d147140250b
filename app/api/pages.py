"""Pages for people and for programs that read: `/`, `/docs`, `/openapi.json`, `/llms.txt`, the docs as Markdown.

Everything is served from this installation: assets are in `app/api/assets`, the docs in the project's `docs`
folder. Where that folder was not installed, the API's own page is still there and the rest says so with 404.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import orjson
from flask import Blueprint, Response, abort, current_app
from markdown_it import MarkdownIt
from markupsafe import escape

from app.api.openapi import render

DOCS: Final = Path(__file__).parents[2] / "docs"
ASSETS: Final = Path(__file__).parent / "assets"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
#: Nothing from elsewhere, no inline script.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")

blueprint = Blueprint("pages", __name__)


def list_docs(folder: Path = DOCS) -> dict[str, Path]:
    """The docs pages by name (`link`, `decisions/0001-...`), in order; empty where there are none."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*.md"))
    }


def read_title(page: Path) -> str:
    """The first heading of a page, as plain words."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].replace("`", "") if found else page.stem


#: A link to another page: served as HTML it has no `.md`, so that its headings can be linked to.
_PAPER: Final = re.compile(r"^([\w/-]+)\.md(?=$|#)")


def render_markdown(text: str) -> str:
    """HTML of a page; each heading can be linked to by its words, as `#csms_unreachable`."""
    tokens = _MARKDOWN.parse(text)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = re.sub(r"[^\w\s-]", "", inline.content.lower())
            opening.attrSet("id", re.sub(r"\s+", "-", words.strip()))
    for link in (child for token in tokens for child in token.children or ()):
        if link.type == "link_open":
            link.attrSet("href", _PAPER.sub(r"\1", str(link.attrGet("href"))))
    rendered: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return rendered


def _send(content: str | bytes, kind: str) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response(content, 200, headers, mimetype=kind)


def _fill(title: str, content: str) -> Response:
    frame = (ASSETS / "page.html").read_text(encoding="utf-8")
    return _send(
        frame.replace("{{title}}", str(escape(title))).replace("{{content}}", content), "text/html"
    )


@cache
def _asset(name: str) -> bytes:
    return (ASSETS / name).read_bytes()


@blueprint.get("/")
def index() -> Response:
    """What this is, and where to go."""
    docs = list_docs()
    items = "".join(
        f'<li><a href="/docs/{escape(name)}">{escape(read_title(path))}</a></li>'
        for name, path in docs.items()
    )
    links = f"<h2>Guides</h2><ul>{items}</ul>" if items else ""
    text = (ASSETS / "index.html").read_text(encoding="utf-8")
    return _fill("Charger Gateway", text.replace("{{guides}}", links))


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The API as an OpenAPI 3.1 document."""
    document: bytes | None = current_app.extensions.get("openapi")
    if document is None:
        document = orjson.dumps(render(current_app))
        current_app.extensions["openapi"] = document
    return _send(document, "application/json")


@blueprint.get("/docs")
def docs() -> Response:
    """The API for people; it reads `/openapi.json`."""
    return _send(_asset("docs.html"), "text/html")


@blueprint.get("/docs/assets/<name>")
def asset(name: str) -> Response:
    """A script or a style sheet of ours."""
    if name not in {path.name for path in ASSETS.iterdir()}:
        abort(404, "No such asset.")
    return _send(_asset(name), _TYPES[Path(name).suffix])


@blueprint.get("/docs/images/<name>")
def picture(name: str) -> Response:
    """A picture of the docs."""
    found = {path.name: path for path in (DOCS / "images").glob("*.png")}.get(name)
    if found is None:
        abort(404, "No such picture.")
    return _send(found.read_bytes(), "image/png")


@blueprint.get("/docs/<path:name>")
def guide(name: str) -> Response:
    """A page of the docs; with `.md` as it was written."""
    page = list_docs().get(name.removesuffix(".md"))
    if page is None:
        abort(404, "No such page.")
    text = page.read_text(encoding="utf-8")
    if name.endswith(".md"):
        return _send(text, "text/markdown")
    return _fill(read_title(page), f"<article>{render_markdown(text)}</article>")


@blueprint.get("/llms.txt")
def llms() -> Response:
    """An index of the docs for programs that read (llmstxt.org)."""
    lines = [
        "# Charger Gateway",
        "",
        "> Self-hosted gateway that provisions simulated EV chargers on demand over a REST API.",
        "",
        "## Docs",
        "",
        "- [OpenAPI](/openapi.json): every operation, with schemas and examples",
        *(f"- [{read_title(path)}](/docs/{name}.md)" for name, path in list_docs().items()),
        "",
    ]
    return _send("\n".join(lines), "text/plain")


@blueprint.get("/llms-full.txt")
def llms_full() -> Response:
    """Every page of the docs in one text."""
    texts = [path.read_text(encoding="utf-8").rstrip() for path in list_docs().values()]
    return _send("\n\n---\n\n".join(texts) + "\n", "text/plain")
