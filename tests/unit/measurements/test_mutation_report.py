"""The report of `make mutants` is current, and names what exists."""

from __future__ import annotations

from local.stack import ROOT
from tools.mutants.__main__ import FUNCTIONS
from tools.mutants.modules import MODULES
from tools.mutants.report import PAGE, document, equivalents, unused


def test_report_is_current() -> None:
    assert PAGE.read_text() == document(), "run `python -m tools.mutants.report` and commit"


def test_every_equivalent_change_was_found_and_has_a_reason() -> None:
    assert unused() == []
    assert [each for each in equivalents() if not each.reason.endswith(".")] == []


def test_modules_and_their_tests_exist() -> None:
    for module in MODULES:
        package = module.file.partition("/")[0]
        assert list((ROOT / FUNCTIONS[package]).glob(module.file)), module.file
        missing = [each for each in module.tests if not (ROOT / "tests/unit" / each).exists()]
        assert not missing
