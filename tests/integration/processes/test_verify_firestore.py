"""`make verify-firestore` on emulators, which stand for the real service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from costs.usage import Meter
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from local.stack import ROOT
from support.emulator.instances import running

SECONDS = 120


@pytest.fixture
def project() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def database(emulator: str, project: str) -> Iterator[firestore.Client]:  # noqa: ARG001
    client = firestore.Client(project=project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    yield client
    client.close()  # type: ignore[no-untyped-call]


def start(emulator: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.verify_firestore", *arguments],
        cwd=ROOT,
        env={**os.environ, "FIRESTORE_EMULATOR_HOST": emulator},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(emulator: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the output."""
    with start(emulator, *arguments) as process:
        output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


def report(output: str) -> str:
    (path,) = (line.partition("Report: ")[2] for line in output.splitlines() if "Report:" in line)
    return (ROOT / path).read_text()


def documents(database: firestore.Client) -> int:
    """All documents, at every path."""
    return sum(len(documents_below(each)) for each in database.collections())


def documents_below(collection: firestore.CollectionReference) -> list[str]:
    found = []
    for document in collection.list_documents():
        if document.get().exists:
            found.append(document.path)
        for each in document.collections():
            found += documents_below(each)
    return found


def test_run_passes_says_that_it_uses_an_emulator_and_leaves_nothing(
    emulator: str, project: str, database: firestore.Client
) -> None:
    code, output = run(emulator, "--project", project, "--part", "queries")
    assert code == 0, output
    assert f"PASSED on project {project}, database (default) of the emulator" in output
    assert "It says nothing about the real service" in report(output)
    assert documents(database) == 0


@pytest.mark.one_emulator
def test_count_is_that_of_the_emulator(which: str, emulator: str, project: str) -> None:
    if which == "given":
        pytest.skip("another emulator may not count")
    code, output = run(emulator, "--project", project, "--part", "bench")
    assert code == 0, output
    used = Meter(emulator, project).read()
    cells = (used.reads, used.writes, used.deletes)
    together = next(line for line in report(output).splitlines() if "**together**" in line)
    found = [int(cell.replace(",", "")) for cell in together.split("|")[4:7]]
    # Before the report has its meter, the run looks for other collections: one read.
    assert [found[0] + 1, *found[1:]] == [*cells], (together, used)


@pytest.mark.one_emulator
def test_database_with_other_collections_is_refused_unless_allowed(
    emulator: str, project: str, database: firestore.Client
) -> None:
    database.document("orders", "mine").set({"n": 1})
    arguments = ("--project", project, "--part", "queries")
    code, output = run(emulator, *arguments)
    assert (code, output.count("\n")) == (2, 1)
    assert "There are other collections (orders)" in output
    code, output = run(emulator, *arguments, "--beside-others")
    assert code == 0, output
    assert database.document("orders", "mine").get().to_dict() == {"n": 1}
    assert documents(database) == 1


def test_documents_are_deleted_when_a_signal_ends_the_run(
    emulator: str, project: str, database: firestore.Client
) -> None:
    with start(emulator, "--project", project, "--part", "contract") as process:
        wait_for_documents(process, database)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # an impatient user
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, output
    assert "ended by a signal" in output
    assert documents(database) == 0


def test_documents_of_a_killed_run_are_found_and_deleted(
    emulator: str, project: str, database: firestore.Client
) -> None:
    left = database.document("verify-firestore", "20260101T000000Z-aaaaaa", "databases", "t:d")
    left.collection("orders").document("O1").set({})
    code, output = run(emulator, "--project", project, "--part", "queries")
    assert (code, output.count("\n")) == (2, 1)
    assert f"make verify-firestore PROJECT={project} VERIFY=--clean" in output
    code, output = run(emulator, "--project", project, "--clean")
    assert code == 0, output
    assert "20260101T000000Z-aaaaaa: 1 documents deleted" in output
    assert documents(database) == 0


@pytest.mark.one_emulator
def test_run_ends_at_its_bound(emulator: str, project: str, database: firestore.Client) -> None:
    arguments = ("--part", "contract", "--max-writes", "50")
    code, output = run(emulator, "--project", project, *arguments)
    assert code == 1
    assert "ended at its bound of 50 documents written" in output
    assert documents(database) == 0


def test_missing_index_fails_the_run_and_is_named(project: str, tmp_path: Path) -> None:
    none = tmp_path / "firestore.indexes.json"
    none.write_text('{"indexes": [], "fieldOverrides": []}')
    with running("embedded", f"--require-indexes={none}") as emulator:
        code, output = run(emulator, "--project", project, "--part", "queries")
    assert code == 1
    assert "The query requires an index. You can create it here:" in report(output)


@pytest.mark.parametrize(
    ("method", "code", "said"),
    [
        ("ListCollectionIds", 2, "grant your credentials roles/datastore.user"),
        ("Commit", 1, "the other parts need the connection"),
        ("BatchWrite", 1, "documents are left below verify-firestore/"),
    ],
)
def test_denied_permission_is_reported(project: str, method: str, code: int, said: str) -> None:
    with running("embedded", f"--fail={method}=PERMISSION_DENIED") as emulator:
        found, output = run(emulator, "--project", project, "--part", "bench")
    assert (found, said in output) == (code, True), output
    assert "Traceback" not in output


def wait_for_documents(process: subprocess.Popen[str], database: firestore.Client) -> None:
    late = time.monotonic() + SECONDS
    while documents(database) < 10:
        assert process.poll() is None
        assert time.monotonic() < late
        time.sleep(0.2)
