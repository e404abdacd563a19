"""Explore every scenario of the protocol and check its invariants.

Exit code 0: every invariant holds. Exit code 1: one does not, and the output lists the steps.
"""

from __future__ import annotations

import argparse
import sys
import time

from specification.explore import CounterexampleError, explore
from specification.mutations import MUTATIONS
from specification.protocol import Protocol
from specification.scenarios import scenarios


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m specification", description=__doc__)
    help_text = "explore a mutation instead, which lacks one rule of the protocol"
    parser.add_argument("--break", dest="mutation", choices=MUTATIONS, help=help_text)
    mutation = parser.parse_args(arguments).mutation
    protocol = MUTATIONS[mutation]() if mutation else Protocol()
    _print("Exploring takes a minute or two on one core. Each scenario prints its result.")
    states, began = 0, time.monotonic()
    for name, scenario in scenarios(protocol).items():
        scenario_began = time.monotonic()
        try:
            explored = explore(protocol, scenario)
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


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
