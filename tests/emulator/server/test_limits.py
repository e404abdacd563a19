"""The time limits of the embedded emulator over the wire, and that nothing is left over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import grpc
import pytest
from google.api_core.exceptions import Aborted, Cancelled, InvalidArgument
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from support.emulator.histories import record
from support.emulator.serving import serving
from support.emulator.transactions import Requests, in_background
from support.waiting import wait_until

from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases
from firestore_emulator.transactions.isolation import OpenCounts
from firestore_emulator.transactions.open_transactions import DEFAULT_LIMITS, Limits

DATABASE = "projects/limits/databases/(default)"
NOTHING = OpenCounts(transactions=0, holders=0, waiting=0)
CLOSED = "The referenced transaction has expired or is no longer valid."


class Running(NamedTuple):
    address: str
    channel: grpc.Channel
    db: Requests
    open: Callable[[], OpenCounts]


@contextmanager
def running(limits: Limits = DEFAULT_LIMITS) -> Iterator[Running]:
    service = Service(Databases(), limits)
    with serving(service) as address, grpc.insecure_channel(address) as channel:
        yield Running(
            address, channel, requests(channel), lambda: service.isolation(DATABASE).open_counts
        )


def requests(channel: grpc.Channel) -> Requests:
    return Requests(FirestoreClient(transport=FirestoreGrpcTransport(channel=channel)), DATABASE)


def test_eight_clients_leave_no_locks_or_transactions() -> None:
    with running() as emulator:
        record(emulator.address, DATABASE, seed=1, rounds=20)
        assert emulator.open() == NOTHING


def test_lock_wait_ends_at_the_limit() -> None:
    with running(Limits(lock_wait=0.05)) as emulator:
        transaction = emulator.db.begin()
        emulator.db.get("c/a", transaction=transaction)
        with pytest.raises(Aborted, match="Too much contention"):
            emulator.db.commit({"c/a": 1})
        emulator.db.commit({"c/a": 2}, transaction)
        assert emulator.db.get("c/a") == [2]
        assert emulator.open() == NOTHING


@pytest.mark.parametrize("limits", [Limits(idle=0.5), Limits(transaction=0.5)])
def test_expired_transaction_has_no_locks_and_is_rejected(limits: Limits) -> None:
    with running(limits) as emulator:
        transaction = emulator.db.begin()
        emulator.db.get("c/a", transaction=transaction)
        emulator.db.commit({"c/a": 1})
        assert emulator.open() == NOTHING
        for call in (
            lambda: emulator.db.get("c/a", transaction=transaction),
            lambda: emulator.db.commit({"c/a": 2}, transaction),
        ):
            with pytest.raises(InvalidArgument, match=CLOSED):
                call()
        emulator.db.rollback(transaction)
        assert emulator.db.get("c/a") == [1]


def test_disconnected_client_stops_waiting() -> None:
    with running() as emulator, in_background() as background:
        transaction = emulator.db.begin()
        emulator.db.get("c/a", transaction=transaction)
        with grpc.insecure_channel(emulator.address) as channel:
            db = requests(channel)
            committing = background.waits(
                db.commit, {"c/a": 1}, db.got("c/b", new_transaction={})[0]
            )
            wait_until(lambda: emulator.open() == OpenCounts(transactions=1, holders=2, waiting=1))
        with pytest.raises(Cancelled):
            committing.result()
        wait_until(lambda: emulator.open() == OpenCounts(transactions=1, holders=1, waiting=0))
        emulator.db.rollback(transaction)
        assert emulator.db.get("c/a") == [None]
        assert emulator.open() == NOTHING
