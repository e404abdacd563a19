"""Both emulators return the same responses to the same random requests.

DIFFERENTIAL_SEEDS is the number of request scripts, starting at DIFFERENTIAL_FIRST_SEED.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from support.emulator.differential.compare import Fresh, first_difference, shortest, whole_state
from support.emulator.differential.differences import DIFFERENCES, Difference
from support.emulator.differential.script import Script
from support.emulator.differential.session import Session

from firestore_emulator import launcher

SEEDS = int(os.environ.get("DIFFERENTIAL_SEEDS", "20"))
FIRST_SEED = int(os.environ.get("DIFFERENTIAL_FIRST_SEED", "0"))
STEPS = 60


@pytest.fixture(scope="module")
def channels() -> Iterator[list[grpc.Channel]]:
    """The addresses of this emulator and of the official one."""
    environ = {key: os.environ[key] for key in os.environ if key != "FIRESTORE_EMULATOR_HOST"}
    with ExitStack() as stack:
        opened = []
        for which in ("embedded", "official"):
            try:
                running = launcher.emulator({**environ, "EMULATOR": which})
                address = stack.enter_context(running)
            except launcher.EmulatorNotFoundError as error:
                pytest.skip(str(error))
            opened.append(stack.enter_context(grpc.insecure_channel(address)))
        yield opened


@pytest.fixture
def fresh(channels: list[grpc.Channel]) -> Fresh:
    def sessions() -> tuple[Session, Session]:
        """A session on an unused project."""
        project = f"test-{uuid.uuid4().hex[:12]}"
        ours, its = (Session(channel, project) for channel in channels)
        return ours, its

    return sessions


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_both_emulators_return_the_same_responses(fresh: Fresh, seed: int) -> None:
    found = first_difference(fresh, [*Script(seed).steps(STEPS), *whole_state()])
    if found is not None:
        pytest.fail(f"{shortest(found, fresh)}", pytrace=False)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.what)
def test_listed_difference_still_exists(fresh: Fresh, difference: Difference) -> None:
    ours, its = fresh()
    *before, last = difference.example
    for step in before:
        assert ours.run(step) == its.run(step)
    answer, other = ours.run(last), its.run(last)
    assert answer != other
    assert difference.applies(last, answer, other)
