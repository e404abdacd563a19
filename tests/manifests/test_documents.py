"""Documents: links and anchors resolve, commands exist, pictures are those of the script."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from local.stack import ROOT
from tools import diagrams

from order_function.domain import PUBLIC_STATUSES

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
    *sorted(ROOT.glob("*/*/README.md")),
    *(ROOT / "emulators/firestore" / name for name in ("CHANGELOG.md", "SUPPORT.md")),
]
READERS_PATH = "docs/architecture.md"
"""The first document of a newcomer; its table of folders must be complete."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@cache
def prose(document: Path) -> str:
    """The text without its code blocks."""
    return FENCE.sub("", document.read_text())


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to headings."""
    found: set[str] = set()
    for heading in HEADING.findall(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def broken_links(document: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        wrong_anchor = anchor and target.suffix == ".md" and target.exists()
        if not target.exists() or (wrong_anchor and anchor not in anchors(prose(target))):
            broken.append(link)
    return broken


def make_targets(text: str) -> set[str]:
    """Targets of `make` in code blocks and in backticks."""
    shell = [code for language, code in FENCE.findall(text) if language == "sh"]
    inline = re.findall(r"`(make [^`]+)`", text)
    found: set[str] = set()
    for line in "\n".join([*shell, *inline]).splitlines():
        code = re.sub(r"#.*|\"[^\"]*\"", "", line)
        for arguments in re.findall(r"(?:^|[;&(] ?|\$\()make ([^;&|)]*)", code):
            found |= set(re.findall(r"(?:^| )([a-z][a-z-]*)(?= |$)", arguments))
    return found


def defined_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))


def modules(text: str) -> set[str]:
    return set(re.findall(r"python3? -m ([a-z_][\w.]*)", text))


def module_exists(name: str) -> bool:
    folders = ("", "functions/common", "functions/order", "emulators/firestore")
    path = name.replace(".", "/")
    return any(
        (ROOT / folder / f"{path}.py").exists() or (ROOT / folder / path / "__main__.py").exists()
        for folder in folders
    )


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_links_resolve(document: Path) -> None:
    assert broken_links(document, prose(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_names_only_existing_make_targets(document: Path) -> None:
    assert make_targets(document.read_text()) - defined_targets() == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_names_only_existing_modules(document: Path) -> None:
    ours = modules(document.read_text()) - {"venv", "pip", "pytest"}
    assert [name for name in ours if not module_exists(name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_runs_only_existing_files(document: Path) -> None:
    shell = "\n".join(code for language, code in FENCE.findall(document.read_text()) if language)
    runs = r"(?:\bsh|\bpython|\bnode|apply(?: -n \w+)? -[fk]|\.yaml -f)"
    files = re.findall(rf"{runs} ([\w-]+/[\w./-]*)", shell)
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_python_of_the_emulators_readme_imports_what_it_uses() -> None:
    text = (ROOT / "emulators/firestore/README.md").read_text()
    programs = [code for language, code in FENCE.findall(text) if language == "python"]
    assert len(programs) > 2
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--select=F821", "-"]
    for program in programs:
        done = subprocess.run(ruff, input=program, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


def test_broken_links_and_commands_are_found() -> None:
    text = "[a](gone.md) [b](api.md#gone) [c](#here) [d](https://x.example/) ![e](gone.svg)\n# Here"
    found = broken_links(ROOT / "docs/cost.md", text)
    assert found == ["gone.md", "api.md#gone", "#here", "gone.svg"]
    assert make_targets("```sh\nmake run DATA=x\nmake -s gone   # make no\n```\n`make lint`") == {
        "run",
        "gone",
        "lint",
    }
    assert not module_exists("benchmarks.gone")


@pytest.mark.parametrize(("name", "content"), list(diagrams.pictures()))
def test_picture_is_drawn_by_the_script(name: str, content: str) -> None:
    assert (diagrams.FOLDER / name).read_text() == content, "run python -m tools.diagrams"


def test_no_picture_is_left_over() -> None:
    drawn = {name for name, _ in diagrams.pictures()}
    assert {path.name for path in diagrams.FOLDER.iterdir()} == drawn


def test_state_picture_shows_every_public_status() -> None:
    drawn = set(re.findall(r">(\w+)</text>", diagrams.states()))
    assert {str(status) for status in PUBLIC_STATUSES} <= drawn


def test_architecture_lists_every_folder() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("git lists the folders, and this is no clone, or git is not installed")
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    folders = {line.split("/")[0] for line in listing.splitlines() if "/" in line}
    shown = {
        link.removeprefix("../").split("/")[0]
        for link in LINK.findall((ROOT / READERS_PATH).read_text())
        if link.startswith("../")
    } | {"docs"}
    assert {each for each in folders if not each.startswith(".")} - shown == set()


@pytest.mark.parametrize("package", ["order_function", "inventory_function"])
def test_architecture_lists_every_module_of_the_layers(package: str) -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        each["layers"] for each in linter["contracts"] if each.get("containers") == [package]
    )
    names = {name for layer in layers for name in layer.split(" | ")}
    rows = re.findall(
        r"^\|[ \d]*\|[^|]*`(\w+)(?:\.py|/)`[^|]*\|",
        (ROOT / READERS_PATH).read_text(),
        re.MULTILINE,
    )
    assert names - set(rows) == set()


def test_contributing_lists_every_folder_of_tests() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| [^|]* \|([^|]*)\|$", text, re.MULTILINE))
    modules = [path for path in (ROOT / "tests").rglob("test_*.py") if "support" not in path.parts]
    folders = {path.parent.relative_to(ROOT / "tests").parts for path in modules}
    for kind, *inner in folders:
        assert kind in table
        assert not inner or f"`{inner[0]}`" in table[kind] or f"`{'/'.join(inner)}`" in table[kind]
    assert max(len([*path.glob("test_*.py")]) for path in {each.parent for each in modules}) <= 15


def test_contributing_names_all_that_the_domain_imports() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (rule,) = re.findall(
        r"^- \*\*Rules belong in the domain.\*\*.*?(?=^- )", text, re.MULTILINE | re.DOTALL
    )
    functions = ROOT / "functions"
    domain = [
        functions / "inventory/inventory_function/domain.py",
        *(functions / "order/order_function/domain").glob("*.py"),
    ]
    code = "\n".join(path.read_text() for path in domain)
    imports = re.findall(r"^from functions_common(?:\.([.\w]+))? import (\w+)", code, re.MULTILINE)
    shared = {module or name for module, name in imports}
    assert shared
    assert [name for name in shared if f"`{name}`" not in rule] == []


def test_architecture_explains_every_finding_of_audit() -> None:
    code = (ROOT / "functions/order/order_function/audit").glob("*.py")
    names = {
        name
        for path in code
        for name in re.findall(r'Finding\(\s*"([a-z-]+)"', path.read_text(), re.DOTALL)
    }
    listed = re.findall(
        r"^\| `([a-z-]+-[a-z-]+)` \|", (ROOT / READERS_PATH).read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(names)


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall(prose(ROOT / "README.md")))
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages - linked == set()
