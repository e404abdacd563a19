"""The worker threads that run the app, and the queue of requests that wait for one."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from functions_common.observability import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions_common.http_server.connection import ClientConnection, Limits


class WorkerPool:
    """A fixed number of threads. A request waits in the queue only if all of them are busy.

    A request goes to the thread that has become idle last, because its memory is most likely still
    in the processor's caches.
    """

    def __init__(self, threads: int, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._queue: deque[ClientConnection] = deque()
        """Empty if a thread is idle."""
        self._stopping = False
        self._workers = [_Worker(self, number) for number in range(threads)]
        self._idle.extend(self._workers)
        for worker in self._workers:
            worker.start()

    def add_task(self, task: ClientConnection) -> bool:
        """Serve the connection's next request, now or after others. False if the queue is full."""
        with self._lock:
            if not self._idle:
                if len(self._queue) >= self._limits.queued:
                    return False
                task.queued_at = time.monotonic()
                self._queue.append(task)
                return True
            worker = self._idle.pop()
        worker.wake(task)
        return True

    def overdue(self) -> Iterator[ClientConnection]:
        """Take requests out of the queue that have waited too long for a thread."""
        late = time.monotonic() - self._limits.queue_seconds
        while True:
            with self._lock:
                if not self._queue or self._queue[0].queued_at > late:
                    return
                task = self._queue.popleft()
            yield task

    def next_task(self, worker: _Worker) -> ClientConnection | None:
        """Give a worker that has finished its request the next one. None: there is none.

        Then the worker is idle, unless the pool stops.
        """
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            if self._stopping:
                worker.wake(None)
            else:
                self._idle.append(worker)
            return None

    def shutdown(self, timeout: float) -> None:
        """End the threads. Wait ``timeout`` seconds for those that still serve a request.

        Requests in the queue are not served; their connections are cancelled.
        """
        with self._lock:
            self._stopping = True
            waiting, self._queue = self._queue, deque()
            idle, self._idle = self._idle, []
        for task in waiting:
            task.cancel()
        for worker in idle:
            worker.wake(None)
        end = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, end - time.monotonic()))


class _Worker(threading.Thread):
    """A thread that sleeps on a lock of its own until the pool gives it a request."""

    def __init__(self, pool: WorkerPool, number: int) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._pool = pool
        self._task: ClientConnection | None = None
        self._awake = threading.Lock()
        self._awake.acquire()

    def wake(self, task: ClientConnection | None) -> None:
        """End the thread's sleep, to serve the request. None ends the thread itself."""
        self._task = task
        self._awake.release()

    def run(self) -> None:
        while True:
            self._awake.acquire()
            task, self._task = self._task, None
            if task is None:
                return
            while task is not None:
                _serve(task)
                task = self._pool.next_task(self)


def _serve(connection: ClientConnection) -> None:
    """Even SystemExit, raised by the app, ends neither the thread nor the server."""
    try:
        connection.service()
    except BaseException as error:  # noqa: BLE001 - see above
        logs.exception("Unexpected error in a worker thread", error)
