"""Stream the names of changed documents as Server-Sent Events.

A stream covers a document or a collection and everything below it, or the whole database. Its
events are ``ready`` (once, when it begins) and ``change``, with JSON such as
``{"documents": ["projects/P/databases/D/documents/c/a"], "complete": true}``. Changes that follow
each other quickly are one event. An event with ``"complete": false`` lacks names: read everything.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qs

from firestore_emulator.http_api.messages import HttpError, Request, Response
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.change_feed import Change, Scope, Topic
from firestore_emulator.store.database import Database

MAX_STREAMS = 32
MAX_NAMES = 100  # of one event
MERGE_SECONDS = 0.2  # at most five events each second
HEARTBEAT_SECONDS = 15.0  # a send to a client that has vanished fails in the end

_CONTENT_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_READY = b"event: ready\ndata: {}\n\n"
_HEARTBEAT = b": no change\n\n"


class ChangeStreams:
    """The open streams of all databases."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._open: set[PendingChanges] = set()

    @property
    def number_open(self) -> int:
        return len(self._open)

    async def respond(self, request: Request, database: Database) -> Response:
        """The query parameter ``path`` names the document or collection; the default is all."""
        pending = PendingChanges(_path(request))
        if request.method == "HEAD":
            return Response(HTTPStatus.OK, _CONTENT_TYPE, b"", _HEADERS)
        await request.read_body(0)
        if self.number_open >= MAX_STREAMS:
            raise HttpError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MAX_STREAMS} streams of changes are open, which is the limit. Close one.",
            )
        events = self._events(pending, database, request.until_disconnected)
        return Response(HTTPStatus.OK, _CONTENT_TYPE, events, _HEADERS)

    async def _events(
        self,
        pending: "PendingChanges",
        database: Database,
        until_disconnected: Callable[[], Awaitable[None]],
    ) -> AsyncGenerator[bytes, None]:
        """Subscribes when it is first read. Ends when the client disconnects."""
        topics = [Topic(Scope.DATABASE)]
        self._open.add(pending)
        database.feed.subscribe(topics, pending.add)
        watching = asyncio.ensure_future(until_disconnected())
        watching.add_done_callback(lambda _: pending.due.set())
        try:
            yield _READY
            while not watching.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_seconds):
                        await pending.due.wait()
                if watching.done():
                    return
                yield pending.take() if pending.due.is_set() else _HEARTBEAT
                await asyncio.wait({watching}, timeout=MERGE_SECONDS)
        finally:
            watching.cancel()
            database.feed.unsubscribe(topics, pending.add)
            self._open.discard(pending)


class PendingChanges:
    """The changes since the last event. Their number is bounded, however slow the client is."""

    def __init__(self, path: str) -> None:
        self.due = asyncio.Event()
        self._path = path
        self._names: dict[DocumentName, None] = {}  # a set in the order of the changes
        self._complete = True

    def add(self, name: DocumentName, _: Change) -> None:
        if not self._covers(name):
            return
        if len(self._names) < MAX_NAMES:
            self._names[name] = None
        elif name not in self._names:
            self._complete = False
        self.due.set()

    def take(self) -> bytes:
        content = {"documents": list(map(str, self._names)), "complete": self._complete}
        self._names, self._complete = {}, True
        self.due.clear()
        return b"event: change\ndata: %b\n\n" % json.dumps(content).encode()

    def _covers(self, name: DocumentName) -> bool:
        return not self._path or f"{name.collection}/{name.id}/".startswith(f"{self._path}/")


def _path(request: Request) -> str:
    try:
        parameters = parse_qs(
            request.query, keep_blank_values=True, errors="strict", max_num_fields=2
        )
    except ValueError as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"The query is not valid: {error}") from error
    path, *more = parameters.pop("path", [""])
    if parameters or more:
        raise HttpError(HTTPStatus.BAD_REQUEST, "The only query parameter is one path.")
    return path.strip("/")
