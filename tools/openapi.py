"""``make openapi``: keep what both functions say of themselves, in docs/openapi.

What is kept is what clients rely on. So an incompatible description is refused, and named, unless
the first number of its version was raised.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from functions_common.http import health, openapi
from inventory_function.routes import API as INVENTORY
from order_function.routes import API as ORDER
from tools import compatibility

KEPT = Path(__file__).parents[1] / "docs" / "openapi"
APIS = {"order": ORDER, "inventory": INVENTORY}


def served(name: str) -> dict[str, Any]:
    """What the function answers at /openapi.json."""
    return openapi.document(health.whole(APIS[name]))


def kept(name: str, folder: Path = KEPT) -> dict[str, Any] | None:
    file = folder / f"{name}.json"
    description: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
    return description


def keep(name: str, description: dict[str, Any], folder: Path = KEPT) -> list[str]:
    """Write it; or, where it would break clients, answer how and write nothing."""
    before = kept(name, folder)
    if before is not None and (broken := compatibility.unexpected(before, description)):
        return broken
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{name}.json").write_text(text)
    return []


def main() -> int:
    refused = 0
    for name in APIS:
        for change in keep(name, served(name)):
            refused = 1
            print(f"{name}: {change}", file=sys.stderr)
    if refused:
        print(
            "Not written: clients would break. Raise the first number of version in api.py where"
            " that is meant.",
            file=sys.stderr,
        )
    return refused


if __name__ == "__main__":
    sys.exit(main())
