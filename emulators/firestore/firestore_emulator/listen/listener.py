"""One stream of Listen: the targets that it has, and what is sent when. Nothing here waits."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.indexes.checks import CheckIndexes, ignore_indexes
from firestore_emulator.listen import responses
from firestore_emulator.listen.responses import Projection, of_target, refused, snapshot
from firestore_emulator.listen.targets import Changes, Target, compile_target
from firestore_emulator.model.errors import (
    EmulatorError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from firestore_emulator.model.messages import (
    Document,
    ListenRequest,
    ListenResponse,
    TargetChange,
    TargetRequest,
)
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.change_feed import Change
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.view import View


class Watch:
    """A target, and the documents in its reach that were touched since its last snapshot.

    Takes no more memory than those documents, however long nobody asks.
    """

    def __init__(self, target: Target, wake: Callable[[], None]) -> None:
        self.target = target
        self._wake = wake
        self.touched: dict[DocumentName, Document | None] = {}

    def touch(self, name: DocumentName, change: Change) -> None:
        at_last_snapshot = self.touched.setdefault(name, change.before)
        if at_last_snapshot is change.after:  # not there, as before
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
        """Wakes whoever is to ask for changes."""
        self._databases = databases
        self._wake = wake
        self._check_indexes = check_indexes
        self._database: Database | None = None
        self._watches: dict[int, Watch] = {}
        self._free_ids = count(1)
        self._assigns_ids = False

    def handle(self, request: ListenRequest) -> list[ListenResponse]:
        """What is wrong with a target is told of the target; other errors end the stream."""
        database = self._databases[request.database]
        if self._database not in {None, database}:
            raise InvalidArgumentError("A stream listens to one database.")
        self._database = database
        match request.WhichOneof("target_change"):
            case "add_target":
                return list(self._add(request.add_target, database))
            case "remove_target":
                return self._remove(request.remove_target, database)
            case _:
                raise InvalidArgumentError("The request neither adds a target nor removes one.")

    def changes(self) -> list[ListenResponse]:
        """From the last snapshot to one of now. Of several commits only what came of them."""
        if self._database is None:
            return []
        by_target = {
            target_id: watch.changes(self._database) for target_id, watch in self._watches.items()
        }
        if not any(by_target.values()):
            return []
        time = self._database.read().time
        return [*self._documents(by_target, self._database, time), snapshot(time)]

    def close(self) -> None:
        if self._database is not None:
            for target_id in list(self._watches):
                self._forget(target_id, self._database)

    def _add(self, request: TargetRequest, database: Database) -> Iterator[ListenResponse]:
        yield from self.changes()
        if request.target_id and self._assigns_ids:
            error = InvalidArgumentError("After a target with id 0, no other may be given.")
            yield refused(request.target_id, error)
            return
        target_id = self._id(request.target_id)
        yield of_target(target_id, TargetChange.ADD)
        try:
            target = compile_target(request, database, self._check_indexes)
            since = _known(request, database)
        except EmulatorError as error:
            yield refused(target_id, error)
            return
        watch = self._watches[target_id] = Watch(target, self._wake)
        database.feed.watch(target.interests, watch.touch)
        time = database.read().time
        if since is None and request.WhichOneof("resume_type"):
            yield of_target(target_id, TargetChange.RESET)
        begin = target.begin(database, since)
        yield from self._documents({target_id: begin}, database, time)
        yield of_target(target_id, TargetChange.CURRENT, time)
        yield snapshot(time)
        if request.once:
            yield from self._remove(target_id, database)

    def _id(self, requested: int) -> int:
        if requested < 0:
            raise InvalidArgumentError("A target id is negative.")
        if requested in self._watches:
            raise InvalidArgumentError(f"The stream has a target {requested} already.")
        if requested:
            return requested
        self._assigns_ids = True
        return next(each for each in self._free_ids if each not in self._watches)

    def _remove(self, target_id: int, database: Database) -> list[ListenResponse]:
        """Of one that is not there, nothing: it may have been removed by itself meanwhile."""
        if target_id not in self._watches:
            return []
        self._forget(target_id, database)
        return [of_target(target_id, TargetChange.REMOVE)]

    def _forget(self, target_id: int, database: Database) -> None:
        watch = self._watches.pop(target_id)
        database.feed.unwatch(watch.target.interests, watch.touch)

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
            yield from responses.of_document(
                name, database.get(name), self._by_projection(shown), removed, time
            )

    def _by_projection(self, target_ids: Iterable[int]) -> Mapping[Projection, Iterable[int]]:
        ids: dict[Projection, list[int]] = {}
        for target_id in target_ids:
            ids.setdefault(self._watches[target_id].target.projection, []).append(target_id)
        return ids


def _known(request: TargetRequest, database: Database) -> View | None:
    """What the client has already, as far as it says so and its time can still be read."""
    match request.WhichOneof("resume_type"):
        case "resume_token":
            try:
                return database.read(responses.time_of(request.resume_token)).view
            except EmulatorError:  # it may be from before a restart
                return None
        case "read_time":
            try:
                return database.read(request.read_time).view
            except FailedPreconditionError:
                return None
        case _:
            return None
