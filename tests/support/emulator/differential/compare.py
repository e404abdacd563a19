"""Runs the same steps on both emulators until they differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google.cloud.firestore_v1 import types

from support.emulator.differential.differences import Difference, listed
from support.emulator.differential.session import NOT_COMPARED, ROOT, Outcome, Session, Step


@dataclass(frozen=True)
class Found:
    """The last step is the one with different responses."""

    steps: tuple[Step, ...]
    ours: Outcome
    its: Outcome

    def __str__(self) -> str:
        listed = "\n".join(f"  {step}" for step in self.steps)
        return f"after\n{listed}\nours: {self.ours}\nthe other one: {self.its}"


# A new database on both emulators, with a session each.
Fresh = Callable[[], tuple[Session, Session]]


# Finds the difference that explains two responses to a step, or None.
Known = Callable[[Step, Outcome, Outcome], Difference | None]


def unlisted(_step: Step, _ours: Outcome, _its: Outcome) -> None:
    """For the real service: every difference counts."""


def first_difference(fresh: Fresh, steps: Iterable[Step], known: Known = listed) -> Found | None:
    """The first difference that is not known."""
    ours, its = fresh()
    done = []
    for step in steps:
        done.append(step)
        answer, other = ours.run(step), its.run(step)
        if other not in (answer, NOT_COMPARED):
            difference = known(step, answer, other)
            if difference is None:
                return Found(tuple(done), answer, other)
            if difference.diverges:
                return None
    return None


def shortest(found: Found, fresh: Fresh, known: Known = listed) -> Found:
    """The same without the steps that are not needed."""
    for step in found.steps[-2::-1]:
        rest = tuple(each for each in found.steps if each is not step)
        smaller = first_difference(fresh, rest, known)
        if smaller is not None and smaller.steps == rest:
            found = smaller
    return found


def whole_state() -> Sequence[Step]:
    """Requests that read all documents."""
    everything = types.StructuredQuery.pb()(from_=[{"all_descendants": True}])
    return [
        Step("RunQuery", types.RunQueryRequest.pb()(parent=ROOT, structured_query=everything)),
        Step("ListCollectionIds", types.ListCollectionIdsRequest.pb()(parent=ROOT)),
    ]
