"""Explore every scenario of the protocol and check its invariants.

Exit code 0: every invariant holds. Exit code 1: one does not, and the output lists the steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from specification import group_commit_explore as batches
from specification.batched_creation import BatchedCreation
from specification.explore import CounterexampleError, explore
from specification.group_commit import GroupCommit
from specification.group_commit_mutations import BATCHED_CREATION, GROUP_COMMIT
from specification.mutations import MUTATIONS
from specification.protocol import Protocol
from specification.scenarios import scenarios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from specification.explore import Exploration


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m specification", description=__doc__)
    help_text = "explore a mutation instead, which lacks one rule of the protocol"
    choices = [*MUTATIONS, *GROUP_COMMIT, *BATCHED_CREATION]
    parser.add_argument("--break", dest="mutation", choices=choices, help=help_text)
    mutation = parser.parse_args(arguments).mutation
    _print("Exploring takes a minute or two on one core. Each scenario prints its result.")
    states, began = 0, time.monotonic()
    for name, explore_scenario in _explorations(mutation):
        scenario_began = time.monotonic()
        try:
            explored = explore_scenario()
        except CounterexampleError as found:
            _print(f"{name}: {found}\n")
            for number, line in enumerate(found.trace, 1):
                _print(f"{number:4}  {line}")
            return 1
        states += explored.states
        seconds = time.monotonic() - scenario_began
        _print(
            f"{name}: {explored.states:,} states, {explored.outcomes:,} outcomes, {seconds:.1f} s"
        )
    _print(f"{states:,} states in {time.monotonic() - began:.0f} s: every invariant holds")
    return 0


def _explorations(mutation: str | None) -> Iterator[tuple[str, Callable[[], Exploration]]]:
    """Every scenario of the protocol, and of the batches below it."""
    if mutation is None or mutation in MUTATIONS:
        protocol = MUTATIONS[mutation]() if mutation else Protocol()
        for name, scenario in scenarios(protocol).items():
            yield name, partial(explore, protocol, scenario)
    if mutation is None or mutation in GROUP_COMMIT:
        commits = GROUP_COMMIT[mutation]() if mutation else GroupCommit()
        for name, shared in batches.scenarios().items():
            yield f"group commit: {name}", partial(batches.explore, commits, shared)
    if mutation is None or mutation in BATCHED_CREATION:
        creation = BATCHED_CREATION[mutation]() if mutation else BatchedCreation()
        for name, shared in batches.creation_scenarios().items():
            yield f"batched creation: {name}", partial(batches.explore, creation, shared)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
