"""The sequence of measurements: the emulators alternate in starts and in rounds."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.emulator import workloads
from benchmarks.emulator.process import Emulator, started

STARTS = 7
WARM_UP_CALLS = 1500  # of each operation: the JVM compiles what is called often
ROUNDS = 12
CALLS = 100  # of each operation in a round
SECONDS_LOCKING = 12.0
SECONDS_OPTIMISTIC = 3.0

Figures = dict[str, float]


def measure(emulators: Sequence[str], say: Callable[[str], None]) -> dict[str, Figures]:
    """The figures of each emulator. ``say`` gets a line before each part."""
    figures: dict[str, Figures] = {which: {} for which in emulators}
    say(f"Starts and memory: {STARTS + 1} starts")
    _starts(figures)
    with ExitStack() as stack:
        running = {which: stack.enter_context(started(which)) for which in emulators}
        say(f"Latencies: {WARM_UP_CALLS} calls of each operation to warm up, {ROUNDS} rounds")
        _latencies(running, figures)
        for which, emulator in running.items():
            say(f"Contended commits of {which}: {SECONDS_LOCKING + SECONDS_OPTIMISTIC:.0f} s")
            address = emulator.address
            figures[which]["contended_commits_per_second"] = workloads.commits_per_second(
                address, workloads.locking, SECONDS_LOCKING
            )
            figures[which]["contended_optimistic_commits_per_second"] = (
                workloads.commits_per_second(address, workloads.optimistic, SECONDS_OPTIMISTIC)
            )
            figures[which]["megabytes_afterwards"] = emulator.megabytes()
    return figures


def _starts(figures: dict[str, Figures]) -> None:
    """Start time and memory of each emulator alone, without the first start, which fills caches."""
    seconds, megabytes = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for number in range(STARTS + 1):
        for which in figures:
            with started(which) as emulator:
                if number > 0:
                    seconds[which].append(emulator.seconds_to_ready)
                    megabytes[which].append(emulator.megabytes())
    for which, figure in figures.items():
        figure["seconds_to_ready"] = median(seconds[which])
        figure["megabytes_when_ready"] = median(megabytes[which])


def _latencies(running: dict[str, Emulator], figures: dict[str, Figures]) -> None:
    taken = defaultdict[tuple[str, str], list[float]](list)
    with ExitStack() as stack:
        operations = {
            which: workloads.operations(
                stack.enter_context(workloads.client(emulator.address, workloads.new_project()))
            )
            for which, emulator in running.items()
        }
        for of_one in operations.values():
            for operation in of_one:
                workloads.seconds(operation, WARM_UP_CALLS)
        for _ in range(ROUNDS):
            for alternating in zip(*operations.values(), strict=True):
                for which, operation in zip(operations, alternating, strict=True):
                    taken[which, operation.name] += workloads.seconds(operation, CALLS)
    for (which, name), seconds in taken.items():
        figures[which][f"{name}_ms"] = 1000 * median(seconds)
