"""The interfaces of the stores that the use cases need.

Their methods raise the errors of ``functions_common.firestore.errors``.
"""

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
        ProductFilter,
        ProductPlace,
        RecordedReservation,
        Unusable,
    )


class StockStore(Protocol):
    def read(
        self, keys: Collection[Key], deadline: Deadline
    ) -> Iterable[tuple[Key, Entity | Unusable | None, datetime | None]]:
        """Read all documents at one moment. Yields each key with the document and its version.

        Document and version are None if the document does not exist.
        """

    def commit(self, changes: Iterable[tuple[Entity, datetime | None]], deadline: Deadline) -> None:
        """Write all changes or none. Each names the version that it replaces.

        The version None creates the document. Raises ConflictError if a document has another
        version, or if one to create exists.
        """


class CatalogueStore(StockStore, Protocol):
    def get(self, key: Key, deadline: Deadline) -> Entity | None:
        """Read one document; None if it does not exist.

        Raises UnusableDocumentError if it is damaged or was written by a newer revision.
        """

    def products(
        self,
        after: ProductPlace | None,
        limit: int,
        deadline: Deadline,
        filters: ProductFilter = ...,
    ) -> list[Product]:
        """A page of products; of all by default. ``filters`` has their order.

        ``after`` is the place of the last product of the page before: ``ProductFilter.place``.
        """

    def adjustments(
        self,
        product_id: str,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Adjustment]:
        """A page of adjustments, newest first.

        ``after`` is the time and id of the last one of the page before.
        """

    def reservations_of(
        self, product_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[RecordedReservation]:
        """A page of reservations with a line of the product, by id.

        ``after`` is the last id of the page before.
        """
