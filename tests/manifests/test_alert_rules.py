"""The alarms in promtool, which runs the cases of observability/alerts.test.yaml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from local.stack import ROOT

FOLDER = ROOT / "observability"
RULES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
CASES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text())
ALARMS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not on this machine (Debian: apt install prometheus)",
)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def expectations(alarm: str) -> list[bool]:
    """For each case of the alarm, whether it is to fire."""
    return [
        bool(case.get("exp_alerts"))
        for test in CASES["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alarm
    ]


@pytest.mark.parametrize("alarm", ALARMS)
def test_alarm_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alarm: str) -> None:
    assert set(expectations(alarm)) == {True, False}


def test_cases_are_of_existing_alarms() -> None:
    named = {case["alertname"] for test in CASES["tests"] for case in test["alert_rule_test"]}
    assert named == set(ALARMS)


@needs_promtool
def test_prometheus_accepts_the_rules() -> None:
    done = promtool("check", "rules", FOLDER / "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALARMS)} rules found" in done.stdout


@needs_promtool
def test_alarms_fire_in_their_cases_only() -> None:
    done = promtool("test", "rules", FOLDER / "alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("expression", ["vector(1) < 0", "vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("alarm", ALARMS)
def test_cases_fail_when_the_alarm_fires_never_or_always(
    alarm: str, expression: str, tmp_path: Path
) -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == alarm:
                rule["expr"] = expression
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(FOLDER / "alerts.test.yaml", tmp_path)
    done = promtool("test", "rules", tmp_path / "alerts.test.yaml")
    assert done.returncode == 1
    assert f"alertname: {alarm}" in done.stdout + done.stderr
