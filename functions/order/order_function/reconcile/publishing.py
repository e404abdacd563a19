"""The part of a sweep that publishes the unsent events."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from functions_common.events import low_stock_outbox
from functions_common.events.sending import BATCH, CALL_SECONDS
from functions_common.runtime.deadlines import Deadline
from order_function.events import publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions_common.events.low_stock import LowStockEvent
    from functions_common.events.low_stock_outbox import LowStockOutbox
    from functions_common.events.sending import Published
    from functions_common.events.sink import Sink
    from order_function.ports import Outbox, VersionedOrder

T = TypeVar("T")


class UnsentEvents(Generic[T]):
    """The unsent events of one kind of document."""

    def __init__(
        self,
        unsent: Callable[[str | None, int, Deadline], list[T]],
        publish: Callable[[list[T]], Published],
        id_of: Callable[[T], str],
    ) -> None:
        """``unsent``: returns a page of documents that have unsent events, by id."""
        self._unsent, self._publish, self._id_of = unsent, publish, id_of

    def publish_unsent(
        self, stopping: Callable[[], bool], report: Callable[[Published], None]
    ) -> None:
        """Publish the events of all documents that have unsent ones, a page at a time.

        If the sink is unavailable, the rest is left. ``report`` gets the result of each page.
        """
        after = None
        while not stopping():
            page = self._unsent(after, BATCH, Deadline.after(CALL_SECONDS))
            if not page:
                return
            published = self._publish(page)
            report(published)
            if published.unavailable:
                return
            after = self._id_of(page[-1])


def order_events(outbox: Outbox, sink: Sink) -> UnsentEvents[VersionedOrder]:
    return UnsentEvents(
        outbox.unsent,
        partial(publisher.publish, outbox, sink),
        lambda found: found.order.order_id,
    )


def low_stock_events(outbox: LowStockOutbox, sink: Sink) -> UnsentEvents[LowStockEvent]:
    return UnsentEvents(
        outbox.unsent,
        partial(low_stock_outbox.publish, outbox, sink),
        lambda event: event.event_id,
    )
