"""Where a database writes down what it is about to become."""

from collections.abc import Mapping
from typing import Protocol

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName


class Journal(Protocol):
    """Times are in microseconds, and rise.

    Both return when the change will outlive the process, or raise StorageError: then nothing of
    it is kept, and the database must stay as it is.
    """

    def commit(self, time: int, documents: Mapping[DocumentName, Document | None]) -> None:
        """None stands for a document that is gone."""

    def clear(self, time: int) -> None: ...


class InMemory:
    """Nothing outlives the process, as in the official emulator."""

    def commit(self, time: int, documents: Mapping[DocumentName, Document | None]) -> None:
        pass

    def clear(self, time: int) -> None:
        pass
