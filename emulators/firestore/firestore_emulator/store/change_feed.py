"""Notify subscribers of changed documents: by document, collection, collection group or database.

A commit makes four look-ups for each document, however many subscribers there are. Subscribers
only record the change; they evaluate it later.
"""

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName


class Scope(Enum):
    DOCUMENT = auto()
    COLLECTION = auto()
    GROUP = auto()  # all collections with one id
    DATABASE = auto()


class Topic(NamedTuple):
    scope: Scope
    key: str = ""  # path of the document or collection, or id of the group


class Change(NamedTuple):
    """One document before and after a commit."""

    before: Document | None
    after: Document | None


OnChange: TypeAlias = Callable[[DocumentName, Change], None]


class ChangeFeed:
    """The change feed of one database."""

    def __init__(self) -> None:
        self._subscribers: dict[Topic, set[OnChange]] = {}

    def __bool__(self) -> bool:
        """Whether there is any subscriber."""
        return bool(self._subscribers)

    def subscribe(self, topics: Iterable[Topic], on_change: OnChange) -> None:
        for topic in topics:
            self._subscribers.setdefault(topic, set()).add(on_change)

    def unsubscribe(self, topics: Iterable[Topic], on_change: OnChange) -> None:
        for topic in topics:
            subscribers = self._subscribers[topic]
            subscribers.discard(on_change)
            if not subscribers:
                del self._subscribers[topic]

    def publish(self, name: DocumentName, change: Change) -> None:
        for topic in _topics_of(name):
            for on_change in self._subscribers.get(topic, ()):
                on_change(name, change)


def document_topic(name: DocumentName) -> Topic:
    return Topic(Scope.DOCUMENT, f"{name.collection}/{name.id}")


def _topics_of(name: DocumentName) -> Iterable[Topic]:
    return (
        document_topic(name),
        Topic(Scope.COLLECTION, name.collection),
        Topic(Scope.GROUP, name.collection.rpartition("/")[2]),
        Topic(Scope.DATABASE),
    )
