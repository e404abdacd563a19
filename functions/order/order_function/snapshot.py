"""The whole database at one moment, a page at a time: what the audit reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions_common.deadlines import Deadline
from functions_common.documents import Document
from functions_common.firestore import call_options, moment, reading
from order_function.backlog import RESERVATIONS
from order_function.domain import Item, ReservationName
from order_function.invariants import AuditedOrder, AuditedProduct, AuditedReservation
from order_function.store import COLLECTION, to_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.firestore import DocumentSnapshot

    from functions_common.firestore import Connection

PAGE = 300
PAGE_SECONDS = 60.0


class Snapshot:
    """Reads take no locks and hold nobody up. Firestore keeps a moment for an hour."""

    def __init__(self, connection: Connection) -> None:
        """Of now, by the database's clock."""
        self._client = connection.client
        with reading():
            found = self._client.document("audits", "now").get(**_options())
        self.read_time = moment(found.read_time)
        self.counts: dict[str, int] = {}

    def orders(self) -> Iterator[AuditedOrder]:
        for found in self._all(COLLECTION):
            order = to_order(Document.of(found))
            yield AuditedOrder(order, self.read_time - moment(found.update_time))

    def reservations(self) -> Iterator[AuditedReservation]:
        for found in self._all(RESERVATIONS):
            fields = found.to_dict() or {}
            yield AuditedReservation(
                found.id,
                ReservationName.parse(found.id),
                fields["status"],
                fields["currency"],
                tuple(_item(line) for line in fields["lines"]),
                self.read_time - moment(found.create_time),
            )

    def products(self) -> Iterator[AuditedProduct]:
        for found in self._all("products"):
            units = (found.get(name) for name in ("available", "reserved", "shipped"))
            yield AuditedProduct(found.id, *units)

    def adjustments(self) -> Iterator[tuple[str, int]]:
        """Product and delta."""
        for found in self._all("adjustments"):
            yield found.reference.parent.parent.id, found.get("delta")

    def _all(self, collection_id: str) -> Iterator[DocumentSnapshot[Any]]:
        """Of every collection with this id, wherever it stands."""
        page = pages = self._client.collection_group(collection_id).order_by("__name__").limit(PAGE)
        self.counts[collection_id] = 0
        while True:
            with reading():
                found = list(page.stream(read_time=self.read_time, **_options()))
            self.counts[collection_id] += len(found)
            yield from found
            if len(found) < PAGE:
                return
            page = pages.start_after({"__name__": found[-1].reference})


def _options() -> dict[str, Any]:
    return call_options(Deadline.after(PAGE_SECONDS))


def _item(line: dict[str, Any]) -> Item:
    return Item(line["product_id"], line["quantity"], line["unit_price"], line["name"])
