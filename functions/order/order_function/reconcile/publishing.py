"""The part of a sweep that publishes the events that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions_common.runtime.deadlines import Deadline
from order_function.events.publisher import BATCH, CALL_SECONDS, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from order_function.events.publisher import Published
    from order_function.events.sink import Sink
    from order_function.ports import Outbox

MAX_FAILED_PAGES = 2
"""After so many pages in a row of which no event could be sent, the rest is left."""


class Publishing:
    def __init__(self, outbox: Outbox, sink: Sink) -> None:
        self._outbox, self._sink = outbox, sink

    def publish_left(
        self, stopping: Callable[[], bool], report: Callable[[Published], None]
    ) -> None:
        """Publish the events of all orders that have unsent ones, a page at a time.

        ``report`` gets the result of each page.
        """
        after = None
        failed_pages = 0
        while not stopping() and failed_pages < MAX_FAILED_PAGES:
            page = self._outbox.unsent(after, BATCH, Deadline.after(CALL_SECONDS))
            if not page:
                return
            published = publish(page, self._outbox, self._sink)
            report(published)
            failed_pages = 0 if published.events or not published.failures else failed_pages + 1
            after = page[-1].order.order_id
