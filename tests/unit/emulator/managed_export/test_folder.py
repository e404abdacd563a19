"""Exports are written whole and read whole, and a damaged one is rejected."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local.stack import ROOT
from support.emulator.firestore_messages import document
from support.emulator.value_types import documents

from firestore_emulator.managed_export import entities, folder
from firestore_emulator.managed_export.log_records import RecordWriter, read_records
from firestore_emulator.managed_export.messages import OverallMetadata, PartMetadata
from firestore_emulator.model.errors import (
    EmulatorError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from firestore_emulator.model.messages import Document
from firestore_emulator.model.steps import run_at_once

GOOGLES = ROOT / "tests/fixtures/managed_export/firestore_export"
PART = "all_namespaces/all_kinds"
PART_METADATA = f"{PART}/all_namespaces_all_kinds.export_metadata"
FEW = [document("c/a", n=1), document("c/b", t="text")]


def written(path: Path, content: list[Document] | None = None) -> Path:
    run_at_once(folder.write(FEW if content is None else content, path))
    return path


def overall(path: Path) -> Path:
    return path / f"{path.name}.overall_export_metadata"


def read(path: Path) -> list[Document]:
    return list(folder.read_all(path))


def by_name(content: list[Document]) -> dict[str, bytes]:
    return {each.name: each.SerializeToString(deterministic=True) for each in content}


def write_records(path: Path, *contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for content in contents:
            writer.append(content)


def metadata(*parts: tuple[str, int]) -> bytes:
    """The second record of overall metadata: paths, and their numbers of documents."""
    listed = [{"metadata_path": path, "documents": count} for path, count in parts]
    return OverallMetadata(part=listed).SerializeToString()


def write_part(export: Path, kind: str, *outputs: list[Document]) -> str:
    """A part in a folder of its own, as an export of one collection has it. Its metadata's path."""
    path = f"all_namespaces/kind_{kind}/all_namespaces_kind_{kind}.export_metadata"
    paths = [f"output-{number}" for number in range(len(outputs))]
    for name, output in zip(paths, outputs, strict=True):
        write_records((export / path).parent / name, *map(entities.to_entity, output))
    listed = PartMetadata(output=[{"kind": kind, "path": each} for each in paths])
    (export / path).write_bytes(listed.SerializeToString())
    return path


def test_export_of_googles_emulator_is_read() -> None:
    assert by_name(read(GOOGLES)) == by_name(documents("projects/p/databases/(default)"))


def test_documents_are_written_as_googles_emulator_writes_them(tmp_path: Path) -> None:
    """Only the order of fields differs: Google's emulator has no fixed one."""
    content = list(folder.read(overall(GOOGLES)))
    here = written(tmp_path / "firestore_export", content)
    ours, googles = (entities_in(export) for export in (here, GOOGLES))
    for each, our, its in zip(content, ours, googles, strict=True):
        is_ordered = len(each.fields) <= 1 and not each.name.endswith("types/map")
        assert our == its if is_ordered else sorted(our) == sorted(its)
    assert overall(here).read_bytes() == overall(GOOGLES).read_bytes()


def entities_in(export: Path) -> list[bytes]:
    with (export / PART / "output-0").open("rb") as file:
        return [record.content for record in read_records(file, export)]


def test_export_has_the_layout_of_googles_emulator(tmp_path: Path) -> None:
    def files(of: Path) -> set[str]:
        return {str(each.relative_to(of)) for each in of.rglob("*")}

    assert files(written(tmp_path / "firestore_export")) == files(GOOGLES)


def test_eachof_a_megabyte_survives(tmp_path: Path) -> None:
    big = document("c/big", text="é" * 500_000, data=b"\xff" * 40_000)
    assert read(written(tmp_path / "e", [*FEW, big])) == [*FEW, big]


def test_export_without_documents_survives(tmp_path: Path) -> None:
    assert read(written(tmp_path / "e", [])) == []


def test_export_of_two_collections_is_read_from_its_parts(tmp_path: Path) -> None:
    export = tmp_path / "e"
    first = write_part(export, "c", [FEW[0]], [FEW[1]])
    second = write_part(export, "d", [document("d/a")])
    write_records(overall(export), b"3", metadata((first, 2), (second, 1)))
    assert read(export) == [*FEW, document("d/a")]


def test_documents_are_read_one_at_a_time(tmp_path: Path) -> None:
    export = written(tmp_path / "e", [document(f"c/{number}") for number in range(2_000)])
    found = folder.read(overall(export))
    assert next(found) == document("c/0")
    output = export / PART / "output-0"
    output.write_bytes(b"")  # what is read already is one block
    assert sum(1 for _ in _until_error(found)) < 2_000


def _until_error(found: Iterator[Document]) -> Iterator[Document]:
    try:
        yield from found
    except InvalidArgumentError:
        return


def test_exports_are_found_by_file_by_folder_and_one_level_below(tmp_path: Path) -> None:
    first, second = written(tmp_path / "first"), written(tmp_path / "second")
    assert folder.find(overall(first)) == [overall(first)]
    assert folder.find(first) == [overall(first)]
    assert folder.find(tmp_path) == [overall(first), overall(second)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FailedPreconditionError, match=r"has no \*\.overall_export_metadata"):
        folder.find(tmp_path / "empty")


