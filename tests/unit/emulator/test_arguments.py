"""The command line, and the target of each call in the log."""

import re
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from support.emulator.firestore_messages import DATABASE, delete, document, name, put

import firestore_emulator
from firestore_emulator.cli.arguments import parser
from firestore_emulator.dispatch.call_log import target_of
from firestore_emulator.dispatch.faults import Failure, Latency
from firestore_emulator.dispatch.request_types import REQUEST_TYPES
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchWriteRequest,
    CommitRequest,
    CreateDocumentRequest,
    DeleteDocumentRequest,
    GetDocumentRequest,
    ListCollectionIdsRequest,
    ListDocumentsRequest,
    PartitionQueryRequest,
    RunAggregationQueryRequest,
    RunQueryRequest,
    StructuredQuery,
    UpdateDocumentRequest,
    Write,
)
from firestore_emulator.transactions.open_transactions import DEFAULT_LIMITS


def test_default_command_serves_in_memory() -> None:
    arguments = parser().parse_args([])
    assert arguments.command is None
    assert arguments.host_port == ("127.0.0.1", 8085)
    assert (arguments.data, arguments.import_data, arguments.export_on_exit) == (None, None, None)
    assert (arguments.log, arguments.latency, arguments.fail) == (False, [], [])
    assert (arguments.require_indexes, arguments.collect_indexes) == (None, None)
    limits = arguments.lock_wait, arguments.transaction_time, arguments.transaction_idle
    assert (*limits, arguments.document_commits) == (*DEFAULT_LIMITS,)


def test_transaction_limits_are_parsed() -> None:
    arguments = parser().parse_args(
        ["--lock-wait=0.5", "--transaction-time=9", "--transaction-idle=1e3"]
    )
    assert (arguments.lock_wait, arguments.transaction_time, arguments.transaction_idle) == (
        0.5,
        9,
        1000,
    )


def test_readme_lists_every_option() -> None:
    options = set(re.findall(r"--[a-z-]+", parser().format_help())) - {"--help"}
    readme = Path(firestore_emulator.__file__).parents[1] / "README.md"
    (table,) = re.findall(r"^## Options$.+?^## ", readme.read_text(), re.DOTALL | re.MULTILINE)
    assert options - set(re.findall(r"--[a-z-]+", table)) == set()


@pytest.mark.parametrize("command", ["export", "import"])
def test_export_and_import_have_their_own_options(command: str) -> None:
    arguments = parser().parse_args([command, "--data=d", f"--database={DATABASE}"])
    assert (arguments.command, arguments.data) == (command, Path("d"))
    assert arguments.database == DATABASE


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("Commit=5", Latency("Commit", 5, 5)),
        ("*=0.5..20", Latency("*", 0.5, 20)),
    ],
)
def test_latency_is_parsed(text: str, latency: Latency) -> None:
    assert parser().parse_args(["--latency", text, "--latency=RunQuery=0"]).latency == [
        latency,
        Latency("RunQuery", 0, 0),
    ]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("Commit=ABORTED", Failure("Commit", code_pb2.ABORTED)),
        ("*=UNAVAILABLE:0.1", Failure("*", code_pb2.UNAVAILABLE, 0.1)),
        ("Commit=ABORTED:after", Failure("Commit", code_pb2.ABORTED, after=True)),
        ("Commit=ABORTED:0.5:before", Failure("Commit", code_pb2.ABORTED, 0.5)),
    ],
)
def test_failure_is_parsed(text: str, failure: Failure) -> None:
    assert parser().parse_args(["--fail", text]).fail == [failure]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--latency=Commit", "Commit is not METHOD=MS[..MS][:PROBABILITY]"),
        ("--latency=Commit=5:2", "the probability 2 is above 1"),
        ("--document-commits=0", "0 is not a number above 0"),
        ("--document-commits=inf", "inf is not a number above 0"),
        ("--document-commits=many", "many is not a number above 0"),
        ("--latency=Commit=20..5", "20..5 ends before it begins"),
        ("--latency=Comit=5", "Comit is not a method of Firestore. Its methods are Batch"),
        ("--fail=Commit=ABORTED:often", "is not METHOD=CODE[:PROBABILITY][:before|after]"),
        ("--fail=Commit=ABORTED:1.1", "the probability 1.1 is above 1"),
        ("--fail=Commit=OK", "OK is not a gRPC error code"),
        ("--fail=Commit=BROKEN", "BROKEN is not a gRPC error code"),
        ("--lock-wait=0", "0 is not a number of seconds above 0"),
        ("--transaction-time=inf", "inf is not a number of seconds above 0"),
        ("--transaction-idle=long", "long is not a number of seconds above 0"),
    ],
)
def test_invalid_option_is_reported(
    option: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([option])
    assert why in capsys.readouterr().err


def test_requiring_and_collecting_indexes_exclude_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--require-indexes=a", "--collect-indexes=b"])
    assert "not allowed with argument --require-indexes" in capsys.readouterr().err


def test_incomplete_database_name_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["export", "--data=d", "--database=default"])
    assert '"default" is not the name of a database' in capsys.readouterr().err


