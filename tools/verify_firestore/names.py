"""The names of documents on both sides of the forwarder.

Each test, and each shop of the benchmark, has a project of its own, as on an emulator. The
forwarder keeps the documents of all these projects below one document of the real database. So
``projects/test-1/databases/(default)/documents/orders/O1`` becomes, in the real database,
``verify-firestore/RUN/databases/test-1:(default)/orders/O1``.

Tests do not see each other's documents, and the run can delete all of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT_COLLECTION = "verify-firestore"

_NAME = re.compile(r"projects/([^/]+)/databases/([^/]+)(/documents(?:/.*)?)?", re.DOTALL)
_TEXT_OF_A_USER = "string_value"
"""The field of a document's string. It is no name, whatever it contains."""


class Names:
    def __init__(self, database: str, run: str) -> None:
        """``database``: ``projects/…/databases/…`` of the real database."""
        self.database = database
        self.folder = f"{database}/documents/{ROOT_COLLECTION}/{run}"
        """The document that all others are below. It does not exist itself."""
        below = re.escape(f"{self.folder}/databases/")
        self._real = re.compile(rf"{below}([^/:]+):([^/\s]+)")

    def to_real(self, name: str) -> str:
        """The real name of a document, of a collection's parent or of a database."""
        found = _NAME.fullmatch(name)
        if found is None:
            return name
        project, database, path = found.groups()
        if path is None:
            return self.database
        return f"{self.folder}/databases/{project}:{database}{path.removeprefix('/documents')}"

    def to_tests(self, text: str) -> str:
        """The text with each real name replaced by the one that the test knows."""
        return self._real.sub(r"projects/\1/databases/\2/documents", text)


def rename(message: Message, change: Callable[[str], str]) -> None:
    """Change every text in the message, except the strings in documents."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in _messages(field, value):
                rename(part, change)
        elif field.type != FieldDescriptor.TYPE_STRING or field.name == _TEXT_OF_A_USER:
            continue
        elif isinstance(value, str):
            setattr(message, field.name, change(value))
        else:
            value[:] = [change(each) for each in value]


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Message]:  # noqa: ANN401 - untyped
    if isinstance(value, Message):
        return [value]
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return [each for each in value.values() if isinstance(each, Message)]
    return list(value)
