"""The order function as a Flask app: each view parses, calls one use case and maps the result."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, request
from msgspec import UNSET
from werkzeug.exceptions import NotFound

from functions_common import limiter
from functions_common.firestore.client import FirestoreConnection
from functions_common.http import app as http_app
from functions_common.http import paging, parsing, problems
from functions_common.http.auth import callers
from functions_common.http.auth.callers import Callers, IssuedRole
from functions_common.http.parsing import Checks
from functions_common.http.problems import InvalidField, MalformedRequestError, Problem
from functions_common.http.routing import JSON, NDJSON
from functions_common.ids import is_id, timestamp
from functions_common.observability import activity, logs
from functions_common.observability.request_log import current_request
from order_function import domain, export, schemas
from order_function.domain import MovementKind, OrderNotFoundError, Status
from order_function.export import Export, ExportSlots
from order_function.inputs import filters
from order_function.inputs.changes import ChangeRequest, ConfirmRequest
from order_function.inputs.filters import ChangePosition
from order_function.inventory.client import InventoryClient
from order_function.ports import CatalogueBusyError, InventoryFailedError, NotSettledError
from order_function.routes import (
    API,
    CUSTOMER,
    LOOKUP_FINAL_SECONDS,
    OPERATOR,
    ORDER_OUTCOME_UNKNOWN,
    ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY,
    PAYMENT,
    RESPOND_ASYNC,
)
from order_function.service import (
    DEPENDENCY_ERRORS,
    OrderOutcomeUnknownError,
    Orders,
    UnfinishedChangeError,
)
from order_function.store import FirestoreOrderStore
from order_function.web_ui.page import HtmlNotAcceptedError, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from flask import Flask, Request
    from msgspec import UnsetType

    from functions_common.events.publisher_thread import PublisherThread
    from functions_common.events.settings import SinkSettings
    from functions_common.http.auth.callers import Issuer
    from functions_common.runtime.settings import IssuerSettings
    from order_function.domain import Attempt, Order
    from order_function.inputs.filters import ListRequest
    from order_function.service import Placed
    from order_function.settings import Settings

MAX_VISIBILITY_DELAY = timedelta(seconds=10)
"""A change is visible at most so long after its ``stored_at``.

Firestore sets that time when it processes the write, and shows the change after the commit. Both
times are by its own clock. order waits for a write for at most 3 s (``CALL_SECONDS``), and a write
without a response takes effect within that time, too. The rest is reserve. A larger value costs a
sync more repeated entries; with a smaller one it would miss changes
(tests/contract/test_sync_of_late_changes.py).
"""
EXPORT_NEEDS_CHUNKS = (
    "An export needs HTTP/1.1, because HTTP/1.0 cannot show that a response is incomplete. If a"
    " proxy sends this request to order, let it use HTTP/1.1 (nginx: proxy_http_version 1.1)"
)
REPLAYED = {"Idempotent-Replayed": "true"}


def create_app(settings: Settings, orders: Orders | None = None) -> Flask:
    """Create all objects and connect them. Tests pass ``orders`` with their own dependencies."""
    publisher = None
    if orders is None:
        connection = FirestoreConnection(settings.firestore)
        connection.prepare()
        concurrency = settings.server.concurrency
        publisher = None if settings.sink is None else _publisher(connection, settings.sink)
        orders = Orders(
            FirestoreOrderStore(
                connection,
                limiter.firestore_list_limiter(concurrency),
                None if publisher is None else publisher.add,
            ),
            InventoryClient(
                settings.inventory_service_url,
                settings.token,
                settings.server.concurrency,
                settings.currency,
            ),
            settings.request_deadline_seconds,
            limiter.forwarded_list_limiter(concurrency),
        )
    callers = Callers(
        {
            OPERATOR: settings.operator_token_hashes,
            PAYMENT: settings.payment_token_hashes,
        },
        IssuedRole(CUSTOMER, _issuer(settings.issuer)),
    )
    views = _Views(orders, settings)
    api = replace(API, currency=settings.currency)
    app = http_app.create_app(api, views, callers, PROBLEMS, settings.server)
    if publisher is not None:
        publisher.attach(app)
    return app


def _publisher(connection: FirestoreConnection, settings: SinkSettings) -> PublisherThread[str]:
    """The publisher of the events of this process."""
    # Most shops have no sink.
    from functions_common.events.publisher_thread import PublisherThread  # noqa: PLC0415
    from functions_common.events.sink import Sink  # noqa: PLC0415
    from order_function.events.outbox import FirestoreOutbox  # noqa: PLC0415
    from order_function.events.publisher import publish_by_id  # noqa: PLC0415

    outbox, sink = FirestoreOutbox(connection), Sink(settings, connections=1)
    return PublisherThread(partial(publish_by_id, outbox, sink))


def _issuer(settings: IssuerSettings | None) -> Issuer | None:
    """The issuer of customers' tokens; None if no token is needed."""
    if settings is None:
        logs.event(
            "AUTH_MODE is open: any client can order, read and cancel as any customer;"
            " set AUTH_MODE=required in production",
            severity=logging.WARNING,
        )
        return None
    # cryptography is slow to import
    from functions_common.http.auth.issuer import create_issuer  # noqa: PLC0415

    return create_issuer(settings)


