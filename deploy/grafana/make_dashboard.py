"""Writes dashboards/gateway.json, the Grafana dashboard of the gateway; `--check` only compares.

`ROWS` is the dashboard: for each panel a title, a unit, and pairs of an expression and a legend. Gauges of the
database come from every replica of the API and are equal, hence max(); counters are summed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parent / "dashboards" / "gateway.json"
_SOURCE: Final = {"type": "prometheus", "uid": "gateway"}
_RANGE: Final = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """One panel. `kind` is Grafana's: stat, timeseries or bargauge; `width` of 24 columns."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    #: For a stat: from this value on it is red.
    red_from: float | None = None
    help: str = ""


def _chargers(by: str, where: str = "") -> str:
    every = "max by (status, desired_state, stage, verdict)"
    return f"sum by ({by}) ({every} (gateway_chargers{{{where}}}))"


def _count(where: str = "") -> str:
    return f"sum({_chargers('status', where)}) or vector(0)"


def _stat(title: str, expression: str, unit: str = "short", red_from: float | None = None) -> Panel:
    return Panel(title, ((expression, ""),), unit, "stat", 3, red_from=red_from)


def _rates(metric: str, *labels: str) -> tuple[str, str]:
    """The rate of a counter by labels, and a legend that shows them."""
    legend = " ".join("{{" + label + "}}" for label in labels)
    return f"sum by ({', '.join(labels)}) (rate({metric}{_RANGE}))", legend


