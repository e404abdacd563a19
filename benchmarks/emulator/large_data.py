"""`python -m benchmarks.emulator.large_data`: the embedded emulator with large collections.

It measures queries and listings of 1,000 and of 100,000 documents, and a client's gets alone and
beside an import of 60,000 documents. Prints a table and merges it into results.json. The exit code
is 1 if a requirement does not hold.
"""

import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from itertools import islice
from statistics import median, quantiles

from google.cloud.firestore import Client, CollectionReference
from google.cloud.firestore_v1.base_query import FieldFilter
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.emulator import workloads
from benchmarks.emulator.process import started
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.store.json_lines import to_line

SMALL, LARGE, IMPORTED = 1_000, 100_000, 60_000
ROUNDS = 100
SECONDS_ALONE = 5.0
MAX_RATIO = 2.0
MAX_P99_MS = 100.0
PAGE = 10
MILLISECONDS = 1000

Figures = dict[str, float]


def main() -> None:
    project = workloads.new_project()
    with started("embedded") as emulator, workloads.client(emulator.address, project) as client:
        send = _importer(emulator.address, project)
        send(_lines(project, "small", SMALL))
        send(_lines(project, "large", LARGE))
        imported = _lines(project, "imported", IMPORTED)
        figures = _scaling(client) | _gets(client, lambda: send(imported))
    Console().print(_table(figures))
    results.merge({"emulator_large_data": figures})
    if not _holds(figures):
        sys.exit(1)


def _lines(project: str, collection: str, count: int) -> bytes:
    """Documents whose n is in no order of their ids."""
    name = f"projects/{project}/databases/(default)/documents/{collection}"
    numbers = ((index * 7919) % count for index in range(count))
    return b"".join(
        to_line(
            Document(
                name=f"{name}/{index:06}",
                fields={
                    "n": Value(integer_value=n),
                    "group": Value(integer_value=n % 100),
                    "text": Value(string_value=f"document {index}"),
                },
            )
        )
        for index, n in enumerate(numbers)
    )


def _importer(address: str, project: str) -> Callable[[bytes], None]:
    url = f"http://{address}/emulator/v1/projects/{project}/databases/(default):import"

    def send(lines: bytes) -> None:
        with urllib.request.urlopen(url, data=lines) as response:
            response.read()

    return send


def _scaling(client: Client) -> Figures:
    """Each operation on both collections in turn. The first calls sort and build indexes."""
    figures: Figures = {}
    for name, operation in _OPERATIONS.items():
        taken: dict[str, list[float]] = {"small": [], "large": []}
        for _ in range(ROUNDS + 1):
            for collection, seconds in taken.items():
                seconds.append(_seconds(lambda: operation(client.collection(collection))))  # noqa: B023
        small, large = (MILLISECONDS * median(seconds[1:]) for seconds in taken.values())
        figures[f"{name}_first_ms"] = MILLISECONDS * taken["large"][0]
        figures |= {f"{name}_small_ms": small, f"{name}_large_ms": large}
        figures[f"{name}_ratio"] = large / small
    return figures


def _first(collection: CollectionReference) -> None:
    (_,) = collection.order_by("n").limit(1).stream()


def _first_of_group(collection: CollectionReference) -> None:
    (_,) = (
        collection.where(filter=FieldFilter("group", "==", 7))
        .order_by("n", "DESCENDING")
        .limit(1)
        .stream()
    )


def _page(collection: CollectionReference) -> None:
    for _ in islice(collection.list_documents(page_size=PAGE), PAGE):
        pass


_OPERATIONS: dict[str, Callable[[CollectionReference], None]] = {
    "order": _first,
    "filter_and_order": _first_of_group,
    "page": _page,
}


def _gets(client: Client, send: Callable[[], None]) -> Figures:
    """Gets of one client, one after the other: alone, then until the import has ended."""
    end = time.perf_counter() + SECONDS_ALONE
    alone = _gets_while(client, lambda: time.perf_counter() < end)
    importing = threading.Thread(target=send)
    begun = time.perf_counter()
    importing.start()
    beside = _gets_while(client, importing.is_alive)
    figures = {"import_seconds": time.perf_counter() - begun, "gets_beside": float(len(beside))}
    for name, taken in (("alone", alone), ("beside", beside)):
        in_ms = [MILLISECONDS * each for each in taken]
        figures[f"get_{name}_p50_ms"] = median(in_ms)
        figures[f"get_{name}_p99_ms"] = quantiles(in_ms, n=100, method="inclusive")[-1]
        figures[f"get_{name}_max_ms"] = max(in_ms)
    return figures


def _gets_while(client: Client, is_due: Callable[[], bool]) -> list[float]:
    taken = []
    while is_due():
        taken.append(_seconds(client.document("small/000000").get))
    return taken


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _holds(figures: Figures) -> bool:
    ratios = [value for name, value in figures.items() if name.endswith("_ratio")]
    return max(ratios) <= MAX_RATIO and figures["get_beside_p99_ms"] <= MAX_P99_MS


def _table(figures: Figures) -> Table:
    table = Table("", "", title=f"Ratios at most {MAX_RATIO:g}, p99 at most {MAX_P99_MS:g} ms")
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), f"{figure:.3g}")
    return table


if __name__ == "__main__":
    main()