class _Views:
    """The views. Each has the name of an operation in ``routes``."""

    def __init__(self, orders: Orders, settings: Settings) -> None:
        self._orders = orders
        self._currency = settings.currency
        self._export_slots = ExportSlots(settings.server.concurrency)
        self._list_page_seconds = settings.request_deadline_seconds
        self._web_page = Page()

    def place_order(self) -> Response:
        caller, flask_request = callers.caller(), current_request()
        key = parsing.idempotency_key(flask_request)
        body = parsing.body(flask_request, schemas.OrderRequest)
        attempt = body.to_attempt(self._currency, caller, key)
        activity.note(order_id=attempt.order_id)
        with _order_id_in_errors(attempt):
            respond_async = _prefers_async(flask_request)
            placed = self._orders.place(attempt, respond_async=respond_async)
            return _placed_response(placed, respond_async=respond_async)

    def list_orders(self) -> Response:
        args = request.args
        caller = callers.caller()
        listed = filters.parse(args, caller, staff=caller.role == OPERATOR)
        if parsing.prefers(request, NDJSON, JSON):
            return self._export(listed)
        limit = paging.limit(args)
        if listed.updated_since is not None:
            return self._list_changed(listed.updated_since, limit)
        if listed.order_id is not None:
            return self._list_by_id(listed.order_id, limit)
        after = paging.decode_cursor(args, paging.time_position)
        found = self._orders.list_newest(listed.order_filter, after, limit + 1)
        return _page_response(
            *paging.split_page(
                found, limit, lambda order: [timestamp(order.created_at), order.order_id]
            )
        )

    def _export(self, listed: ListRequest) -> Response:
        filters.check_export(request.args)
        if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            raise MalformedRequestError(InvalidField(EXPORT_NEEDS_CHUNKS))
        prefix = listed.order_id

        def read_page(last: Order | None) -> list[Order]:
            if prefix is not None:
                after_id = last.order_id if last else None
                return self._orders.list_by_id(prefix, after_id, export.PAGE)
            after = (last.created_at, last.order_id) if last else None
            return self._orders.list_newest(listed.order_filter, after, export.PAGE)

        body = Export(read_page, _json_line, self._export_slots, self._list_page_seconds)
        body.open()
        response = Response(body, content_type=NDJSON, direct_passthrough=True)
        response.vary.add("Accept")
        return response

    def _list_by_id(self, prefix: str, limit: int) -> Response:
        read_position = filters.position_with_prefix(prefix)
        after = paging.decode_cursor(request.args, read_position)
        found = self._orders.list_by_id(prefix, after, limit + 1)
        return _page_response(*paging.split_page(found, limit, lambda order: [order.order_id]))

    def _list_changed(self, since: datetime, limit: int) -> Response:
        position = paging.decode_cursor(request.args, ChangePosition.decode)
        after, until = position or (None, None)
        found, read_time = self._orders.list_changed(since, until, after, limit + 1)
        # All pages end there. Else a sync would not end while orders change faster than it reads.
        first_read = until or read_time
        page, cursor = paging.split_page(
            found,
            limit,
            lambda changed: ChangePosition(
                (changed.stored_at, changed.order.order_id), first_read
            ).encode(),
        )
        # With Z, since a + would have to be encoded in the next query.
        next_time = timestamp(_next_since(since, first_read)).replace("+00:00", "Z")
        next_since = UNSET if cursor else next_time
        return _page_response([changed.order for changed in page], cursor, next_since)

    def show_order(self, order_id: str) -> Response:
        return http_app.json_response(
            schemas.OrderResponse.of(
                self._orders.get(_checked_id(order_id), callers.caller().subject)
            )
        )

    def cancel_order(self, order_id: str) -> Response:
        return self._change(order_id, MovementKind.RELEASE, self._orders.cancel)

    def fulfil_order(self, order_id: str) -> Response:
        return self._change(order_id, MovementKind.CONSUME, self._orders.fulfil)

    def return_order(self, order_id: str) -> Response:
        return self._change(order_id, MovementKind.RESTOCK, None)

    def _change(
        self, order_id: str, kind: MovementKind, change_all: Callable[..., Order] | None
    ) -> Response:
        """Change the units of the body; all that are open with ``change_all``, if it has none."""
        caller = callers.caller()
        order_id = _checked_id(order_id)
        key = parsing.idempotency_key(request)
        body = parsing.optional_body(request, ChangeRequest) or ChangeRequest()
        checks = Checks()
        by = body.parse_by(checks, caller.role)
        units = body.parse_items(checks)
        checks.raise_if_failed()
        if change_all is not None and not units:
            return _change_response(change_all(order_id, by, caller.subject, key))
        if key is None:
            detail = "Idempotency-Key: is required, so that a retry does not change the order twice"
            raise MalformedRequestError(InvalidField(detail, header="Idempotency-Key"))
        return _change_response(
            self._orders.change_part(order_id, kind, units, by, key, caller.subject)
        )

    def confirm_order(self, order_id: str) -> Response:
        order_id = _checked_id(order_id)
        body = parsing.optional_body(request, ConfirmRequest) or ConfirmRequest()
        checks = Checks()
        by = body.parse_by(checks, callers.caller().role)
        checks.raise_if_failed()
        order = self._orders.confirm(order_id, by)
        return http_app.json_response(schemas.OrderResponse.of(order))

    def erase_customer(self, customer_id: str) -> Response:
        if not is_id(customer_id) or customer_id == domain.ERASED:
            raise NotFound
        erased, complete = self._orders.erase_customer(customer_id)
        return http_app.json_response(schemas.ErasedResponse(erased, complete))

    def list_products(self) -> Response:
        return _catalogue_response(*self._orders.forward_product_list(request.args.to_dict()))

    def show_product(self, product_id: str) -> Response:
        if not is_id(product_id):
            raise NotFound
        return _catalogue_response(*self._orders.forward_product(product_id))

    def show_page(self) -> Response:
        return self._web_page.show_if_html_accepted(request)

    def show_page_style(self) -> Response:
        return self._web_page.show(request)

    def show_page_script(self) -> Response:
        return self._web_page.show(request)

    def show_page_icon(self) -> Response:
        return self._web_page.show(request)


