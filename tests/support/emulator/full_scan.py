"""The results of a query by a full scan: every document is filtered, and all results are sorted.

It is the reference for queries that read an index or stop early.
"""

from firestore_emulator.model import fields
from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import Parent
from firestore_emulator.model.values import SortKey, sort_key
from firestore_emulator.query.query import Query
from firestore_emulator.store.view import View


def full_scan(query: Query, view: View, parent: Parent) -> list[Document]:
    rows = [
        (position, document)
        for document in query.selector.documents(view, parent)
        if query.where.matches(document)
        if (position := _position(query, document)) is not None
    ]
    for index, order in reversed(list(enumerate(query.orders))):
        rows.sort(key=lambda row: row[0][index], reverse=order.descending)
    within = [
        document
        for position, document in rows
        if not query.start or query.start.is_before(position, query.orders)
        if not query.end or not query.end.is_before(position, query.orders)
    ]
    end = None if query.limit is None else query.offset + query.limit
    return [fields.project(each, query.projection) for each in within[query.offset : end]]


def _position(query: Query, document: Document) -> tuple[SortKey, ...] | None:
    values = [fields.value_of(document, order.path) for order in query.orders]
    keys = tuple(sort_key(value) for value in values if value is not None)
    return keys if len(keys) == len(values) else None
