"""Who is told that a document has changed: who watches it, its collection, or every one of an id.

A commit looks four times for each document, however many others are watched. Whoever is told
notes it down, and finds out later what it means.
"""

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName


class Scope(Enum):
    DOCUMENT = auto()
    COLLECTION = auto()
    GROUP = auto()  # all collections of one id
    DATABASE = auto()


class Interest(NamedTuple):
    scope: Scope
    of: str = ""


class Change(NamedTuple):
    """Of one document."""

    before: Document | None
    after: Document | None


Told: TypeAlias = Callable[[DocumentName, Change], None]


class Feed:
    """Of one database."""

    def __init__(self) -> None:
        self._watchers: dict[Interest, set[Told]] = {}

    def __bool__(self) -> bool:
        """Whether anybody watches anything."""
        return bool(self._watchers)

    def watch(self, interests: Iterable[Interest], told: Told) -> None:
        for interest in interests:
            self._watchers.setdefault(interest, set()).add(told)

    def unwatch(self, interests: Iterable[Interest], told: Told) -> None:
        for interest in interests:
            watchers = self._watchers[interest]
            watchers.discard(told)
            if not watchers:
                del self._watchers[interest]

    def tell(self, name: DocumentName, change: Change) -> None:
        for interest in _interests_in(name):
            for told in self._watchers.get(interest, ()):
                told(name, change)


def in_document(name: DocumentName) -> Interest:
    return Interest(Scope.DOCUMENT, f"{name.collection}/{name.id}")


def _interests_in(name: DocumentName) -> Iterable[Interest]:
    return (
        in_document(name),
        Interest(Scope.COLLECTION, name.collection),
        Interest(Scope.GROUP, name.collection.rpartition("/")[2]),
        Interest(Scope.DATABASE),
    )
