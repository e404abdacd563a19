"""results.json, the figures of the last runs. Each benchmark replaces only its own keys."""

import json
from collections.abc import Mapping
from pathlib import Path

PATH = Path(__file__).with_name("results.json")


def merge(figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replace these keys and keep the others."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results.update(figures)
    made = path.with_suffix(".new")
    made.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    made.replace(path)
