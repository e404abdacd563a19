"""The use cases of inventory."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions_common.firestore.errors import StoreUnavailableError
from functions_common.ids import digest_id
from functions_common.observability import activity
from functions_common.runtime.deadlines import DeadlineExceededError
from inventory_function.catalogue import ImportProduct, PatchProduct, PutProduct
from inventory_function.domain import (
    MAX_CONFIRMED,
    OPERATOR,
    UNCONDITIONAL,
    Precondition,
    Product,
    Reservation,
    UnknownProductsError,
    UnknownReservationError,
    product_key,
    reservation_key,
)
from inventory_function.group_commit import MAX_WAITING, GroupCommit
from inventory_function.operations import Adjust, Confirm, Consume, Move, Release, Reserve
from inventory_function.transactions import MIN_LEFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from functions_common.events.low_stock import LowStockEvent
    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import (
        Adjustment,
        CatalogueChanges,
        Line,
        Movement,
        ProductFilter,
        ProductPlace,
        RecordedReservation,
    )
    from inventory_function.ports import CatalogueStore
    from inventory_function.transactions import Outcome


MAX_CONFIRMATIONS_WAITING = 4 * MAX_CONFIRMED
"""Only reconcile sends confirmations, with several calls in flight."""
IMPORT_BATCH = 100
"""Products of an import that one commit stores, with their adjustments: 200 writes."""
MAX_IMPORTS_WAITING = 8 * IMPORT_BATCH


class ChangedProductUnreadableError(Exception):
    """A change of the catalogue was made, and the product cannot be read for the response."""

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"The product {product_id} was changed, and cannot be read now. Read it to see the"
            " change. If you repeat the change with If-Match, the response is 412."
        )


class Inventory:
    def __init__(
        self,
        store: CatalogueStore,
        currency: str,
        deadline_seconds: float,
        max_waiting: int = MAX_WAITING,
        on_low_stock: Callable[[LowStockEvent], None] | None = None,
    ) -> None:
        """``on_low_stock``: gets each event that is stored. None: none is stored."""
        self._store = store
        self._group = GroupCommit(store, max_waiting, on_low_stock)
        self._confirmations = GroupCommit(store, MAX_CONFIRMATIONS_WAITING)
        self._imports = GroupCommit(store, MAX_IMPORTS_WAITING, on_low_stock)
        self.currency = currency
        self._deadline_seconds = deadline_seconds

    def product(self, product_id: str) -> Product:
        return self._product(product_id, self._deadline())

    def _product(self, product_id: str, deadline: Deadline) -> Product:
        found = self._store.get(product_key(product_id), deadline)
        if not isinstance(found, Product):
            raise UnknownProductsError([product_id])
        return found

    def products(
        self, filters: ProductFilter, after: ProductPlace | None, limit: int
    ) -> list[Product]:
        return self._store.products(after, limit, self._deadline(), filters)

    def put_product(
        self,
        product_id: str,
        changes: CatalogueChanges,
        precondition: Precondition = UNCONDITIONAL,
    ) -> tuple[Product, bool]:
        """Return the stored product, and whether it is new.

        ``changes`` has the name and the price. The product gets the shop's currency.
        """
        operation = PutProduct(product_id, self._priced(changes), precondition, _nonce())
        deadline = self._deadline()
        new = self._group.run(operation, deadline)
        return self._changed_product(product_id, deadline), new

    def patch_product(
        self,
        product_id: str,
        changes: CatalogueChanges,
        precondition: Precondition = UNCONDITIONAL,
    ) -> Product:
        operation = PatchProduct(product_id, self._priced(changes), precondition, _nonce())
        deadline = self._deadline()
        self._group.run(operation, deadline)
        return self._changed_product(product_id, deadline)

    def _changed_product(self, product_id: str, deadline: Deadline) -> Product:
        """The product after a change, with its times and with what others have changed since."""
        try:
            return self._product(product_id, deadline)
        except (StoreUnavailableError, DeadlineExceededError) as error:
            raise ChangedProductUnreadableError(product_id) from error

    def import_products(
        self, wanted: Iterable[tuple[str, CatalogueChanges, int]], idempotency_key: str
    ) -> list[Outcome] | None:
        """Create or change products, and add units to their stock: at most IMPORT_BATCH of them.

        Each is decided by itself. Returns None if the deadline leaves no time to begin. Imports
        have commits of their own, so that reservations do not wait for them.
        """
        deadline = self._deadline()
        if deadline.remaining <= MIN_LEFT:
            return None
        now = datetime.now(UTC)
        operations = [
            ImportProduct(
                product_id,
                self._priced(changes),
                units,
                digest_id("import", idempotency_key, product_id),
                now,
                _nonce(),
            )
            for product_id, changes, units in wanted
        ]
        return self._imports.run_all(operations, deadline)

    def _priced(self, changes: CatalogueChanges) -> CatalogueChanges:
        """A new price is in the shop's currency."""
        return {**changes, "currency": self.currency} if "price" in changes else changes

    def adjust(
        self,
        product_id: str,
        idempotency_key: str,
        delta: int,
        reason: str,
        reference: str | None = None,
        actor: str = OPERATOR,
    ) -> tuple[Adjustment, bool]:
        """Return the adjustment of this key, and whether this request made it."""
        operation = Adjust(
            product_id,
            digest_id(idempotency_key),
            delta,
            reason,
            reference,
            actor,
            datetime.now(UTC),
            _nonce(),
        )
        return self._group.run(operation, self._deadline())

    def adjustments(
        self, product_id: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[Adjustment]:
        deadline = self._deadline()
        self._product(product_id, deadline)
        return self._store.adjustments(product_id, after, limit, deadline)

    def ledger(
        self, product_id: str, after: tuple[datetime, str] | str | None, limit: int
    ) -> list[Adjustment | RecordedReservation]:
        """A page of all changes of the product's stock.

        Adjustments come first, newest first; then reservations by id. Reservations are not ordered
        by time, because that takes an index on a rising value, and such an index limits how fast
        one product can sell. ``after`` is the position of the last entry of the page before: an
        adjustment's time and id, or a reservation's id.
        """
        deadline = self._deadline()
        self._product(product_id, deadline)
        found: list[Adjustment | RecordedReservation] = []
        after_reservation = after if isinstance(after, str) else None
        if not isinstance(after, str):
            found += self._store.adjustments(product_id, after, limit, deadline)
        if len(found) < limit:
            rest = limit - len(found)
            found += self._store.reservations_of(product_id, after_reservation, rest, deadline)
        return found

    def reserve(self, reservation_id: str, lines: tuple[Line, ...]) -> tuple[Reservation, bool]:
        """Return the stored reservation, and whether this request created it.

        ``lines`` must be merged: see ``merge``.
        """
        return self._group.run(self._reserve(reservation_id, lines), self._deadline())

    def reserve_all(self, wanted: Iterable[tuple[str, tuple[Line, ...]]]) -> list[Outcome]:
        """Decide the reservations in turn, each as if it had been requested alone: ``reserve``."""
        operations = [self._reserve(*each) for each in wanted]
        return self._group.run_all(operations, self._deadline())

    def _reserve(self, reservation_id: str, lines: tuple[Line, ...]) -> Reserve:
        return Reserve(reservation_id, lines, self.currency, _nonce())

    def reservation(self, reservation_id: str) -> Reservation:
        found = self._store.get(reservation_key(reservation_id), self._deadline())
        if not isinstance(found, Reservation):
            raise UnknownReservationError(reservation_id)
        return found

    def release(self, reservation_ids: tuple[str, ...]) -> list[Outcome]:
        """Return an outcome for each, in order. One that cannot be released fails no other."""
        operations = [Release(each, self.currency) for each in reservation_ids]
        return self._group.run_all(operations, self._deadline())

    def confirm(self, reservation_ids: tuple[str, ...]) -> list[Outcome]:
        """Return an outcome for each, in order.

        Confirmations have commits of their own. They change no product, so they conflict only with
        requests for the same reservation.
        """
        operations = [Confirm(each) for each in reservation_ids]
        return self._confirmations.run_all(operations, self._deadline())

    def consume(self, reservation_ids: tuple[str, ...]) -> list[Outcome]:
        """Return an outcome for each, in order."""
        return self._group.run_all([*map(Consume, reservation_ids)], self._deadline())

    def move(self, reservation_id: str, movement: Movement) -> tuple[Reservation, bool]:
        """Return the reservation, and whether this request applied the movement."""
        return self._group.run(Move(reservation_id, movement), self._deadline())

    def _deadline(self) -> Deadline:
        return activity.request_deadline(self._deadline_seconds)


def _nonce() -> str:
    return secrets.token_hex(8)
