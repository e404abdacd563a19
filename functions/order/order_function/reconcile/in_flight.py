"""Several pieces of work at a time, for a command."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, Self

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


class InFlight:
    """Runs functions in threads, at most so many at a time; in the caller's own thread if one.

    ``submit`` waits for a free thread, so that a producer is never far ahead. At the end of the
    ``with`` block all are done. The functions must not raise.
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most) if most > 1 else None
        self._free = threading.Semaphore(most)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def submit(self, function: Callable[P, None], *args: P.args, **named: P.kwargs) -> None:
        if self._pool is None:
            function(*args, **named)
            return
        self._free.acquire()
        here = copy_context()
        done = self._pool.submit(lambda: here.run(function, *args, **named))
        done.add_done_callback(lambda _: self._free.release())
