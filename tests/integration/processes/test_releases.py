"""The previous release, which a soak starts from git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.processes import releases
from support.processes.releases import ReleaseNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

CHANGELOG = """# Changelog

## [Unreleased]

## [0.1.0] - 2026-01-02
"""


class Repository:
    """Its only file in ``functions`` has the number of the commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "functions").mkdir(parents=True)
        (folder / "CHANGELOG.md").write_text(CHANGELOG)
        self.git("init", "--quiet")

    def git(self, *arguments: str, **variables: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
        environment = {**os.environ, **variables}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, number: int, day: str) -> str:
        (self.folder / "functions/number").write_text(str(number))
        self.git("add", ".")
        at = f"2026-01-{day}T12:00:00Z"
        self.git("commit", "--quiet", "-m", day, GIT_COMMITTER_DATE=at, GIT_AUTHOR_DATE=at)
        return self.git("rev-parse", "--short", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.delenv("PREVIOUS", raising=False)
    return Repository(tmp_path / "repository")


def previous(repository: Repository, tmp_path: Path) -> tuple[str, str]:
    """The name of the release, and the number in its code."""
    found = releases.previous(tmp_path / "code", repository.folder)
    return found.name, (found.root / "functions/number").read_text()


def test_previous_release_is_the_newest_tag_before_this_commit(
    repository: Repository, tmp_path: Path
) -> None:
    for number, tag in enumerate(("v0.1.0", "v0.2.0", "emulator-v9", "v0.3.0")):
        commit = repository.commit(number, "02")
        repository.git("tag", tag)
        if tag == "v0.2.0":
            expected = f"v0.2.0 ({commit})"
    assert previous(repository, tmp_path) == (expected, "1")


def test_previous_release_is_of_the_day_in_the_changelog_when_there_is_no_tag(
    repository: Repository, tmp_path: Path
) -> None:
    commits = [repository.commit(n, day) for n, day in enumerate(("01", "02", "02", "03"))]
    assert previous(repository, tmp_path) == (commits[2], "2")


def test_previous_release_is_the_given_one(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.commit(0, "02")
    repository.git("tag", "v0.1.0")
    repository.commit(1, "03")
    repository.commit(2, "04")
    monkeypatch.setenv("PREVIOUS", "HEAD~2")
    assert previous(repository, tmp_path) == (f"HEAD~2 ({first})", "0")


@pytest.mark.parametrize("ref", ["v9.9.9", "--help"])
def test_unknown_release_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    repository.commit(0, "02")
    monkeypatch.setenv("PREVIOUS", ref)
    with pytest.raises(ReleaseNotFoundError, match=r"^git rev-parse: "):
        previous(repository, tmp_path)


def test_clone_without_old_commits_is_an_error(repository: Repository, tmp_path: Path) -> None:
    repository.commit(0, "03")
    with pytest.raises(ReleaseNotFoundError, match=r"^git has no tag and no commit .* 0\.1\.0 "):
        previous(repository, tmp_path)


def test_folder_without_git_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.delenv("PREVIOUS", raising=False)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    with pytest.raises(ReleaseNotFoundError, match="not a git repository"):
        releases.previous(tmp_path / "code", tmp_path)


def test_git_that_is_not_installed_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseNotFoundError, match="git is not installed"):
        previous(repository, tmp_path)
