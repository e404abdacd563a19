"""The figures of the last runs, in one file: a benchmark replaces its own keys alone."""

import json
from collections.abc import Mapping
from pathlib import Path

PATH = Path(__file__).with_name("results.json")


def merge(figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replaces these keys; the others stay."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results.update(figures)
    made = path.with_suffix(".new")
    made.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    made.replace(path)
