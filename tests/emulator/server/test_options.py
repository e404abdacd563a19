"""The options of the embedded emulator's process, and its HTTP API next to gRPC."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.emulator.firestore_messages import DATABASE, name, orders, put
from support.waiting import wait_until

from firestore_emulator.launcher import command, emulator, is_ready
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    CommitRequest,
    CommitResponse,
    RunQueryRequest,
    StructuredQuery,
    Write,
)
from firestore_emulator.store import json_lines

ENVIRON = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
PROGRAM = (command(ENVIRON, "127.0.0.1", 0) or [])[:-1]
"""Its command line without the address."""
METHODS = "/google.firestore.v1.Firestore"


class Client:
    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self.address = address
        self.channel = channel

    def commit(self, *writes: Write) -> CommitResponse:
        call = self.channel.unary_unary(
            f"{METHODS}/Commit",
            request_serializer=CommitRequest.SerializeToString,
            response_deserializer=CommitResponse.FromString,
        )
        response: CommitResponse = call(CommitRequest(database=DATABASE, writes=writes), timeout=10)
        return response

    def count(self, *paths: str) -> int:
        call = self.channel.unary_stream(
            f"{METHODS}/BatchGetDocuments",
            request_serializer=BatchGetDocumentsRequest.SerializeToString,
            response_deserializer=BatchGetDocumentsResponse.FromString,
        )
        request = BatchGetDocumentsRequest(database=DATABASE, documents=map(name, paths))
        return sum(response.HasField("found") for response in call(request, timeout=10))

    def begin(self, path: str) -> bytes:
        """A transaction that reads a document first."""
        call = self.channel.unary_stream(
            f"{METHODS}/BatchGetDocuments",
            request_serializer=BatchGetDocumentsRequest.SerializeToString,
            response_deserializer=BatchGetDocumentsResponse.FromString,
        )
        request = BatchGetDocumentsRequest(
            database=DATABASE, documents=[name(path)], new_transaction={"read_write": {}}
        )
        responses: list[BatchGetDocumentsResponse] = list(call(request, timeout=10))
        return responses[0].transaction

    def commit_in(self, transaction: bytes) -> None:
        call = self.channel.unary_unary(f"{METHODS}/Commit")
        request = CommitRequest(database=DATABASE, transaction=transaction)
        call(request.SerializeToString(), timeout=10)

    def query(self, *order: str) -> None:
        call = self.channel.unary_stream(f"{METHODS}/RunQuery")
        query = StructuredQuery(from_=[{"collection_id": "c"}], order_by=orders(*order))
        request = RunQueryRequest(parent=f"{DATABASE}/documents", structured_query=query)
        list(call(request.SerializeToString(), timeout=10))

    def absent(self) -> None:
        self.channel.unary_unary(f"{METHODS}/ExecutePipeline")(b"", timeout=10)

    def http(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
            assert response.status == 200, content
            return content
        finally:
            connection.close()


Open = Callable[..., Client]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Starts an emulator with options."""
    with ExitStack() as stack:

        def start(*options: str) -> Client:
            address = stack.enter_context(emulator(ENVIRON, options=options))
            channel: AbstractContextManager[Any] = grpc.insecure_channel(address)
            return Client(address, stack.enter_context(channel))

        yield start


def code_of(call: Callable[..., object], *arguments: Any) -> grpc.StatusCode:
    try:
        call(*arguments)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def test_failure_before_a_method_changes_nothing(opened: Open) -> None:
    client = opened("--fail=Commit=ABORTED")
    assert code_of(client.commit, put("c/a")) == grpc.StatusCode.ABORTED
    assert client.count("c/a") == 0


def test_failure_after_a_method_loses_only_its_response(opened: Open) -> None:
    client = opened("--fail=Commit=UNAVAILABLE:after")
    assert code_of(client.commit, put("c/a")) == grpc.StatusCode.UNAVAILABLE
    assert client.count("c/a") == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_failure_of_a_stream_is_injected(opened: Open, when: str) -> None:
    client = opened(f"--fail=BatchGetDocuments=INTERNAL:1:{when}")
    assert code_of(client.commit, put("c/a")) == grpc.StatusCode.OK
    assert code_of(client.count, "c/a") == grpc.StatusCode.INTERNAL


