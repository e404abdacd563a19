"""Reads the whole database at one moment of time, a page at a time, for the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from functions_common.firestore.client import (
    CALL_SECONDS,
    call_options,
    read_call,
    to_datetime,
)
from functions_common.firestore.documents import Document
from functions_common.firestore.errors import DamagedDocumentError
from functions_common.runtime.deadlines import Deadline
from order_function.audit.invariants import (
    KNOWN,
    AuditedOrder,
    AuditedProduct,
    AuditedReservation,
    DamagedDocument,
    Finding,
    MovedUnits,
)
from order_function.domain import PricedLine, ReservationName
from order_function.inventory.replies import MAX_NAME, MAX_PRICE
from order_function.order_documents import ORDERS, RESERVATIONS, read_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from google.cloud.firestore import DocumentSnapshot

    from functions_common.firestore.client import FirestoreConnection

PAGE = 300
"""Documents that one query reads. It ends after ``client.CALL_SECONDS``."""


class _CountFields(msgspec.Struct):
    product_id: str
    released: int = 0
    consumed: int = 0
    returned: int = 0


class _ReservationFields(msgspec.Struct):
    currency: str
    lines: tuple[PricedLine, ...] = ()
    counts: tuple[_CountFields, ...] = ()


class _ProductFields(msgspec.Struct):
    """Inventory leaves out a product with an impossible name, price, currency or limit.

    A negative quantity is a finding of its own.
    """

    name: Annotated[str, Meta(max_length=MAX_NAME)]
    price: Annotated[int, Meta(ge=0, le=MAX_PRICE)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    active: bool = True
    max_per_order: Annotated[int, Meta(ge=1)] | None = None
    low_stock_threshold: Annotated[int, Meta(ge=0)] | None = None
    available: int = 0
    reserved: int = 0
    shipped: int = 0


class _AdjustmentFields(msgspec.Struct):
    delta: int


class Snapshot:
    """All reads have the same read time, so they take no locks.

    Firestore allows reads at a time of up to an hour ago.
    """

    def __init__(self, connection: FirestoreConnection) -> None:
        """The moment is now, by the database's clock.

        The response to a read contains that time, even if the document does not exist. So this
        reads a path where no document is.
        """
        self._client = connection.client
        with read_call():
            found = self._client.document("audits", "now").get(**_options())
        self.read_time = to_datetime(found.read_time)
        self.counts: dict[str, int] = {}
        self.damaged: list[Finding] = []
        """The damaged documents among those that were read so far."""
        self.newer = 0
        """Documents with a status that only a newer revision knows. They are not checked."""

    def orders(self) -> Iterator[AuditedOrder | DamagedDocument]:
        for found in self._all(ORDERS):
            try:
                order = read_order(Document.from_snapshot(found))
            except DamagedDocumentError as error:
                self._report(error)
                yield DamagedDocument(found.id)
                continue
            if order.of_newer_revision:
                self.newer += 1
            yield AuditedOrder(order, self.read_time - to_datetime(found.update_time))

    def reservations(self) -> Iterator[AuditedReservation]:
        for found in self._all(RESERVATIONS):
            age = self.read_time - to_datetime(found.create_time)
            yield self._reservation(Document.from_snapshot(found), age)

    def _reservation(self, found: Document, age: timedelta) -> AuditedReservation:
        """A damaged reservation, or one of a newer revision, has only the ids of its products."""
        name = ReservationName.parse(found.id)
        status = found.fields.get("status")
        if isinstance(status, str) and status not in KNOWN:
            self.newer += 1
            return AuditedReservation(found.id, name, status, "", _product_ids_only(found), age)
        try:
            if status is None or not isinstance(status, str):
                raise found.damaged("Expected `str` - at `$.status`")
            fields = found.convert(_ReservationFields)
            counts = _counts(found, fields)
        except DamagedDocumentError as error:
            self._report(error)
            return AuditedReservation(found.id, name, "", "", _product_ids_only(found), age)
        return AuditedReservation(
            found.id, name, status, fields.currency, fields.lines, age, counts
        )

    def products(self) -> Iterator[AuditedProduct | DamagedDocument]:
        for found in self._all("products"):
            try:
                fields = Document.from_snapshot(found).convert(_ProductFields)
            except DamagedDocumentError as error:
                self._report(error)
                yield DamagedDocument(found.id)
                continue
            yield AuditedProduct(found.id, fields.available, fields.reserved, fields.shipped)

    def adjustments(self) -> Iterator[tuple[str, int | None]]:
        """Product id and delta; None if the adjustment is damaged."""
        for found in self._all("adjustments"):
            product_id, delta = found.reference.parent.parent.id, None
            try:
                delta = Document.from_snapshot(found).convert(_AdjustmentFields).delta
            except DamagedDocumentError as error:
                self._report(error)
            yield product_id, delta

    def _report(self, error: DamagedDocumentError) -> None:
        self.damaged.append(Finding("document-is-whole", error.path, error.reason))

    def _all(self, collection_id: str) -> Iterator[DocumentSnapshot[Any]]:
        """All documents of the collections with this id, at any path."""
        page = pages = self._client.collection_group(collection_id).order_by("__name__").limit(PAGE)
        self.counts[collection_id] = 0
        while True:
            with read_call():
                found = list(page.stream(read_time=self.read_time, **_options()))
            self.counts[collection_id] += len(found)
            yield from found
            if len(found) < PAGE:
                return
            page = pages.start_after({"__name__": found[-1].reference})


def _options() -> dict[str, Any]:
    return call_options(Deadline.after(CALL_SECONDS))


def _counts(found: Document, fields: _ReservationFields) -> dict[str, MovedUnits]:
    """The counts of a reservation by product. Raises DamagedDocumentError if they do not fit."""
    counts = {
        each.product_id: MovedUnits(each.released, each.consumed, each.returned)
        for each in fields.counts
    }
    for number, line in enumerate(fields.lines):
        if not counts.get(line.product_id, MovedUnits()).fits(line.quantity):
            raise found.damaged(f"`counts` do not fit the quantity - at `$.lines[{number}]`")
    return counts


def _product_ids_only(found: Document) -> tuple[PricedLine, ...]:
    """Items with only product ids, of a reservation without usable lines."""
    named = found.fields.get("product_ids")
    ids = named if isinstance(named, list) else []
    return tuple(PricedLine(each, 0, 0, "") for each in ids if isinstance(each, str))
