"""`make verify-firestore`: names, counts, bounds and the verdict."""

from __future__ import annotations

import argparse
from decimal import Decimal
from typing import Any

import pytest
from costs.usage import Usage
from google.cloud.firestore_v1 import types
from google.rpc.status_pb2 import Status
from tools.verify_firestore import counting
from tools.verify_firestore.__main__ import _dollars, _positive
from tools.verify_firestore.forwarder import REQUESTS, Bounds, Meter
from tools.verify_firestore.names import Names, rename
from tools.verify_firestore.parts import Result
from tools.verify_firestore.report import Report
from tools.verify_firestore.target import RefusedError, open_target

REAL = "projects/real/databases/shop"
NAMES = Names(REAL, "run-1")
TESTS = "projects/test-1/databases/(default)"
BELOW = f"{REAL}/documents/verify-firestore/run-1/databases/test-1:(default)"


@pytest.mark.parametrize(
    ("name", "real"),
    [
        (f"{TESTS}/documents", BELOW),
        (f"{TESTS}/documents/orders/O1", f"{BELOW}/orders/O1"),
        (f"{TESTS}/documents/orders/a\nb", f"{BELOW}/orders/a\nb"),
    ],
)
def test_document_is_below_the_run_and_has_its_own_name_in_responses(name: str, real: str) -> None:
    assert NAMES.to_real(name) == real
    assert NAMES.to_tests(real) == name
    assert NAMES.to_tests(f"no document {real}") == f"no document {name}"


def test_every_project_of_a_test_is_in_the_one_real_database() -> None:
    assert NAMES.to_real(TESTS) == REAL
    assert NAMES.to_real("orders") == "orders"


def test_names_in_a_message_are_changed_and_texts_of_users_are_not() -> None:
    text = f"{TESTS}/documents/orders/O1"
    fields = {"text": {"string_value": text}, "to": {"reference_value": text}}
    inner = {"map_value": {"fields": fields}}
    array = {"array_value": {"values": [inner]}}
    request = types.CommitRequest.pb()(
        database=TESTS, writes=[{"update": {"name": text, "fields": {"a": array}}}]
    )
    rename(request, NAMES.to_real)
    write = request.writes[0].update
    found = write.fields["a"].array_value.values[0].map_value.fields
    assert (request.database, write.name) == (REAL, f"{BELOW}/orders/O1")
    assert found["text"].string_value == text
    assert found["to"].reference_value == f"{BELOW}/orders/O1"


NAME = f"{TESTS}/documents/a/x"
WRITES = [{"update": {"name": NAME}}, {"delete": NAME}, {"update": {"name": NAME}}]


def message(kind: str, **fields: Any) -> Any:
    return getattr(types, kind).pb()(**fields)


@pytest.mark.parametrize(
    ("method", "request_fields", "responses", "usage"),
    [
        ("Commit", {"writes": WRITES}, [message("CommitResponse")], Usage(0, 2, 1, 1)),
        (
            "BatchWrite",
            {"writes": WRITES},
            [message("BatchWriteResponse", status=[Status(), Status(), Status(code=10)])],
            Usage(0, 1, 1, 1),
        ),
        (
            "BatchGetDocuments",
            {},
            [
                message("BatchGetDocumentsResponse", found={"name": NAME}),
                message("BatchGetDocumentsResponse", missing=NAME),
                message("BatchGetDocumentsResponse", transaction=b"t"),
            ],
            Usage(2, 0, 0, 1),
        ),
        (
            "RunQuery",
            {},
            [message("RunQueryResponse", read_time={"seconds": 1})],
            Usage(1, 0, 0, 1),
        ),
        (
            "RunQuery",
            {},
            [message("RunQueryResponse", document={"name": NAME}, skipped_results=3)],
            Usage(4, 0, 0, 1),
        ),
        (
            "RunAggregationQuery",
            {},
            [
                message(
                    "RunAggregationQueryResponse",
                    result={"aggregate_fields": {"n": {"integer_value": 1001}}},
                )
            ],
            Usage(2, 0, 0, 1),
        ),
        ("Rollback", {}, [object()], Usage(0, 0, 0, 1)),
    ],
)
def test_call_is_counted_as_in_the_price_list(
    method: str, request_fields: dict[str, Any], responses: list[Any], usage: Usage
) -> None:
    assert counting.of_call(method, REQUESTS[method](**request_fields), responses) == usage


def test_call_that_would_exceed_a_bound_is_not_admitted() -> None:
    meter = Meter(Bounds(writes=3, dollars=Decimal(1)))
    assert meter.begin(Usage(writes=2)) is None
    assert meter.begin(Usage(writes=2)) == "3 documents written"
    meter.end(Usage(writes=2), Usage(round_trips=1))
    assert meter.begin(Usage(writes=3)) is None
    assert meter.exceeded == "3 documents written"


def test_bound_of_dollars_includes_the_deletion() -> None:
    bounds = Bounds(writes=1_000_000, dollars=Decimal("0.13"))
    assert bounds.exceeded_by(Usage(writes=100_000)) is None
    assert bounds.exceeded_by(Usage(writes=100_001)) == "0.13 dollars"
    assert bounds.exceeded_by(Usage(reads=1, writes=100_000)) == "0.13 dollars"


def test_run_is_refused_without_a_project() -> None:
    with pytest.raises(RefusedError, match="PROJECT=your-project"):
        open_target(None, None, {})


def test_run_is_refused_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    with pytest.raises(RefusedError, match="gcloud auth application-default login"):
        open_target("real", None, {})


def report(*results: Result, **changes: Any) -> Report:
    origin = dict.fromkeys(("command", "commit", "date", "machine"), "x")
    return Report("project real", False, origin, [*results], **changes)


PASSED = Result("queries", passed=2)


def test_verdict_is_passed_only_if_every_part_passed_and_nothing_is_left() -> None:
    assert report(PASSED).passed
    assert report(PASSED).verdict == "PASSED on project real: queries: 2 passed"
    failed = Result("contract", 3, 1, {"test_a": "it differs"})
    for other in (
        report(PASSED, failed),
        report(PASSED, Result("contract")),
        report(PASSED, stopped="ended by a signal"),
        report(PASSED, left="documents are left"),
    ):
        assert other.verdict.startswith("FAILED on project real: queries: 2 passed; ")
    assert "it differs" in report(failed).markdown()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", ""])
def test_bound_of_writes_is_a_number_above_0(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        _positive(text)


@pytest.mark.parametrize("text", ["0", "-1", "NaN", "Infinity", "x", ""])
def test_bound_of_dollars_is_an_amount_above_0(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        _dollars(text)
