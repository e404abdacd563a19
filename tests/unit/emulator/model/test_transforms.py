import math

import pytest
from support.emulator.firestore_messages import (
    NAN,
    Plain,
    database,
    name,
    plain,
    plain_fields,
    put,
    value,
)

from firestore_emulator.model.clock import timestamp
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import DocumentTransform, Value, Write
from firestore_emulator.model.transforms import MAX_INTEGER, MIN_INTEGER

ABSENT = Value()


def number(kind: str, operand: Plain, field: str = "x") -> dict[str, object]:
    return {"field_path": field, kind: value(operand)}


def array(kind: str, *operands: Plain) -> dict[str, object]:
    return {"field_path": "x", kind: {"values": [value(operand) for operand in operands]}}


def after(old: Plain, *transforms: dict[str, object]) -> tuple[object, list[object]]:
    """Transforms the field x, which has the old value. Returns the new value and the results."""
    db = database(put("c/a") if old is ABSENT else put("c/a", x=old))
    write = Write(
        update={"name": name("c/a")},
        update_mask={},
        update_transforms=[DocumentTransform.FieldTransform(**each) for each in transforms],
    )
    (result,) = db.commit([write]).results
    return plain_fields(db, "c/a").get("x"), [plain(each) for each in result.transform_results]


def same(left: object, right: object) -> bool:
    """Equal in value and type; NaN equals NaN."""
    return type(left) is type(right) and repr(left) == repr(right)


@pytest.mark.parametrize(
    ("kind", "old", "operand", "expected"),
    [
        ("increment", ABSENT, 3, 3),
        ("increment", "text", 3, 3),
        ("increment", None, 0.5, 0.5),
        ("increment", 1, 2, 3),
        ("increment", 1, -2, -1),
        ("increment", 1, 0.5, 1.5),
        ("increment", 0.5, 1, 1.5),
        ("increment", MAX_INTEGER, 1, MAX_INTEGER),
        ("increment", MIN_INTEGER, -1, MIN_INTEGER),
        ("increment", 1, math.inf, math.inf),
        ("increment", 1, NAN, NAN),
        ("maximum", ABSENT, 3, 3),
        ("maximum", "text", 3, 3),
        ("maximum", 1, 3, 3),
        ("maximum", 3, 1, 3),
        ("maximum", 3, 3.0, 3),
        ("maximum", 3, 3.5, 3.5),
        ("maximum", 0.0, 0, 0.0),
        ("maximum", -0.0, 0.0, -0.0),
        ("maximum", 3, NAN, NAN),
        ("maximum", NAN, 3, NAN),
        ("maximum", 2**53, 2**53 + 1, 2**53 + 1),
        ("minimum", ABSENT, 3, 3),
        ("minimum", {}, 3, 3),
        ("minimum", 1, 3, 1),
        ("minimum", 3, 1, 1),
        ("minimum", 3.0, 3, 3.0),
        ("minimum", 3, NAN, NAN),
        ("minimum", NAN, 3, NAN),
    ],
)
def test_number_transform_combines_the_values(
    kind: str, old: Plain, operand: Plain, expected: object
) -> None:
    new, (result,) = after(old, number(kind, operand))
    assert same(new, expected)
    assert same(result, expected)


@pytest.mark.parametrize(
    ("kind", "old", "operands", "expected"),
    [
        ("append_missing_elements", ABSENT, [1, 1.0, 2], [1, 2]),
        ("append_missing_elements", "text", [1], [1]),
        ("append_missing_elements", [1, 1], [1.0, 2], [1, 1, 2]),
        ("append_missing_elements", [None, {"a": 1}], [None, {"a": 1}], [None, {"a": 1}]),
        ("append_missing_elements", [1], [], [1]),
        ("remove_all_from_array", ABSENT, [1], []),
        ("remove_all_from_array", 5, [1], []),
        ("remove_all_from_array", [1, 2, 1.0, 3], [1], [2, 3]),
        ("remove_all_from_array", [None, 1], [None], [1]),
    ],
)
def test_array_transform_changes_the_elements(
    kind: str, old: Plain, operands: list[Plain], expected: object
) -> None:
    new, (result,) = after(old, array(kind, *operands))
    assert new == expected
    assert result is None


def test_timestamp_elements_are_compared_in_microseconds() -> None:
    stored = Value(timestamp_value={"seconds": 1})
    finer = Value(timestamp_value={"seconds": 1, "nanos": 999})
    assert after([stored], array("append_missing_elements", finer))[0] == [stored.timestamp_value]
    assert after([stored], array("remove_all_from_array", finer))[0] == []


def test_nan_elements_are_equal() -> None:
    new, _ = after([NAN], array("append_missing_elements", NAN))
    assert same(new, [NAN])


def test_each_transform_of_one_field_has_its_own_result() -> None:
    new, results = after(1, number("increment", 1), number("maximum", 1), number("increment", 5))
    assert new == 7
    assert results == [2, 2, 7]


def test_server_time_is_the_commit_time_in_milliseconds() -> None:
    db = database(put("c/a"))
    write = put("c/a")
    write.update_transforms.add(field_path="n.t", set_to_server_value=1)
    result = db.commit([write]).results[0]
    assert result.update_time == timestamp(3_600_000_001)
    assert plain(result.transform_results[0]) == timestamp(3_600_000_000)
    assert plain_fields(db, "c/a") == {"n": {"t": timestamp(3_600_000_000)}}


def test_transform_write_creates_the_document() -> None:
    db = database()
    field_transforms = [DocumentTransform.FieldTransform(**number("increment", 2))]
    db.commit([Write(transform={"document": name("c/a"), "field_transforms": field_transforms})])
    assert plain_fields(db, "c/a") == {"x": 2}


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (number("increment", "1"), "int64 or double"),
        (number("maximum", None), "int64 or double"),
        (number("minimum", [1]), "int64 or double"),
        ({"field_path": "x"}, "must be specified"),
        ({"field_path": "x", "set_to_server_value": 0}, "set_to_server_value"),
        ({"field_path": "x", "set_to_server_value": 7}, "set_to_server_value"),
        (number("increment", 1, field="a..b"), "property path"),
        (number("increment", 1, field="__name__"), "cannot be written"),
        (array("append_missing_elements", [1]), "array value in an array"),
        (array("append_missing_elements", Value()), "unset"),
        (array("remove_all_from_array", Value()), "unset"),
    ],
)
def test_invalid_transform_is_rejected(transform: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        after(ABSENT, transform)
