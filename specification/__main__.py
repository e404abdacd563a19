"""`python -m specification`: explore every scenario; `--break RULE`: leave a rule out."""

from __future__ import annotations

import argparse
import sys
import time

from specification.broken import BROKEN
from specification.explore import CounterexampleError, explore
from specification.protocol import Protocol
from specification.scenarios import scenarios


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m specification", description=__doc__)
    parser.add_argument("--break", dest="rule", choices=BROKEN, help="leave this rule out")
    rule = parser.parse_args(arguments).rule
    protocol = BROKEN[rule]() if rule else Protocol()
    states, began = 0, time.monotonic()
    for name, scenario in scenarios(protocol).items():
        since = time.monotonic()
        try:
            explored = explore(protocol, scenario)
        except CounterexampleError as found:
            _say(f"{name}: {found}\n")
            for number, line in enumerate(found.trace, 1):
                _say(f"{number:4}  {line}")
            return 1
        states += explored.states
        seconds = time.monotonic() - since
        _say(f"{name}: {explored.states:,} states, {explored.ends:,} ends, {seconds:.1f} s")
    _say(f"{states:,} states in {time.monotonic() - began:.0f} s: every invariant holds")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command that people watch


if __name__ == "__main__":
    sys.exit(main())
