from typing import Self

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import Message

class _Message(Message):
    def __init__(self, **fields: object) -> None: ...
    @classmethod
    def FromString(cls, s: bytes) -> Self: ...  # noqa: N802

class Element(_Message):
    type: str
    id: int
    name: str

class _Path(_Message):
    element: RepeatedCompositeFieldContainer[Element]

class _Reference(_Message):
    app: str
    path: _Path
    name_space: str
    database_id: str

class _PointValue(_Message):
    x: float
    y: float

class _ReferenceValue(_Message):
    app: str
    pathelement: RepeatedCompositeFieldContainer[Element]
    name_space: str
    database_id: str

class _PropertyValue(_Message):
    int64_value: int
    boolean_value: bool
    string_value: bytes
    double_value: float
    pointvalue: _PointValue
    referencevalue: _ReferenceValue

class Property(_Message):
    meaning: int
    name: str
    multiple: bool
    value: _PropertyValue
    stashed: int
    computed: bool

class EntityProto(_Message):
    key: _Reference
    property: RepeatedCompositeFieldContainer[Property]
    raw_property: RepeatedCompositeFieldContainer[Property]
    entity_group: _Path

class Part(_Message):
    metadata_path: str
    documents: int
    bytes: int

class OverallMetadata(_Message):
    part: RepeatedCompositeFieldContainer[Part]

class _Output(_Message):
    path: str

class PartMetadata(_Message):
    output: RepeatedCompositeFieldContainer[_Output]

def text(field: str | bytes) -> str: ...
