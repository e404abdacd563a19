"""The installed emulator with clients of other languages, curl and a browser.

`firestore-emulator` of a new environment serves them all. A test is skipped if its language is not
on this machine.
"""

import json
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local.stack import ROOT
from playwright.sync_api import ViewportSize, expect
from support.clients.browser import DESK, chromium
from support.emulator.rest import Rest, integer
from support.emulator.users_project import PACKAGE, users_environ

pytestmark = [pytest.mark.registry, pytest.mark.timeout(900)]  # it may compile Go's library

CLIENTS = ROOT / "tests/support/emulator/clients"
PHONE = ViewportSize(width=390, height=844)
ALREADY_EXISTS = 6

# What a client prints of its calls.
EXPECTED = {
    "values": {
        "null": None,
        "integer": 7,
        "double": 0.5,
        "text": "é𝄞",
        "bytes": [0, 255],
        "time": 1767323045678,
        "list": [1, "a", {"deep": True}],
        "reference": "orders/a",
        "vector": [1, 0.5],
    },
    "query": ["c", "b"],
    "count": 3,
    "transaction": 3,
    "increment": 13,
    "error": ALREADY_EXISTS,
    "collections": ["orders"],
    "listened": ["added c", "added d"],
}


@pytest.fixture(scope="module")
def installed(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the emulator that the installed command runs."""
    with subprocess.Popen(
        [python.with_name("firestore-emulator"), "--host-port=127.0.0.1:0"],
        env=users_environ(),
        cwd=tmp_path_factory.mktemp("elsewhere"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            assert process.wait(30) == 0


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: its client was not tested")
    return found


def run(*argv: str | Path, cwd: Path, emulator: str = "") -> str:
    environ = {
        **users_environ(),
        "FIRESTORE_EMULATOR_HOST": emulator,
        "METADATA_SERVER_DETECTION": "none",  # of Google's machines, by the Node.js client
    }
    done = subprocess.run(
        argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def download(*argv: str | Path, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"{shlex.join(map(str, argv))} fails: {done.stderr.strip()[-300:]}")


def test_nodes_client_reads_writes_and_listens(installed: str, tmp_path: Path) -> None:
    node, npm = program("node"), program("npm")
    client = shutil.copytree(CLIENTS / "node", tmp_path / "node")
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    download(npm, "ci", *options, cwd=client)
    printed = run(node, "client.mjs", f"node-{uuid.uuid4()}", cwd=client, emulator=installed)
    assert json.loads(printed) == EXPECTED


def test_gos_client_reads_writes_and_listens(installed: str, tmp_path: Path) -> None:
    go = program("go")
    client = shutil.copytree(CLIENTS / "go", tmp_path / "go")
    download(go, "mod", "download", cwd=client)
    run(go, "build", "-o", "client", ".", cwd=client)
    printed = run(client / "client", f"go-{uuid.uuid4()}", cwd=client, emulator=installed)
    assert json.loads(printed) == EXPECTED


def readmes_commands(heading: str, emulator: str, directory: Path) -> str:
    """The first block of commands below a heading, for this emulator and this directory."""
    block: str
    (block,) = re.findall(
        rf"^{heading}\n.*?^```sh\n(.*?)^```",
        (PACKAGE / "README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    here = block.replace("127.0.0.1:8085", emulator)
    here = here.replace("/tmp", str(directory))  # noqa: S108 - the README's directory
    return here.replace("curl ", "curl --silent --show-error --fail-with-body ")


def responses(text: str) -> list[Any]:
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        content, end = decoder.raw_decode(text)
        found.append(content)
        text = text[end:]
    return found


def test_readmes_rest_commands_work_with_curl(installed: str, tmp_path: Path) -> None:
    program("curl")
    commands = readmes_commands("## REST", installed, tmp_path)
    created, read, listed, patched, queried, deleted = responses(
        run("sh", "-euc", commands, cwd=tmp_path)
    )
    document = "projects/P/databases/(default)/documents/c/a"
    assert created["name"] == read["name"] == document
    assert read["fields"] == {"n": {"integerValue": "1"}}
    assert [each["name"] for each in listed["documents"]] == [document]
    assert "fields" not in patched
    assert [each["document"]["name"] for each in queried] == [document]
    assert deleted == {}


def test_readmes_commands_export_and_import_with_curl(installed: str, tmp_path: Path) -> None:
    program("curl")
    rest = Rest(installed, "projects/P/databases/(default)")
    assert rest.call("PATCH", "/c/kept", integer(1)).status == 200
    commands = readmes_commands("#### Managed exports", installed, tmp_path)
    assert responses(run("sh", "-euc", commands, cwd=tmp_path)) == [{}, {"documents": 1}]
    assert (tmp_path / "e/e.overall_export_metadata").is_file()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_viewer_shows_a_document_in_a_browser(
    installed: str, tmp_path: Path, size: ViewportSize
) -> None:
    rest = Rest(installed, f"projects/viewer-{uuid.uuid4().hex[:8]}/databases/(default)")
    for number in range(3):
        assert rest.call("PATCH", f"/orders/O{number}", integer(number)).status == 200
    problems: list[str] = []
    with chromium() as browser, browser.new_context(viewport=size) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"http://{installed}/")
        page.get_by_role("link", name=rest.database.split("/")[1]).click()
        page.get_by_role("link", name="orders", exact=True).click()
        expect(page.locator(".rows > li")).to_have_count(3)
        page.screenshot(path=tmp_path / "collection.png")
        page.get_by_role("link", name="O2").click()
        expect(page.locator(".tree").first).to_contain_text("n integer 2")
        assert rest.call("PATCH", "/orders/O2", integer(7)).status == 200
        expect(page.locator(".tree").first).to_contain_text("n integer 7")
        page.screenshot(path=tmp_path / "document.png")
    assert problems == []
