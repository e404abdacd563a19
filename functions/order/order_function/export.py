"""An export: a list of orders as one response of JSON lines, in bounded memory.

The list is read page by page while the client receives it. Between two pages an export holds no
slot of the list limiter, and it reads no page ahead. So a slow client takes a thread of the server
and a part of one page, and no time of Firestore.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from functions_common.firestore.errors import StoreError
from functions_common.limiter import TooManyListRequestsError
from functions_common.observability import activity, logs
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from order_function.domain import Order

    ReadPage = Callable[[Order | None], list[Order]]
    """Reads the page after this order. None: the first page."""

PAGE = 200
PIECE_BYTES = 32 * 1024
"""A piece of the response is at least so long, unless it is the last one of a page."""
MIN_PAUSE, MAX_PAUSE = 0.1, 1.0
"""The pause before a page is read again, in seconds."""
COMPLETE = "complete"


class ExportAbortedError(OSError):
    """A page cannot be read. The server closes the connection, and sends no last chunk."""


class ExportSlots:
    """The exports that a process serves at the same time. Each takes a thread of the server."""

    def __init__(self, concurrency: int) -> None:
        self._count = max(1, concurrency // 16)
        self._free = threading.BoundedSemaphore(self._count)

    def acquire(self) -> None:
        """Raises TooManyListRequestsError if all slots are in use."""
        if not self._free.acquire(blocking=False):
            raise TooManyListRequestsError(
                f"Too many concurrent exports: {self._count} are running"
            )

    def release(self) -> None:
        self._free.release()


class Export:
    """The body of the response: a WSGI iterable.

    ``open`` reads the first page, so that its errors still get a problem document. The server calls
    ``close`` when the response has ended, whether it is complete or not.
    """

    def __init__(
        self,
        read_page: ReadPage,
        to_line: Callable[[Order], bytes],
        slots: ExportSlots,
        page_seconds: float,
    ) -> None:
        """``page_seconds``: after so long, a page is not tried again."""
        self._read_page = read_page
        self._to_line = to_line
        self._slots = slots
        self._page_seconds = page_seconds
        self._page: list[Order] = []
        self._recording: Callable[[], AbstractContextManager[object]] = nullcontext
        """Continues the trace of the request, after the app has finished the request."""
        self._began = 0.0
        self._sent = 0
        self._end = "abandoned by the client"
        self._lock = threading.Lock()
        self._is_open = False

    def open(self) -> None:
        self._slots.acquire()
        self._is_open = True
        self._began = time.monotonic()
        if current := activity.current():
            self._recording = partial(activity.recording, current.trace)
        try:
            self._page = self._read_page(None)
        except BaseException:
            self._release()
            raise

    def __iter__(self) -> Iterator[bytes]:
        page, self._page = self._page, []
        while page:
            yield from self._pieces(page)
            page = self._next_page(page[-1]) if len(page) == PAGE else []
        self._end = COMPLETE

    def _pieces(self, page: Sequence[Order]) -> Iterator[bytes]:
        piece = bytearray()
        for order in page:
            piece += self._to_line(order)
            self._sent += 1
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        if piece:
            yield bytes(piece)

    def _next_page(self, last: Order) -> list[Order]:
        """Read the next page. Each try has a deadline of its own, like a request for a page."""
        reason = ""
        for _ in Deadline.after(self._page_seconds).backoff(MIN_PAUSE, MAX_PAUSE):
            try:
                with self._recording():
                    return self._read_page(last)
            except (StoreError, TooManyListRequestsError, DeadlineExceededError) as error:
                reason = f"{type(error).__name__}: {error}"
        self._end = f"aborted: a page cannot be read: {reason}"[:300]
        raise ExportAbortedError(self._end)

    def close(self) -> None:
        if not self._release():
            return
        complete = self._end == COMPLETE
        with self._recording():
            logs.event(
                f"Export {self._end}",
                severity=logging.INFO if complete else logging.WARNING,
                orders=self._sent,
                complete=complete,
                seconds=round(time.monotonic() - self._began, 1),
            )

    def _release(self) -> bool:
        """Whether this call was the first one."""
        with self._lock:
            was_open, self._is_open = self._is_open, False
        if was_open:
            self._slots.release()
        return was_open
