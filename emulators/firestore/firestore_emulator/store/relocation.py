"""Move documents into another database, with their references to documents of the old one."""

from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.names import DocumentName


def relocated(document: Document, into: str | None) -> Document:
    """The document in the database. None leaves it in its own."""
    if into is None:
        return document
    database = DocumentName.parse(document.name).database
    return document if into == database else _moved(document, database, into)


def _moved(document: Document, source: str, target: str) -> Document:
    moved = Document(name=_renamed(document.name, source, target), fields=document.fields)
    for field in moved.fields.values():
        _move(field, source, target)
    return moved


def _move(value: Value, source: str, target: str) -> None:
    match value.WhichOneof("value_type"):
        case "reference_value":
            value.reference_value = _renamed(value.reference_value, source, target)
        case "array_value":
            for element in value.array_value.values:
                _move(element, source, target)
        case "map_value":
            for field in value.map_value.fields.values():
                _move(field, source, target)


def _renamed(name: str, source: str, target: str) -> str:
    path = name.removeprefix(f"{source}/documents/")
    return name if path == name else f"{target}/documents/{path}"
