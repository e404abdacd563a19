"""The write lock of a commit of many writes, such as an import."""

from collections.abc import Iterable

from firestore_emulator.model.messages import Document
from firestore_emulator.store.database import Database
from firestore_emulator.store.staging import Checked


class ManyWritesLock:
    """The writes replace whole documents, so the documents after them need no computation."""

    def __init__(self, database: Database, checked: Checked) -> None:
        self.names = frozenset(checked.names)
        self.writes = checked.writes
        self._database = database

    def documents(self) -> Iterable[Document]:
        stored = map(self._database.get, self.names)
        yield from (document for document in stored if document is not None)
        yield from (write.update for write in self.writes)
