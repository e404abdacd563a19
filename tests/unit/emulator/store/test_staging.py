"""A commit that is staged in steps has the same effect as one at once."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.emulator.firestore_messages import database, delete, name, put, stored, update, value

from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.messages import Precondition, Write, WriteResult
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.store import writes
from firestore_emulator.store.database import Commit, Database
from firestore_emulator.store.staging import finished

PATHS = ["c/a", "c/b", "c/d/e/f"]
STORED = [put("c/a", x=1, y=value([1])), put("c/b", x=2)]


def at_server_time(path: str, *fields: str, **plain: Any) -> Write:
    return with_transforms(
        put(path, **plain),
        *({"field_path": each, "set_to_server_value": "REQUEST_TIME"} for each in fields),
    )


def with_transforms(write: Write, *transforms: dict[str, Any]) -> Write:
    write.update_transforms.extend(Write(update_transforms=transforms).update_transforms)
    return write


def increment(path: str, by: int) -> Write:
    return with_transforms(
        update(path, exists=None), {"field_path": "x", "increment": {"integer_value": by}}
    )


def transform_alone(path: str) -> Write:
    time = {"field_path": "t", "set_to_server_value": "REQUEST_TIME"}
    return Write(transform={"document": name(path), "field_transforms": [time]})


def conditional(path: str, *, exists: bool) -> Write:
    return Write(update=put(path, x=9).update, current_document=Precondition(exists=exists))


NUMBERS = st.integers(1, 3)
WRITES = st.one_of(
    st.builds(lambda path, x: put(path, x=x), st.sampled_from(PATHS), NUMBERS),
    st.builds(lambda path, x: update(path, "x", exists=None, x=x), st.sampled_from(PATHS), NUMBERS),
    st.builds(delete, st.sampled_from(PATHS)),
    st.builds(increment, st.sampled_from(PATHS), NUMBERS),
    st.builds(lambda path: at_server_time(path, "t", "m.t", x=1), st.sampled_from(PATHS)),
    st.builds(transform_alone, st.sampled_from(PATHS)),
    st.builds(lambda path, e: conditional(path, exists=e), st.sampled_from(PATHS), st.booleans()),
)


def commit_staged(of: Database, requested: Sequence[Write]) -> Commit:
    checked = run_at_once(of.check(requested))
    assert checked.are_stageable
    staged = run_at_once(of.stage(checked))
    time = of.commit_staged(staged)
    return Commit(time, run_at_once(finished(staged.results, time)))


def is_stageable(requested: Sequence[Write]) -> bool:
    """Or invalid, whatever is stored."""
    try:
        return run_at_once(database().check(requested)).are_stageable
    except EmulatorError:
        return True


def outcome(commit: Any, of: Database, requested: Sequence[Write]) -> object:
    try:
        done = commit(of, requested)
    except EmulatorError as error:
        return type(error), str(error)
    return done.time, done.results


def contents(of: Database) -> list[object]:
    return [of.document_count(), *(stored(of, path) for path in PATHS)]


@given(st.lists(WRITES, min_size=1, max_size=6))
def test_staged_commit_equals_a_commit_at_once(requested: list[Write]) -> None:
    assume(is_stageable(requested))
    at_once, in_steps = database(*STORED), database(*STORED)
    before = in_steps.read().time
    expected = outcome(Database.commit, at_once, requested)
    assert outcome(commit_staged, in_steps, requested) == expected
    assert contents(in_steps) == contents(at_once)
    earlier = in_steps.read(before).view.collection("c")
    assert sorted(each.fields["x"].integer_value for each in earlier) == [1, 2]


@given(st.lists(WRITES, min_size=1, max_size=6))
def test_staging_changes_nothing(requested: list[Write]) -> None:
    of = database(*STORED)
    before = contents(of)
    with suppress(EmulatorError):
        run_at_once(of.stage(run_at_once(of.check(requested))))
    assert contents(of) == before


def test_write_of_the_commit_time_changes_a_document_that_has_any_time() -> None:
    """The time that staged documents have for the moment may be stored already."""
    epoch = put("c/a", x=1)
    epoch.update.fields["t"].timestamp_value.SetInParent()
    of = database(epoch)
    done = commit_staged(of, [at_server_time("c/a", "t", x=1)])
    (result,) = done.results
    found = stored(of, "c/a")
    assert found is not None
    assert found.fields["t"] == result.transform_results[0]
    assert found.fields["t"].timestamp_value.seconds == done.time.seconds > 0
    assert found.update_time == result.update_time == done.time


@pytest.mark.parametrize(
    "requested",
    [
        [at_server_time("c/a", "t"), update("c/a", "x", exists=None, x=2)],
        [with_transforms(at_server_time("c/a", "t"), {"field_path": "n", "increment": value(1)})],
    ],
)
def test_time_beside_other_writes_of_the_document_is_not_staged(requested: list[Write]) -> None:
    assert not run_at_once(database().check(requested)).are_stageable


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ([put("c/a")] * 32, False),
        ([put("c/a")] * 33, True),
        ([put("c/a", t="t" * 262_000)], False),
        ([put("c/a", t="t" * 263_000)], True),
    ],
)
def test_writes_are_many_by_number_or_size(requested: list[Write], *, expected: bool) -> None:
    assert writes.are_many(requested) is expected


def test_result_of_an_unchanged_document_keeps_its_time() -> None:
    of = database(put("c/a", x=1))
    found = stored(of, "c/a")
    assert found is not None
    done = commit_staged(of, [put("c/a", x=1), put("c/b", x=1), delete("c/d/e/f")])
    assert done.results == [
        WriteResult(update_time=found.update_time),
        WriteResult(update_time=done.time),
        WriteResult(),
    ]
    assert found.update_time != done.time
