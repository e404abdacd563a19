"""ListDocuments with order_by, as a query. Each page starts after the end of the last one."""

import base64
import binascii
import re
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from firestore_emulator.model import field_paths, fields, masks
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME
from firestore_emulator.model.messages import (
    Cursor,
    Document,
    ListDocumentsRequest,
    ListDocumentsResponse,
    StructuredQuery,
    Value,
)
from firestore_emulator.model.names import Parent
from firestore_emulator.query.paging import DEFAULT_PAGE_SIZE, check_size, invalid_token
from firestore_emulator.query.query import Query
from firestore_emulator.store.view import View

_CLAUSE = rf"({field_paths.PATTERN})(?: ((?i:asc|desc)))?"
_CLAUSES = re.compile(rf"{_CLAUSE}(?:, ?{_CLAUSE})*", re.DOTALL)


def compile_query(request: ListDocumentsRequest) -> Query:
    """The query of a page. It finds one document more, which shows if there is a next page."""
    if request.show_missing:
        raise InvalidArgumentError("cannot specify an order when show_missing is true")
    check_size(request.page_size)
    orders = list(_orders(request.order_by))
    query = StructuredQuery(
        from_=[{"collection_id": request.collection_id}],
        order_by=orders,
        limit={"value": (request.page_size or DEFAULT_PAGE_SIZE) + 1},
    )
    if request.page_token:
        query.start_at.CopyFrom(_cursor(request.page_token, len(orders)))
    return Query.compile(query)


def list_documents(
    query: Query, view: View, parent: Parent, request: ListDocumentsRequest
) -> ListDocumentsResponse:
    found = query.run(view, parent)
    shown = found[: request.page_size or DEFAULT_PAGE_SIZE]
    mask = masks.paths(request)
    return ListDocumentsResponse(
        documents=[fields.project(document, mask) for document in shown],
        next_page_token=_token(query, shown[-1]) if len(shown) < len(found) else "",
    )


def _orders(text: str) -> Iterator[StructuredQuery.Order]:
    """The orders of the clause. The name is appended, so that a token names one document."""
    if not _CLAUSES.fullmatch(text):
        raise InvalidArgumentError(f'Invalid order by clause "{text}".')
    direction, path = StructuredQuery.ASCENDING, ""
    for path, word in re.findall(_CLAUSE, text, re.DOTALL):
        descending = word.lower() == "desc"
        direction = StructuredQuery.DESCENDING if descending else StructuredQuery.ASCENDING
        yield StructuredQuery.Order(field={"field_path": path}, direction=direction)
    if field_paths.parse(path) != NAME:
        yield StructuredQuery.Order(field={"field_path": "__name__"}, direction=direction)


def _token(query: Query, last: Document) -> str:
    values = [fields.value_of(last, order.path) or Value() for order in query.orders]
    return base64.urlsafe_b64encode(Cursor(values=values).SerializeToString()).decode()


def _cursor(token: str, length: int) -> Cursor:
    try:
        cursor = Cursor.FromString(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, DecodeError) as error:
        raise invalid_token() from error
    if len(cursor.values) != length or cursor.before:
        raise invalid_token()
    return cursor
