"""Runs each request in a transaction of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.api_core.exceptions import AlreadyExists
from google.cloud import firestore

from functions_common.firestore.documents import Document
from functions_common.firestore.errors import ConflictError, StoreUnavailableError
from inventory_function.store import to_document, to_entity
from inventory_function.unit_of_work import UnitOfWork
from order_function import order_documents, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import Key
    from inventory_function.operations import StockOperation
    from order_function.domain import Order

T = TypeVar("T")


class Transactions:
    """Replaces inventory's ``GroupCommit``."""

    def __init__(self, connection: FirestoreConnection) -> None:
        self._connection = connection

    def run(self, operation: StockOperation[T], _deadline: Deadline) -> T:
        client = self._connection.client

        def carry_out(transaction: firestore.Transaction) -> T:
            stock = UnitOfWork()
            while missing := {key for key in operation.needs(stock) if key not in stock}:
                references = [client.document(*key) for key in missing]
                for found in transaction.get_all(references):
                    key: Key = tuple(found.reference.path.split("/"))
                    entity = to_entity(Document.from_snapshot(found)) if found.exists else None
                    stock.record_read(key, entity, None)
            result = operation.decide(stock)
            for entity, _ in stock.changes():
                transaction.set(client.document(*entity.key), to_document(entity))
            return result

        return _in_a_transaction(client, carry_out)


class OrderStore(store.FirestoreOrderStore):
    """Replaces order's store: creates each document in a request of its own."""

    def __init__(self, connection: FirestoreConnection) -> None:
        super().__init__(connection)
        self._connection = connection

    def create(self, order: Order, _deadline: Deadline) -> None:
        reference = self._connection.client.document(order_documents.ORDERS, order.order_id)
        try:
            reference.create(order_documents.to_document(order))
        except AlreadyExists as error:
            raise ConflictError(order.order_id) from error


def _in_a_transaction(
    client: firestore.Client, carry_out: Callable[[firestore.Transaction], T]
) -> T:
    try:
        return firestore.transactional(carry_out)(client.transaction())  # type: ignore[no-any-return]
    except ValueError as error:  # the client raises it after five lost attempts
        raise StoreUnavailableError(str(error)) from error
