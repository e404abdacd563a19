"""Erases a customer: removes everything that is personal from all of their orders.

The query for the customer's orders shows which are left, since an erased order no longer has their
``customer_id``. So a crash loses nothing, and the request can be repeated until it is complete.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    UnusableDocumentError,
)
from order_function.domain import NewerRevisionError

if TYPE_CHECKING:
    from functions_common.runtime.deadlines import Deadline
    from order_function.ports import OrderOrError, OrderStore, VersionedOrder

PAGE = 50
"""Orders that one query returns."""
TIME_FRACTION = 0.8
"""The part of the request's time in which it begins to erase orders. The rest is for the call in
progress, so that the request responds with its progress instead of an error."""


class Erased(NamedTuple):
    orders: int
    """Orders that this request erased."""
    complete: bool
    """No order of the customer is left."""


def erase_customer(store: OrderStore, customer_id: str, deadline: Deadline) -> Erased:
    """Erase the customer's orders until none is left, or until the time is over.

    An order that another request changes at the same time is read again. An order that cannot be
    erased does not keep the others from being erased: its error is raised after them. That is
    UnusableDocumentError for a damaged document, and NewerRevisionError for a status that only a
    newer revision knows.
    """
    return _Erasure(store, customer_id, deadline).run()


class _Erasure:
    def __init__(self, store: OrderStore, customer_id: str, deadline: Deadline) -> None:
        self._store = store
        self._customer_id = customer_id
        self._deadline = deadline
        self._erased = 0
        self._error: UnusableDocumentError | NewerRevisionError | None = None
        self._after: str | None = None
        """The last order that cannot be erased. All orders before it were handled."""

    def run(self) -> Erased:
        until = self._deadline.fraction(TIME_FRACTION)
        while not until.passed:
            page = self._store.orders_of(self._customer_id, self._after, PAGE, self._deadline)
            if not page:
                if self._error is not None:
                    raise self._error
                return Erased(self._erased, complete=True)
            self._erase_page(page, until)
        return Erased(self._erased, complete=False)

    def _erase_page(self, page: list[OrderOrError], until: Deadline) -> None:
        last_failed = self._after
        for order_id, found in page:
            if until.passed:
                return
            try:
                if isinstance(found, UnusableDocumentError):
                    raise found
                self._erase(found)
            except (ConflictError, OutcomeUnknownError):
                return  # the query shows whether the order is left
            except (UnusableDocumentError, NewerRevisionError) as error:
                self._error = self._error or error
                last_failed = order_id
        self._after = last_failed

    def _erase(self, found: VersionedOrder) -> None:
        erased = replace(found.order.erase_personal(), updated_at=datetime.now(UTC))
        self._store.replace(erased, found.version, self._deadline)
        self._erased += 1
