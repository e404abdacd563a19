"""Both functions in this process, with one remote call interrupted.

The functions, their stores and the emulator are real. order reaches inventory through an adapter
of ``requests``. Only two parts are replaced: the client's stub of Firestore, and that adapter. They
can interrupt one call:

- before: the process crashes, and the call was never sent
- after: the process crashes, and the call was carried out
- lost: the call was carried out, and its response does not arrive
- dropped: the call was not carried out, and the process cannot know
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.request import Request, urlopen

import requests
from google.api_core.exceptions import ServiceUnavailable
from grpc import StatusCode
from local import tokens

from functions_common.events import low_stock_outbox
from functions_common.events.low_stock_outbox import FirestoreLowStockOutbox
from functions_common.events.sending import SinkError
from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreError
from functions_common.http.client import NoResponseError, NotSentError
from functions_common.runtime.settings import FirestoreSettings, ServerSettings
from inventory_function.app import create_app as create_inventory_app
from inventory_function.service import Inventory
from inventory_function.settings import Settings as InventorySettings
from inventory_function.store import Store as InventoryStore
from order_function.app import create_app as create_order_app
from order_function.audit import __main__ as audit
from order_function.audit.invariants import Finding
from order_function.events import publisher
from order_function.events.outbox import FirestoreOutbox
from order_function.inventory.client import InventoryClient
from order_function.reconcile.publishing import low_stock_events, order_events
from order_function.reconcile.sweep import Report, Sweep
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.service import Orders
from order_function.settings import Settings as OrderSettings
from order_function.store import FirestoreOrderStore
from support.in_process.apps import OPERATOR, ORDER, PAYMENT
from support.in_process.client import WsgiAdapter
from support.in_process.dying import ProcessDiedError
from support.specification.firestore import RpcFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud.firestore import Client

    from functions_common.events.cloud_event import EventRequest
    from functions_common.events.low_stock import LowStockEvent

T = TypeVar("T")

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
PROJECT = "crashes"
DEADLINE_SECONDS = 5
_SERVER = ServerSettings("127.0.0.1", 8080, 4)


class Cut(StrEnum):
    BEFORE = "before"
    AFTER = "after"
    LOST = "lost"
    DROPPED = "dropped"


class UnlimitedQueryError(BaseException):
    """The functions read every collection in pages, even a small one."""


class Network:
    """Counts remote calls, and interrupts one of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._place = 0
        self._cut: Cut | None = None

    def cut(self, place: int, how: Cut) -> None:
        """Interrupt the call at this place, counted from 1, starting now."""
        self.calls, self._place, self._cut = [], place, how

    def heal(self) -> None:
        self.calls, self._cut = [], None

    def carry(self, process: str, name: str, call: Callable[[], T], lost: Exception) -> T:
        self.calls.append(f"{process} {name}")
        if self._cut is None or len(self.calls) != self._place:
            return call()
        how, self._cut = self._cut, None
        if how is Cut.BEFORE:
            raise ProcessDiedError(process)
        if how is Cut.DROPPED:
            raise lost
        call()
        if how is Cut.AFTER:
            raise ProcessDiedError(process)
        raise lost


class _Calls:
    """Remote calls of one process, each carried by our network."""

    def __init__(self, target: Any, process: str, network: Network) -> None:
        self._target, self._process, self._network = target, process, network

    def _carry(self, name: str, call: Callable[[], T]) -> T:
        return self._network.carry(self._process, name, call, self._lost())

    def _lost(self) -> Exception:
        """The error of gRPC if there is no response."""
        return RpcFailedError(StatusCode.UNAVAILABLE)


class _Channel(_Calls):
    """Firestore's channel."""

    def unary_unary(self, method: str, *codec: Any) -> Any:
        call = self._target.unary_unary(method, *codec)
        name = method.rpartition("/")[2]
        return lambda *args, **kwargs: self._carry(name, lambda: call(*args, **kwargs))

    def unary_stream(self, method: str, *codec: Any) -> Any:
        call = self._target.unary_stream(method, *codec)
        name = method.rpartition("/")[2]

        def carried(request: Any, **kwargs: Any) -> Any:
            if name == "RunQuery" and not request.structured_query.HasField("limit"):
                raise UnlimitedQueryError
            return self._carry(name, lambda: [*call(request, **kwargs)])

        return carried

    def close(self) -> None:
        self._target.close()


