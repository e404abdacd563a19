"""The work for N requests that wait for one document grows no faster than N log N.

Work is the number of lines of the package that run, so the result does not depend on the machine.
"""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.emulator.firestore_messages import DATABASE

from firestore_emulator import transactions
from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions.lock_types import (
    LostWrite,
    Owner,
    QueuePosition,
    ReadLock,
    Request,
    State,
)
from firestore_emulator.transactions.locks import LockTable

pytestmark = pytest.mark.exhaustive

FEW, MANY = 50, 400
PACKAGE = str(Path(transactions.__file__).parent)


class Write:
    def __init__(self, document_id: str) -> None:
        self.names = frozenset({name(document_id)})

    def documents(self) -> Iterator[Document]:
        return iter(())


def name(document_id: str) -> DocumentName:
    return DocumentName(DATABASE, "c", document_id)


def read(document_id: str) -> ReadLock:
    return ReadLock(frozenset({name(document_id)}))


HOT = "hot"
Wait = Callable[[LockTable, int], Request]


def write_alone(table: LockTable, _: int) -> Request:
    return table.request(Owner(), Write(HOT))


def write_after_another_read(table: LockTable, number: int) -> Request:
    owner = Owner()
    table.request(owner, read(f"own{number}"))
    return table.request(owner, Write(HOT))


def read_behind_a_write(table: LockTable, number: int) -> Request:
    if number == 0:
        table.request(Owner(), Write(HOT))
    return table.request(Owner(), read(HOT))


def read_and_write_in_turn(table: LockTable, number: int) -> Request:
    return table.request(Owner(), Write(HOT) if number % 2 else read(HOT))


def read_again_after_a_lost_write(table: LockTable, number: int) -> Request:
    lost = LostWrite(frozenset({name(HOT)}), ())
    return table.request(Owner(QueuePosition(age=number, lost=lost)), read(HOT))


def run(wait: Wait, requests: int) -> None:
    """All wait for one holder, then each gets the document and ends."""
    table, holder = LockTable(), Owner()
    table.request(holder, read(HOT))
    first_writer = table.request(Owner(), Write(HOT))
    waiting = [wait(table, number) for number in range(requests)]
    assert {each.state for each in waiting} == {State.WAITING}
    table.release(holder)
    table.release(first_writer.owner)
    while table.holders:
        table.release(next(iter(table.holders)))
    assert {each.state for each in waiting} == {State.GRANTED}


def work(wait: Wait, requests: int) -> int:
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run(wait, requests)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize(
    "wait",
    [
        write_alone,
        write_after_another_read,
        read_behind_a_write,
        read_and_write_in_turn,
        read_again_after_a_lost_write,
    ],
)
def test_work_of_waiting_requests_grows_at_most_as_n_log_n(wait: Wait) -> None:
    growth = MANY * math.log(MANY) / (FEW * math.log(FEW))
    assert work(wait, MANY) <= growth * work(wait, FEW)
