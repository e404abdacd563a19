import pytest
from hypothesis import given
from hypothesis import strategies as st

from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.names import is_reserved

names = st.text(min_size=1, max_size=20).filter(lambda name: not is_reserved(name))


def quoted(segment: str) -> str:
    return "`" + segment.replace("\\", "\\\\").replace("`", "\\`") + "`"


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a", ("a",)),
        ("a.b_1.C", ("a", "b_1", "C")),
        ("`a.b`.c", ("a.b", "c")),
        ("a.`b-c`", ("a", "b-c")),
        (r"`\``", ("`",)),
        (r"`\\`", ("\\",)),
        ("`é`", ("é",)),
        ("__name__", ("__name__",)),
    ],
)
def test_parse_splits_a_path_into_segments(text: str, segments: tuple[str, ...]) -> None:
    assert field_paths.parse(text) == segments


@given(st.lists(names, min_size=1, max_size=4))
def test_any_name_survives_quoting(segments: list[str]) -> None:
    assert field_paths.parse(".".join(map(quoted, segments))) == tuple(segments)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a-b", "1a", "é", "*", "`a", "``", "`a``b`", "a`b`", "x" * 1501],
)
def test_malformed_path_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="property path"):
        field_paths.parse(text)


@pytest.mark.parametrize("text", ["__x__", "a.__name__", "`_____`"])
def test_reserved_name_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="reserved"):
        field_paths.parse(text)
