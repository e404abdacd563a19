"""`python -m benchmarks.shop.short_sale FILE` sells on the Firestore at FIRESTORE_EMULATOR_HOST.

`make verify-firestore` runs it with the address of its forwarder. The sales end after some orders,
because each order costs money. FILE gets the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.shop import system
from benchmarks.shop.sales import BUYERS, Watched

ORDERS, WARM_UP_ORDERS = 400, 40
SECONDS = 30.0
PRODUCTS = {"one product": 1, "10 products": 10}


def short_sales(address: str, logs: Path) -> dict[str, dict[str, object]]:
    """The figures of each sale, and the orders placed before it, to warm up.

    Raises OversoldError if a unit was sold twice.
    """
    found = {}
    with system.running(address, "short-sale", logs) as shop:
        for name, products in PRODUCTS.items():
            crowd = Watched(shop, [f"P-{products}-{n}" for n in range(products)])
            before = crowd.sell(BUYERS, SECONDS, WARM_UP_ORDERS)
            sold = crowd.sell(BUYERS, SECONDS, ORDERS)
            found[name] = {**sold.figures(), "placed_before": before.placed}
            crowd.check()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shop.short_sale")
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    with tempfile.TemporaryDirectory(prefix="short-sale-") as logs:
        found = short_sales(os.environ["FIRESTORE_EMULATOR_HOST"], Path(logs))
    file.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
