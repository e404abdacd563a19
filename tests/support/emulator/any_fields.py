"""Strategies for documents with values of every type."""

import math
from datetime import UTC, datetime

from hypothesis import strategies as st

from firestore_emulator.model.messages import Value
from support.emulator.firestore_messages import NAN, reference, value, vector

TEXTS = st.text(max_size=8)
FIELD_NAMES = TEXTS.filter(lambda text: text != "" and not text.startswith("__"))
IDS = FIELD_NAMES.filter(lambda text: "/" not in text and text not in {".", ".."})
FLOATS = st.floats().map(lambda number: NAN if math.isnan(number) else number)
"""The one NaN: JSON does not distinguish NaN values."""
SCALARS = st.one_of(
    st.none().map(value),
    st.booleans().map(value),
    st.integers(-(2**63), 2**63 - 1).map(value),
    FLOATS.map(value),
    TEXTS.map(value),
    st.binary(max_size=8).map(value),
    st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)).map(value),  # noqa: DTZ001
    IDS.map(lambda each: reference(f"c/{each}")),
    st.builds(
        lambda latitude, longitude: Value(
            geo_point_value={"latitude": latitude, "longitude": longitude}
        ),
        st.floats(-90, 90),
        st.floats(-180, 180),
    ),
)
VECTORS = st.lists(st.floats(allow_nan=False), min_size=1, max_size=3).map(
    lambda elements: vector(*elements)
)
MAPS = st.recursive(
    st.dictionaries(FIELD_NAMES, SCALARS | VECTORS, max_size=3),
    lambda inner: st.dictionaries(
        FIELD_NAMES,
        st.one_of(SCALARS, VECTORS, inner, st.lists(st.one_of(SCALARS, inner), max_size=3)).map(
            value
        ),
        max_size=3,
    ),
    max_leaves=10,
)
