"""``make openapi``: write the descriptions of both functions to docs/openapi.

Clients rely on the files there. A description that would break clients is rejected with a list of
the changes, unless the first number of its version was raised.
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
    """The description that the function serves at /openapi.json."""
    return openapi.document(health.with_service_operations(APIS[name]))


def kept(name: str, folder: Path = KEPT) -> dict[str, Any] | None:
    """The description in the folder; None if there is none yet."""
    file = folder / f"{name}.json"
    description: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
    return description


def keep(name: str, description: dict[str, Any], folder: Path = KEPT) -> list[str]:
    """Write the description. If it breaks clients, return the reasons and write nothing."""
    before = kept(name, folder)
    if before is not None and (broken := compatibility.unexpected(before, description)):
        return broken
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{name}.json").write_text(text)
    return []


def main() -> int:
    code = 0
    for name in APIS:
        for change in keep(name, served(name)):
            code = 1
            print(f"{name}: {change}", file=sys.stderr)
    if code:
        print(
            "Nothing written for these functions, because clients would break. If you mean to break"
            " them, raise the first number of `version` in routes.py.",
            file=sys.stderr,
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