def test_call_that_fails_by_itself_keeps_its_error(opened: Open) -> None:
    client = opened("--fail=*=DATA_LOSS:after")
    failing = put("c/a")
    failing.current_document.exists = True
    assert code_of(client.commit, failing) == grpc.StatusCode.NOT_FOUND
    assert code_of(client.absent) == grpc.StatusCode.UNIMPLEMENTED


def test_seed_determines_which_calls_fail(opened: Open) -> None:
    def outcomes(seed: int) -> list[grpc.StatusCode]:
        client = opened("--fail=Commit=ABORTED:0.5", f"--seed={seed}")
        return [code_of(client.commit, put("c/a")) for _ in range(30)]

    first = outcomes(1)
    assert set(first) == {grpc.StatusCode.OK, grpc.StatusCode.ABORTED}
    assert outcomes(1) == first
    assert outcomes(2) != first


def test_latency_exceeds_a_clients_deadline(opened: Open) -> None:
    client = opened("--latency=Commit=60000..70000")
    call = client.channel.unary_unary(f"{METHODS}/Commit")
    request = CommitRequest(database=DATABASE, writes=[put("c/a")]).SerializeToString()
    assert code_of(lambda: call(request, timeout=0.2)) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.count("c/a") == 0


def test_transactions_have_the_given_limits(opened: Open) -> None:
    client = opened("--lock-wait=0.1", "--transaction-time=60", "--transaction-idle=60")
    client.commit(put("c/a"))
    begun = client.begin("c/a")
    assert code_of(client.commit, put("c/a")) == grpc.StatusCode.ABORTED
    client.commit_in(begun)
    short = opened("--transaction-idle=0.1")
    short.commit(put("c/a"))
    begun = short.begin("c/a")
    short.commit(put("c/a"))  # which waits until the transaction is ended
    assert code_of(short.commit_in, begun) == grpc.StatusCode.INVALID_ARGUMENT


