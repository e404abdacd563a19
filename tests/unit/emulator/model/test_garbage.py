import gc

import pytest

from firestore_emulator.model.garbage import lasting_objects


def test_cycle_search_pauses_until_the_last_block_ends() -> None:
    with lasting_objects():
        with lasting_objects():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_cycle_search_continues_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), lasting_objects():
        raise ValueError("x")
    assert gc.isenabled()
