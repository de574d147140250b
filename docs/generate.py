"""Writes the parts of the documentation that are made from code. `--check` only compares.

The lifecycle diagram in architecture.md comes from `app.lifecycle`, settings.md from the fields and `#:` comments
of `app.settings`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from app import lifecycle, settings

DOCS = Path(__file__).parent
_INTRO = """# Settings

Made from `app/settings.py` by `python docs/generate.py`. Every name may end in `_FILE`: then the value is
read from the file that it names (secrets by file). All mistakes are reported together at the start of a program.

| variable | default | meaning |
|---|---|---|
"""
_UNSET = "none: made by `gateway up`, or given by you"
_DRIVERS = """
`GATEWAY_ECS_*` and `GATEWAY_DOCKER_*` are read by their drivers: see [ECS](ecs.md) and [Docker](docker.md).
The simulator has settings of its own, `SIMULATOR_*`: `gateway host --help`.
"""


def draw_lifecycle(page: str) -> str:
    """architecture.md with the diagram of today's transition table."""
    diagram = f"<!-- lifecycle -->\n```mermaid\n{lifecycle.draw()}\n```\n<!-- /lifecycle -->"
    return re.sub(r"<!-- lifecycle -->.*<!-- /lifecycle -->", lambda _: diagram, page, flags=re.S)


def list_settings() -> str:
    """settings.md."""
    source = Path(settings.__file__).read_text()
    lines = source.splitlines()
    rows = []
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for owner in reversed(classes):
        for field in (node for node in owner.body if isinstance(node, ast.AnnAssign)):
            name = ast.unparse(field.target)
            if name in ("engine", "ecs", "docker"):
                continue
            rows.append(
                f"| `GATEWAY_{name.upper()}` | {_show_default(field)} | {_read_comment(lines, field)} |"
            )
    return _INTRO + "\n".join(rows) + "\n" + _DRIVERS


def _show_default(field: ast.AnnAssign) -> str:
    if field.value is None or isinstance(field.value, ast.Call):
        return _UNSET
    value = ast.literal_eval(field.value)
    return f"`{value}`" if value not in ("", ()) else "empty"


def _read_comment(lines: list[str], field: ast.AnnAssign) -> str:
    """The `#:` lines right above a field."""
    words: list[str] = []
    line = field.lineno - 2
    while lines[line].strip().startswith("#:"):
        words.insert(0, lines[line].strip().removeprefix("#:").strip())
        line -= 1
    return " ".join(words)


def make_pages() -> dict[Path, str]:
    """Each generated page and what it ought to say."""
    architecture = DOCS / "architecture.md"
    return {
        architecture: draw_lifecycle(architecture.read_text()),
        DOCS / "settings.md": list_settings(),
    }


def main() -> int:
    """Write, or compare."""
    stale = [
        page for page, text in make_pages().items() if not page.exists() or page.read_text() != text
    ]
    if "--check" in sys.argv:
        sys.stdout.writelines(
            f"stale: {page.name}; run python docs/generate.py\n" for page in stale
        )
        return 1 if stale else 0
    for page, text in make_pages().items():
        page.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