def _catalogue_response(status: int, body: bytes) -> Response:
    """Inventory's own response, unchanged."""
    content_type = JSON if status == HTTPStatus.OK else problems.CONTENT_TYPE
    return Response(body, status, content_type=content_type)


class UnexpectedOutcomeError(OrderOutcomeUnknownError):
    """An unexpected error while the order was placed."""

    def __init__(self, attempt: Attempt, cause: Exception) -> None:
        super().__init__(attempt)
        self.cause = cause


@contextmanager
def _order_id_in_errors(attempt: Attempt) -> Iterator[None]:
    """Add the order's id to an unexpected error: the order may have been placed before it."""
    try:
        yield
    except (domain.OrderError, OrderOutcomeUnknownError, *DEPENDENCY_ERRORS):
        raise
    except Exception as error:
        raise UnexpectedOutcomeError(attempt, error) from error


def _placed_response(placed: Placed, *, respond_async: bool) -> Response:
    headers = {"Location": f"/orders/{placed.order.order_id}"}
    if placed.replayed:
        headers |= REPLAYED
    status = HTTPStatus.CREATED
    if placed.order.status is Status.PENDING:
        status = HTTPStatus.ACCEPTED
        if respond_async:
            headers["Preference-Applied"] = RESPOND_ASYNC
    return http_app.json_response(schemas.OrderResponse.of(placed.order), status, headers)


def _prefers_async(flask_request: Request) -> bool:
    """Whether ``Prefer`` (RFC 7240) has ``respond-async``, alone or with other preferences."""
    preferences = flask_request.headers.get("Prefer", "").lower().split(",")
    return RESPOND_ASYNC in (each.partition(";")[0].strip() for each in preferences)


def _change_response(order: Order) -> Response:
    """200 if the change is complete; 202 if its stock is still to be moved."""
    status = HTTPStatus.ACCEPTED if order.status in domain.MOVING_STATUSES else HTTPStatus.OK
    return http_app.json_response(schemas.OrderResponse.of(order), status)


