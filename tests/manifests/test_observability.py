"""The dashboard, the alarms and their documentation name existing metrics and sections."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
import yaml
from local.stack import ROOT

from order_function.audit.__main__ import GRACE_SECONDS
from order_function.reconcile.sweep import Report

TELEMETRY = (ROOT / "functions/common/functions_common/observability/telemetry.py").read_text()
DOCS = (ROOT / "docs/operating.md").read_text()
LINE_OF_RECONCILE = (
    (ROOT / "docs/logs.md")
    .read_text()
    .partition("\n## The line of reconcile\n")[2]
    .split("\n## ")[0]
)
ALARMS = [
    rule
    for group in yaml.safe_load((ROOT / "observability/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "observability/grafana-dashboard.json").read_text())
QUERIES = [
    *(rule["expr"] for rule in ALARMS),
    *(target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])),
]


def exported() -> set[str]:
    """The functions' metrics, with Prometheus' names for OTLP."""
    made = re.findall(r'create_(histogram|counter)\(\s*"([a-z.]+)",\s*"([^"]+)"', TELEMETRY)
    assert len(made) == TELEMETRY.count(".create_") - 1, "the gauges of reconcile are one line"
    series = {
        "histogram": ("_seconds_bucket", "_seconds_count", "_seconds_sum"),
        "counter": ("_total",),
    }
    names = {name.replace(".", "_") + suffix for kind, name, _ in made for suffix in series[kind]}
    gauges = {field.name for field in fields(Report)} | {"finished_at"}
    return names | {f"shop_reconcile_{name}" for name in gauges}


def test_queried_metrics_are_exported() -> None:
    ours = {
        name
        for query in QUERIES
        for name in re.findall(r"\b(?:shop|faas|http_server)_[a-z_]+\b", query)
    }
    assert ours - exported() == set()
    assert len(ours) > 5


@pytest.mark.parametrize("rule", ALARMS, ids=lambda rule: str(rule["alert"]))
def test_each_alarm_is_explained(rule: dict[str, str | dict[str, str]]) -> None:
    name = str(rule["alert"])
    assert f"\n### {name}\n" in DOCS
    assert f"\n| {name} | " in DOCS, "and can be had from the logs"
    assert rule["annotations"]["runbook"] == f"docs/operating.md#{name.lower()}"  # type: ignore[index]


def test_explanation_belongs_to_an_alarm() -> None:
    explained = re.findall(r"^### (\w+)$", DOCS, re.MULTILINE)
    assert explained == [rule["alert"] for rule in ALARMS]


def test_every_member_of_the_line_of_reconcile_is_explained() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", LINE_OF_RECONCILE, re.MULTILINE)
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(explained) == sorted(field.name for field in fields(Report))


def test_alarm_age_is_above_the_grace_of_the_audit() -> None:
    ages = [rule["expr"] for rule in ALARMS if "oldest" in rule["expr"]]
    assert len(ages) == 2
    assert all(expression.endswith(f"> {GRACE_SECONDS}") for expression in ages)


def test_operating_names_existing_panels() -> None:
    named = re.findall(r"dashboard's \"([^\"]+)\"", " ".join(DOCS.split()))
    assert named
    assert set(named) <= {panel["title"] for panel in DASHBOARD["panels"]}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
