"""PartitionQuery: cursors that split a collection group into parts of about equal size."""

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME
from firestore_emulator.model.messages import (
    Cursor,
    PartitionQueryRequest,
    PartitionQueryResponse,
    StructuredQuery,
    Value,
)
from firestore_emulator.model.names import Parent
from firestore_emulator.model.steps import Steps
from firestore_emulator.query.orders import Order
from firestore_emulator.query.paging import page
from firestore_emulator.query.query import Query
from firestore_emulator.store.view import View

MIN_PARTITION = 128  # documents; the service makes no smaller parts


def check(parent: Parent, request: PartitionQueryRequest) -> None:
    """Raises InvalidArgumentError if the request is not a valid partition query."""
    query = request.structured_query
    if parent.path:
        raise InvalidArgumentError("The parent of a partition query must be a database's root.")
    if request.partition_count <= 0:
        raise InvalidArgumentError("partition_count must be positive.")
    by_name = (Order(NAME, descending=False),)
    if not _is_plain_group_query(query) or Query.compile(query).orders != by_name:
        raise InvalidArgumentError(
            "A partition query must select one collection with all descendants, ordered by"
            " __name__ ascending, without filters, limits, offsets and cursors."
        )


def partition(
    view: View, parent: Parent, request: PartitionQueryRequest
) -> Steps[PartitionQueryResponse]:
    found = yield from Query.compile(request.structured_query).execute(view, parent)
    names = [document.name for document in found.documents]
    parts = min(request.partition_count + 1, max(len(names) // MIN_PARTITION, 1))
    points = [names[index * len(names) // parts] for index in range(1, parts)]
    shown, token = page(points, request.page_size, request.page_token)
    return PartitionQueryResponse(partitions=map(_cursor, shown), next_page_token=token)


def _is_plain_group_query(query: StructuredQuery) -> bool:
    others = {field.name for field, _ in query.ListFields()} - {"from_", "order_by"}
    return not others and len(query.from_) == 1 and query.from_[0].all_descendants


def _cursor(name: str) -> Cursor:
    return Cursor(values=[Value(reference_value=name)], before=True)
