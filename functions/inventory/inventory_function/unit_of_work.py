"""The documents that a transaction has read, and the changes that its operations have decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from inventory_function.domain import (
    Adjustment,
    Product,
    Reservation,
    UnknownProductsError,
    Unusable,
    adjustment_key,
    product_key,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from inventory_function.domain import Entity, Key, Line


class NotReadError(Exception):
    """A decision depends on a reservation that was assumed absent, and not read."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class UnitOfWork:
    """Documents that were read, and the changes decided since.

    With ``assume_absent``, an operation that creates a reservation does not read it first. That
    saves a read. If the reservation exists, its creation fails in the commit. If the operation ends
    without the creation, for example for lack of stock, it must read the reservation after all:
    ``require_read``. A late read is as good as an early one, because reservations are never
    deleted: a reservation that is absent now was also absent earlier.
    """

    def __init__(
        self, *, assume_absent: bool = False, maybe_committed: Sequence[object] = ()
    ) -> None:
        self.assume_absent = assume_absent
        self._maybe_committed = maybe_committed
        self.assumption_failed = False
        """A reservation that could be assumed absent exists, or had to be read."""
        self._read: dict[Key, tuple[Entity | Unusable | None, datetime | None]] = {}
        self._changed: dict[Key, Entity] = {}

    def may_be_committed(self, operation: object) -> bool:
        """An earlier commit of this operation may have been carried out."""
        return any(each is operation for each in self._maybe_committed)

    def __contains__(self, key: Key) -> bool:
        return key in self._read

    def record_read(
        self, key: Key, entity: Entity | Unusable | None, version: datetime | None
    ) -> None:
        """Record the result of a read. ``entity`` and ``version`` are None for no document."""
        self._read[key] = entity, version
        self._changed.pop(key, None)

    def put(self, entity: Entity) -> None:
        self._changed[entity.key] = entity

    def changes(self) -> list[tuple[Entity, datetime | None]]:
        """Every changed entity, with the version that it replaces; None if it must not exist."""
        return [
            (entity, self._read[key][1] if key in self._read else None)
            for key, entity in self._changed.items()
        ]

    def changed_products(self) -> list[tuple[Product | None, Product]]:
        """Every changed product, before and after the changes. Before is None if it is new."""
        return [
            (cast("Product | None", self._read[key][0]) if key in self._read else None, entity)
            for key, entity in self._changed.items()
            if isinstance(entity, Product)
        ]

    def undo(self) -> None:
        """Drop all changes; keep the documents that were read."""
        self._changed.clear()

    def product(self, product_id: str) -> Product | None:
        return cast("Product | None", self._current(product_key(product_id)))

    def known_product(self, product_id: str) -> Product:
        product = self.product(product_id)
        if product is None:
            raise UnknownProductsError([product_id])
        return product

    def reservation(self, reservation_id: str) -> Reservation | None:
        return cast("Reservation | None", self._current(reservation_key(reservation_id)))

    def reservation_if_read(self, reservation_id: str) -> Reservation | None:
        """None also if the reservation is assumed absent and was not read."""
        key = reservation_key(reservation_id)
        if self.assume_absent and key not in self._changed and key not in self._read:
            return None
        return self.reservation(reservation_id)

    def note_failed_assumption(self) -> None:
        """A reservation cannot be assumed absent. The next transactions read all of them first."""
        self.assumption_failed = True

    def require_read(self, reservation_id: str) -> None:
        """Raises NotReadError if the reservation is only assumed absent."""
        key = reservation_key(reservation_id)
        if key not in self._changed and key not in self._read:
            raise NotReadError(key)

    def adjustment(self, product_id: str, adjustment_id: str) -> Adjustment | None:
        return cast("Adjustment | None", self._current(adjustment_key(product_id, adjustment_id)))

    def held_lines(self, reservation_id: str) -> tuple[Line, ...]:
        """The units that count as reserved; none while the reservation is not read."""
        key = reservation_key(reservation_id)
        found = self._changed.get(key) or self._read.get(key, (None,))[0]
        return found.held_lines if isinstance(found, Reservation) else ()

    def _current(self, key: Key) -> Entity | None:
        """The document with the changes decided so far. Raises the error of an unusable one."""
        found = self._changed[key] if key in self._changed else self._read[key][0]
        if isinstance(found, Unusable):
            raise found.error
        return found
