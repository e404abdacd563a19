"""What `make` prints: its help, and what it says before it acts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from local.stack import ROOT

WIDEST = 100
TEXT = (ROOT / "Makefile").read_text()


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_is_grouped_and_aligned() -> None:
    lines = make("help").stdout.splitlines()
    targets = [line for line in lines if line.startswith("  ")]
    titles = [line for line in lines[1:] if line and not line.startswith("  ")]
    assert titles == ["Run it", "Test it", "Measure it", "Change it", "On a cluster"]
    (column,) = {len(re.match(r"  [a-z-]+ +", line)[0]) for line in targets}  # type: ignore[index]
    assert column == 26
    assert [line for line in lines if len(line) > WIDEST] == []


def test_help_lists_every_documented_target_once() -> None:
    documented = re.findall(r"^([a-z-]+):.*## ", TEXT, re.MULTILINE)
    shown = re.findall(r"^  ([a-z-]+) ", make("help").stdout, re.MULTILINE)
    assert shown == documented
    assert len(set(shown)) == len(shown)


def test_tag_is_latest_and_nothing_is_complained_about_without_git(tmp_path: Path) -> None:
    for name in ("make", "sh", "cksum", "cut", "echo"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    done = make("tag", PATH=str(tmp_path))
    assert (done.stdout, done.stderr, done.returncode) == ("latest\n", "", 0)


@pytest.mark.parametrize("target", ["deploy", "deploy-events", "seed", "test-cluster"])
def test_target_says_first_which_cluster_it_acts_on(target: str) -> None:
    commands = make("-n", target, "-o", ".venv/.dev").stdout.splitlines()
    assert commands[0].endswith("-m deployment.context")


def test_undeploy_checks_first_that_the_shop_is_there() -> None:
    """As a part of another target, too."""
    for level in ("0", "1"):
        commands = make(
            "-n", "--no-print-directory", "undeploy", MAKELEVEL=level
        ).stdout.splitlines()
        assert commands[0].endswith("-m deployment.context --delete")


def test_clean_checks_first_that_no_shop_runs() -> None:
    """It would delete the logs of the shop, and documents in .run."""
    commands = make("-n", "clean").stdout.splitlines()
    assert commands[0].endswith("-m local.running")
    assert commands[1].startswith("rm -rf ")


def test_installation_shows_its_progress() -> None:
    assert "pip install --quiet" not in TEXT
    assert TEXT.count("-m tools.install") >= 5