def query(*collections: str) -> StructuredQuery:
    return StructuredQuery(from_=[{"collection_id": each} for each in collections])


WRITES = [put("c/a", secret=1), delete("c/b"), Write(transform={"document": name("c/d")})]


@pytest.mark.parametrize(
    ("method", "request_", "what"),
    [
        ("Commit", CommitRequest(database=DATABASE, writes=WRITES), "c/a and 2 more"),
        ("Commit", CommitRequest(database=DATABASE, writes=WRITES[1:2]), "c/b"),
        ("Commit", CommitRequest(database=DATABASE), ""),
        ("BatchWrite", BatchWriteRequest(database=DATABASE, writes=WRITES[2:]), "c/d"),
        (
            "BatchGetDocuments",
            BatchGetDocumentsRequest(database=DATABASE, documents=[name("c/a"), name("c/b")]),
            "c/a and 1 more",
        ),
        ("GetDocument", GetDocumentRequest(name=name("c/a")), "c/a"),
        ("GetDocument", GetDocumentRequest(name=name("c/a\nb")), r"'c/a\nb'"),
        ("DeleteDocument", DeleteDocumentRequest(name=name("c/a")), "c/a"),
        ("UpdateDocument", UpdateDocumentRequest(document=document("c/a", secret=1)), "c/a"),
        ("CreateDocument", CreateDocumentRequest(parent=name("c/a"), collection_id="e"), "c/a/e"),
        (
            "ListDocuments",
            ListDocumentsRequest(parent=f"{DATABASE}/documents", collection_id="c"),
            "c",
        ),
        ("ListCollectionIds", ListCollectionIdsRequest(parent=name("c/a")), "c/a"),
        (
            "RunQuery",
            RunQueryRequest(parent=f"{DATABASE}/documents", structured_query=query("c")),
            "c",
        ),
        (
            "RunQuery",
            RunQueryRequest(parent=name("c/a"), structured_query=query()),
            "c/a",
        ),
        (
            "RunAggregationQuery",
            RunAggregationQueryRequest(
                parent=name("c/a"), structured_aggregation_query={"structured_query": query("d")}
            ),
            "c/a/d",
        ),
        (
            "PartitionQuery",
            PartitionQueryRequest(parent=f"{DATABASE}/documents", structured_query=query("d")),
            "d",
        ),
    ],
)
def test_call_target_names_database_and_path(method: str, request_: Message, what: str) -> None:
    assert type(request_) is REQUEST_TYPES[method]
    assert target_of(request_) == (DATABASE, what)


def test_call_target_names_the_database_of_other_methods() -> None:
    request = REQUEST_TYPES["BeginTransaction"](database=DATABASE)
    assert target_of(request) == (DATABASE, "")


@pytest.mark.parametrize("request_", [None, GetDocumentRequest()])
def test_call_target_is_empty_when_unknown(request_: Message | None) -> None:
    assert target_of(request_) == ("", "")
