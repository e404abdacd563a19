"""Each rule that a mutation of the specification breaks is broken in the code as well.

The comparison with the traces finds each of these mutants alone, without any other test.
``python -m support.specification.mutants`` prints them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from specification.group_commit_mutations import BATCHED_CREATION, GROUP_COMMIT
from specification.mutations import MUTATIONS
from support.specification.comparison import Collected
from support.specification.mutants import (
    FOUND_IN,
    PATCHES,
    StalePatchError,
    apply,
    difference,
    stored_by_flow,
)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def traces(collected: Collected, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return stored_by_flow(collected, tmp_path_factory.mktemp("traces"))


def test_every_mutation_of_the_specification_is_a_mutant_of_the_code() -> None:
    mutations = {*MUTATIONS, *GROUP_COMMIT, *BATCHED_CREATION}
    assert {patch.stem for patch in PATCHES.glob("*.patch")} == mutations
    assert set(FOUND_IN) == mutations


@pytest.mark.parametrize("name", FOUND_IN)
def test_traces_find_the_mutant(name: str, traces: dict[str, Path]) -> None:
    assert difference(name, traces[FOUND_IN[name]])


def test_patch_that_no_longer_applies_is_named(tmp_path: Path) -> None:
    with pytest.raises(StalePatchError, match=r"^no-mark\.patch no longer applies, because the"):
        apply(PATCHES / "no-mark.patch", tmp_path)
