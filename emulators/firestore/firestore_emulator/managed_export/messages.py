"""The protocol buffers of an export. Their types are in messages.pyi.

Entities are those of Datastore, published with App Engine's runtime (entity_bytes.proto of
https://github.com/GoogleCloudPlatform/appengine-java-standard). Only the fields that a Firestore
export can use are here. The messages of the metadata files are not published: their fields have
the names of their content in exports of Google's emulator.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "firestore_emulator.managed_export"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "group": _Field.TYPE_GROUP,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "message": _Field.TYPE_MESSAGE,
    "string": _Field.TYPE_STRING,
}

# Each field: its number, its type, the message of a message or group, and "*" if it is repeated.
_MESSAGES: dict[str, dict[str, str]] = {
    "EntityProto": {
        "key": "13 message Reference",
        "property": "14 message Property *",
        "raw_property": "15 message Property *",
        "entity_group": "16 message Path",
    },
    "Reference": {
        "app": "13 string",
        "path": "14 message Path",
        "name_space": "20 string",
        "database_id": "23 string",
    },
    "Path": {"element": "1 group Element *"},
    "Element": {"type": "2 string", "id": "3 int64", "name": "4 string"},
    "Property": {
        "meaning": "1 int32",
        "name": "3 string",
        "multiple": "4 bool",
        "value": "5 message PropertyValue",
        "stashed": "6 int32",
        "computed": "7 bool",
    },
    "PropertyValue": {
        "int64_value": "1 int64",
        "boolean_value": "2 bool",
        "string_value": "3 bytes",
        "double_value": "4 double",
        "pointvalue": "5 group PointValue",
        "uservalue": "8 group UserValue",
        "referencevalue": "12 group ReferenceValue",
    },
    "PointValue": {"x": "6 double", "y": "7 double"},
    "UserValue": {"email": "9 string"},
    "ReferenceValue": {
        "app": "13 string",
        "pathelement": "14 group PathElement *",
        "name_space": "20 string",
        "database_id": "23 string",
    },
    "PathElement": {"type": "15 string", "id": "16 int64", "name": "17 string"},
    # A record of NAME.overall_export_metadata
    "OverallMetadata": {"part": "1 message Part *"},
    "Part": {
        "scope": "1 message Scope",
        "metadata_path": "2 string",
        "documents": "3 int64",
        "bytes": "4 int64",
    },
    "Scope": {"namespaces": "1 int32", "kinds": "3 int32"},
    # The content of all_namespaces_all_kinds.export_metadata
    "PartMetadata": {"export": "1 message Export", "output": "2 message Output *"},
    "Export": {"name": "1 string", "begin": "2 int64", "end": "3 int64"},
    "Output": {"kind": "1 string", "path": "2 string"},
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, definition in fields.items():
            number, kind, *rest = definition.split()
            field = message.field.add(name=field_name, number=int(number), type=_TYPES[kind])
            field.label = _Field.LABEL_REPEATED if "*" in rest else _Field.LABEL_OPTIONAL
            if kind in {"message", "group"}:
                field.type_name = f".{_PACKAGE}.{rest[0]}"
    return file


_found = descriptor_pool.DescriptorPool().AddSerializedFile(_file().SerializeToString())
# All of them: protobuf before 4.25 crashes on a field whose class is not referenced.
_classes = {
    name: message_factory.GetMessageClass(message)
    for name, message in _found.message_types_by_name.items()
}

Element = _classes["Element"]
EntityProto = _classes["EntityProto"]
OverallMetadata = _classes["OverallMetadata"]
Part = _classes["Part"]
PartMetadata = _classes["PartMetadata"]
Property = _classes["Property"]


def text(field: str | bytes) -> str:
    """The content of a string field. Raises UnicodeDecodeError.

    Parsing does not check that it is UTF-8: if it is not, the field has bytes.
    """
    return field.decode() if isinstance(field, bytes) else field