class _Stub(_Calls):
    """Firestore's generated client."""

    def _lost(self) -> Exception:
        """The client library translates the errors of gRPC."""
        return ServiceUnavailable("lost")  # type: ignore[no-untyped-call]

    def batch_get_documents(self, *args: Any, **kwargs: Any) -> Any:
        call = self._target.batch_get_documents
        return iter(self._carry("BatchGetDocuments", lambda: [*call(*args, **kwargs)]))

    def run_query(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs["request"]["structured_query"].limit is None:
            raise UnlimitedQueryError
        call = self._target.run_query
        return iter(self._carry("RunQuery", lambda: list(call(*args, **kwargs))))


class _CutConnection(FirestoreConnection):
    def __init__(self, settings: FirestoreSettings, process: str, network: Network) -> None:
        super().__init__(settings)
        self._process, self._network = process, network

    def _open_channel(self) -> Any:
        return _Channel(super()._open_channel(), self._process, self._network)

    def _make_client(self) -> Client:
        client = super()._make_client()
        # The library has no public place for another generated client.
        client._firestore_api_internal = _Stub(  # noqa: SLF001
            client._firestore_api,  # noqa: SLF001
            self._process,
            self._network,
        )
        return client


class _CutAdapter(WsgiAdapter):
    """The connection from order to inventory. While inventory is down, no server listens."""

    def __init__(self, shop: CrashingShop) -> None:
        super().__init__(shop.inventory)
        self._shop = shop

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        if self._shop.inventory_is_away:
            raise NotSentError("nobody listens")
        lost = NoResponseError("the response was lost")
        name = f"{request.method} {request.path_url.partition('/ORD')[0]}"
        return self._shop.network.carry("order", name, lambda: self._deliver(request), lost)

    def _deliver(self, request: requests.PreparedRequest) -> requests.Response:
        try:
            return super().send(request)
        except ProcessDiedError as death:
            if death.process != "inventory":
                raise
            self._shop.restart()
            raise NoResponseError("the connection broke") from death


class _CutSink:
    """The connection from a process to the sink of events."""

    def __init__(self, shop: CrashingShop, process: str) -> None:
        self._shop, self._process = shop, process

    def send(self, event: EventRequest) -> None:
        accept = self._shop.received.append
        lost = SinkError("the response was lost", unavailable=True)
        self._shop.network.carry(self._process, "POST sink", lambda: accept(event), lost)


class CrashingShop:
    """One order and one inventory, in a database of their own."""

    def __init__(self, emulator: str) -> None:
        self.emulator = emulator
        self.network = Network()
        self.inventory_is_away = False
        self.order_deadline: float = DEADLINE_SECONDS
        self.has_sink = False
        self.received: list[EventRequest] = []
        """The events that the sink has accepted, in sequence."""
        firestore = FirestoreSettings(PROJECT, "(default)", emulator)
        self.order_connection = _CutConnection(firestore, "order", self.network)
        self._inventory_connection = _CutConnection(firestore, "inventory", self.network)
        self.unharmed = FirestoreConnection(firestore)
        self._firestore = firestore

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.order_connection, self._inventory_connection, self.unharmed):
            each.close()

    def begin(self) -> None:
        """Empty the database, and start new processes."""
        path = f"emulator/v1/projects/{PROJECT}/databases/(default)/documents"
        clear = Request(f"http://{self.emulator}/{path}", method="DELETE")
        urlopen(clear, timeout=10).close()  # noqa: S310
        self.network.heal()
        self.inventory_is_away = False
        self.order_deadline = DEADLINE_SECONDS
        self.has_sink = False
        self.received = []
        self.restart()

    def restart(self) -> None:
        """Start both processes again, without their memory."""
        settings = InventorySettings(
            _SERVER,
            self._firestore,
            "USD",
            DEADLINE_SECONDS,
            (tokens.hashes(ORDER),),
            (tokens.hashes(OPERATOR),),
        )
        store = InventoryStore(self._inventory_connection)
        self._low_stock: list[LowStockEvent] = []
        on_low_stock = self._low_stock.append if self.has_sink else None
        inventory = Inventory(store, "USD", DEADLINE_SECONDS, on_low_stock=on_low_stock)
        self.inventory = create_inventory_app(settings, inventory)
        self.client = InventoryClient("http://inventory", ORDER, connections=1, currency="USD")
        self.client.http.session.mount("http://", _CutAdapter(self))
        self._changed: list[str] = []
        on_event = self._changed.append if self.has_sink else None
        self.store = FirestoreOrderStore(self.order_connection, on_event=on_event)
        self._orders = Orders(self.store, self.client, self.order_deadline)
        order_settings = OrderSettings(
            _SERVER,
            self._firestore,
            "http://inventory",
            DEADLINE_SECONDS,
            "USD",
            ORDER,
            operator_token_hashes=(tokens.hashes(OPERATOR),),
            payment_token_hashes=(tokens.hashes(PAYMENT),),
            issuer=None,
        )
        self.order = create_order_app(order_settings, self._orders)

    def offer(self, product_id: str, stock: int) -> None:
        inventory: Any = self.inventory.test_client()
        path, delivery = f"/products/{product_id}", {"delta": stock, "reason": "delivery"}
        headers = {**AS_OPERATOR, "Idempotency-Key": "delivery"}
        inventory.put(path, json={"name": "Lamp", "price": 10}, headers=AS_OPERATOR)
        inventory.post(f"{path}/adjustments", json=delivery, headers=headers)

    def place(self, key: str, quantity: int = 2) -> Any:
        body = {"customer_id": "C1", "product_id": "P1", "quantity": quantity}
        headers = {"Idempotency-Key": key}
        return self.order.test_client().post("/orders", json=body, headers=headers)

    def cancel(self, order_id: str) -> Any:
        return self.order.test_client().post(f"/orders/{order_id}/cancel")

    def fulfil(self, order_id: str) -> Any:
        return self.order.test_client().post(f"/orders/{order_id}/fulfil", headers=AS_OPERATOR)

    def sweep(self) -> Report:
        """One reconcile that leaves nothing alone for being young."""
        work = FirestoreUnfinishedWork(self.order_connection)
        low_stock: Any = FirestoreLowStockOutbox(self.order_connection)
        orders: Any = FirestoreOutbox(self.order_connection)
        sink: Any = _CutSink(self, "order")
        publishing: list[Any] = []
        if self.has_sink:
            publishing = [order_events(orders, sink), low_stock_events(low_stock, sink)]
        return Sweep(
            work, self.store, self.client, self._orders, timedelta(), publishing=publishing
        ).run()

    def publish_order_events(self) -> None:
        """Do the work of order's thread: publish the events that the process has written."""
        sink: Any = _CutSink(self, "order")
        changed, self._changed[:] = self._changed[:], []
        with suppress(StoreError):
            publisher.publish_by_id(FirestoreOutbox(self.order_connection), sink, changed)

    def publish_low_stock(self) -> None:
        """Do the work of inventory's thread: publish the events that the process has written."""
        outbox: Any = FirestoreLowStockOutbox(self._inventory_connection)
        sink: Any = _CutSink(self, "inventory")
        events, self._low_stock[:] = self._low_stock[:], []
        with suppress(StoreError):
            low_stock_outbox.publish(outbox, sink, events)

    @property
    def database(self) -> Client:
        """Firestore's client, without the functions and the interruptions."""
        return self.unharmed.client

    def findings(self) -> list[Finding]:
        return audit.audit(self.unharmed, timedelta())[1]

    def documents(self, collection: str) -> dict[str, dict[str, Any]]:
        found = self.unharmed.client.collection(collection).stream()
        return {each.id: each.to_dict() or {} for each in found}

    def units(self, product_id: str) -> tuple[int, int, int]:
        """Available, reserved, shipped."""
        product = self.documents("products")[product_id]
        return product["available"], product["reserved"], product["shipped"]
