"""What the use cases need from outside; errors are those of functions_common.firestore.errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import (
        Adjustment,
        Entity,
        Key,
        Product,
        RecordedReservation,
        Unusable,
    )


class StockStore(Protocol):
    def read(
        self, keys: Collection[Key], deadline: Deadline
    ) -> Iterable[tuple[Key, Entity | Unusable | None, datetime | None]]:
        """Every document at one moment, with its version; both None if there is none."""

    def commit(self, changes: Iterable[tuple[Entity, datetime | None]], deadline: Deadline) -> None:
        """All changes or none; ConflictError where a document is not of the version given."""


class CatalogueStore(StockStore, Protocol):
    def get(self, key: Key, deadline: Deadline) -> Entity | None:
        """Raises UnusableDocumentError for a document that is damaged or a newer revision's."""

    def products(self, after: str | None, limit: int, deadline: Deadline) -> list[Product]:
        """By id, beginning after the one given."""

    def adjustments(
        self,
        product_id: str,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Adjustment]:
        """Newest first, beginning after the one given by its time and id."""

    def reservations_of(
        self, product_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[RecordedReservation]:
        """Those with a line of the product, by id, beginning after the one given."""
