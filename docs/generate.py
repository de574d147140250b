"""Writes the parts of the documentation that are made from code. `--check` only compares.

The lifecycle diagram in architecture.md comes from `app.lifecycle`, settings.md from the fields and `#:` comments
of `app.settings`, the tables of metrics.md from the metrics themselves and from the alert rules.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from app import lifecycle, metrics, settings
from app.link import metrics as link_metrics
from app.link.counters import Counters
from app.link.sessions import Registry
from app.store import gauges

DOCS = Path(__file__).parent
_INTRO = """# Settings

Made from `app/settings.py` by `python docs/generate.py`. Every name may end in `_FILE`: then the value is
read from the file that it names (secrets by file). All mistakes are reported together at the start of a program.

| variable | default | meaning |
|---|---|---|
"""
#: A template of Prometheus inside a sentence.
_LABEL = re.compile(r"\{\{[^}]*\}\}")
_UNSET = "none: made by `gateway up`, or given by you"
_DRIVERS = """
`GATEWAY_ECS_*` and `GATEWAY_DOCKER_*` are read by their drivers: see [ECS](ecs.md) and [Docker](docker.md).
`GATEWAY_DATA_DIR` (where `gateway up` keeps its data) and `GATEWAY_RUN_AS` (the account of its servers when
root starts it) are read before there are settings: see [embedded](embedded.md).
The simulator has settings of its own, `SIMULATOR_*`: `simulator/settings.py` lists them.
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


def list_metrics() -> str:
    """The table of every metric, by who answers it."""
    counted = [
        (
            f"`{one._name}{'_total' if one._type == 'counter' else ''}`",
            one._labelnames,
            one._documentation,
        )
        for one in vars(metrics).values()
        if isinstance(one, MetricWrapperBase)
    ]
    known = [(f"`{one.name}`", one.labels, one.meaning) for one in gauges.QUICK + gauges.SLOW]
    known.insert(0, ("`gateway_database_up`", (), "Whether the database answers."))
    carried = [
        (f"`gateway_link_{name}_total`", (), meaning)
        for name, meaning in link_metrics.COUNTED.items()
    ]
    collector = link_metrics.LinkMetrics(Counters(), Registry())
    carried += [
        (f"`{family.name}`", family._labelnames, family.documentation)
        for family in collector.collect()
        if family.type == "gauge"
    ]
    groups = {
        "What is (the API, from the database)": known,
        "What happened (the API and the workers)": counted,
        "The link": carried,
    }
    return "\n\n".join(
        f"### {title}\n\n| metric | labels | meaning |\n|---|---|---|\n"
        + "\n".join(
            f"| {name} | {' '.join(labels)} | {meaning} |" for name, labels, meaning in rows
        )
        for title, rows in groups.items()
    )


def list_alerts() -> str:
    """The table of every alert."""
    rules = yaml.safe_load((DOCS.parent / "deploy/prometheus/alerts.yml").read_text())
    rows = [
        f"| `{rule['alert']}` | {rule['labels']['severity']} | {rule.get('for', 'at once')} "
        f"| {_LABEL.sub('…', rule['annotations']['summary'])} |"
        for rule in rules["groups"][0]["rules"]
    ]
    return "| alert | severity | after | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def fill_metrics(page: str) -> str:
    """metrics.md with today's metrics and alerts."""
    for name, content in (("metrics", list_metrics()), ("alerts", list_alerts())):
        region = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
        page = re.sub(
            rf"<!-- {name} -->.*<!-- /{name} -->", lambda _, r=region: r, page, flags=re.S
        )
    return page


def make_pages() -> dict[Path, str]:
    """Each generated page and what it ought to say."""
    architecture, monitoring = DOCS / "architecture.md", DOCS / "metrics.md"
    return {
        architecture: draw_lifecycle(architecture.read_text()),
        monitoring: fill_metrics(monitoring.read_text()),
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
