"""The figures of the last runs, in one file: each benchmark has a key of its own."""

import json
from collections.abc import Mapping
from pathlib import Path

PATH = Path(__file__).with_name("results.json")


def write(benchmark: str, figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replaces what the benchmark wrote before; what others wrote stays."""
    merge({benchmark: figures}, path)


def merge(figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replaces these keys; the others stay."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results.update(figures)
    made = path.with_suffix(".new")
    made.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    made.replace(path)
