"""A pytest plugin for the client's suite: all tests run, and the excluded ones must fail.

The suite skips some tests for every emulator, because the official one lacks their features. This
plugin removes the skips: only exclusions.toml excludes a test. An entry that names no test, or a
test that passes, is an error.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

EXCLUSIONS = Path(__file__).with_name("exclusions.toml")
SECONDS_TO_FAIL = 10  # some tests would wait a minute for an event that never comes


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = _reasons()
    for item in items:
        _unskip(item)
        for name in {item.nodeid, _without_parameters(item.nodeid)} & reasons.keys():
            item.add_marker(pytest.mark.xfail(reason=reasons[name], strict=True))
            item.add_marker(pytest.mark.timeout(SECONDS_TO_FAIL))
    if not config.getoption("keyword"):
        _check_names(reasons, items)


def _reasons() -> dict[str, str]:
    """Reasons by test name. A name without parameters in brackets covers all parameters."""
    groups = tomllib.loads(EXCLUSIONS.read_text())["excluded"]
    return {test: group["reason"] for group in groups for test in group["tests"]}


def _unskip(item: pytest.Item) -> None:
    item.own_markers = [mark for mark in item.own_markers if not mark.name.startswith("skip")]


def _check_names(reasons: Iterable[str], items: Iterable[pytest.Item]) -> None:
    known = {name for item in items for name in (item.nodeid, _without_parameters(item.nodeid))}
    unknown = sorted(set(reasons) - known)
    if unknown:
        raise pytest.UsageError(f"exclusions.toml names no test: {', '.join(unknown)}")


def _without_parameters(nodeid: str) -> str:
    return nodeid.partition("[")[0]
