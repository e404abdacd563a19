"""Short constructors for Firestore messages."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from firestore_emulator.model.clock import Clock
from firestore_emulator.model.messages import Document, Precondition, StructuredQuery, Value, Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.database import Database

Plain: TypeAlias = (
    "bool | int | float | str | bytes | datetime | list[Plain] | dict[str, Plain] | Value | None"
)

Result = TypeVar("Result")

_SCALARS = {
    bool: "boolean_value",
    int: "integer_value",
    float: "double_value",
    str: "string_value",
    bytes: "bytes_value",
}

DATABASE = "projects/p/databases/(default)"
NAN = float("nan")


def resolve(of: Awaitable[Result]) -> Result:
    """The result of a coroutine, run in a new event loop."""

    async def call() -> Result:
        return await of

    return asyncio.run(call())


def name(path: str) -> str:
    return f"{DATABASE}/documents/{path}"


def value(plain: Plain) -> Value:
    match plain:
        case Value():
            return plain
        case None:
            return Value(null_value=0)
        case datetime():
            timed = Value()
            timed.timestamp_value.FromDatetime(plain)
            return timed
        case list():
            return Value(array_value={"values": [value(element) for element in plain]})
        case dict():
            return Value(map_value={"fields": {key: value(plain[key]) for key in plain}})
        case _:
            return Value(**{_SCALARS[type(plain)]: plain})


def reference(path: str) -> Value:
    return Value(reference_value=name(path))


def vector(*elements: float) -> Value:
    return value({"__type__": "__vector__", "value": [float(element) for element in elements]})


def document(path: str, /, **fields: Any) -> Document:
    return Document(name=name(path), fields={key: value(fields[key]) for key in fields})


def put(path: str, /, **fields: Any) -> Write:
    """A write that replaces the whole document."""
    return Write(update=document(path, **fields))


def update(path: str, *mask: str, exists: bool | None = True, **fields: Any) -> Write:
    write = Write(update=document(path, **fields), update_mask={"field_paths": mask})
    if exists is not None:
        write.current_document.exists = exists
    return write


def delete(path: str, **precondition: object) -> Write:
    return Write(delete=name(path), current_document=Precondition(**precondition))


def database(*writes: Write) -> Database:
    """A database whose clock stands still, one hour after the epoch."""
    made = Database(DATABASE, Clock(lambda: 3_600_000_000))
    if writes:
        made.commit(writes)
    return made


def stored(of: Database, path: str) -> Document | None:
    return of.get(DocumentName.parse(name(path)))


def plain_fields(of: Database, path: str) -> dict[str, object]:
    found = stored(of, path)
    assert found is not None
    return {key: plain(found.fields[key]) for key in found.fields}


def plain(of: Value) -> Any:
    match of.WhichOneof("value_type"):
        case "null_value":
            return None
        case "array_value":
            return [plain(element) for element in of.array_value.values]
        case "map_value":
            return {key: plain(of.map_value.fields[key]) for key in of.map_value.fields}
        case str(kind):
            return getattr(of, kind)
        case None:
            raise AssertionError("a value without a type")


def field_filter(path: str, operator: str, operand: Plain) -> StructuredQuery.Filter:
    return StructuredQuery.Filter(
        field_filter={
            "field": {"field_path": path},
            "op": StructuredQuery.FieldFilter.Operator.Value(operator),
            "value": value(operand),
        }
    )


def unary_filter(path: str, operator: str) -> StructuredQuery.Filter:
    return StructuredQuery.Filter(
        unary_filter={
            "field": {"field_path": path},
            "op": StructuredQuery.UnaryFilter.Operator.Value(operator),
        }
    )


def composite(operator: str, *filters: StructuredQuery.Filter) -> StructuredQuery.Filter:
    return StructuredQuery.Filter(
        composite_filter={
            "op": StructuredQuery.CompositeFilter.Operator.Value(operator),
            "filters": filters,
        }
    )


def orders(*paths: str) -> list[StructuredQuery.Order]:
    """Orders by these fields. A leading minus means descending."""
    return [
        StructuredQuery.Order(
            field={"field_path": path.removeprefix("-")},
            direction=StructuredQuery.DESCENDING if path.startswith("-") else 1,
        )
        for path in paths
    ]
