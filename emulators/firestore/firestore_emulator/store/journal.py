"""The write-ahead journal of a database: the interface, and one that stores nothing."""

from collections.abc import Mapping
from typing import Protocol

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName


class Journal(Protocol):
    """Called before the database changes in memory. Times are in microseconds and rise.

    Both methods return when the change survives the process. If they raise StorageError, nothing
    of the change is stored, and the database must not change.
    """

    def commit(self, time: int, documents: Mapping[DocumentName, Document | None]) -> None:
        """Stores the new documents; None marks a deleted one."""

    def clear(self, time: int) -> None: ...


class NoJournal:
    """Stores nothing: all data ends with the process, as in the official emulator."""

    def commit(self, time: int, documents: Mapping[DocumentName, Document | None]) -> None:
        pass

    def clear(self, time: int) -> None:
        pass
