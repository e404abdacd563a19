"""The shops of `make run` that run in this folder: each announces itself in a file.

`make audit` reads the files, so that it never audits a shop of another folder. The announcing
process holds a lock on its file, which ends with the process, however that ends.

``python3 -m local.running`` lists the shops, and fails if there is one: `make clean` would delete
their logs and documents. It needs only the standard library.
"""

from __future__ import annotations

import fcntl
import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = Path(__file__).resolve().parents[1] / ".run"


@dataclass(frozen=True, slots=True)
class Shop:
    order: str
    """URL."""
    emulator: str
    """Host and port."""
    project: str
    database: str


@contextmanager
def announced(folder: Path, shop: Shop) -> Iterator[None]:
    """Announce the shop while the context is open."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"shop-{shop.order.rpartition(':')[2]}.json"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(json.dumps(asdict(shop)))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def shops(folder: Path) -> list[Shop]:
    """All shops that run now and are ready, by address."""
    found = (_running(path) for path in sorted(folder.glob("shop-*.json")))
    return [shop for shop in found if shop is not None]


def _running(path: Path) -> Shop | None:
    """None if its process has ended without removing the file."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return Shop(**json.loads(text)) if text else None
    except FileNotFoundError:
        pass  # it ended just now
    return None


def main(folder: Path = LOGS) -> int:
    found = shops(folder)
    for shop in found:
        text = f"A shop of this folder runs at {shop.order}. End it first."
        print(text, flush=True)  # noqa: T201 - the output of the command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
