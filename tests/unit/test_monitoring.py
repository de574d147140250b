"""Dashboard and alert rules speak of metrics that exist, and every alert is proved by a case that fires it."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
CASES = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
GRAFANA = ROOT / "deploy" / "grafana"

has_promtool = shutil.which("promtool") is not None
is_required = "promtool" in os.environ.get("GATEWAY_TEST_REQUIRE", "")
needs_promtool = pytest.mark.skipif(
    not has_promtool and not is_required,
    reason="not run: promtool (Debian's package prometheus has it)",
)


def _list_known() -> set[str]:
    """Names as they stand in an expression."""
    table = (ROOT / "docs" / "metrics.md").read_text()
    names = set(re.findall(r"^\| `(gateway_[a-z_]+)` \|", table, re.MULTILINE))
    # A histogram is asked by its parts.
    return names | {f"{name}_{part}" for name in names for part in ("bucket", "count", "sum")}


def _list_asked(expression: str) -> set[str]:
    return set(re.findall(r"\bgateway_[a-z_]+", expression))


def _read_rules() -> list[dict]:
    return list(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])


def test_every_alert_asks_for_metrics_that_exist() -> None:
    for rule in _read_rules():
        assert _list_asked(rule["expr"]) <= _list_known(), rule["alert"]


def test_every_alert_says_how_urgent_it_is_and_where_to_look() -> None:
    for rule in _read_rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith((".", "B.")), rule["alert"]
        assert rule["annotations"]["action"], rule["alert"]


def test_every_alert_has_a_case_that_fires_it_and_one_that_does_not() -> None:
    fired, quiet = set(), set()
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for check in case["alert_rule_test"]:
            (fired if check["exp_alerts"] else quiet).add(check["alertname"])
    names = {rule["alert"] for rule in _read_rules()}
    assert fired == quiet == names


@pytest.mark.promtool
@needs_promtool
def test_prometheus_itself_fires_each_alert_and_stays_quiet_when_all_is_well() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", CASES.name],
        cwd=CASES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.promtool
@needs_promtool
def test_prometheus_accepts_its_configuration_and_every_expression_of_the_dashboard(
    tmp_path: Path,
) -> None:
    configuration = RULES.with_name("prometheus.yml")
    recorded = tmp_path / "dashboard.yml"
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(_list_expressions())
    ]
    recorded.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    for argv in (["config", str(configuration)], ["rules", str(recorded)]):
        done = subprocess.run(
            ["promtool", "check", *argv], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _list_expressions() -> list[str]:
    board = json.loads((GRAFANA / "dashboards" / "gateway.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    for expression in _list_expressions():
        assert _list_asked(expression) <= _list_known(), expression


def test_the_dashboard_is_the_one_that_its_program_writes() -> None:
    made = runpy.run_path(str(GRAFANA / "make_dashboard.py"))["render"]()
    assert (GRAFANA / "dashboards" / "gateway.json").read_text() == made


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = set().union(*map(_list_asked, _list_expressions()))
    asked |= set().union(*(_list_asked(rule["expr"]) for rule in _read_rules()))
    base = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    table = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(gateway_[a-z_]+)` \|", table, re.MULTILINE))
    # Of these the page of metrics is enough: they explain others.
    rest = {name for name in documented - base if not name.startswith("gateway_link_")}
    assert rest <= {"gateway_table_rows"}