def _quantile(share: float, metric: str, by: str, where: str = "") -> str:
    return (
        f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket{{{where}}}{_RANGE})))"
    )


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "At a glance",
        (
            _stat("Chargers", _count()),
            _stat("Online", _count('stage="online"')),
            _stat("Failed", _count('status="FAILED"'), red_from=1),
            _stat("Crash loops", _count('verdict="crash_loop"'), red_from=1),
            _stat(
                "Runs under way",
                "sum(max by (kind, step, phase) (gateway_active_runs)) or vector(0)",
            ),
            _stat("Longest wait", "max(gateway_oldest_due_run_seconds)", "s", red_from=60),
            _stat("Links alive", "max(gateway_links_alive)"),
            _stat("Database", "max(gateway_database_up)"),
        ),
    ),
    (
        "Chargers",
        (
            Panel("By status", ((_chargers("status"), "{{status}}"),), stacked=True),
            Panel("By stage", ((_chargers("stage"), "{{stage}}"),), stacked=True),
            Panel("By verdict", ((_chargers("verdict"), "{{verdict}}"),), stacked=True),
        ),
    ),
    (
        "Work",
        (
            Panel(
                "Runs under way, by step",
                (
                    (
                        "sum by (kind, step) (max by (kind, step, phase) (gateway_active_runs))",
                        "{{kind}}.{{step}}",
                    ),
                ),
                stacked=True,
            ),
            Panel(
                "Steps, by what came of them", (_rates("gateway_steps_total", "outcome"),), "ops"
            ),
            Panel(
                "Time of a step (95 %)",
                ((_quantile(0.95, "gateway_step_seconds", ", step"), "{{step}}"),),
                "s",
            ),
            Panel(
                "Waiting for a worker",
                (
                    ("max(gateway_due_runs)", "runs"),
                    ("max(gateway_expired_leases)", "expired leases"),
                ),
            ),
            Panel(
                "Oldest of its kind",
                (
                    ("max(gateway_oldest_due_run_seconds)", "due run"),
                    ("max(gateway_oldest_stop_seconds)", "stop"),
                ),
                "s",
            ),
            Panel(
                "Hints",
                (
                    (f"sum by (outcome) (rate(gateway_hints_total{_RANGE}))", "{{outcome}}"),
                    (f"sum(rate(gateway_hints_swept_total{_RANGE}))", "swept"),
                    (f"sum(rate(gateway_hints_stale_total{_RANGE}))", "stale"),
                ),
                "ops",
                help="Messages to the workers. Rows are the truth: a lost hint is swept up seconds later.",
            ),
            Panel(
                "Troubles, by code",
                (
                    (
                        f"sum by (step, code) (increase(gateway_step_troubles_total{_RANGE}))",
                        "{{step}}: {{code}}",
                    ),
                ),
                width=12,
            ),
            Panel(
                "Keeper",
                (
                    _rates("gateway_keeper_rounds_total", "thread", "outcome"),
                    (f"sum(rate(gateway_recoveries_total{_RANGE}))", "recoveries"),
                ),
                "ops",
                width=12,
            ),
        ),
    ),
    (
        "Runtimes",
        (
            Panel(
                "Alive, by provider",
                (
                    (
                        "sum by (provider) (max by (provider, state, asked_to_end) (gateway_runtimes))",
                        "{{provider}}",
                    ),
                ),
                stacked=True,
            ),
            Panel(
                "Driver calls",
                (_rates("gateway_driver_calls_total", "provider", "outcome"),),
                "ops",
            ),
            Panel(
                "Time of a driver call (95 %)",
                (
                    (
                        _quantile(0.95, "gateway_driver_call_seconds", ", provider, operation"),
                        "{{provider}} {{operation}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Driver troubles, by code",
                (
                    (
                        f"sum by (provider, code) (increase(gateway_driver_troubles_total{_RANGE}))",
                        "{{provider}}: {{code}}",
                    ),
                ),
            ),
            Panel(
                "Strays stopped",
                (
                    (
                        f"sum by (provider) (increase(gateway_strays_stopped_total{_RANGE}))",
                        "{{provider}}",
                    ),
                ),
            ),
            Panel(
                "Local hosts", (("max by (connected) (gateway_hosts)", "connected: {{connected}}"),)
            ),
        ),
    ),
    (
        "Link",
        (
            Panel(
                "Sessions and chargers",
                (
                    ("sum by (of) (gateway_link_sessions_open)", "sessions of a {{of}}"),
                    ("sum(gateway_link_chargers)", "chargers"),
                ),
            ),
            Panel(
                "Records and reports",
                (
                    (f"sum(rate(gateway_link_records_total{_RANGE}))", "records stored"),
                    (f"sum(rate(gateway_link_reports_total{_RANGE}))", "reports written"),
                    (f"sum(rate(gateway_link_commands_total{_RANGE}))", "commands given"),
                ),
                "ops",
            ),
            Panel(
                "What should stay at zero",
                (
                    ("sum(gateway_link_batches_waiting)", "batches waiting"),
                    (f"sum(increase(gateway_link_gaps_total{_RANGE}))", "frames given up"),
                    (
                        f"sum(increase(gateway_link_lost_total{_RANGE}))",
                        "records refused by PostgreSQL",
                    ),
                    (f"sum(increase(gateway_link_refused_total{_RANGE}))", "connections refused"),
                    (f"sum(increase(gateway_link_retries_total{_RANGE}))", "writes that waited"),
                ),
            ),
        ),
    ),
    (
        "API",
        (
            Panel(
                "Requests, by status",
                (_rates("gateway_http_requests_total", "status"),),
                "reqps",
                stacked=True,
            ),
            Panel(
                "Time to the answer",
                (
                    (_quantile(0.5, "gateway_http_request_seconds", ""), "50 %"),
                    (_quantile(0.95, "gateway_http_request_seconds", ""), "95 %"),
                    (_quantile(0.99, "gateway_http_request_seconds", ""), "99 %"),
                ),
                "s",
                help="Without the requests that asked to wait.",
            ),
            Panel(
                "Slowest routes (95 %)",
                (
                    (
                        f"topk(5, {_quantile(0.95, 'gateway_http_request_seconds', ', method, route')})",
                        "{{method}} {{route}}",
                    ),
                ),
                "s",
            ),
        ),
    ),
    (
        "Commands and data",
        (
            Panel(
                "Commands that have not ended",
                (("max by (state) (gateway_open_commands)", "{{state}}"),),
                stacked=True,
            ),
            Panel(
                "Commands kept, by what became of them",
                (("max by (state) (gateway_commands)", "{{state}}"),),
                kind="bargauge",
            ),
            Panel(
                "Runs kept",
                (("sum by (status) (max by (kind, status) (gateway_runs))", "{{status}}"),),
                kind="bargauge",
            ),
            Panel(
                "Size of tables",
                (("topk(8, max by (table) (gateway_table_bytes))", "{{table}}"),),
                "bytes",
            ),
            Panel(
                "Oldest frame, and the last housekeeping",
                (
                    ("max(gateway_oldest_frame_seconds)", "age of the oldest frame"),
                    (
                        "time() - max(gateway_housekeeping_timestamp_seconds)",
                        "since the last housekeeping",
                    ),
                ),
                "s",
            ),
            Panel(
                "Rows removed",
                (
                    (
                        f"sum by (table) (increase(gateway_housekeeping_rows_total{_RANGE}))",
                        "{{table}}",
                    ),
                ),
            ),
        ),
    ),
)


def render() -> str:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
                "panels": [],
            }
        )
        x, y, height = 0, y + 1, 4 if row[0].kind == "stat" else 8
        for panel in row:
            if x + panel.width > 24:
                x, y = 0, y + height
            position = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append(_render_panel(panel, len(panels) + 1, position))
            x += panel.width
        y += height
    board = {
        "uid": "charger-gateway",
        "title": "Charger gateway",
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels,
    }
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


def _render_panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    red = [] if panel.red_from is None else [{"color": "red", "value": panel.red_from}]
    custom = (
        {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {"fillOpacity": 5}
    )
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": _SOURCE,
        "gridPos": position,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": "green", "value": None}, *red],
                },
                **({"custom": custom} if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if panel.kind == "timeseries"
        else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def main(arguments: list[str]) -> int:
    """Write, or compare; the exit code."""
    made = render()
    if "--check" in arguments:
        return int(not TARGET.exists() or TARGET.read_text(encoding="utf-8") != made)
    TARGET.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
