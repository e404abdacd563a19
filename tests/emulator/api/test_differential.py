"""Both emulators return the same responses to the same random requests.

DIFFERENTIAL_SEEDS is the number of request scripts, starting at DIFFERENTIAL_FIRST_SEED.
In a run of `make verify-firestore` the real service replaces the official emulator. There
DIFFERENTIAL_STRICT is set: the listed differences are those in which ours is like the service.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import grpc
import pytest
from support.emulator.differential.compare import (
    Fresh,
    first_difference,
    shortest,
    unlisted,
    whole_state,
)
from support.emulator.differential.differences import DIFFERENCES, Difference, listed
from support.emulator.differential.rest_session import RestSession
from support.emulator.differential.script import Script
from support.emulator.differential.session import ForwardedSession, Session
from support.emulator.instances import FORWARDER, running

from firestore_emulator import launcher

SEEDS = int(os.environ.get("DIFFERENTIAL_SEEDS", "20"))
FIRST_SEED = int(os.environ.get("DIFFERENTIAL_FIRST_SEED", "0"))
STEPS = 60
KNOWN = unlisted if os.environ.get("DIFFERENTIAL_STRICT") else listed


class Emulator(NamedTuple):
    address: str
    channel: grpc.Channel


@pytest.fixture(scope="module")
def emulators() -> Iterator[list[Emulator]]:
    """The embedded emulator, and the official one or the real service."""
    other = "forwarder" if os.environ.get(FORWARDER) else "official"
    with ExitStack() as stack:
        opened = []
        for which in ("embedded", other):
            address = stack.enter_context(running(which))
            channel = stack.enter_context(grpc.insecure_channel(address))
            opened.append(Emulator(address, channel))
        yield opened


def unused_project() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def fresh(emulators: list[Emulator]) -> Fresh:
    def sessions() -> tuple[Session, Session]:
        """A session on an unused project."""
        project = unused_project()
        ours, its = emulators
        other = ForwardedSession if os.environ.get(FORWARDER) else Session
        return Session(ours.channel, project), other(its.channel, project)

    return sessions


@pytest.fixture
def fresh_over_rest(emulators: list[Emulator]) -> Fresh:
    def sessions() -> tuple[Session, Session]:
        project = unused_project()
        ours, its = (RestSession(*each, project, all_parameters=False) for each in emulators)
        return ours, its

    return sessions


@pytest.fixture(scope="module")
def embedded() -> Iterator[Emulator]:
    environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    with launcher.emulator(environ) as address, grpc.insecure_channel(address) as channel:
        yield Emulator(address, channel)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_both_emulators_return_the_same_responses(fresh: Fresh, seed: int) -> None:
    found = first_difference(fresh, [*Script(seed).steps(STEPS), *whole_state()], KNOWN)
    if found is not None:
        pytest.fail(f"{shortest(found, fresh, KNOWN)}", pytrace=False)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_both_emulators_return_the_same_responses_over_rest(
    fresh_over_rest: Fresh, seed: int
) -> None:
    found = first_difference(fresh_over_rest, [*Script(seed).steps(STEPS), *whole_state()])
    if found is not None:
        pytest.fail(f"{shortest(found, fresh_over_rest)}", pytrace=False)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_rest_and_grpc_return_the_same_responses(embedded: Emulator, seed: int) -> None:
    def sessions() -> tuple[Session, Session]:
        over_rest = RestSession(*embedded, unused_project(), all_parameters=True)
        return over_rest, Session(embedded.channel, unused_project())

    steps = [*Script(seed).steps(STEPS), *whole_state()]
    ours, its = sessions()
    for step in steps:
        assert str(ours.run(step)) == str(its.run(step)).replace("'-0.0'", "'0.0'"), step


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.what)
def test_listed_difference_still_exists(fresh: Fresh, difference: Difference) -> None:
    ours, its = fresh()
    *before, last = difference.example
    for step in before:
        assert ours.run(step) == its.run(step)
    answer, other = ours.run(last), its.run(last)
    assert answer != other
    assert difference.applies(last, answer, other)