def test_indexes_are_required_or_collected(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "firestore.indexes.json"
    collect_indexes = opened(f"--collect-indexes={file}")
    assert code_of(collect_indexes.query, "a", "b") == grpc.StatusCode.OK
    requiring = opened(f"--require-indexes={file}")
    assert code_of(requiring.query, "a", "b") == grpc.StatusCode.OK
    assert code_of(requiring.query, "a", "c") == grpc.StatusCode.FAILED_PRECONDITION


def test_documents_have_the_entries_of_the_required_indexes(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "firestore.indexes.json"
    exemption = {"collectionGroup": "c", "fieldPath": "t", "indexes": []}
    file.write_text(json.dumps({"indexes": [], "fieldOverrides": [exemption]}))
    many = put("c/d", t=list(range(40_000)))
    exempting = f"--require-indexes={file}"
    first, second = (f"--data={tmp_path / name}" for name in ("first", "second"))
    for options in ([], [first]):
        assert code_of(opened(*options).commit, many) == grpc.StatusCode.INVALID_ARGUMENT
    for options in ([exempting], [exempting, second]):
        assert code_of(opened(*options).commit, many) == grpc.StatusCode.OK


@contextmanager
def process(log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An emulator process and its address. Its stderr goes to the log file."""
    argv = [*PROGRAM, "--host-port=127.0.0.1:0", *options]
    with (
        log.open("w") as stderr,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, text=True) as running,
    ):
        assert running.stdout is not None
        try:
            yield running, running.stdout.readline().split()[-1]
        finally:
            running.terminate()


def test_shutdown_request_ends_the_process(tmp_path: Path) -> None:
    with process(tmp_path / "log", f"--data={tmp_path}") as (running, address):
        with grpc.insecure_channel(address) as channel:
            Client(address, channel).http("POST", "/shutdown")
        assert running.wait(10) == 0
        assert not is_ready(address)


def test_export_works_under_an_allowed_host(opened: Open) -> None:
    def status(client: Client, host: str) -> int:
        connection = HTTPConnection(client.address, timeout=10)
        try:
            connection.request("GET", f"/emulator/v1/{DATABASE}:export", headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    client = opened("--allowed-host=firestore.example", "--allowed-host=other.example")
    assert status(client, "firestore.example:8085") == 200
    assert status(client, "Other.Example") == 200
    assert status(client, "third.example") == 403


def test_log_has_a_line_for_each_call(tmp_path: Path) -> None:
    with (
        process(tmp_path / "log", "--log", "--fail=BatchGetDocuments=DATA_LOSS:after") as (
            _,
            address,
        ),
        grpc.insecure_channel(address) as channel,
    ):
        client = Client(address, channel)
        client.commit(put("c/a", secret="hidden"), put("c/b"))
        code_of(client.count, "c/a")
        failing = put("c/d")
        failing.current_document.exists = True
        code_of(client.commit, failing)
        code_of(client.absent)
    log = (tmp_path / "log").read_text()
    assert re.sub(r"^[0-9:.]{12} (.+) [0-9]+[.][0-9] ms$", r"\1", log, flags=re.MULTILINE) == (
        f"Commit {DATABASE} c/a and 1 more OK\n"
        f"BatchGetDocuments {DATABASE} c/a DATA_LOSS\n"
        f"Commit {DATABASE} c/d NOT_FOUND\n"
        "ExecutePipeline UNIMPLEMENTED\n"
    )


LISTENING = """
import sys
from google.cloud.firestore import Client
Client(project="p").collection("c").on_snapshot(lambda *_: print("current", flush=True))
sys.stdin.read()
"""


def test_killed_listener_is_detected(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(log, "--log") as (_, address):
        with subprocess.Popen(
            [sys.executable, "-c", LISTENING],
            env={**os.environ, "FIRESTORE_EMULATOR_HOST": address},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"current\n"
            client.kill()
        wait_until(lambda: " Listen " in log.read_text(), "the call has not ended")


def test_export_and_import_over_http_and_by_command_agree(opened: Open, tmp_path: Path) -> None:
    running = opened()
    running.commit(put("c/a", x=1), put("c/a/d/b", y=[True, None, 2.5]))
    lines = running.http("GET", f"/emulator/v1/{DATABASE}:export")
    assert run("import", tmp_path, lines) == (b"", b"2 documents imported\n")
    again, _ = run("export", tmp_path, b"", f"--database={DATABASE}")
    assert fields(again) == fields(lines)
    assert run("export", tmp_path, b"", "--database=projects/q/databases/d") == (b"", b"")
    other = opened(f"--data={tmp_path}")
    assert other.count("c/a", "c/a/d/b") == 2
    moved = "projects/q/databases/second"
    path = f"/emulator/v1/{moved}"
    assert json.loads(other.http("POST", f"{path}:import", lines)) == {"documents": 2}
    there = other.http("GET", f"{path}:export")
    assert fields(there.replace(moved.encode(), DATABASE.encode())) == fields(lines)


def test_import_data_loads_documents_at_startup(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text(f'{{"name": "{name("c/a")}"}}\n')
    client = opened(f"--import-data={file}")
    assert client.count("c/a", "c/b") == 1


def run(name: str, directory: Path, given: bytes, *options: str) -> tuple[bytes, bytes]:
    argv = [*PROGRAM, name, f"--data={directory}", *options]
    done = subprocess.run(argv, input=given, capture_output=True, check=True)
    return done.stdout, done.stderr


def fields(lines: bytes) -> dict[str, str]:
    return {
        document.name: str(document.fields)
        for document in json_lines.parse(lines.splitlines(keepends=True))
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["export", "--data=absent"], "absent has no firestore.sqlite3"),
        (["import", "--data=d"], "Line 1 is not a document: "),
        (["--import-data=absent"], "Cannot read absent: No such file or directory"),
        (["--import-data=bad"], "Line 1 is not a document: "),
        (["--require-indexes=absent"], "Cannot read absent: No such file or directory"),
        (["--require-indexes=bad"], "bad is not valid JSON: Expecting value"),
        (["--collect-indexes=bad"], "bad is not valid JSON: Expecting value"),
        (["--collect-indexes=absent/file"], "Cannot write absent/file: No such file"),
    ],
)
def test_startup_error_is_reported_in_one_line(
    tmp_path: Path, arguments: list[str], line: str
) -> None:
    (tmp_path / "bad").write_text("nonsense\n")
    argv = [*PROGRAM, *arguments]
    done = subprocess.run(argv, cwd=tmp_path, input=b"nonsense", capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(line)
    assert done.stderr.count(b"\n") == 1
