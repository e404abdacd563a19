import math
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import NAN, Plain, reference, value, vector

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Value
from firestore_emulator.model.values import sort_key

IN_ORDER = [
    None,
    False,
    True,
    NAN,
    -math.inf,
    -1,
    0,
    0.5,
    1,
    2.0**53,
    2**53 + 1,
    math.inf,
    datetime(1969, 12, 31, tzinfo=UTC),
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2020, 1, 1, microsecond=1, tzinfo=UTC),
    "",
    "a",
    "\ufffd",
    "\U0001f600",  # after U+FFFD by code point and UTF-8, before it by UTF-16
    b"",
    b"\x00",
    b"\xff",
    reference("a/__id-9223372036854775808__"),
    reference("a/__id-7__"),
    reference("a/__id0__"),
    reference("a/__id7__"),
    reference("a/__id7__/c/d"),
    reference("a/__id10__"),
    reference("a/\x00"),
    reference("a/__id07__"),
    reference("a/b"),
    reference("a/b/c/d"),
    reference("a-/b"),  # after a/…, although "-" is before "/"
    Value(geo_point_value={"latitude": 1, "longitude": 2}),
    Value(geo_point_value={"latitude": 1, "longitude": 3}),
    [],
    [None],
    [1],
    [1, 2],
    [2],
    vector(9),
    vector(1, 2),
    vector(1, 3),
    {},
    {"a": 1},
    {"a": 1, "b": 0},
    {"a": 2},
    {"b": 0},
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.sampled_from([0, 0.0, -0.0, 1, 1.0, NAN])
)
plain_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(IN_ORDER)))
def test_values_sort_by_type_and_value(lower: Plain, higher: Plain) -> None:
    assert sort_key(value(lower)) < sort_key(value(higher))


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (0.0, -0.0), (NAN, NAN), ([1], [1.0])])
def test_equal_values_in_other_representations_have_equal_keys(left: Plain, right: Plain) -> None:
    assert sort_key(value(left)) == sort_key(value(right))
    assert hash(sort_key(value(left))) == hash(sort_key(value(right)))


@given(plain_values, plain_values)
def test_keys_are_equal_exactly_if_the_values_are(left: Plain, right: Plain) -> None:
    assert (sort_key(value(left)) == sort_key(value(right))) == _same(left, right)


@given(plain_values, plain_values, plain_values)
def test_order_is_total(a: Plain, b: Plain, c: Plain) -> None:
    x, y, z = sorted([sort_key(value(a)), sort_key(value(b)), sort_key(value(c))])
    assert x <= y <= z
    assert x <= z
    assert (x < y) + (x == y) + (x > y) == 1


@given(st.text(), st.text())
def test_strings_sort_by_their_utf8_bytes(left: str, right: str) -> None:
    by_key = sort_key(value(left)) < sort_key(value(right))
    assert by_key == (left.encode() < right.encode())


def test_value_without_a_type_is_rejected() -> None:
    with pytest.raises(InvalidArgumentError, match="unset"):
        sort_key(Value())


def _same(left: Plain, right: Plain) -> bool:
    """Equality as Firestore documents it, without sort keys."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left == right
