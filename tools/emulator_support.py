"""`make emulator-support` writes the emulator's SUPPORT.md, from its tests.

emulators/firestore/support.toml has the rows, and names the tests that prove each of them. The page
needs their outcomes on both emulators, so it can be written only if the official one is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from firestore_emulator import launcher

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "emulators/firestore"
PAGE = PACKAGE / "SUPPORT.md"
TABLE = PACKAGE / "support.toml"
TESTS = ROOT / "tests/emulator"
STATES = ("yes", "partly", "no")

HEAD = """\
# Supported features

`make emulator-support` writes this page from the outcomes of the tests that each row names, on this
emulator and on Google's ({official}).
A test compares the page with them.

"yes": the tests pass. "no": the tests prove that it fails with an error. If a test is not for
Google's emulator, the column has the reason. "not compared": the tests run only on this emulator.

The tests ran on Linux. The README has the state of [other platforms](README.md#platforms).
"""


class SupportError(Exception):
    """The page cannot be written; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    section: str
    feature: str
    tests: tuple[str, ...]
    embedded: str = "yes"
    note: str = ""

    def __post_init__(self) -> None:
        if self.embedded not in STATES:
            raise SupportError(f"{self.feature}: embedded is one of {', '.join(STATES)}")
        if self.embedded == "partly" and not self.note:
            raise SupportError(f"{self.feature}: say in the note which part is missing")
        if not self.tests:
            raise SupportError(f"{self.feature}: name a test that proves it")


@dataclass(slots=True)
class Outcome:
    """Of a test with all its parameters, on one emulator."""

    passed: int = 0
    reasons: list[str] = field(default_factory=list)
    """Why it was skipped."""


Outcomes = Mapping[tuple[str, str], Outcome]
"""By the test, as a row names it, and "embedded" or "official"."""


def rows() -> list[Row]:
    table = tomllib.loads(TABLE.read_text())
    return [Row(**{**row, "tests": tuple(row["tests"])}) for row in table["row"]]


def path_of(test: str) -> Path:
    """The module of a test that a row names."""
    return (TESTS / test.partition("::")[0]).resolve()


def official_is_installed() -> bool:
    try:
        launcher.choose({**_environ(), "EMULATOR": "official"})
    except launcher.EmulatorNotFoundError:
        return False
    return True


def run_tests(proofs: Sequence[Row]) -> Outcomes:
    """Run the tests of all rows, on both emulators. Raises SupportError if one fails."""
    tests = {test for row in proofs for test in row.tests}
    node_ids = [f"{path_of(test)}::{test.partition('::')[2]}" for test in sorted(tests)]
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", *node_ids]
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=_environ(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SupportError(f"The tests of the page fail:\n{done.stdout}{done.stderr}")
        return read_report(report.read_text(), tests)


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in os.environ if name != "FIRESTORE_EMULATOR_HOST"}


def read_report(report: str, tests: Iterable[str]) -> Outcomes:
    """The outcomes in a JUnit report of pytest."""
    names = {}
    for test in tests:
        module = ".".join(path_of(test).relative_to(ROOT).with_suffix("").parts)
        names[module, test.partition("::")[2]] = test
    outcomes: defaultdict[tuple[str, str], Outcome] = defaultdict(Outcome)
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        name, _, parameters = case.attrib["name"].removesuffix("]").partition("[")
        emulator = "official" if parameters.split("-")[0] == "official" else "embedded"
        outcome = outcomes[names[case.attrib["classname"], name], emulator]
        skipped = case.find("skipped")
        if skipped is None:
            outcome.passed += 1
        elif (reason := skipped.attrib["message"]) not in outcome.reasons:
            outcome.reasons.append(reason)
    return outcomes


def embedded_cell(row: Row, outcomes: Outcomes) -> str:
    """The state of the row. Raises SupportError unless all its tests passed."""
    for test in row.tests:
        outcome = outcomes.get((test, "embedded"), Outcome())
        if outcome.reasons or not outcome.passed:
            why = "; ".join(outcome.reasons) or "there is no such test"
            raise SupportError(f"{row.feature}: {test} did not run on this emulator: {why}")
    return f"{row.embedded}: {row.note}" if row.note else row.embedded


def official_cell(row: Row, outcomes: Outcomes) -> str:
    found = [outcomes[test, "official"] for test in row.tests if (test, "official") in outcomes]
    if not found:
        return "not compared"
    reasons = list(dict.fromkeys(reason for each in found for reason in each.reasons))
    if not reasons:
        return "no" if row.embedded == "no" else "yes"
    state = "partly: " if any(each.passed for each in found) else ""
    return state + "; ".join(reasons)


def page(proofs: Sequence[Row], outcomes: Outcomes) -> str:
    official = tomllib.loads(TABLE.read_text())["official"]
    parts = [HEAD.format(official=official)]
    for section, members in groupby(proofs, key=lambda row: row.section):
        parts.append(f"\n## {section}\n\n")
        parts.append("| Feature | This emulator | Google's emulator | Tests |\n|---|---|---|---|\n")
        for row in members:
            cells = (row.feature, embedded_cell(row, outcomes), official_cell(row, outcomes))
            links = ", ".join(_link(test) for test in row.tests)
            parts.append(f"| {' | '.join(cells)} | {links} |\n")
    return "".join(parts)


def _link(test: str) -> str:
    path = os.path.relpath(path_of(test), PAGE.parent)
    return f"[{test.partition('::')[2].removeprefix('test_')}]({path})"


def main() -> None:
    if not official_is_installed():
        sys.exit(
            "The page compares with the official emulator. Install it first (EMULATOR=official)."
        )
    proofs = rows()
    try:
        PAGE.write_text(page(proofs, run_tests(proofs)))
    except SupportError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
