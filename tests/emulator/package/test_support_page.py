"""SUPPORT.md is what its tests prove."""

import pytest
from tools import emulator_support

pytestmark = pytest.mark.one_emulator


def test_page_is_written_from_the_outcomes_of_its_tests() -> None:
    rows = emulator_support.rows()
    outcomes = emulator_support.run_tests(rows)
    for row in rows:
        emulator_support.embedded_cell(row, outcomes)
    if not emulator_support.official_is_installed():
        pytest.skip("the official emulator is not installed: its column was not compared")
    written = emulator_support.page(rows, outcomes)
    assert emulator_support.PAGE.read_text() == written, "run `make emulator-support`"
