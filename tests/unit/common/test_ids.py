import re

from hypothesis import given
from hypothesis import strategies as st

from functions_common.ids import digest_id, random_id
from order_function.domain import is_order_id

ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")


@given(st.lists(st.text()), st.lists(st.text()))
def test_digests_are_equal_only_for_equal_parts(left: list[str], right: list[str]) -> None:
    assert ID.fullmatch(digest_id(*left))
    assert (digest_id(*left) == digest_id(*right)) == (left == right)


def test_random_ids_are_valid_and_unique() -> None:
    ids = {random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_order_id(f"ORD{each}") for each in ids)
    assert not is_order_id("ORD" + "I" * 26)
