"""results.json, the figures of the last runs. Each benchmark replaces only its own keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("results.json")


def read(path: Path = PATH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def merge(figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replace these keys and keep the others."""
    results = {**read(path), **figures}
    made = path.with_suffix(".new")
    made.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    made.replace(path)
