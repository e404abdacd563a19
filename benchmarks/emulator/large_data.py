"""`python -m benchmarks.emulator.large_data`: the embedded emulator with large collections.

It measures queries and listings of 1,000 and of 100,000 documents. Then it measures a client's gets
alone, beside an import of 60,000 documents, beside a commit of as many, and beside a listener that
receives 100,000 documents. Prints a table and merges it into results.json. The exit code is 1 if a
requirement does not hold.
"""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from statistics import median, quantiles
from typing import Any

import grpc
from google.cloud.firestore import Client, CollectionReference
from google.cloud.firestore_v1.base_query import FieldFilter
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.emulator import workloads
from benchmarks.emulator.process import started
from firestore_emulator.dispatch.dispatcher import MAX_REQUEST_BYTES
from firestore_emulator.model.messages import CommitRequest, Document, Value, Write
from firestore_emulator.store.json_lines import to_line

SMALL, LARGE, IMPORTED = 1_000, 100_000, 60_000
ROUNDS = 100
SECONDS_ALONE = 5.0
MAX_RATIO = 2.0
MAX_P99_MS = 100.0
PAGE = 10
MILLISECONDS = 1000

LISTEN = """
import sys
import threading
from google.cloud.firestore import Client

project, count = sys.argv[1:]
received = threading.Event()

def on_snapshot(documents, changes, time):
    assert len(documents) == int(count)
    received.set()

watch = Client(project=project).collection("large").on_snapshot(on_snapshot)
received.wait()
watch.unsubscribe()
"""

Figures = dict[str, float]


def main() -> None:
    project = workloads.new_project()
    with started("embedded") as emulator, workloads.client(emulator.address, project) as client:
        send = _importer(emulator.address, project)
        send(b"".join(map(to_line, _documents(project, "small", SMALL))))
        send(b"".join(map(to_line, _documents(project, "large", LARGE))))
        imported = b"".join(map(to_line, _documents(project, "imported", IMPORTED)))
        committed = _commit(emulator.address, project)
        figures = _scaling(client) | _gets_alone(client)
        figures |= _gets_beside(client, "import", lambda: send(imported))
        figures |= _gets_beside(client, "commit", committed)
        figures |= _gets_beside(client, "listener", lambda: _listen(emulator.address, project))
    Console().print(_table(figures))
    results.merge({"emulator_large_data": figures})
    if not _holds(figures):
        sys.exit(1)


def _documents(project: str, collection: str, count: int) -> Iterator[Document]:
    """Documents whose n is in no order of their ids."""
    name = f"projects/{project}/databases/(default)/documents/{collection}"
    for index in range(count):
        n = (index * 7919) % count
        yield Document(
            name=f"{name}/{index:06}",
            fields={
                "n": Value(integer_value=n),
                "group": Value(integer_value=n % 100),
                "text": Value(string_value=f"document {index}"),
            },
        )


def _importer(address: str, project: str) -> Callable[[bytes], None]:
    url = f"http://{address}/emulator/v1/projects/{project}/databases/(default):import"

    def send(lines: bytes) -> None:
        with urllib.request.urlopen(url, data=lines) as response:
            response.read()

    return send


def _commit(address: str, project: str) -> Callable[[], None]:
    """Sends a request that is serialized already: this process measures the gets."""
    request = CommitRequest(
        database=f"projects/{project}/databases/(default)",
        writes=[Write(update=each) for each in _documents(project, "committed", IMPORTED)],
    ).SerializeToString()
    if len(request) > MAX_REQUEST_BYTES:
        raise SystemExit(f"The request has {len(request)} bytes, which Firestore does not accept")

    def send() -> None:
        with grpc.insecure_channel(address) as channel:
            call: Any = channel.unary_unary("/google.firestore.v1.Firestore/Commit")
            call(request)

    return send


def _listen(address: str, project: str) -> None:
    """In another process: this one measures the gets."""
    environ = {**os.environ, "FIRESTORE_EMULATOR_HOST": address}
    argv = [sys.executable, "-c", LISTEN, project, str(LARGE)]
    subprocess.run(argv, env=environ, check=True)  # noqa: S603 - our own program


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


def _gets_alone(client: Client) -> Figures:
    """Gets of one client, one after the other."""
    end = time.perf_counter() + SECONDS_ALONE
    return _latencies("alone", _gets_while(client, lambda: time.perf_counter() < end))


def _gets_beside(client: Client, name: str, work: Callable[[], None]) -> Figures:
    """The same until the work has ended."""
    working = threading.Thread(target=work)
    begun = time.perf_counter()
    working.start()
    taken = _gets_while(client, working.is_alive)
    seconds = time.perf_counter() - begun
    return {f"{name}_seconds": seconds, f"gets_beside_{name}": float(len(taken))} | _latencies(
        f"beside_{name}", taken
    )


def _latencies(name: str, taken: Sequence[float]) -> Figures:
    in_ms = [MILLISECONDS * each for each in taken]
    return {
        f"get_{name}_p50_ms": median(in_ms),
        f"get_{name}_p99_ms": quantiles(in_ms, n=100, method="inclusive")[-1],
        f"get_{name}_max_ms": max(in_ms),
    }


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
    beside = [
        value for name, value in figures.items() if re.fullmatch("get_beside_.*_p99_ms", name)
    ]
    return max(ratios) <= MAX_RATIO and max(beside) <= MAX_P99_MS


def _table(figures: Figures) -> Table:
    table = Table("", "", title=f"Ratios at most {MAX_RATIO:g}, p99 at most {MAX_P99_MS:g} ms")
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), f"{figure:.3g}")
    return table


if __name__ == "__main__":
    main()
