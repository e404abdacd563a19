"""Documents name only existing files of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(
        path for kind in ("py", "md", "toml") for path in (ROOT / "functions").rglob(f"*.{kind}")
    ),
]
PATH = re.compile(
    r"(?:`|\]\()(?:\.\./)*((?:functions|knative|tests|docs|benchmarks|local)/[\w./-]*\.[a-z]+)\b"
)
"""A path in backticks or a link, with a suffix. Other text may resemble a path."""


def missing_files(text: str) -> list[str]:
    return [path for path in PATH.findall(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_names_only_existing_files(path: Path) -> None:
    text = path.read_text()
    if "\nReplaced by [ADR " in text:
        pytest.skip("a record of the past")
    assert missing_files(text) == []


def test_missing_file_is_found_when_it_is_named_in_backticks_or_a_link() -> None:
    text = "`functions/gone.py`, ``tests/gone.py``, [a](../docs/gone.md#b), `functions/serve.py`"
    assert missing_files(text) == ["functions/gone.py", "tests/gone.py", "docs/gone.md"]
