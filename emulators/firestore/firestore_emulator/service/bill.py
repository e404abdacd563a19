"""What a query costs, by the price list of the Standard edition.

https://firebase.google.com/docs/firestore/pricing
"""

import math
from dataclasses import dataclass

from firestore_emulator.model.field_paths import NAME
from firestore_emulator.query.filters import inequality_paths
from firestore_emulator.query.query import Query

INDEX_ENTRIES_PER_READ = 1000
VECTORS_PER_READ = 100


@dataclass(frozen=True, slots=True)
class Bill:
    """The operations of one query that are billed. A query costs at least one read."""

    documents: int = 0
    index_entries: int = 0
    vectors: int = 0

    @property
    def reads(self) -> int:
        entries = math.ceil(self.index_entries / INDEX_ENTRIES_PER_READ)
        return max(1, self.documents + entries + math.ceil(self.vectors / VECTORS_PER_READ))


def of_query(query: Query, found: int, vectors: int) -> Bill:
    """Documents skipped by the offset are found too, and are reads.

    With ranges on several fields the index entries are read as well, and with find_nearest the
    entries of the vector index.
    """
    return Bill(found, found if _has_several_ranges(query) else 0, vectors)


def of_aggregation(found: int, vectors: int) -> Bill:
    """An aggregation reads index entries only."""
    return Bill(index_entries=found, vectors=vectors)


def _has_several_ranges(query: Query) -> bool:
    """Counts ranges as the price list does.

    Any filter on the name is a range. With another range, each order is one too.
    """
    ranges = inequality_paths(query.where)
    ranges |= {leaf.path for leaf in query.where.leaves() if leaf.path == NAME}
    if ranges:
        ranges |= {order.path for order in query.orders if order.path != NAME}
    return len(ranges) > 1
