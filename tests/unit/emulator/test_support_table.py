"""The table of supported features names every RPC, and only tests that exist."""

import re
from typing import Any

import pytest
from tools import emulator_support
from tools.emulator_support import Outcome, Row, SupportError

from firestore_emulator.dispatch.request_types import REQUEST_TYPES

TEST = "api/test_x.py::test_it"
OTHER = "api/test_x.py::test_other"
ROW = Row("Queries", "Joins", (TEST, OTHER))
PASSED = {(TEST, "embedded"): Outcome(2), (OTHER, "embedded"): Outcome(1)}

REPORT = """<testsuites><testsuite>
<testcase classname="tests.emulator.api.test_x" name="test_it[embedded-a-b]" />
<testcase classname="tests.emulator.api.test_x" name="test_it[embedded-c]" />
<testcase classname="tests.emulator.api.test_x" name="test_it[official-a-b]" />
<testcase classname="tests.emulator.api.test_x" name="test_it[official-c]">
<skipped message="it joins nothing" /></testcase>
<testcase classname="tests.emulator.api.test_x" name="test_other" />
</testsuite></testsuites>"""


def test_every_rpc_has_a_row() -> None:
    listed = {row.feature for row in emulator_support.rows() if row.section == "RPCs"}
    assert set(REQUEST_TYPES) - listed == set()


def test_every_named_test_exists() -> None:
    for row in emulator_support.rows():
        for test in row.tests:
            text = emulator_support.path_of(test).read_text()
            name = test.partition("::")[2]
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), test


def test_features_are_listed_once_and_sections_are_together() -> None:
    rows = emulator_support.rows()
    assert len({(row.section, row.feature) for row in rows}) == len(rows)
    sections = [row.section for row in rows]
    assert sections == sorted(sections, key=sections.index)


def test_page_has_the_rows_of_the_table() -> None:
    text = emulator_support.PAGE.read_text()
    section = ""
    listed = []
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| Feature |"):
            feature, embedded = line.split(" | ")[:2]
            listed.append((section, feature.removeprefix("| "), embedded))
    assert listed == [
        (row.section, row.feature, f"{row.embedded}: {row.note}" if row.note else row.embedded)
        for row in emulator_support.rows()
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"embedded": "maybe"}, "embedded is one of yes, partly, no"),
        ({"embedded": "partly"}, "which part is missing"),
        ({"tests": ()}, "name a test"),
    ],
)
def test_incomplete_row_is_rejected(row: dict[str, Any], message: str) -> None:
    complete: dict[str, Any] = {"section": "Queries", "feature": "Joins", "tests": (TEST,)}
    with pytest.raises(SupportError, match=message):
        Row(**complete | row)


def test_report_is_read_by_test_and_emulator() -> None:
    assert emulator_support.read_report(REPORT, [TEST, OTHER]) == {
        (TEST, "embedded"): Outcome(2),
        (TEST, "official"): Outcome(1, ["it joins nothing"]),
        (OTHER, "embedded"): Outcome(1),
    }


@pytest.mark.parametrize(
    ("official", "cell"),
    [
        ({}, "not compared"),
        ({(TEST, "official"): Outcome(1)}, "yes"),
        ({(TEST, "official"): Outcome(0, ["it has none"])}, "it has none"),
        ({(TEST, "official"): Outcome(1, ["it has one"])}, "partly: it has one"),
        (
            {(TEST, "official"): Outcome(1), (OTHER, "official"): Outcome(0, ["a", "b"])},
            "partly: a; b",
        ),
    ],
)
def test_official_cell_has_the_reasons_of_skipped_tests(
    official: dict[tuple[str, str], Outcome], cell: str
) -> None:
    assert emulator_support.official_cell(ROW, official) == cell


def test_official_cell_is_no_if_the_tests_of_a_missing_feature_pass() -> None:
    row = Row("Queries", "Joins", (TEST,), embedded="no")
    assert emulator_support.official_cell(row, {(TEST, "official"): Outcome(1)}) == "no"


def test_embedded_cell_needs_tests_that_passed() -> None:
    assert emulator_support.embedded_cell(ROW, PASSED) == "yes"
    with pytest.raises(SupportError, match="there is no such test"):
        emulator_support.embedded_cell(ROW, {(TEST, "embedded"): Outcome(1)})
    skipped = {**PASSED, (OTHER, "embedded"): Outcome(1, ["too slow"])}
    with pytest.raises(SupportError, match="did not run on this emulator: too slow"):
        emulator_support.embedded_cell(ROW, skipped)
