"""Convert documents to the Datastore entities of an export, and back.

A field is a property, and an array is one property for each element. The meaning of a property
distinguishes types that are stored alike, such as strings and bytes. A map is a nested entity, as
bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum

from google.protobuf.message import DecodeError

from firestore_emulator.managed_export.log_records import MAX_RECORD_BYTES
from firestore_emulator.managed_export.messages import Element, EntityProto, Property, text
from firestore_emulator.model.clock import timestamp, to_microseconds
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import ArrayValue, Document, MapValue, Value
from firestore_emulator.model.names import DocumentName, numeric_id
from firestore_emulator.model.validation import MAX_DEPTH
from firestore_emulator.model.values import is_vector, vector_elements

_PARTITION = "dev~"  # before the project, as Google's emulator writes it; the service has others
_DEFAULT_DATABASE = "(default)"
_SMALL_BYTES = 128 * 1024  # an element has 4 bytes or more, and a name 1,500 or less
_VECTOR_TYPE = Value(string_value="__vector__")


class _Meaning(IntEnum):
    NONE = 0
    TIMESTAMP = 7  # microseconds since 1970
    GEO_POINT = 9
    BYTES = 14
    TEXT = 15
    SHORT_BYTES = 16
    MAP = 19
    EMPTY_ARRAY = 24
    VECTOR = 31


def to_entity(document: Document) -> bytes:
    """Raises InvalidArgumentError if an import could not read the record."""
    is_small = document.ByteSize() <= _SMALL_BYTES
    if not is_small and _bytes_of_names(document.fields) > MAX_RECORD_BYTES:
        raise _too_large(document)  # before it takes seconds, and gigabytes of memory
    name = DocumentName.parse(document.name)
    entity = EntityProto()
    entity.key.app, database = _app_and_database(name)
    if database:
        entity.key.database_id = database
    for element in _elements(name):
        entity.key.path.element.add(**element)
    entity.entity_group.element.append(entity.key.path.element[0])
    _add_fields(entity, document.fields)
    content = entity.SerializeToString()
    if len(content) > MAX_RECORD_BYTES:
        raise _too_large(document)
    return content


def to_document(content: bytes) -> Document:
    """Raises InvalidArgumentError if Firestore has no such document."""
    try:
        entity = EntityProto.FromString(content)
        key = entity.key
        name = _name(key.app, key.name_space, key.database_id, key.path.element)
        return Document(name=name, fields=_fields(entity, depth=0))
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError("The record is not an entity.") from error


def _bytes_of_names(fields: Mapping[str, Value]) -> int:
    """The least size of the properties of arrays: each element has the name of its field."""
    size = 0
    for name, value in fields.items():
        match value.WhichOneof("value_type"):
            case "array_value":
                elements = value.array_value.values
                size += len(name) * len(elements)
                maps = (each.map_value for each in elements if each.HasField("map_value"))
                size += sum(_bytes_of_names(each.fields) for each in maps)
            case "map_value":
                size += _bytes_of_names(value.map_value.fields)
    return size


def _too_large(document: Document) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{document.name} cannot be exported in this format: its record would have more than"
        f" {MAX_RECORD_BYTES} bytes, because each element of an array repeats the field's name."
    )


def _app_and_database(name: DocumentName) -> tuple[str, str]:
    _, project, _, database = name.database.split("/")
    return _PARTITION + project, "" if database == _DEFAULT_DATABASE else database


def _elements(name: DocumentName) -> Iterator[Mapping[str, object]]:
    segments = [*name.collection.split("/"), name.id]
    for kind, document_id in zip(segments[::2], segments[1::2], strict=True):
        number = numeric_id(document_id)
        identity = {"name": document_id} if number is None else {"id": number}
        yield {"type": kind, **identity}


def _add_fields(entity: EntityProto, fields: Mapping[str, Value]) -> None:
    for name in sorted(fields):
        value = fields[name]
        if value.HasField("map_value") and is_vector(value.map_value):
            for element in vector_elements(value.map_value):
                added = entity.raw_property.add(name=name, multiple=True, meaning=_Meaning.VECTOR)
                added.value.double_value = element.double_value
        elif not value.HasField("array_value"):
            _fill(entity.raw_property.add(name=name, multiple=False), value)
        elif value.array_value.values:
            for element in value.array_value.values:
                _fill(entity.raw_property.add(name=name, multiple=True), element)
        else:
            empty = entity.property.add(name=name, multiple=False, meaning=_Meaning.EMPTY_ARRAY)
            empty.value.SetInParent()


def _fill(added: Property, value: Value) -> None:
    into = added.value
    into.SetInParent()  # a null has no more than this
    match value.WhichOneof("value_type"):
        case "boolean_value" | "double_value" as kind:
            setattr(into, kind, getattr(value, kind))
        case "integer_value":
            into.int64_value = value.integer_value
        case "timestamp_value":
            added.meaning = _Meaning.TIMESTAMP
            into.int64_value = to_microseconds(value.timestamp_value)
        case "string_value":
            into.string_value = value.string_value.encode()
        case "bytes_value":
            added.meaning = _Meaning.BYTES
            into.string_value = value.bytes_value
        case "reference_value":
            _fill_reference(added, DocumentName.parse(value.reference_value))
        case "geo_point_value":
            added.meaning = _Meaning.GEO_POINT
            into.pointvalue.x = value.geo_point_value.latitude
            into.pointvalue.y = value.geo_point_value.longitude
        case "map_value":
            added.meaning = _Meaning.MAP
            into.string_value = _map_entity(value.map_value.fields)


def _fill_reference(added: Property, name: DocumentName) -> None:
    reference = added.value.referencevalue
    reference.app, database = _app_and_database(name)
    for element in _elements(name):
        reference.pathelement.add(**element)
    if database:
        reference.database_id = database


def _map_entity(fields: Mapping[str, Value]) -> bytes:
    """The format requires a key even in an entity that has none."""
    entity = EntityProto()
    entity.key.app = ""
    entity.key.path.SetInParent()
    entity.entity_group.SetInParent()
    _add_fields(entity, fields)
    return entity.SerializeToString()


def _name(app: str, namespace: str, database: str, elements: Iterable[Element]) -> str:
    if namespace:
        raise InvalidArgumentError(f"Firestore has no namespaces, such as {text(namespace)}.")
    project = text(app).partition("~")[2] or text(app)
    segments = ["projects", project, "databases", text(database) or _DEFAULT_DATABASE, "documents"]
    for element in elements:
        named = element.HasField("name")
        segments += [text(element.type), text(element.name) if named else f"__id{element.id}__"]
    for segment in segments:
        if "/" in segment:
            raise InvalidArgumentError(f'The key has a part that contains "/": {segment}')
    return str(DocumentName.parse("/".join(segments)))


def _fields(entity: EntityProto, depth: int) -> dict[str, Value]:
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"A value is nested deeper than {MAX_DEPTH} levels.")
    fields: dict[str, Value] = {}
    arrays: dict[str, list[Property]] = {}
    for each in _properties(entity):
        name = text(each.name)
        if name in fields or (name in arrays and not each.multiple):
            raise InvalidArgumentError(f"The field {name} is there twice.")
        if each.multiple:
            arrays.setdefault(name, []).append(each)
        else:
            fields[name] = _value(each, depth)
    for name, elements in arrays.items():
        fields[name] = _array(name, elements, depth)
    return fields


def _properties(entity: EntityProto) -> Iterator[Property]:
    """In their order: a stashed raw property has its place among the others."""
    indexed = iter(entity.property)
    position = 0
    for raw in entity.raw_property:
        if raw.HasField("stashed"):
            while position < raw.stashed and (each := next(indexed, None)) is not None:
                position += 1
                if not each.computed:
                    yield each
            position += 1
            yield raw
    yield from (each for each in indexed if not each.computed)
    yield from (raw for raw in entity.raw_property if not raw.HasField("stashed"))


def _array(name: str, elements: Sequence[Property], depth: int) -> Value:
    vectors = [each.meaning == _Meaning.VECTOR for each in elements]
    if not any(vectors):
        return Value(array_value=ArrayValue(values=[_value(each, depth) for each in elements]))
    if not all(each.value.HasField("double_value") for each in elements) or not all(vectors):
        raise InvalidArgumentError(f"The vector {name} has elements that are no doubles.")
    doubles = [Value(double_value=each.value.double_value) for each in elements]
    parts = {"__type__": _VECTOR_TYPE, "value": Value(array_value=ArrayValue(values=doubles))}
    return Value(map_value=MapValue(fields=parts))


def _value(stored: Property, depth: int) -> Value:
    kinds = [field.name for field, _ in stored.value.ListFields()]
    kind = kinds[0] if kinds else "null"
    convert = _CONVERSIONS.get((kind, stored.meaning))
    if convert is None or len(kinds) > 1:
        raise InvalidArgumentError(
            f"The field {stored.name} has the type {' and '.join(kinds) or kind} with the meaning"
            f" {stored.meaning}, which Firestore does not have."
        )
    return convert(stored, depth)


def _reference(stored: Property) -> Value:
    found = stored.value.referencevalue
    name = _name(found.app, found.name_space, found.database_id, found.pathelement)
    return Value(reference_value=name)


def _map(stored: Property, depth: int) -> Value:
    nested = EntityProto.FromString(stored.value.string_value)
    return Value(map_value=MapValue(fields=_fields(nested, depth + 1)))


def _string(stored: Property, _: int) -> Value:
    return Value(string_value=stored.value.string_value.decode())


def _bytes(stored: Property, _: int) -> Value:
    return Value(bytes_value=stored.value.string_value)


def _geo_point(stored: Property) -> Value:
    point = stored.value.pointvalue
    return Value(geo_point_value={"latitude": point.x, "longitude": point.y})


def _timestamp(stored: Property, _: int) -> Value:
    return Value(timestamp_value=timestamp(stored.value.int64_value))


_CONVERSIONS: Mapping[tuple[str, int], Callable[[Property, int], Value]] = {
    ("null", _Meaning.NONE): lambda *_: Value(null_value=0),
    ("null", _Meaning.EMPTY_ARRAY): lambda *_: Value(array_value=ArrayValue()),
    ("boolean_value", _Meaning.NONE): lambda stored, _: Value(
        boolean_value=stored.value.boolean_value
    ),
    ("int64_value", _Meaning.NONE): lambda stored, _: Value(integer_value=stored.value.int64_value),
    ("int64_value", _Meaning.TIMESTAMP): _timestamp,
    ("double_value", _Meaning.NONE): lambda stored, _: Value(
        double_value=stored.value.double_value
    ),
    ("string_value", _Meaning.NONE): _string,
    ("string_value", _Meaning.TEXT): _string,
    ("string_value", _Meaning.BYTES): _bytes,
    ("string_value", _Meaning.SHORT_BYTES): _bytes,
    ("string_value", _Meaning.MAP): _map,
    ("pointvalue", _Meaning.NONE): lambda stored, _: _geo_point(stored),
    ("pointvalue", _Meaning.GEO_POINT): lambda stored, _: _geo_point(stored),
    ("referencevalue", _Meaning.NONE): lambda stored, _: _reference(stored),
}
