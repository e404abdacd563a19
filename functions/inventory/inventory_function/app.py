"""inventory's HTTP interface: each view parses a request, calls a use case and maps the result."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, request
from msgspec import UNSET, UnsetType
from werkzeug.exceptions import NotFound

from functions_common import limiter
from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreError
from functions_common.http import app as http_app
from functions_common.http import etags, paging, parsing, problems
from functions_common.http.auth.callers import Callers
from functions_common.http.problems import InvalidField, MalformedRequestError, Problem
from functions_common.http.routing import HTML, JSON
from functions_common.ids import is_id, timestamp
from functions_common.observability import activity, logs
from inventory_function import domain, product_list, schemas
from inventory_function.domain import (
    ANY_PRODUCT,
    MAX_IMPORT_BODY,
    MAX_IMPORT_LINES,
    OPERATOR,
    ORDER,
    Adjustment,
    Precondition,
)
from inventory_function.group_commit import TooManyWaitingError
from inventory_function.import_lines import parse_line
from inventory_function.routes import API, LINE_NOT_BEGUN, TOO_MANY_WAITING
from inventory_function.service import IMPORT_BATCH, ChangedProductUnreadableError, Inventory
from inventory_function.store import Store
from inventory_function.transactions import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from flask import Flask

    from functions_common.events.low_stock import LowStockEvent
    from functions_common.events.publisher_thread import PublisherThread
    from functions_common.events.settings import SinkSettings
    from functions_common.http.problems import RequestError
    from inventory_function.domain import RecordedReservation
    from inventory_function.import_lines import ImportLine
    from inventory_function.settings import Settings


def create_app(settings: Settings, inventory: Inventory | None = None) -> Flask:
    """Build the application: the composition root. Tests pass an inventory with a fake store."""
    publisher = None
    if inventory is None:
        connection = FirestoreConnection(settings.firestore)
        connection.prepare()
        publisher = None if settings.sink is None else _publisher(connection, settings.sink)
        inventory = Inventory(
            Store(connection, limiter.firestore_list_limiter(settings.server.concurrency)),
            settings.currency,
            settings.request_deadline_seconds,
            settings.max_waiting,
            None if publisher is None else publisher.add,
        )
    callers = Callers(
        {ORDER: settings.order_token_hashes, OPERATOR: settings.operator_token_hashes}
    )
    views = _Views(inventory, callers)
    api = replace(API, currency=settings.currency)
    app = http_app.create_app(api, views, callers, PROBLEMS, settings.server)
    if publisher is not None:
        publisher.attach(app)
    return app


def _publisher(
    connection: FirestoreConnection, settings: SinkSettings
) -> PublisherThread[LowStockEvent]:
    """The publisher of the events of this process."""
    # Most shops have no sink.
    from functions_common.events.low_stock_outbox import (  # noqa: PLC0415
        FirestoreLowStockOutbox,
        publish,
    )
    from functions_common.events.publisher_thread import PublisherThread  # noqa: PLC0415
    from functions_common.events.sink import Sink  # noqa: PLC0415

    outbox, sink = FirestoreLowStockOutbox(connection), Sink(settings, connections=1)
    return PublisherThread(partial(publish, outbox, sink))


MAX_LOGGED_IDS = 10
"""Ids of one request in its log line, which people read."""


class _Views:
    """The views. Each has the name of its operation in ``routes.API``."""

    def __init__(self, inventory: Inventory, callers: Callers) -> None:
        self._inventory = inventory
        self._callers = callers

    def redirect_to_docs(self) -> Response:
        """Send people to the documentation. Programs get 404, as for any unknown path."""
        if not parsing.prefers(request, HTML, JSON):
            raise NotFound
        return Response(status=HTTPStatus.FOUND, headers={"Location": "/docs", "Vary": "Accept"})

    def list_products(self) -> Response:
        args = request.args
        limit = paging.limit(args)
        filters = product_list.read_filter(args, self._inventory.currency, self._role())
        after = paging.decode_cursor(args, partial(product_list.decode_place, filters))
        found = self._inventory.products(filters, after, limit + 1)
        page, cursor = paging.split_page(found, limit, partial(product_list.encode_place, filters))
        return http_app.json_response(
            schemas.ProductListResponse([*map(self._shown, page)], cursor)
        )

    def _role(self) -> str | None:
        """The role of the caller of a public operation; None without a valid token."""
        return self._callers.role_of_shared_token(request.headers.get("Authorization", ""))

    def show_product(self, product_id: str) -> Response:
        copies = etags.condition(request, "If-None-Match")
        product = self._inventory.product(_valid_id_or_404(product_id))
        response = self._product_response(product)
        etag = response.headers["ETag"]
        if copies is not None and not copies.isdisjoint((etags.ANY, etag.strip('"'))):
            return Response(
                status=HTTPStatus.NOT_MODIFIED,
                headers={"ETag": etag, "Cache-Control": response.headers["Cache-Control"]},
            )
        return response

    def put_product(self, product_id: str) -> Response:
        parsing.check_id(product_id, parameter="product_id")
        precondition = _precondition()
        changes = parsing.body(request, schemas.ProductRequest).to_domain(self._inventory.currency)
        product, new = self._inventory.put_product(product_id, changes, precondition)
        return self._product_response(product, _created_if(new))

    def patch_product(self, product_id: str) -> Response:
        precondition = _precondition()
        body = parsing.body(request, schemas.ProductPatchRequest)
        changes = body.to_domain(self._inventory.currency)
        product = self._inventory.patch_product(_valid_id_or_404(product_id), changes, precondition)
        return self._product_response(product)

    def import_products(self) -> Response:
        key = _required_idempotency_key()
        lines = parsing.lines(request, MAX_IMPORT_BODY, MAX_IMPORT_LINES)
        results = [*self._imported(lines, key)]
        failed = sum(result.problem is not UNSET for result in results)
        activity.note(lines=len(lines), failed_lines=failed)
        return http_app.ndjson_response(results)

    def _imported(self, lines: list[bytes], key: str) -> Iterator[schemas.ImportResultResponse]:
        """The outcome of each line. Only the lines of one batch are in memory as objects."""
        first_lines: dict[str, int] = {}
        for start in range(0, len(lines), IMPORT_BATCH):
            parsed = [
                parse_line(number, line, self._inventory.currency, first_lines)
                for number, line in enumerate(lines[start : start + IMPORT_BATCH], start + 1)
            ]
            yield from self._import_batch(start + 1, parsed, key)

    def _import_batch(
        self, first: int, parsed: Sequence[ImportLine | RequestError], key: str
    ) -> Iterator[schemas.ImportResultResponse]:
        wanted = [line for line in parsed if isinstance(line, tuple)]
        outcomes = iter(self._import_outcomes(wanted, key))
        for number, line in enumerate(parsed, first):
            if isinstance(line, tuple):
                yield _import_result(number, line[0], next(outcomes))
            else:
                yield _failed_import(number, UNSET, line)

    def _import_outcomes(self, wanted: Sequence[ImportLine], key: str) -> list[Outcome]:
        """An outcome for each product. A StoreError becomes the outcome of every one.

        It must not fail the request, because earlier batches may be stored.
        """
        if not wanted:
            return []
        try:
            outcomes = self._inventory.import_products(wanted, key)
        except StoreError as error:
            return [Outcome(error=error)] * len(wanted)
        return outcomes or [Outcome(error=LineNotBegunError())] * len(wanted)

    def _shown(self, product: domain.Product) -> schemas.ProductResponse:
        return schemas.ProductResponse.of(product, self._inventory.currency)

    def _product_response(
        self, product: domain.Product, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        """The product with its ``ETag``.

        The tag has two parts (docs/adr/0029): the part for ``If-Match`` changes with the catalogue
        fields, and the other one with everything that the response shows.
        """
        response = http_app.json_response(self._shown(product), status)
        shown = sha256(response.get_data()).hexdigest()[:16]
        response.headers["ETag"] = f'"{product.catalogue_tag}.{shown}"'
        response.headers["Cache-Control"] = "no-cache"  # a cache must ask before each use
        return response

    def show_availability(self, product_id: str) -> Response:
        args = request.args
        quantity = parsing.query_integer(args, "quantity", 1, domain.MAX_QUANTITY)
        product = self._inventory.product(_valid_id_or_404(product_id))
        available = product.can_be_ordered(quantity, self._inventory.currency)
        return http_app.json_response(
            schemas.AvailabilityResponse(product.product_id, quantity, available, product.available)
        )

    def list_adjustments(self, product_id: str) -> Response:
        args = request.args
        limit = paging.limit(args)
        after = paging.decode_cursor(args, paging.time_position)
        found = self._inventory.adjustments(_valid_id_or_404(product_id), after, limit + 1)
        page, cursor = paging.split_page(
            found, limit, lambda made: [timestamp(made.created_at), made.adjustment_id]
        )
        return http_app.json_response(
            schemas.AdjustmentListResponse([*map(schemas.AdjustmentResponse.of, page)], cursor)
        )

    def show_ledger(self, product_id: str) -> Response:
        args = request.args
        limit = paging.limit(args)
        after = paging.decode_cursor(args, _decode_ledger_position)
        found = self._inventory.ledger(_valid_id_or_404(product_id), after, limit + 1)
        page, cursor = paging.split_page(found, limit, _encode_ledger_position)
        entries = (each for one in page for each in one.ledger_entries(product_id))
        return http_app.json_response(
            schemas.LedgerResponse([*map(schemas.LedgerEntryResponse.of, entries)], cursor)
        )

    def adjust_product(self, product_id: str) -> Response:
        key = _required_idempotency_key()
        body = parsing.body(request, schemas.AdjustmentRequest)
        adjustment, new = self._inventory.adjust(
            _valid_id_or_404(product_id),
            key,
            body.to_domain(),
            body.reason,
            body.reference,
            body.actor or domain.OPERATOR,
        )
        headers = {} if new else {"Idempotent-Replayed": "true"}
        return http_app.json_response(
            schemas.AdjustmentResponse.of(adjustment), HTTPStatus.CREATED, headers
        )

    def put_reservation(self, reservation_id: str) -> Response:
        parsing.check_id(reservation_id, parameter="reservation_id")
        activity.note(reservation_id=reservation_id)
        lines = parsing.body(request, schemas.ReservationRequest).to_domain()
        reservation, new = self._inventory.reserve(reservation_id, lines)
        return http_app.json_response(schemas.ReservationResponse.of(reservation), _created_if(new))

    def put_movement(self, reservation_id: str, seq: str) -> Response:
        parsing.check_id(reservation_id, parameter="reservation_id")
        number = _movement_number(seq)
        activity.note(reservation_id=reservation_id, movement=number)
        movement = parsing.body(request, schemas.MovementRequest).to_domain(number)
        try:
            reservation, new = self._inventory.move(reservation_id, movement)
        except domain.StockError as error:
            logs.event(
                "Movement not applied",
                severity=logging.WARNING,
                reservation_id=reservation_id,
                movement=number,
                reason=f"{type(error).__name__}: {error}"[:300],
            )
            raise
        return http_app.json_response(schemas.ReservationResponse.of(reservation), _created_if(new))

    def reserve(self) -> Response:
        wanted = parsing.body(request, schemas.ReservationBatchRequest).to_domain()
        ids = [reservation_id for reservation_id, _ in wanted]
        activity.note(reservations=len(ids), reservation_ids=ids[:MAX_LOGGED_IDS])
        outcomes = self._inventory.reserve_all(wanted)
        return http_app.json_response(
            schemas.ReservationBatchResponse([*map(_answered, ids, outcomes)])
        )

    def show_reservation(self, reservation_id: str) -> Response:
        found = self._inventory.reservation(_valid_id_or_404(reservation_id))
        return http_app.json_response(schemas.ReservationResponse.of(found))

    def confirm(self) -> Response:
        ids = parsing.body(request, schemas.ConfirmRequest).to_domain()
        return _settled(ids, self._inventory.confirm(ids))

    def release(self) -> Response:
        ids = parsing.body(request, schemas.ReservationIdsRequest).to_domain()
        return _settled(ids, self._inventory.release(ids))

    def consume(self) -> Response:
        ids = parsing.body(request, schemas.ReservationIdsRequest).to_domain()
        return _settled(ids, self._inventory.consume(ids))


class LineNotBegunError(Exception):
    """The deadline passed before the line of an import was begun."""


def _precondition() -> Precondition:
    """The conditions of the request, which compare the first part of our entity tags."""
    return Precondition(
        _catalogue_tags(etags.condition(request, "If-Match")),
        _catalogue_tags(etags.condition(request, "If-None-Match")),
    )


def _catalogue_tags(tags: frozenset[str] | None) -> frozenset[str] | None:
    if tags is None:
        return None
    if etags.ANY in tags:
        return frozenset((ANY_PRODUCT,))
    # A tag such as "*.1" is none of ours. Its first part must not become ANY_PRODUCT.
    return frozenset(tag.partition(".")[0] for tag in tags) - {ANY_PRODUCT}


def _import_result(number: int, product_id: str, outcome: Outcome) -> schemas.ImportResultResponse:
    if outcome.error is not None:
        return _failed_import(number, product_id, outcome.error)
    return schemas.ImportResultResponse(
        line=number,
        status=_created_if(outcome.value.new).value,
        product_id=product_id,
        available_quantity=outcome.value.available,
        replayed=outcome.value.replayed or UNSET,
    )


def _failed_import(
    number: int, product_id: str | UnsetType, error: Exception
) -> schemas.ImportResultResponse:
    body = http_app.problem_body(error, PROBLEMS)
    return schemas.ImportResultResponse(
        line=number,
        status=body["status"],
        product_id=product_id,
        problem=schemas.ProblemResponse(**body),
    )


def _encode_ledger_position(entry: Adjustment | RecordedReservation) -> list[str]:
    if isinstance(entry, Adjustment):
        return [timestamp(entry.created_at), entry.adjustment_id]
    return [entry.reservation.reservation_id]


def _decode_ledger_position(parts: Sequence[str]) -> tuple[datetime, str] | str:
    return paging.id_position(parts) if len(parts) == 1 else paging.time_position(parts)


def _settled(ids: tuple[str, ...], results: list[Outcome]) -> Response:
    """Respond with each settled reservation, and a problem for each unchanged one.

    If the request names one reservation only, its problem is the response.
    """
    activity.note(reservation_ids=ids[:MAX_LOGGED_IDS])
    outcomes = dict(zip(ids, results, strict=True))
    failed = {each: outcome.error for each, outcome in outcomes.items() if outcome.error}
    for reservation_id, error in failed.items():
        reason = f"{type(error).__name__}: {error}"[:300]
        logs.event(
            "Reservation not settled",
            severity=logging.WARNING,
            reservation_id=reservation_id,
            reason=reason,
        )
    if len(ids) == 1 and failed:
        raise failed[ids[0]]
    settled = [outcome.value for outcome in outcomes.values() if outcome.value is not None]
    problems = [
        schemas.UnchangedReservation(
            reservation_id, schemas.ProblemResponse(**http_app.problem_body(error, PROBLEMS))
        )
        for reservation_id, error in failed.items()
    ]
    reservations = [*map(schemas.ReservationResponse.of, settled)]
    return http_app.json_response(schemas.ReservationListResponse(reservations, problems or UNSET))


def _answered(reservation_id: str, outcome: Outcome) -> schemas.ReservationResultResponse:
    if outcome.error is None:
        reservation, new = outcome.value
        return schemas.ReservationResultResponse(
            reservation_id=reservation_id,
            status=_created_if(new).value,
            reservation=schemas.ReservationResponse.of(reservation),
        )
    body = http_app.problem_body(outcome.error, PROBLEMS)
    return schemas.ReservationResultResponse(
        reservation_id=reservation_id,
        status=body["status"],
        problem=schemas.ProblemResponse(**body),
    )


def _valid_id_or_404(identifier: str) -> str:
    """Return the id if it is well formed. A malformed id is 404, because nothing has it."""
    if not is_id(identifier):
        raise NotFound
    return identifier


def _movement_number(text: str) -> int:
    """The number of a movement, from the path. Raises InvalidValueError."""
    checks = parsing.Checks()
    number = int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else 0
    checks.integer(number, 1, domain.MAX_MOVEMENT_NUMBER, parameter="seq")
    checks.raise_if_failed()
    return number


def _created_if(new: bool) -> HTTPStatus:  # noqa: FBT001
    return HTTPStatus.CREATED if new else HTTPStatus.OK


def _required_idempotency_key() -> str:
    key = parsing.idempotency_key(request)
    if key is None:
        detail = "Idempotency-Key: is required, so that a retry does not adjust the stock twice"
        raise MalformedRequestError(InvalidField(detail, header="Idempotency-Key"))
    return key


def _insufficient_stock(error: domain.InsufficientStockError) -> Problem:
    lines = [
        schemas.StockShortage(line.product_id, line.requested, line.available)
        for line in error.lines
    ]
    return Problem(HTTPStatus.CONFLICT, str(error), "insufficient-stock", {"lines": lines})


def _max_per_order_exceeded(error: domain.MaxPerOrderExceededError) -> Problem:
    limits = [
        schemas.ExceededLimit(line.product_id, line.requested, line.max_per_order)
        for line in error.lines
    ]
    return Problem(HTTPStatus.CONFLICT, str(error), "max-per-order-exceeded", {"limits": limits})


def _unknown_products(error: domain.UnknownProductsError) -> Problem:
    extensions = {"product_ids": list(error.product_ids)}
    return Problem(HTTPStatus.NOT_FOUND, str(error), "unknown-product", extensions)


def _movement_exceeds(error: domain.MovementExceedsReservationError) -> Problem:
    lines = [*map(schemas.ExcessLineResponse.of, error.lines)]
    kind = "movement-exceeds-reservation"
    return Problem(HTTPStatus.CONFLICT, str(error), kind, {"excess_lines": lines})


def _movement_out_of_order(error: domain.MovementOutOfOrderError) -> Problem:
    extensions = {"last_movement": error.last_movement}
    return Problem(HTTPStatus.CONFLICT, str(error), "movement-out-of-order", extensions)


def _too_many_waiting(error: TooManyWaitingError) -> Problem:
    return replace(problems.unavailable(str(error)), kind=TOO_MANY_WAITING.kind)


PROBLEMS: http_app.ProblemTable = {
    TooManyWaitingError: _too_many_waiting,
    domain.UnknownProductsError: _unknown_products,
    domain.MaxPerOrderExceededError: _max_per_order_exceeded,
    domain.InsufficientStockError: _insufficient_stock,
    domain.NegativeStockError: http_app.problem_from_text(
        HTTPStatus.CONFLICT, "insufficient-stock"
    ),
    domain.ReservationReleasedError: http_app.problem_from_text(
        HTTPStatus.GONE, "reservation-released"
    ),
    domain.ReservationMismatchError: http_app.problem_from_text(
        HTTPStatus.UNPROCESSABLE_ENTITY, "reservation-mismatch"
    ),
    domain.UnknownReservationError: http_app.problem_from_text(
        HTTPStatus.NOT_FOUND, "unknown-reservation"
    ),
    domain.MovementExceedsReservationError: _movement_exceeds,
    domain.MovementOutOfOrderError: _movement_out_of_order,
    domain.MovementMismatchError: http_app.problem_from_text(
        HTTPStatus.UNPROCESSABLE_ENTITY, "movement-mismatch"
    ),
    domain.IdempotencyKeyReusedError: http_app.problem_from_text(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"
    ),
    domain.PreconditionFailedError: http_app.problem_from_text(
        HTTPStatus.PRECONDITION_FAILED, "precondition-failed"
    ),
    domain.ChangeSupersededError: lambda error: problems.unavailable(str(error)),
    ChangedProductUnreadableError: lambda error: problems.unavailable(str(error)),
    LineNotBegunError: lambda _: Problem(
        LINE_NOT_BEGUN.status, LINE_NOT_BEGUN.example["detail"], LINE_NOT_BEGUN.kind
    ),
}
