from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from support.emulator.firestore_messages import (
    NAN,
    Plain,
    database,
    document,
    plain_fields,
    put,
    reference,
    update,
    value,
    vector,
)

from firestore_emulator.model import validation
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Value, Write
from firestore_emulator.model.validation import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_VALUE_BYTES

PIPELINE_VALUES = {"field_reference_value"} & set(Value.DESCRIPTOR.fields_by_name)
"""Types of values for pipelines. Older client libraries lack them."""


def nested(depth: int) -> Plain:
    inner: Plain = 1
    for _ in range(depth):
        inner = {"m": inner}
    return inner


@pytest.mark.parametrize(
    "content",
    [
        nested(MAX_DEPTH),
        "x" * 1_000_000,
        reference("a/b"),
        vector(1, 2),
        [{"a": [1]}],
        {"x" * 1500: 1},
        {"a.b": 1},
        Value(geo_point_value={"latitude": -90, "longitude": 180}),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_valid_content_is_stored_unchanged(content: Plain) -> None:
    db = database(put("c/a", x=content))
    (stored,) = db.collection("c")
    assert stored.fields["x"] == value(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nested(MAX_DEPTH + 1), "deeper"),
        ("é" * (MAX_VALUE_BYTES // 2 + 1), "longer than"),
        (b"x" * (MAX_VALUE_BYTES + 1), "longer than"),
        (["x" * (MAX_DOCUMENT_BYTES // 2)] * 2, "maximum entity size"),
        (Value(), "unset"),
        ([Value()], "unset"),
        *((Value(**{name: "x"}), name) for name in PIPELINE_VALUES),
        ([[1]], "array value in an array"),
        (Value(reference_value="elsewhere"), "projects/P"),
        (reference("a"), "lacks a document id"),
        ({"": 1}, "empty"),
        ({"__x__": 1}, "reserved"),
        ({"x" * 1501: 1}, "longer than"),
        (Value(geo_point_value={"latitude": 90.1}), "geo point"),
        (Value(geo_point_value={"longitude": float("nan")}), "geo point"),
        (Value(timestamp_value={"seconds": -62_135_596_801}), "timestamp"),
        (Value(timestamp_value={"seconds": 253_402_300_800}), "timestamp"),
        (Value(timestamp_value={"nanos": -1}), "timestamp"),
        (vector(), "zero length"),
        ({"__type__": "__vector__"}, "vector"),
        ({"__type__": "__vector__", "value": [1.0], "more": 1}, "vector"),
        ({"__type__": "__vector__", "value": [1]}, "type 'double'"),
        (vector(*[1] * 2049), "at most 2048"),
        (vector(1, NAN), "NaN"),
        ([vector(1, 2)], "vector value in an array"),
    ],
)
def test_invalid_content_is_rejected(content: Plain, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        database(put("c/a", x=content))


def test_timestamps_are_cut_to_microseconds() -> None:
    content = Value(timestamp_value={"seconds": 1, "nanos": 123_456_789})
    (found,) = database(put("c/a", x=[content])).collection("c")
    assert found.fields["x"].array_value.values[0].timestamp_value.nanos == 123_456_000


def test_rejected_document_is_not_stored() -> None:
    db = database(put("c/a", x=1))
    with pytest.raises(InvalidArgumentError):
        db.commit([put("c/a", x=[[1]])])
    assert plain_fields(db, "c/a") == {"x": 1}


def test_validation_does_not_change_the_request() -> None:
    write = put("c/a", x=Value(timestamp_value={"nanos": 1}))
    database(write)
    assert write.update == document("c/a", x=Value(timestamp_value={"nanos": 1}))


def test_field_name_is_checked_again_after_an_error() -> None:
    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match="reserved"):
            database(put("c/a", __x__=1))


def test_field_that_the_mask_omits_is_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="array value in an array"):
        database(update("c/a", "x", exists=None, x=1, y=[[1]]))


def test_masked_timestamp_is_cut_to_microseconds() -> None:
    content = Value(timestamp_value={"nanos": 1_001})
    db = database(put("c/a", n=1), update("c/a", "m.t", m={"t": content}))
    assert plain_fields(db, "c/a") == {"n": 1, "m": {"t": Timestamp(nanos=1_000)}}


def test_result_of_a_transform_is_checked() -> None:
    nesting = Write(
        update=document("c/a"),
        update_transforms=[
            {
                "field_path": "x",
                "append_missing_elements": {"values": [value([1])]},
            }
        ],
    )
    with pytest.raises(InvalidArgumentError, match="array value in an array"):
        database(nesting)


def test_document_that_grows_by_a_mask_is_measured() -> None:
    half = "x" * (MAX_DOCUMENT_BYTES // 2)
    db = database(put("c/a", x=half))
    with pytest.raises(InvalidArgumentError, match="maximum entity size"):
        db.commit([update("c/a", "y", y=half)])


def test_commit_normalizes_each_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    normalize, seen = validation.normalize_value, []

    def counting(of: Value, depth: int) -> None:
        seen.append(of.WhichOneof("value_type"))
        normalize(of, depth)

    monkeypatch.setattr(validation, "normalize_value", counting)
    database(put("c/a", a=1, b=[{"c": 2}, "d"]))
    assert sorted(map(str, seen)) == [
        "array_value",
        "integer_value",
        "integer_value",
        "map_value",
        "string_value",
    ]