def _next_since(since: datetime, first_read: datetime) -> datetime:
    """The ``updated_since`` that continues a sync.

    A time after the read comes from a client whose clock is fast. If the sync stayed there, it
    would miss the changes until then.
    """
    safe = first_read - MAX_VISIBILITY_DELAY
    return safe if since > first_read else max(since, safe)


def _page_response(
    page: Iterable[Order], cursor: str | None, next_since: str | UnsetType = UNSET
) -> Response:
    orders = [*map(schemas.OrderResponse.of, page)]
    response = http_app.json_response(schemas.OrderListResponse(orders, cursor, next_since))
    response.vary.add("Accept")
    return response


def _json_line(order: Order) -> bytes:
    return http_app.encode_json(schemas.OrderResponse.of(order)) + b"\n"


def _checked_id(order_id: str) -> str:
    if not domain.is_order_id(order_id):
        raise OrderNotFoundError(order_id[:128])
    activity.note(order_id=order_id)
    return order_id


def _rejection_problem(error: domain.OrderRejectedError) -> Problem:
    extensions = schemas.extensions_of(error.rejection)
    if error.order_id is not None:
        extensions["order_id"] = error.order_id
    headers = REPLAYED if error.replayed else {}
    kind, detail = error.rejection.kind, error.rejection.detail
    return Problem(HTTPStatus.CONFLICT, detail, kind, extensions, headers)


def _unchangeable(kind: str) -> Callable[[domain.UnchangeableOrderError], Problem]:
    def to_problem(error: domain.UnchangeableOrderError) -> Problem:
        extensions = schemas.order_extensions(error.order)
        return Problem(HTTPStatus.CONFLICT, str(error), kind, extensions)

    return to_problem


def _unknown_outcome_problem(error: OrderOutcomeUnknownError) -> Problem:
    """503. Without a key it has no Retry-After, which would make clients repeat the request."""
    if error.keyed:
        detail = f"{error}. Repeat the request with the same Idempotency-Key."
        unavailable = problems.unavailable(detail, order_id=error.order_id)
        return replace(unavailable, kind=ORDER_OUTCOME_UNKNOWN.kind)
    detail = (
        f"{error}. Before you order again, read GET /orders/{error.order_id}: 200 means that it was"
        " placed. 404 means that it was not, if you read it at least"
        f" {LOOKUP_FINAL_SECONDS} seconds after this response."
    )
    kind = ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY.kind
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, kind, {"order_id": error.order_id})


def _unexpected_outcome_problem(error: UnexpectedOutcomeError) -> Problem:
    """500 with the same problem types, because the client must do the same."""
    logs.exception("Unexpected error", error.cause)
    return replace(_unknown_outcome_problem(error), status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _html_not_accepted_problem(error: HtmlNotAcceptedError) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, str(error), headers={"Vary": "Accept"})


PROBLEMS: http_app.ProblemTable = {
    HtmlNotAcceptedError: _html_not_accepted_problem,
    domain.OrderNotFoundError: http_app.problem_from_text(HTTPStatus.NOT_FOUND, "unknown-order"),
    domain.OrderRejectedError: _rejection_problem,
    domain.NotCancellableError: _unchangeable("not-cancellable"),
    domain.NotFulfillableError: _unchangeable("not-fulfillable"),
    domain.NotReturnableError: _unchangeable("not-returnable"),
    domain.NotConfirmableError: _unchangeable("not-confirmable"),
    domain.OrderExpiredError: _unchangeable("order-expired"),
    domain.ExceedsRemainingError: _unchangeable("exceeds-remaining"),
    domain.TooManyMovementsError: _unchangeable("too-many-movements"),
    domain.NewerRevisionError: _unchangeable("newer-revision"),
    domain.IdempotencyKeyReusedError: http_app.problem_from_text(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"
    ),
    CatalogueBusyError: lambda error: problems.unavailable(str(error), error.retry_after),
    InventoryFailedError: lambda _: problems.unavailable(
        "order cannot reach inventory now. Repeat the request after Retry-After seconds."
    ),
    NotSettledError: lambda _: problems.unavailable(
        "inventory did not change the stock of this order. Repeat the request after Retry-After"
        " seconds. If it fails for minutes, an operator must look at the order: its stock may be"
        " damaged."
    ),
    UnfinishedChangeError: lambda error: problems.unavailable(f"{error}."),
    OrderOutcomeUnknownError: _unknown_outcome_problem,
    UnexpectedOutcomeError: _unexpected_outcome_problem,
}
