"""Sizes as in https://firebase.google.com/docs/firestore/storage-size and the official emulator."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import Plain, document, name, reference, value, vector

from firestore_emulator.model.messages import Value
from firestore_emulator.model.sizes import document_size, name_size, value_size


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("users/jeff/tasks/my_task_id", 6 + 5 + 6 + 11 + 16),
        ("tasks/__id7__", 6 + 8 + 16),
        ("tasks/ä", 6 + 3 + 16),
    ],
)
def test_name_size_is_that_of_its_ids(path: str, size: int) -> None:
    assert name_size(name(path)) == size


def test_document_of_the_documentation_has_its_size() -> None:
    task = document(
        "users/jeff/tasks/my_task_id",
        type="Personal",
        done=False,
        priority=1,
        description="Learn Cloud Firestore",
    )
    assert document_size(task) == 147


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (None, 1),
        (True, 1),
        (1, 8),
        (1.5, 8),
        (datetime(2026, 1, 1, tzinfo=UTC), 8),
        (Value(geo_point_value={"latitude": 1}), 16),
        ("", 1),
        ("ä", 3),
        (b"", 0),
        (b"ab", 2),
        (reference("c/aa"), 2 + 3 + 16),
        ([1, None], 9),
        ([], 1),
        ({}, 1),
        ([{}, {}], 2),
        ({"key": None, "k": 1}, 4 + 1 + 2 + 8),
        ({"m": {"k": None}}, 2 + 2 + 1),
        (vector(1, 2), 16),
        (Value(), 0),
    ],
)
def test_value_size(content: Plain, size: int) -> None:
    assert value_size(value(content)) == size


plain_values: st.SearchStrategy[Plain] = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=3) | st.just(b""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1, max_size=3), plain_values, max_size=5))
def test_message_has_a_fourth_of_the_size_at_least(fields: dict[str, Plain]) -> None:
    """The validation spares small messages the exact count."""
    geo = Value(geo_point_value={})
    made = document("c/d", **{"geo": [geo] * 10, **fields})
    assert made.ByteSize() >= document_size(made) / 4
