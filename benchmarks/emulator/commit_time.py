"""`python -m benchmarks.emulator.commit_time`: processor time of a commit inside the emulator.

The document is like an order: 30 fields, among them a map and two lists of maps. No network, no
storage. Prints the median of the rounds.
"""

import time
from statistics import median

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from firestore_emulator.model.messages import Document, Value, Write
from firestore_emulator.store.database import Database

DATABASE = "projects/bench/databases/(default)"
DOCUMENTS = 100  # each is replaced again and again
COMMITS = 1000  # in a round
ROUNDS = 9
MICROSECONDS = 1_000_000


def main() -> None:
    database = Database(DATABASE)
    _seconds(database)  # warm-up
    taken = median(_seconds(database) for _ in range(ROUNDS)) / COMMITS
    Console().print(f"{taken * MICROSECONDS:.0f} µs of processor time for a commit")


def _seconds(database: Database) -> float:
    """Processor time of one round."""
    requests = [[Write(update=_order(number))] for number in range(COMMITS)]
    begun = time.process_time()
    for request in requests:
        database.commit(request)
    return time.process_time() - begun


def _order(number: int) -> Document:
    line = Value(map_value={"fields": _line(number)})
    created = Value(timestamp_value=Timestamp(seconds=number, nanos=1000))
    return Document(
        name=f"{DATABASE}/documents/orders/{number % DOCUMENTS}",
        fields={
            **{f"text_{index}": Value(string_value=f"text {number}") for index in range(14)},
            **{f"number_{index}": Value(integer_value=number) for index in range(8)},
            **{f"flag_{index}": Value(boolean_value=True) for index in range(3)},
            "created_at": created,
            "changed_at": created,
            "customer": Value(map_value={"fields": _line(number)}),
            "lines": Value(array_value={"values": [line] * 5}),
            "history": Value(array_value={"values": [line] * 3}),
        },
    )


def _line(number: int) -> dict[str, Value]:
    return {
        "product_id": Value(string_value=f"product {number}"),
        "quantity": Value(integer_value=number),
        "price": Value(integer_value=999),
    }


if __name__ == "__main__":
    main()
