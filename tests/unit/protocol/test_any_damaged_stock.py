"""Every field of a stock document with a value of every type: it is damaged, or all can show it."""

from __future__ import annotations

from typing import Any

import pytest
from support.stores.any_value import variants
from support.stores.builders import NOW, product

from functions_common.firestore.documents import Document, convert_document
from functions_common.firestore.errors import DamagedDocumentError, NewerDocumentError
from functions_common.http.app import encode_json
from inventory_function.domain import (
    Adjustment,
    PricedLine,
    Product,
    RecordedReservation,
    Reservation,
    ReservationStatus,
)
from inventory_function.schemas import (
    AdjustmentResponse,
    LedgerEntryResponse,
    ProductListResponse,
    ProductResponse,
    ReservationResponse,
)
from inventory_function.store import to_document, to_entity
from order_function.inventory.replies import Reply, check_catalogue

PRODUCT = product("P001", available=5, max_per_order=3, low_stock_threshold=2)
ADJUSTMENT = Adjustment("A1", "P001", 5, "delivery", "D1", NOW, 5, "nonce")
RESERVATION = Reservation(
    "R1",
    ReservationStatus.PARTIAL,
    "USD",
    (PricedLine("P001", 3, 999, "Mouse", released=1), PricedLine("P002", 1, 999, "Lamp")),
    "nonce",
    1,
    "fingerprint",
)
DOCUMENTS: dict[tuple[str, ...], Product | Adjustment | Reservation] = {
    ("products", "P001"): PRODUCT,
    ("products", "P001", "adjustments", "A1"): ADJUSTMENT,
    ("reservations", "R1"): RESERVATION,
}


def show(entity: Product | Adjustment | Reservation) -> None:
    """All that lists make of it, and order's check of a page of the catalogue."""
    if isinstance(entity, Product):
        page = ProductListResponse([ProductResponse.of(entity, "USD")], None)
        check_catalogue(Reply(200, encode_json(page)), None)
    elif isinstance(entity, Adjustment):
        encode_json(AdjustmentResponse.of(entity))
        show_ledger(entity)
    else:
        encode_json(ReservationResponse.of(entity))
        show_ledger(RecordedReservation(entity, NOW, NOW))


def show_ledger(found: Adjustment | RecordedReservation) -> None:
    encode_json([LedgerEntryResponse.of(each) for each in found.ledger_entries("P001")])


@pytest.mark.parametrize("path", DOCUMENTS, ids="/".join)
def test_stock_is_damaged_or_shown_when_any_field_has_any_value(path: tuple[str, ...]) -> None:
    fields = to_document(DOCUMENTS[path])
    found = {True: 0, False: 0}
    for what, changed in variants(fields):
        try:
            entity: Any = convert_document(Document(path, changed, NOW), to_entity)
        except (DamagedDocumentError, NewerDocumentError):
            found[False] += 1
            continue
        found[True] += 1
        try:
            show(entity)
        except Exception as error:
            raise AssertionError(what) from error
    assert min(found.values()) > 20, found


@pytest.mark.parametrize("path", DOCUMENTS, ids="/".join)
@pytest.mark.parametrize("name", ["a b", "日本", "a" * 129, "a\nb"])
def test_document_is_damaged_when_no_request_can_name_it(path: tuple[str, ...], name: str) -> None:
    """A page that ends with it would have a cursor that is rejected."""
    found = Document((*path[:-1], name), to_document(DOCUMENTS[path]), NOW)
    with pytest.raises(DamagedDocumentError):
        convert_document(found, to_entity)
