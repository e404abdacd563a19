"""The documents. A commit is the only thing that changes them.

A stored Document is never mutated, only replaced, so whoever holds one, or a list of them
taken at one time, holds a consistent snapshot.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator import writes
from firestore_emulator.clock import Clock
from firestore_emulator.errors import InvalidArgumentError
from firestore_emulator.messages import Document, Write, WriteResult
from firestore_emulator.names import DocumentName, check_database


class Commit(NamedTuple):
    time: Timestamp
    results: list[WriteResult]


class Database:
    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self.name = name
        self._clock = clock or Clock()
        self._collections: dict[str, dict[str, Document]] = {}

    def read_time(self) -> Timestamp:
        return self._clock.read_time()

    def document_name(self, name: str) -> DocumentName:
        parsed = DocumentName.parse(name)
        if parsed.database != self.name:
            raise InvalidArgumentError(f'Document "{name}" is not in database "{self.name}".')
        return parsed

    def get(self, name: DocumentName) -> Document | None:
        documents = self._collections.get(name.collection)
        return documents.get(name.id) if documents else None

    def collection(self, path: str) -> Iterable[Document]:
        return self._collections.get(path, {}).values()

    def collection_paths(self, parent: str) -> Iterator[str]:
        """Paths of the collections that have documents, at any depth under the parent's."""
        prefix = f"{parent}/" if parent else ""
        return (path for path in self._collections if path.startswith(prefix))

    def commit(self, requested: Sequence[Write]) -> Commit:
        """Carries out all of them in order, or raises and carries out none."""
        now = self._clock.commit_time()
        staged: dict[DocumentName, Document | None] = {}
        results = []
        for write in requested:
            name = self.document_name(writes.target(write))
            stored = self.get(name)
            current = staged.get(name, stored)
            writes.check(write, current, stored)
            staged[name], result = writes.apply(write, current, now)
            results.append(result)
        for name, document in staged.items():
            self._store(name, document)
        return Commit(now, results)

    def clear(self) -> None:
        self._collections.clear()

    def _store(self, name: DocumentName, document: Document | None) -> None:
        if document is not None:
            self._collections.setdefault(name.collection, {})[name.id] = document
        elif documents := self._collections.get(name.collection):
            documents.pop(name.id, None)
            if not documents:
                del self._collections[name.collection]


class Databases:
    """Every database that is asked for exists, as in the official emulator."""

    def __init__(self) -> None:
        self._databases: dict[str, Database] = {}

    def __getitem__(self, name: str) -> Database:
        database = self._databases.get(name)
        if database is None:
            check_database(name)
            database = self._databases[name] = Database(name)
        return database
