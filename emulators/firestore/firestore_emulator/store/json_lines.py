"""Export and import documents as JSON lines: Firestore's REST representation, one a line.

{"name": "projects/P/databases/D/documents/c/d", "fields": {"a": {"integerValue": "1"}}, …}

An import is an ordinary commit. Its time is the create or update time of the documents.
"""

from collections.abc import Iterable, Iterator

from google.protobuf import json_format

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Document, Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import Steps
from firestore_emulator.model.validation import MAX_DEPTH
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.sorting import sorted_in_steps

_LEVELS = 4 * (MAX_DEPTH + 2)  # each nested map adds four levels of messages


def documents_of(database: Database) -> Steps[list[Document]]:
    """All documents, by collection and id, as of the first step."""
    collections = [database.collection(path) for path in sorted(database.collection_paths(""))]
    found = []
    for documents in collections:
        named = yield from sorted_in_steps((document.name, document) for document in documents)
        found += [document for _, document in named]
        yield
    return found


def to_line(document: Document) -> bytes:
    text: str = json_format.MessageToJson(document, indent=None, ensure_ascii=False)
    return f"{text}\n".encode()


def parse(lines: Iterable[bytes]) -> Iterator[Document]:
    """The documents of all non-empty lines."""
    for number, text in enumerate(lines, 1):
        if text.strip():
            yield _document(number, text)


def to_write(document: Document) -> Write:
    """The write that creates or replaces the document."""
    return Write(update=Document(name=document.name, fields=document.fields))


def load(databases: Databases, documents: Iterable[Document]) -> int:
    """Commits the documents, one commit for each database, and returns their number.

    It takes no locks, so call it only before the databases serve requests.
    """
    by_database: dict[str, list[Write]] = {}
    for document in documents:
        database = DocumentName.parse(document.name).database
        by_database.setdefault(database, []).append(to_write(document))
    for name, writes in by_database.items():
        databases[name].commit(writes)
    return sum(map(len, by_database.values()))


def _document(number: int, text: bytes) -> Document:
    try:
        document = json_format.Parse(text, Document(), max_recursion_depth=_LEVELS)
        DocumentName.parse(document.name)
    except (json_format.ParseError, UnicodeDecodeError, InvalidArgumentError) as error:
        reason = " ".join(str(error).split())
        raise InvalidArgumentError(f"Line {number} is not a document: {reason}") from error
    return document
