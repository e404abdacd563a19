"""Histories of concurrent clients equal some serial execution of their transactions."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.emulator.histories import record, violation
from support.emulator.serving import serving

from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases
from firestore_emulator.transactions.lock_types import Owner, ReadLock, Request, WriteLock
from firestore_emulator.transactions.locks import LockTable

ROUNDS = 30  # transactions of each client in one history
ENOUGH_TO_CATCH = 20  # histories until a broken lock is detected


@pytest.mark.parametrize("seed", range(3))
def test_histories_are_serializable(emulator: str, database: str, which: str, seed: int) -> None:
    if which == "official":
        pytest.skip("the official emulator needs 2 s for each that loses")
    history = record(emulator, database, seed, ROUNDS)
    assert len(history) == 8 * ROUNDS
    assert violation(history) == ""


def without_shared_locks(request: Callable[..., Request]) -> Callable[..., Request]:
    def broken(table: LockTable, owner: Owner, lock: ReadLock | WriteLock) -> Request:
        return request(table, owner, ReadLock() if isinstance(lock, ReadLock) else lock)

    return broken


def without_locks_of_queries(request: Callable[..., Request]) -> Callable[..., Request]:
    def broken(table: LockTable, owner: Owner, lock: ReadLock | WriteLock) -> Request:
        if isinstance(lock, ReadLock):
            lock = replace(lock, predicate=None)
        return request(table, owner, lock)

    return broken


def with_plain_writes_that_do_not_wait(request: Callable[..., Request]) -> Callable[..., Request]:
    def broken(table: LockTable, owner: Owner, lock: ReadLock | WriteLock) -> Request:
        plain = not isinstance(lock, ReadLock) and not owner.has_read
        return request(LockTable() if plain else table, owner, lock)

    return broken


@pytest.mark.parametrize(
    "breakage",
    [without_shared_locks, without_locks_of_queries, with_plain_writes_that_do_not_wait],
)
def test_broken_lock_is_detected(
    breakage: Callable[..., Callable[..., Request]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LockTable, "request", breakage(LockTable.request))
    with serving(Service(Databases())) as address:
        caught = any(
            violation(record(address, f"projects/broken-{seed}/databases/(default)", seed, ROUNDS))
            for seed in range(ENOUGH_TO_CATCH)
        )
    assert caught
