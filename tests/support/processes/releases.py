"""Releases of the functions: this one, and the previous one from git."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.stack import ROOT

from support.in_process.apps import OPERATOR

if TYPE_CHECKING:
    from pathlib import Path


class ReleaseNotFoundError(Exception):
    """The message is a sentence that says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    name: str
    root: Path
    """The folder that has the release's folder ``functions``."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings that only this release needs."""


THIS = Release("this release", ROOT)

_HEADING = re.compile(r"^## \[(?P<version>[0-9.]+)\] - (?P<date>[0-9-]+)$", re.MULTILINE)


def previous(folder: Path, repository: Path = ROOT) -> Release:
    """The previous release, extracted from git into the folder. Raises ReleaseNotFoundError.

    PREVIOUS is its tag, branch or commit. By default, it is the newest tag ``v...`` before this
    commit. If there is no tag, it is the last commit on the day of the newest release in
    CHANGELOG.md. It runs with the packages of this release.
    """
    ref = (
        os.environ.get("PREVIOUS")
        or _newest_tag(repository)
        or _commit_of_newest_release(repository)
    )
    commit = _git(repository, "rev-parse", "--short", f"{ref}^{{commit}}").decode().strip()
    archive = _git(repository, "archive", "--format=tar", commit, "functions")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    name = ref if ref.startswith(commit) else f"{ref} ({commit})"
    # PYTHONPATH has the code of this release. Version 0.1.0 reads tokens instead of their hashes.
    return Release(name, folder, {"PYTHONPATH": "", "OPERATOR_TOKENS": OPERATOR})


def _newest_tag(repository: Path) -> str | None:
    try:
        found = _git(repository, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*", "HEAD^")
    except ReleaseNotFoundError:
        return None
    return found.decode().strip()


def _commit_of_newest_release(repository: Path) -> str:
    released = _HEADING.search((repository / "CHANGELOG.md").read_text())
    if released is None:
        raise ReleaseNotFoundError("CHANGELOG.md has no release.")
    day = f"{released['date']}T23:59:59Z"
    found = _git(repository, "log", "-1", "--format=%h", f"--until={day}").decode().strip()
    if not found:
        raise ReleaseNotFoundError(
            f"git has no tag and no commit as old as release {released['version']}"
            f" of {released['date']}."
        )
    return found


def _git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    except FileNotFoundError:
        raise ReleaseNotFoundError("git is not installed.") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ReleaseNotFoundError(f"git {arguments[0]}: {reason}") from error
