"""The index entries of a document, of which the service allows 40,000.

Each index has an entry for a document with all its fields. An index with mode CONTAINS has one for
each distinct element of the array.
"""

import math
from collections.abc import Callable, Iterable, Iterator

from firestore_emulator.indexes.index import Field, Mode, VectorIndex
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.fields import Fields, get
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.values import is_vector, nested_key, vector_elements
from firestore_emulator.store.database import CheckDocument

MAX_ENTRIES = 40_000


def check_entries(indexes: Callable[[], Indexes]) -> CheckDocument:
    """Rejects a document with too many entries in the present indexes."""

    def check(name: DocumentName, document: Document) -> None:
        present, collection_id = indexes(), name.collection.rpartition("/")[2]
        # A field has nine bytes and four single-field entries, an array element four bytes and two.
        width = 1 + len(present.of_collection(collection_id))
        if document.ByteSize() * width <= MAX_ENTRIES:
            return
        count = count_entries(document, collection_id, present)
        if count > MAX_ENTRIES:
            raise InvalidArgumentError(
                f"too many index entries for entity {name.collection}/{name.id}: {count}, the"
                f" maximum is {MAX_ENTRIES}"
            )

    return check


def count_entries(document: Document, collection_id: str, indexes: Indexes) -> int:
    single = sum(
        _entries(value, mode)
        for path, value in _values(document.fields)
        for _, mode in indexes.of_field(collection_id, path)
    )
    others = (
        _vector_entries(document, index)
        if isinstance(index, VectorIndex)
        else _composite_entries(document, index.fields)
        for index in indexes.of_collection(collection_id)
    )
    return single + sum(others)


def _values(fields: Fields, above: FieldPath = ()) -> Iterator[tuple[FieldPath, Value]]:
    """The fields at every depth, except those in arrays. A map is a field itself."""
    for name in fields:
        path, value = (*above, name), fields[name]
        yield path, value
        if value.HasField("map_value") and not is_vector(value.map_value):
            yield from _values(value.map_value.fields, path)


def _entries(value: Value | None, mode: Mode) -> int:
    if value is None:
        return 0
    if mode is not Mode.CONTAINS:
        return 1
    return len(set(map(nested_key, value.array_value.values)))


def _composite_entries(document: Document, fields: Iterable[Field]) -> int:
    return math.prod(
        _entries(get(document.fields, path), mode) for path, mode in fields if path != NAME
    )


def _vector_entries(document: Document, index: VectorIndex) -> int:
    value = get(document.fields, index.vector.path)
    if value is None or not is_vector(value.map_value):
        return 0
    if len(vector_elements(value.map_value)) != index.vector.dimension:
        return 0
    return _composite_entries(document, index.fields)
