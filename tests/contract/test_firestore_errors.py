"""The store's exception for each Firestore error, from a server that only fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime

import grpc
import pytest
from google.cloud.firestore_v1 import types
from google.rpc.status_pb2 import Status
from support.stores.builders import product, soon

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Change, Documents
from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings
from inventory_function.store import Store as StockStore
from order_function.domain import Attempt, Line, Order
from order_function.ports import OrderFilter
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.store import FirestoreOrderStore

Code = grpc.StatusCode

CONFLICTS = {Code.ABORTED, Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION, Code.NOT_FOUND}
DENIED = {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED, Code.RESOURCE_EXHAUSTED}
REJECTED = {Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.UNIMPLEMENTED}
CODES = [code for code in Code if code is not Code.OK]

ORDER = Order.new_reserved(
    Attempt.begin("C1", [Line("P001", 1)], None), (), "USD", datetime.now(UTC)
)


class Failing(grpc.GenericRpcHandler):
    """Fails every call with a status code, after optional responses; or ends; or hangs."""

    def __init__(self) -> None:
        self.code = Code.UNAVAILABLE
        self.before: list[bytes] = []
        self.hangs = False
        self.ends_well = False
        self.poison: bytes | None = None
        """Fails only requests that contain this text, and carries out the writes of all others."""
        self.written: list[str] = []
        self.seconds_given: list[float] = []
        self.calls: list[str] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        self.calls.append(handler_call_details.method.rpartition("/")[2])
        return grpc.stream_stream_rpc_method_handler(self._fail)

    def _fail(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        if self.poison and self.poison not in (request := next(requests)):
            writes = types.BatchWriteRequest.deserialize(request).writes
            self.written += [write.update.name.rpartition("/")[2] for write in writes]
            statuses = [Status() for _ in writes]
            yield types.BatchWriteResponse.serialize(types.BatchWriteResponse(status=statuses))
            return
        self.seconds_given.append(context.time_remaining() or 0)
        yield from self.before
        if self.ends_well:
            return
        while self.hangs and context.is_active():
            time.sleep(0.01)
        context.abort(self.code, "configured to fail")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    handler = Failing()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    yield handler
    server.stop(grace=None).wait()


@pytest.fixture
def connection(failing: Failing) -> Iterator[FirestoreConnection]:  # noqa: ARG001
    address = os.environ["FIRESTORE_EMULATOR_HOST"]
    connection = FirestoreConnection(FirestoreSettings("test", "(default)", address))
    yield connection
    connection.close()


def writes(connection: FirestoreConnection) -> dict[str, Callable[[Deadline], object]]:
    stock, orders = StockStore(connection), FirestoreOrderStore(connection)
    return {
        "commit": lambda deadline: stock.commit([(product(), None)], deadline),
        "create": lambda deadline: orders.create(ORDER, deadline),
        "replace": lambda deadline: orders.replace(ORDER, datetime.now(UTC), deadline),
    }


def reads(connection: FirestoreConnection) -> dict[str, Callable[[Deadline], object]]:
    stock, orders = StockStore(connection), FirestoreOrderStore(connection)
    return {
        "read": lambda deadline: list(stock.read([("products", "P001")], deadline)),
        "get": lambda deadline: orders.get(ORDER.order_id, deadline),
        "products": lambda deadline: stock.products(None, 9, deadline),
        "adjustments": lambda deadline: stock.adjustments("P001", None, 9, deadline),
        "list_newest": lambda deadline: orders.list_newest(OrderFilter("C1"), None, 9, deadline),
        "held": lambda deadline: FirestoreUnfinishedWork(connection).held_reservations(
            None, 9, deadline
        ),
        "count_held": lambda deadline: FirestoreUnfinishedWork(connection).count_held(deadline),
    }


def meaning(code: grpc.StatusCode) -> type[StoreError]:
    if code in CONFLICTS:
        return ConflictError
    if code in REJECTED:
        return StoreRejectedError
    return StoreUnavailableError if code in DENIED else OutcomeUnknownError


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_failed_write_raises_an_error_that_says_what_is_known(
    failing: Failing, connection: FirestoreConnection, code: grpc.StatusCode
) -> None:
    failing.code = code
    for call in writes(connection).values():
        with pytest.raises(meaning(code)):
            call(soon())
    assert failing.calls == ["Commit", "BatchWrite", "Commit"], "each was sent once"


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_each_order_of_a_batch_has_its_own_failure(
    failing: Failing, connection: FirestoreConnection, code: grpc.StatusCode
) -> None:
    statuses = [Status(code=code.value[0], message="configured to fail"), Status()]
    failing.before = [types.BatchWriteResponse.serialize(types.BatchWriteResponse(status=statuses))]
    failing.ends_well = True
    changes = [Change(("orders", name), {"n": 1}, None) for name in ("ORD1", "ORD2")]
    documents = Documents(connection)
    error, none = documents.write_each([*map(documents.encode_write, changes)], soon())
    assert type(error) in (meaning(code), AlreadyExistsError)
    assert (type(error) is AlreadyExistsError) == (code is Code.ALREADY_EXISTS)
    assert none is None


@pytest.mark.parametrize("code", sorted(REJECTED, key=str), ids=lambda code: code.name)
def test_rejected_batch_fails_only_the_write_that_caused_it(
    failing: Failing, connection: FirestoreConnection, code: grpc.StatusCode
) -> None:
    failing.code, failing.poison = code, b"POISON"
    names = [f"ORD{n}" for n in range(10)]
    changes = [
        Change(("orders", name), {"n": 1}, None) for name in [*names[:7], "POISON", *names[7:]]
    ]
    documents = Documents(connection)
    errors = documents.write_each([*map(documents.encode_write, changes)], soon())
    kinds = [type(error) for error in errors]
    assert kinds == [*[type(None)] * 7, StoreRejectedError, *[type(None)] * 3]
    assert sorted(failing.written) == names, "each once"
    assert len(failing.calls) < 10


@pytest.mark.parametrize(
    "value", [{1, 2}, 2**63, "\ud800"], ids=["no type", "too large", "surrogate"]
)
def test_value_is_rejected_before_sending_when_no_field_can_hold_it(
    failing: Failing, connection: FirestoreConnection, value: object
) -> None:
    change = Change(("orders", "ORD1"), {"n": value}, None)
    documents = Documents(connection)
    with pytest.raises(StoreRejectedError):
        documents.encode_write(change)
    with pytest.raises(StoreRejectedError):
        documents.commit([change], soon())
    assert not failing.calls


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_failed_read_is_unavailable_or_rejected(
    failing: Failing, connection: FirestoreConnection, code: grpc.StatusCode
) -> None:
    """A read fails a precondition if its index is missing: each repeat fails as well."""
    failing.code = code
    permanent = {*REJECTED, grpc.StatusCode.FAILED_PRECONDITION}
    expected = StoreRejectedError if code in permanent else StoreUnavailableError
    for call in reads(connection).values():
        with pytest.raises(expected):
            call(soon())
    assert len(failing.calls) == len(reads(connection)), "each was sent once"


def test_query_is_unavailable_when_it_fails_half_way(
    failing: Failing, connection: FirestoreConnection
) -> None:
    for query, path in (("products", "products/P001"), ("list_newest", "orders/ORD1")):
        name = f"projects/test/databases/(default)/documents/{path}"
        found = types.RunQueryResponse(document=types.Document(name=name))
        failing.before = [types.RunQueryResponse.serialize(found)]
        with pytest.raises(StoreUnavailableError):
            reads(connection)[query](soon())


def test_no_call_outlives_its_deadline(failing: Failing, connection: FirestoreConnection) -> None:
    failing.hangs = True
    calls = (writes(connection) | reads(connection)).values()
    for call in calls:
        with pytest.raises((OutcomeUnknownError, StoreUnavailableError)):
            call(Deadline.after(0.6))
    assert len(failing.seconds_given) == len(calls)
    assert all(0 < given < 2 for given in failing.seconds_given), "not the library's own minute"


def test_store_is_unavailable_when_the_client_cannot_be_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    connection = FirestoreConnection(FirestoreSettings("test", "(default)", None))
    with pytest.raises(StoreUnavailableError):
        StockStore(connection).products(None, 1, soon())
