"""Import and export of folders, between this emulator and Google's, over HTTP and by options."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local.stack import ROOT
from support.emulator.firestore_messages import document
from support.emulator.instances import running
from support.emulator.managed_exports import Exporter, contents
from support.emulator.rest import Rest
from support.emulator.value_types import documents

from firestore_emulator.launcher import command
from firestore_emulator.managed_export import folder
from firestore_emulator.model.messages import Document

pytestmark = pytest.mark.one_emulator

PART = "all_namespaces/all_kinds"
FIXTURE = ROOT / "tests/fixtures/managed_export"
FIXTURES_DATABASE = "projects/p/databases/(default)"
ENVIRON = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
PROGRAM = (command(ENVIRON, "127.0.0.1", 0) or [])[:-1]
"""The embedded emulator's command line without the address."""


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with running("embedded") as address:
        yield address


@pytest.fixture(scope="module")
def official() -> Iterator[str]:
    with running("official") as address:
        yield address


@pytest.fixture(params=[("embedded", "official"), ("official", "embedded")], ids="->".join)
def pair(request: pytest.FixtureRequest, database: str) -> tuple[Exporter, Exporter]:
    """The emulator that exports, and the one that imports into the same database."""
    exporting, importing = (
        Exporter(request.getfixturevalue(each), database) for each in request.param
    )
    return exporting, importing


@pytest.fixture
def exporter(embedded: str, database: str) -> Exporter:
    return Exporter(embedded, database)


def megabyte(database: str) -> Document:
    fields = document("c/d", text="é𝄞" * 150_000, data=b"\xff" * 100_000).fields
    return Document(name=f"{database}/documents/big/é", fields=fields)


