"""Resource names: projects/P/databases/D/documents/COLLECTION/ID[/COLLECTION/ID]… of any depth."""

import re
from functools import lru_cache
from typing import NamedTuple, Self

from firestore_emulator.model.errors import InvalidArgumentError

MAX_ID_BYTES = 1500
MAX_NAME_BYTES = 6 * 1024
_NUMERIC_ID = re.compile(r"__id(0|-?[1-9][0-9]{0,18})__")
MAX_LEVELS = 100  # of subcollections
_ROOT = 5  # projects, P, databases, D, documents


class Parent(NamedTuple):
    """The parent of collections: a document, or (with an empty path) the database itself."""

    database: str
    path: str

    @classmethod
    def parse(cls, name: str) -> Self:
        segments = name.split("/")
        if len(segments) % 2 == 0:
            raise InvalidArgumentError(
                f'Parent name "{name}" is not the name of a document or of a database root.'
            )
        database = _database(segments, name)
        _check_ids(segments[_ROOT:])
        return cls(database, "/".join(segments[_ROOT:]))

    def collection(self, collection_id: str) -> str:
        check_collection_id(collection_id)
        return f"{self.path}/{collection_id}" if self.path else collection_id


class DocumentName(NamedTuple):
    database: str
    collection: str  # the collection's path: customers, or customers/C1/orders
    id: str

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(name: str) -> "DocumentName":
        """Remembers valid names: a request uses each several times. Errors are not cached."""
        segments = name.split("/")
        database = _database(segments, name)
        if len(segments) == _ROOT or len(segments) % 2 == 0:
            raise InvalidArgumentError(f'Document name "{name}" lacks a document id.')
        if len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidArgumentError(f"The document name is longer than {MAX_NAME_BYTES} bytes.")
        _check_ids(segments[_ROOT:])
        return DocumentName(database, "/".join(segments[_ROOT:-1]), segments[-1])

    def __str__(self) -> str:
        return f"{self.database}/documents/{self.collection}/{self.id}"


def check_database(name: str) -> None:
    segments = name.split("/")
    if len(segments) != _ROOT - 1:
        raise InvalidArgumentError(
            f'"{name}" is not the name of a database, such as projects/P/databases/(default).'
        )
    _database([*segments, "documents"], name)


def check_collection_id(segment: str) -> None:
    _check_id(segment)
    if is_reserved(segment):
        raise _reserved(segment)


def _check_document_id(segment: str) -> None:
    _check_id(segment)
    if is_reserved(segment) and numeric_id(segment) is None:
        raise _reserved(segment)


def _reserved(segment: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'Resource id "{segment}" is invalid because it is reserved.')


def _check_id(segment: str) -> None:
    if not segment:
        raise InvalidArgumentError("A resource id is empty.")
    if segment in {".", ".."}:
        raise InvalidArgumentError(f'Resource id "{segment}" is invalid.')
    if "/" in segment:
        raise InvalidArgumentError(f'Resource id "{segment}" is invalid because it contains "/".')
    if len(segment.encode()) > MAX_ID_BYTES:
        raise InvalidArgumentError(f"A resource id is longer than {MAX_ID_BYTES} bytes.")


def is_reserved(name: str) -> bool:
    """Whether the name has the form __.+__, so not four underscores alone."""
    return len(name) > len("____") and name.startswith("__") and name.endswith("__")


def numeric_id(segment: str) -> int | None:
    """7 for the id __id7__, else None. Datastore and bounds of key ranges use such ids."""
    match = _NUMERIC_ID.fullmatch(segment)
    return int(match[1]) if match else None


def _check_ids(segments: list[str]) -> None:
    if len(segments) > 2 * MAX_LEVELS:
        raise InvalidArgumentError(f"Key path is too long. Cannot exceed {MAX_LEVELS} elements.")
    for segment in segments[::2]:
        check_collection_id(segment)
    for segment in segments[1::2]:
        _check_document_id(segment)


def _database(segments: list[str], name: str) -> str:
    match segments[:_ROOT]:
        case ["projects", project, "databases", database, "documents"] if project and database:
            return f"projects/{project}/databases/{database}"
        case _:
            raise InvalidArgumentError(
                f'Resource name "{name}" does not start with projects/P/databases/D/documents.'
            )
