"""Fuzzing of both functions, with customers' tokens and without.

FUZZ_SECONDS limits the total: a few seconds in `make test`, ten minutes in `make fuzz`. One half
sends requests made from the descriptions to real processes (schemathesis). The other half sends
requests made of bytes to the apps, guided by coverage (atheris, if it is installed).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from support.clients.hostile_tokens import HOSTILE
from support.in_process import described_apps
from support.in_process.apps import ORDER
from support.peers import tokens
from support.processes.shop import Shop

SECONDS = float(os.environ.get("FUZZ_SECONDS", "6")) / 2
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
EXAMPLES = 10
"""The number of requests to one operation before the next operation."""
pytestmark = pytest.mark.timeout(2 * SECONDS + 200)
BAD_TOKENS = [token for make in HOSTILE.values() if (token := make()) != ORDER]
MOST_GROWTH = 32.0
"""MB, for a process that has served each kind of request before."""


@dataclass
class Door:
    """An operation of a function, in one of the two modes."""

    name: str
    """The resident memory of the process."""
    process: Shop
    url: str
    shop: described_apps.Shop
    operation: Any

    @property
    def guarded(self) -> bool:
        """A token is needed: that of the operator is optional in the list of products."""
        security = self.operation.definition.raw.get("security", [])
        needed = {} not in security or (self.shop.customers and {"operator": []} not in security)
        return bool(security) and needed

    def explore(self, turn: int) -> None:
        """Send some requests: valid ones in one round, invalid ones in the next."""
        mode = GenerationMode.NEGATIVE if turn % 2 else GenerationMode.POSITIVE

        @seed(SEED + turn)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=self.operation.as_strategy(generation_mode=mode))
        def ask(case: Case[Any]) -> None:
            self.ask(case)

        with suppress(Unsatisfiable):  # an operation without input has no invalid requests
            ask()

    def ask(self, case: Case[Any]) -> None:
        """Send as the intended caller. About one request in four has another caller."""
        number = described_apps.number_of(case)
        if not self.guarded or number % 4:
            self.shop.check_response(self.url, case, self.shop.token_of(case))
            return
        token = BAD_TOKENS[number // 4 % len(BAD_TOKENS)]
        answer = self.shop.check_response(self.url, case, {"Authorization": f"Bearer {token}"})
        assert answer.status_code >= 400 or answer.request.method == "OPTIONS", token


def operations(name: str) -> list[Any]:
    return [found.ok() for found in described_apps.api(name).get_all_operations()]  # type: ignore[union-attr]


@pytest.fixture
def doors(which: str, emulator: str, tmp_path: Path) -> Iterator[list[Door]]:
    if which == "official":
        pytest.skip("once is enough")
    trusting = tokens.environment(tokens.in_file(tmp_path).keys_file)
    with (
        Shop(emulator, tmp_path / "required", **trusting) as required,
        Shop(emulator, tmp_path / "open") as unguarded,
    ):
        found = []
        for mode, process in (("required", required), ("open", unguarded)):
            order, inventory = process.orders[0], process.inventories[0]
            shop = described_apps.Shop(inventory, order, customers=mode == "required")
            shop.stock()
            for name, url in (("order", order), ("inventory", inventory)):
                label = f"{name} ({mode})"
                found += [Door(label, process, url, shop, each) for each in operations(name)]
        yield found


def test_fuzzed_requests_from_the_descriptions_get_described_responses(
    doors: list[Door], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    for number, door in enumerate(doors):
        door.explore(number)
    before = memory(doors)
    for number in itertools.count(len(doors)):
        if time.monotonic() - began > SECONDS:
            break
        doors[number % len(doors)].explore(number)
    after = memory(doors)
    statuses: Counter[int] = Counter()
    for shop in {id(door.shop): door.shop for door in doors}.values():
        for (_, _, status), times in shop.answered.items():
            statuses[status] += times
    with capsys.disabled():
        print(
            f"\n{statuses.total():,} requests from the descriptions in"
            f" {time.monotonic() - began:.0f} s, seed {SEED}: {dict(sorted(statuses.items()))}"
        )
        for name in before:
            print(f"  {name}: {before[name]:.1f} MB before, {after[name]:.1f} MB after")
    assert all(after[name] - before[name] < MOST_GROWTH for name in before)


def memory(doors: list[Door]) -> dict[str, float]:
    return {door.name: door.process.memory(door.url) for door in doors}


def test_fuzzed_requests_from_bytes_get_described_responses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; `make fuzz` installs it on supported platforms")
    program = Path(__file__).with_name("from_bytes.py")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(20):
        (corpus / str(number)).write_bytes(secrets.token_bytes(300))
    done = subprocess.run(
        [sys.executable, program, corpus, f"-max_total_time={max(1, int(SECONDS))}",
         "-print_final_stats=1", "-max_len=4096", "-timeout=20", f"-seed={SEED}",
         f"-artifact_prefix={tmp_path}/"],
        capture_output=True, text=True, timeout=SECONDS + 120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    said = re.findall(r"^RSS .*$", done.stderr, re.MULTILINE)
    with capsys.disabled():
        print(f"\n{int(stats['number_of_executed_units']):,} requests from bytes; {said[-1:]}")
    assert int(stats["number_of_executed_units"]) > 0