def test_each_emulator_reads_the_others_export(
    pair: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    exporting, importing = pair
    exporting.commit([*documents(exporting.database), megabyte(exporting.database)])
    folder = exporting.export(tmp_path, "all")
    assert importing.import_(folder / "all.overall_export_metadata").status == 200
    assert importing.documents() == exporting.documents()
    assert importing.documents() == contents(
        [*documents(exporting.database), megabyte(exporting.database)]
    )


def test_each_emulator_reads_the_others_export_without_documents(
    pair: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    exporting, importing = pair
    folder = exporting.export(tmp_path, "none")
    assert importing.import_(folder / "none.overall_export_metadata").status == 200
    assert importing.documents() == {}


def test_each_emulator_reads_the_others_export_of_another_database(
    pair: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    named = pair[0].database.replace("(default)", "second")
    exporting, importing = (each.of(named) for each in pair)
    exporting.commit(documents(named))
    folder = exporting.export(tmp_path, "named")
    assert importing.import_(folder / "named.overall_export_metadata").status == 200
    assert importing.documents() == contents(documents(named))


def test_import_replaces_documents_and_keeps_others(exporter: Exporter, tmp_path: Path) -> None:
    def of(path: str, n: int) -> Document:
        return Document(
            name=f"{exporter.database}/documents/{path}", fields=document("c/d", n=n).fields
        )

    exporter.commit([of("c/a", 1), of("c/b", 2)])
    folder = exporter.export(tmp_path, "e")
    exporter.commit([of("c/b", 3), of("c/c", 4)])
    assert exporter.import_(folder).content == {"documents": 2}
    assert exporter.documents() == contents([of("c/a", 1), of("c/b", 2), of("c/c", 4)])


def test_import_moves_documents_and_their_references(embedded: str) -> None:
    exporter = Exporter(embedded, f"projects/{uuid.uuid4()}/databases/second")
    assert exporter.import_(FIXTURE).content == {"documents": 44}
    assert exporter.documents() == contents(documents(exporter.database))


def test_export_has_a_name_by_default(exporter: Exporter, tmp_path: Path) -> None:
    body = {"database": exporter.database, "exportDirectory": str(tmp_path)}
    assert exporter.post("export", body).status == 200
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("firestore_export_")
    assert exporter.import_(folder).content == {"documents": 0}


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


DAMAGES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "first document": (lambda e: flip(e / PART / "output-0", 20), "Byte 0: the checksum is wrong"),
    "last document": (lambda e: flip(e / PART / "output-0", -1), "the checksum is wrong"),
    "cut": (
        lambda e: os.truncate(e / PART / "output-0", 50_000),
        "the file or its block ends too early",
    ),
    "missing output": (lambda e: (e / PART / "output-0").unlink(), "No such file or directory"),
    "missing metadata": (
        lambda e: (e / PART / "all_namespaces_all_kinds.export_metadata").unlink(),
        "No such file or directory",
    ),
    "overall metadata": (
        lambda e: flip(e / "firestore_export.overall_export_metadata", 9),
        "the checksum is wrong",
    ),
    "other file": (
        lambda e: (e / "firestore_export.overall_export_metadata").write_text("{}"),
        "the file or its block ends too early",
    ),
    "no export": (
        lambda e: (e / "firestore_export.overall_export_metadata").unlink(),
        "contains no export",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_export_is_rejected_and_changes_nothing(
    exporter: Exporter, tmp_path: Path, damage: str
) -> None:
    kept = Document(name=f"{exporter.database}/documents/types/null")
    exporter.commit([kept])
    export = tmp_path / "firestore_export"
    shutil.copytree(FIXTURE / "firestore_export", export)
    spoil, reason = DAMAGES[damage]
    spoil(export)
    reply = exporter.import_(export)
    assert reply.status == 400
    assert reply.error in {"INVALID_ARGUMENT", "FAILED_PRECONDITION"}
    assert str(export) in reply.content["error"]["message"]
    assert reason in reply.content["error"]["message"]
    assert exporter.documents() == contents([kept])


@pytest.mark.parametrize(
    ("action", "body", "message"),
    [
        ("export", b"", "The body is not JSON"),
        ("export", b"[]", "The body is not a JSON object"),
        ("export", {"\ud800": ""}, "The body is not JSON"),
        ("import", {"export_directory": "\ud800"}, "The body is not JSON"),
        ("import", b"[" * 60_000, "The body is not JSON"),
        ("export", {}, '"" is not the name of a database'),
        ("export", {"database": 1}, "database must be a string"),
        ("export", {"database": FIXTURES_DATABASE}, "export_directory must be a path"),
        (
            "import",
            {"database": FIXTURES_DATABASE, "export_directory": "a\0b"},
            "export_directory must be a path",
        ),
        (
            "export",
            {"database": FIXTURES_DATABASE, "export_directory": "/", "export_name": "../x"},
            "export_name cannot be the name of a folder: '../x'",
        ),
        (
            "export",
            {
                "database": FIXTURES_DATABASE,
                "export_directory": "/nowhere",
                "export_name": "é" * 101,
            },
            "export_name cannot be the name of a folder: 'éé",
        ),
        (
            "export",
            {"database": FIXTURES_DATABASE, "export_directory": "/nowhere"},
            "/nowhere must be a directory",
        ),
        (
            "import",
            {"database": FIXTURES_DATABASE, "export_directory": "/nowhere"},
            "Cannot read /nowhere: No such file",
        ),
        (
            "export",
            {"database": FIXTURES_DATABASE, "export_directory": "/" + "x" * 256},
            "File name too long",
        ),
        (
            "import",
            {"database": FIXTURES_DATABASE, "export_directory": "/" + "x" * 256},
            "File name too long",
        ),
        (
            "import",
            {"database": FIXTURES_DATABASE, "export_directory": "/dev/zero"},
            "Cannot read /dev/zero: it is not a file",
        ),
        (
            "import",
            {"database": FIXTURES_DATABASE, "export_name": "e"},
            "unknown field export_name; known: database, export_directory",
        ),
    ],
)
def test_wrong_request_is_rejected(
    exporter: Exporter, action: str, body: Any, message: str
) -> None:
    reply = exporter.post(action, body)
    assert reply.status == 400
    assert message in reply.content["error"]["message"]


def test_web_page_of_another_site_cannot_export(
    embedded: str, database: str, tmp_path: Path
) -> None:
    body = {"database": database, "export_directory": str(tmp_path), "export_name": "e"}
    headers = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    reply = Rest(embedded, database).send(
        "POST", "/emulator/v1/projects/p:export", json.dumps(body), headers
    )
    assert reply.status == 403
    assert list(tmp_path.iterdir()) == []


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def served(*options: str) -> dict[str, dict[str, bytes]]:
    """The documents of the fixture's database and of another one, until SIGTERM."""
    argv = [*PROGRAM, "--host-port=127.0.0.1:0", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[-1]
            return {
                database: Exporter(address, database).documents()
                for database in (FIXTURES_DATABASE, "projects/p.q/databases/second")
            }
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


@pytest.mark.parametrize(
    "path",
    ["", "firestore_export", "firestore_export/firestore_export.overall_export_metadata"],
)
def test_import_data_reads_a_managed_export(path: str) -> None:
    found = served(f"--import-data={FIXTURE / path}")
    assert found[FIXTURES_DATABASE] == contents(documents(FIXTURES_DATABASE))


def test_import_data_that_is_damaged_ends_the_start_with_one_line(tmp_path: Path) -> None:
    export = tmp_path / "firestore_export"
    shutil.copytree(FIXTURE / "firestore_export", export)
    flip(export / PART / "output-0", 20)
    done = run("--host-port=127.0.0.1:0", f"--import-data={export}")
    assert done.returncode == 1
    assert done.stderr == (
        f"{export}/{PART}/output-0 cannot be imported. Byte 0: the checksum is wrong.\n"
    )


def test_export_on_exit_writes_each_database_for_the_next_start(tmp_path: Path) -> None:
    second = "projects/p.q/databases/second"
    lines = tmp_path / "lines"
    lines.write_text(
        f'{{"name": "{second}/documents/c/a"}}\n{{"name": "{FIXTURES_DATABASE}/documents/c/b"}}\n'
    )
    directory = tmp_path / "new/exports"
    first = served(f"--import-data={lines}", f"--export-on-exit={directory}")
    assert {each.name for each in directory.iterdir()} == {"p", "p.q+second"}
    again = served(f"--import-data={directory}", f"--export-on-exit={directory}")
    assert again == first
    assert {name for found in again.values() for name in found} == {
        f"{second}/documents/c/a",
        f"{FIXTURES_DATABASE}/documents/c/b",
    }


def test_export_on_exit_that_cannot_be_written_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    errors = errors_at_exit(f"--export-on-exit={tmp_path / 'file'}")
    assert errors == f"Cannot write {tmp_path}/file: File exists\n"


def test_export_on_exit_writes_the_databases_after_one_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    lines, directory = tmp_path / "lines", tmp_path / "exports"
    names = [f"projects/{project}/databases/(default)/documents/c/a" for project in "abc"]
    lines.write_text("".join(f'{{"name": "{each}"}}\n' for each in names))
    (directory / "a").mkdir(parents=True)
    (directory / "a/notes").write_text("")
    errors = errors_at_exit(f"--import-data={lines}", f"--export-on-exit={directory}")
    assert errors.startswith(f"{directory}/a contains other files than an export, such as notes.")
    assert [each.name for each in folder.read_all(directory)] == names[1:]


def errors_at_exit(*options: str) -> str:
    """Starts an emulator, ends it, and returns what it wrote to stderr when it failed."""
    argv = [*PROGRAM, "--host-port=127.0.0.1:0", *options]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    return errors


def test_commands_export_and_import_a_data_directory(tmp_path: Path) -> None:
    done = run("import", f"--data={tmp_path / 'a'}", f"--folder={FIXTURE}")
    assert done.stderr == "44 documents imported\n"
    done = run("export", f"--data={tmp_path / 'a'}", f"--folder={tmp_path / 'e'}")
    assert (done.returncode, done.stderr) == (0, "")
    moved = "projects/q/databases/(default)"
    done = run(
        "import", f"--data={tmp_path / 'a'}", f"--folder={tmp_path / 'e'}", f"--database={moved}"
    )
    assert done.stderr == "44 documents imported\n"
    done = run("export", f"--data={tmp_path / 'a'}", f"--folder={tmp_path / 'e'}")
    assert done.returncode == 1
    assert done.stderr == (
        "--folder exports one database. Name it by --database. There are:"
        f" {FIXTURES_DATABASE}, {moved}\n"
    )
    done = run(
        "export", f"--data={tmp_path / 'a'}", f"--folder={tmp_path / 'f'}", f"--database={moved}"
    )
    assert done.returncode == 0
    found = served(f"--import-data={tmp_path / 'e'}")
    assert found[FIXTURES_DATABASE] == contents(documents(FIXTURES_DATABASE))


def test_damaged_export_changes_no_data_directory(tmp_path: Path) -> None:
    data, export = f"--data={tmp_path / 'a'}", tmp_path / "firestore_export"
    shutil.copytree(FIXTURE / "firestore_export", export)
    flip(export / PART / "output-0", -1)
    done = run("import", data, f"--folder={export}")
    assert done.returncode == 1
    assert "the checksum is wrong" in done.stderr
    assert run("export", data).stdout == ""
