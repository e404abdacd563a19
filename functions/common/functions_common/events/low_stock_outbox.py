"""Publishes the low-stock events: each in a document of its own (docs/adr/0028).

inventory stores the event in the commit that makes the stock low. A publisher sends it, and then
deletes its document.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from functions_common.events import cloud_event
from functions_common.events.cloud_event import Attributes
from functions_common.events.low_stock import LOW_STOCK_EVENTS, LowStockEvent
from functions_common.events.sending import Published, record_sent, send_each, try_to_send
from functions_common.firestore.documents import Documents, convert_document
from functions_common.firestore.queries import Position, Queries, Query
from functions_common.ids import timestamp
from functions_common.limiter import ConcurrencyLimiter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from functions_common.events.cloud_event import EventRequest
    from functions_common.events.sending import SinkError
    from functions_common.events.sink import Sink
    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.documents import Document
    from functions_common.firestore.errors import StoreError
    from functions_common.runtime.deadlines import Deadline

SOURCE = "/products"
TYPE = "product.low_stock"


class _Data(msgspec.Struct, frozen=True):
    product_id: str
    name: str
    available: int
    low_stock_threshold: int
    at: str


def to_request(event: LowStockEvent) -> EventRequest:
    data = _Data(
        event.product_id,
        event.name,
        event.available,
        event.low_stock_threshold,
        timestamp(event.at),
    )
    attributes = Attributes(event.event_id, SOURCE, TYPE, event.product_id, event.at)
    return cloud_event.to_request(attributes, data)


class LowStockOutbox(Protocol):
    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[LowStockEvent]:
        """A page of the stored events, by id. ``after``: the last id of the page before."""

    def delete(self, event_ids: Collection[str], deadline: Deadline) -> list[StoreError | None]:
        """Delete events that were sent. Returns the error of each, or None."""


class FirestoreLowStockOutbox:
    def __init__(self, connection: FirestoreConnection) -> None:
        self._documents = Documents(connection)
        self._queries = Queries(connection, ConcurrencyLimiter())

    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[LowStockEvent]:
        position = None if after is None else Position((LOW_STOCK_EVENTS, after))
        query = Query((LOW_STOCK_EVENTS,), after=position)
        return self._queries.page(
            query, limit, lambda found: convert_document(found.document, _to_event), deadline
        )

    def delete(self, event_ids: Collection[str], deadline: Deadline) -> list[StoreError | None]:
        deletions = [
            self._documents.encode_deletion((LOW_STOCK_EVENTS, each)) for each in event_ids
        ]
        return self._documents.write_each(deletions, deadline)


def _to_event(found: Document) -> LowStockEvent:
    return replace(found, fields={**found.fields, "event_id": found.id}).convert(LowStockEvent)


def publish(outbox: LowStockOutbox, sink: Sink, events: Iterable[LowStockEvent]) -> Published:
    """Send these events, and delete those that the sink accepted."""
    sent: list[str] = []

    def send(event: LowStockEvent) -> SinkError | None:
        error = try_to_send(event.event_id, sink.send, partial(to_request, event))
        if error is None:
            sent.append(event.event_id)
        return error

    failures, unavailable = send_each(events, send)
    recorded = record_sent(sent, outbox.delete, failures)
    return Published(len(sent), recorded, failures, unavailable)
