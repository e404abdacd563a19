"""One Listen stream: its targets, and the responses to requests and commits.

Nothing here waits. The responses to a request come in steps, as the first snapshot can be large.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.indexes.checks import CheckIndexes, ignore_indexes
from firestore_emulator.listen import responses
from firestore_emulator.listen.responses import (
    Projection,
    snapshot,
    target_change,
    target_rejected,
)
from firestore_emulator.listen.targets import Changes, Documents, Target, compile_target
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError
from firestore_emulator.model.messages import (
    Document,
    ListenRequest,
    ListenResponse,
    TargetChange,
    TargetRequest,
)
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import ITEMS, Steps
from firestore_emulator.store.change_feed import Change
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.view import View


class WatchedTarget:
    """A target, and the documents in its topics that changed since its last snapshot.

    Memory is bounded by the number of those documents, however long the client does not read.
    """

    def __init__(self, target: Target, wake: Callable[[], None]) -> None:
        self.target = target
        self._wake = wake
        self.touched: dict[DocumentName, Document | None] = {}

    def touch(self, name: DocumentName, change: Change) -> None:
        at_last_snapshot = self.touched.setdefault(name, change.before)
        if at_last_snapshot is change.after:  # absent then and now
            del self.touched[name]
        self._wake()

    def changes(self, now: View) -> Changes:
        touched, self.touched = self.touched, {}
        return self.target.changes(touched, now) if touched else {}


class Listener:
    def __init__(
        self,
        databases: Databases,
        wake: Callable[[], None],
        check_indexes: CheckIndexes = ignore_indexes,
    ) -> None:
        """Calls ``wake`` when ``changes()`` may have responses to send."""
        self._databases = databases
        self._wake = wake
        self._check_indexes = check_indexes
        self._database: Database | None = None
        self._watched: dict[int, WatchedTarget] = {}
        self._free_ids = count(1)
        self._assigns_ids = False

    def share(self) -> None:
        """Lets the steps of ``handle`` continue on the documents that they began with."""
        if self._database is not None:
            self._database.share()

    def prepare(self, request: ListenRequest) -> Steps[None]:
        """Makes ``handle`` faster, with the same result. It ignores errors: handle reports them."""
        with suppress(EmulatorError):
            if request.HasField("add_target"):
                database = self._databases[request.database]
                yield from compile_target(request.add_target, database).prepare(database)

    def handle(self, request: ListenRequest) -> Steps[list[ListenResponse]]:
        """The responses to a request. An invalid target is removed; other errors end the stream.

        ``changes()`` must not be called before the last step.
        """
        database = self._databases[request.database]
        if self._database not in {None, database}:
            raise InvalidArgumentError("A stream listens to one database.")
        self._database = database
        match request.WhichOneof("target_change"):
            case "add_target":
                return (yield from self._add(request.add_target, database))
            case "remove_target":
                return self._remove(request.remove_target, database)
            case _:
                raise InvalidArgumentError("The request neither adds a target nor removes one.")

    def changes(self) -> list[ListenResponse]:
        """The difference between the last snapshot and now. Merges the commits between them."""
        if self._database is None:
            return []
        by_target = {
            target_id: watched.changes(self._database)
            for target_id, watched in self._watched.items()
        }
        if not any(by_target.values()):
            return []
        time = self._database.read().time
        return [*self._documents(by_target, self._database, time), snapshot(time)]

    def refresh_tokens(self) -> list[ListenResponse]:
        """A snapshot even without changes: its token resumes from now. Nothing without targets."""
        if self._database is None or not self._watched:
            return []
        return self.changes() or [snapshot(self._database.read().time)]

    def close(self) -> None:
        if self._database is not None:
            for target_id in list(self._watched):
                self._forget(target_id, self._database)

    def _add(self, request: TargetRequest, database: Database) -> Steps[list[ListenResponse]]:
        if request.target_id and self._assigns_ids:
            error = InvalidArgumentError(
                "A stream that has a target with id 0 cannot have targets with other ids."
            )
            return [*self.changes(), target_rejected(request.target_id, error)]
        target_id = self._id(request.target_id)
        try:
            target = compile_target(request, database, self._check_indexes)
            since = _resumed_view(request, database)
        except EmulatorError as error:
            added = target_change(target_id, TargetChange.ADD)
            return [*self.changes(), added, target_rejected(target_id, error)]
        # All targets show the same moment: no pause until the documents are read.
        sent = [*self.changes(), target_change(target_id, TargetChange.ADD)]
        watched = self._watched[target_id] = WatchedTarget(target, self._wake)
        database.feed.subscribe(target.topics, watched.touch)
        time = database.read().time
        if since is None:
            if request.WhichOneof("resume_type"):
                sent.append(target_change(target_id, TargetChange.RESET))
            documents = yield from target.begin(database)
            sent += yield from self._first_documents(target_id, documents, time)
        else:
            resumed = {target_id: target.resume(database, since)}
            sent += self._documents(resumed, database, time)
        sent += [target_change(target_id, TargetChange.CURRENT, time), snapshot(time)]
        if request.once:
            sent += self._remove(target_id, database)
        return sent

    def _id(self, requested: int) -> int:
        if requested < 0:
            raise InvalidArgumentError("A target id is negative.")
        if requested in self._watched:
            raise InvalidArgumentError(f"The stream has a target {requested} already.")
        if requested:
            return requested
        self._assigns_ids = True
        return next(each for each in self._free_ids if each not in self._watched)

    def _remove(self, target_id: int, database: Database) -> list[ListenResponse]:
        """Empty for an unknown target: a ``once`` target may have removed itself."""
        if target_id not in self._watched:
            return []
        self._forget(target_id, database)
        return [target_change(target_id, TargetChange.REMOVE)]

    def _forget(self, target_id: int, database: Database) -> None:
        watched = self._watched.pop(target_id)
        database.feed.unsubscribe(watched.target.topics, watched.touch)

    def _first_documents(
        self, target_id: int, documents: Documents, time: Timestamp
    ) -> Steps[list[ListenResponse]]:
        found: list[ListenResponse] = []
        by_projection = self._by_projection([target_id])
        for number, (name, document) in enumerate(documents.items(), 1):
            shown, removed = (by_projection, []) if document is not None else ({}, [target_id])
            found += responses.document_changes(name, document, shown, removed, time)
            if number % ITEMS == 0:
                yield
        return found

    def _documents(
        self, by_target: Mapping[int, Changes], database: Database, time: Timestamp
    ) -> Iterator[ListenResponse]:
        by_name: dict[DocumentName, dict[int, bool]] = {}
        for target_id, changes in by_target.items():
            for name, is_part in changes.items():
                by_name.setdefault(name, {})[target_id] = is_part
        for name, parts in by_name.items():
            shown = [target_id for target_id, is_part in parts.items() if is_part]
            removed = [target_id for target_id, is_part in parts.items() if not is_part]
            yield from responses.document_changes(
                name, database.get(name), self._by_projection(shown), removed, time
            )

    def _by_projection(self, target_ids: Iterable[int]) -> Mapping[Projection, Iterable[int]]:
        ids: dict[Projection, list[int]] = {}
        for target_id in target_ids:
            ids.setdefault(self._watched[target_id].target.projection, []).append(target_id)
        return ids


def _resumed_view(request: TargetRequest, database: Database) -> View | None:
    """The view that the client already has; None if it names none or its time is too old."""
    match request.WhichOneof("resume_type"):
        case "resume_token":
            try:
                return database.known_since(responses.time_of(request.resume_token))
            except InvalidArgumentError:  # it may be from another emulator
                return None
        case "read_time":
            return database.known_since(request.read_time)
        case _:
            return None
