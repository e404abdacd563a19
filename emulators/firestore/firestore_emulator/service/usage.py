"""What the requests of a database come to: round trips, and what Firestore would charge for.

As the Standard edition's price list counts them, https://firebase.google.com/docs/firestore/pricing.
A request that is refused is a round trip and costs nothing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from google.protobuf.message import Message

from firestore_emulator.model.field_paths import NAME
from firestore_emulator.model.messages import ListenResponse, Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.query.filters import inequality_paths
from firestore_emulator.query.query import Query

INDEX_ENTRIES_PER_READ = 1000


@dataclass(slots=True)
class Usage:
    """Of one database, since the emulator was started."""

    calls: Counter[str] = field(default_factory=Counter)
    """By method. Of a Write stream, those requests that name the database: the first must."""
    reads: int = 0
    writes: int = 0
    deletes: int = 0

    def looked_up(self, documents: int) -> None:
        """By name. One that is not there is a read as well."""
        self.reads += documents

    def listed(self, documents: int) -> None:
        """What finds nothing is one read."""
        self.reads += max(1, documents)

    def queried(self, query: Query, results: int, skipped: int) -> None:
        """What the offset skips is read, and for ranges on several fields the index entries are."""
        found = results + skipped
        self.listed(found + (_in_index(found) if _has_several_ranges(query) else 0))

    def aggregated(self, found: int) -> None:
        """From index entries alone."""
        self.listed(_in_index(found))

    def committed(self, writes: Iterable[Write]) -> None:
        """Each write for itself, of one document too, and where it changed nothing."""
        for write in writes:
            if write.HasField("delete"):
                self.deletes += 1
            else:
                self.writes += 1

    def figures(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Usages(defaultdict[str, Usage]):
    """By the name of the database."""

    def __init__(self) -> None:
        super().__init__(Usage)

    def called(self, request: Message) -> None:
        database = _database(request)
        if database:
            method = request.DESCRIPTOR.name.removesuffix("Request")
            self[database].calls[method] += 1

    def told(self, response: ListenResponse) -> None:
        """To a listener: a document that has come or changed, also where it is no result now."""
        name = response.document_change.document.name or response.document_remove.document
        if name:
            self[DocumentName.parse(name).database].reads += 1


def _in_index(found: int) -> int:
    return math.ceil(found / INDEX_ENTRIES_PER_READ)


def _has_several_ranges(query: Query) -> bool:
    """The name is one wherever it is asked for; an order is one where there is another."""
    ranges = inequality_paths(query.where)
    ranges |= {leaf.path for leaf in query.where.leaves() if leaf.path == NAME}
    if ranges:
        ranges |= {order.path for order in query.orders if order.path != NAME}
    return len(ranges) > 1


def _database(request: Message) -> str:
    """Which it is about; empty where it does not say."""
    for name in ("database", "parent", "name"):
        if name in request.DESCRIPTOR.fields_by_name:
            return _database_in(getattr(request, name))
    return _database_in(request.document.name)  # type: ignore[attr-defined]


def _database_in(name: str) -> str:
    return "/".join(name.split("/", 4)[:4])
