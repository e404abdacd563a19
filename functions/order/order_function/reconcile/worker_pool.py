"""A bounded pool of threads, for a command."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, Self

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


class WorkerPool:
    """Runs functions in up to ``size`` threads; in the caller's own thread if ``size`` is 1.

    ``submit`` blocks until a thread is free, so no queue grows. The end of the ``with`` block waits
    for all functions. They must not raise.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size) if size > 1 else None
        self._free = threading.Semaphore(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def submit(self, function: Callable[P, object], *args: P.args, **named: P.kwargs) -> None:
        if self._pool is None:
            function(*args, **named)
            return
        self._free.acquire()
        context = copy_context()
        done = self._pool.submit(lambda: context.run(function, *args, **named))
        done.add_done_callback(lambda _: self._free.release())