def test_export_replaces_an_earlier_one(tmp_path: Path) -> None:
    written(tmp_path / "e", [document("c/old")])
    assert read(written(tmp_path / "e")) == FEW
    assert [each.name for each in tmp_path.iterdir()] == ["e"]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda path: path.write_text("a file"),
        lambda path: path.symlink_to(path.parent),
        lambda path: (path.mkdir(), (path / "notes").write_text("mine")),
        lambda path: path.symlink_to(path.parent / "nothing"),
    ],
    ids=["file", "link", "other files", "broken link"],
)
def test_export_replaces_nothing_else(tmp_path: Path, prepare: Callable[[Path], object]) -> None:
    prepare(tmp_path / "e")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FailedPreconditionError, match=f"{tmp_path}/e "):
        written(tmp_path / "e")
    assert sorted(tmp_path.rglob("*")) == before


def test_export_into_no_directory_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="must be a directory, to export into it"):
        written(tmp_path / "missing/e")
    assert list(tmp_path.iterdir()) == []


def test_failed_export_leaves_the_earlier_one(tmp_path: Path) -> None:
    written(tmp_path / "e")

    def failing() -> Iterator[Document]:
        yield document("c/new")
        raise OSError(28, "No space left on device")

    with pytest.raises(FailedPreconditionError, match=r"Cannot write .*: No space left on device"):
        run_at_once(folder.write(failing(), tmp_path / "e"))
    assert read(tmp_path / "e") == FEW
    assert [each.name for each in tmp_path.iterdir()] == ["e"]


def test_stopped_export_leaves_no_files(tmp_path: Path) -> None:
    steps = folder.write(FEW, tmp_path / "e")
    next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["e.overall_export_metadata", f"{PART}/output-0"])
def test_each_changed_byte_is_found(tmp_path: Path, file: str) -> None:
    path = written(tmp_path / "e") / file
    data = path.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x04
        path.write_bytes(changed)
        with pytest.raises(InvalidArgumentError, match=f"{path} cannot be imported. Byte "):
            read(tmp_path / "e")


@pytest.mark.parametrize("bit", range(8))
def test_changed_metadata_is_rejected_or_has_no_effect(tmp_path: Path, bit: int) -> None:
    """The metadata of a part has no checksum."""
    path = written(tmp_path / "e") / PART_METADATA
    data = path.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        try:
            found = read(tmp_path / "e")
        except EmulatorError:
            continue
        assert found == FEW


@pytest.mark.parametrize("file", ["e.overall_export_metadata", PART_METADATA, f"{PART}/output-0"])
def test_each_cut_is_found(tmp_path: Path, file: str) -> None:
    path = written(tmp_path / "e") / file
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(EmulatorError, match=f"{tmp_path}/e"):
            read(tmp_path / "e")


@pytest.mark.parametrize("file", ["e.overall_export_metadata", PART_METADATA, f"{PART}/output-0"])
def test_missing_file_is_named(tmp_path: Path, file: str) -> None:
    export = overall(written(tmp_path / "e"))
    (tmp_path / "e" / file).unlink()
    with pytest.raises(FailedPreconditionError, match=f"Cannot read {tmp_path}/e/{file}: No such"):
        list(folder.read(export))


def test_directory_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    output = written(tmp_path / "e") / PART / "output-0"
    output.unlink()
    output.mkdir()
    with pytest.raises(FailedPreconditionError, match="output-0: it is not a file"):
        read(tmp_path / "e")


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "the file is empty"),
        ([b"4"], "the version of the format is b'4'. Only version 3 is known"),
        ([b"3"], "the list of files after this record is missing"),
        ([b"3", b"\xff"], "the record is not a list of files"),
        ([b"3", metadata(("../x", 1))], "the path '../x' does not lead into the export"),
        ([b"3", metadata(("/etc/passwd", 1))], "does not lead into the export"),
        ([b"3", metadata(("", 1))], "the path '' does not lead into the export"),
        ([b"3", metadata(("a\0b", 1))], "does not lead into the export"),
        ([b"3", b"\x0a\x03\x12\x01\xff"], "the path .* is not UTF-8"),
        ([b"3", metadata((PART_METADATA, 3))], "it promises 3 documents, but .* has 2"),
        ([b"3", metadata((PART_METADATA, 2), (PART_METADATA, 2))], "output-0 is there twice"),
    ],
)
def test_wrong_list_of_parts_is_rejected(tmp_path: Path, records: list[bytes], reason: str) -> None:
    export = written(tmp_path / "e")
    write_records(overall(export), *records)
    with pytest.raises(InvalidArgumentError, match=reason):
        read(export)


def test_metadata_of_a_part_is_read_up_to_a_limit(tmp_path: Path) -> None:
    export = written(tmp_path / "e")
    with (export / PART_METADATA).open("ab") as file:
        file.truncate(2 * 1024 * 1024)
    with pytest.raises(InvalidArgumentError, match="too large for metadata"):
        read(export)


def test_eachabove_a_limit_is_named_by_its_byte(tmp_path: Path) -> None:
    big = document("c/big", text="a" * 1_048_400, more="b" * 400)
    export = written(tmp_path / "e", [*FEW, big])
    size = sum(7 + len(entities.to_entity(each)) for each in FEW)
    with pytest.raises(InvalidArgumentError, match=f"Byte {size}: maximum entity size"):
        read(export)
