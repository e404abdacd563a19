"""A folder in the format of managed exports: find it, read it, write it.

NAME/NAME.overall_export_metadata                               the version and the parts
NAME/all_namespaces/all_kinds/all_namespaces_all_kinds.export_metadata  the output files of a part
NAME/all_namespaces/all_kinds/output-0                          the documents

An export of some collections has several parts, in folders of other names. The path of a file is
relative to the file that names it.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from google.protobuf.message import DecodeError

from firestore_emulator.managed_export import entities
from firestore_emulator.managed_export.log_records import Record, RecordWriter, read_records
from firestore_emulator.managed_export.messages import OverallMetadata, Part, PartMetadata, text
from firestore_emulator.managed_export.problems import cannot_read, cannot_write, damaged
from firestore_emulator.model.clock import wall_clock
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import Document
from firestore_emulator.model.steps import Steps
from firestore_emulator.model.validation import check_size, normalize_fields

SUFFIX = ".overall_export_metadata"

_VERSION = b"3"
_ALL = "all_namespaces"
_PART = f"{_ALL}/all_kinds"
_PART_METADATA = f"{_PART}/all_namespaces_all_kinds.export_metadata"
_OUTPUT = "output-0"
_SCOPE = {"namespaces": 2, "kinds": 3}  # as Google's emulator writes it: all of them
_MAX_METADATA_BYTES = 1024 * 1024


def find(path: Path) -> list[Path]:
    """The overall metadata files of the exports at the path: the file, or those of a folder.

    A folder of the Firebase CLI has its export one level below. Raises FailedPreconditionError.
    """
    try:
        if not path.is_dir():
            return [path]
        found = sorted([*path.glob(f"*{SUFFIX}"), *path.glob(f"*/*{SUFFIX}")])
    except OSError as error:
        raise cannot_read(path, error) from error
    if not found:
        raise FailedPreconditionError(f"{path} contains no export: it has no *{SUFFIX}.")
    return found


def read_all(path: Path) -> Iterator[Document]:
    """The documents of all exports at the path, see ``find`` and ``read``."""
    return chain.from_iterable(map(read, find(path)))


def read(metadata: Path) -> Iterator[Document]:
    """The documents of an export, in the order of its files. Raises EmulatorError.

    It reads a small part of a file for each document.
    """
    seen: set[Path] = set()
    for part in _parts(metadata):
        part_metadata = _inside(metadata, part.metadata_path)
        count = 0
        for output in _outputs(part_metadata):
            if output in seen:
                raise damaged(part_metadata, 0, f"the file {output} is there twice.")
            seen.add(output)
            for record in _records(output):
                yield _document(output, record)
                count += 1
        if count != part.documents:
            raise damaged(
                metadata,
                0,
                f"it promises {part.documents} documents, but {part_metadata.parent} has {count}.",
            )


def write(documents: Iterable[Document], folder: Path) -> Steps[None]:
    """Writes an export in place of an earlier one, or of nothing. Raises EmulatorError.

    The folder appears when it is complete.
    """
    begin = wall_clock()
    with _replacing(folder) as new:
        (new / _PART).mkdir(parents=True)
        count = 0
        with (new / _PART / _OUTPUT).open("wb") as file:
            output = RecordWriter(file)
            for document in documents:
                output.append(entities.to_entity(document))
                count += 1
                yield
        part = PartMetadata(
            export={"name": folder.name, "begin": begin, "end": wall_clock()},
            output=[{"kind": "", "path": _OUTPUT}],
        )
        (new / _PART_METADATA).write_bytes(part.SerializeToString())
        overall = OverallMetadata()
        if count:
            overall.part.add(
                scope=_SCOPE, metadata_path=_PART_METADATA, documents=count, bytes=output.size
            )
        with (new / f"{folder.name}{SUFFIX}").open("wb") as file:
            records = RecordWriter(file)
            records.append(_VERSION)
            records.append(overall.SerializeToString())


def _parts(metadata: Path) -> Iterator[Part]:
    records = _records(metadata)
    version = next(records, None)
    if version is None:
        raise damaged(metadata, 0, "the file is empty.")
    if version.content != _VERSION:
        raise damaged(
            metadata,
            version.offset,
            f"the version of the format is {version.content[:20]!r}. Only version 3 is known.",
        )
    is_listed = False
    for record in records:
        try:
            yield from OverallMetadata.FromString(record.content).part
        except (DecodeError, UnicodeDecodeError) as error:
            raise damaged(metadata, record.offset, "the record is not a list of files.") from error
        is_listed = True
    if not is_listed:  # an export without documents has an empty list
        raise damaged(metadata, version.offset, "the list of files after this record is missing.")


def _outputs(metadata: Path) -> list[Path]:
    with _opened(metadata) as file:
        content = file.read(_MAX_METADATA_BYTES + 1)
    if len(content) > _MAX_METADATA_BYTES:
        raise damaged(metadata, _MAX_METADATA_BYTES, "the file is too large for metadata.")
    try:
        found = PartMetadata.FromString(content).output
        return [_inside(metadata, each.path) for each in found]
    except (DecodeError, UnicodeDecodeError) as error:
        raise damaged(metadata, 0, "the file is not a list of output files.") from error


def _records(path: Path) -> Iterator[Record]:
    with _opened(path) as file:
        yield from read_records(file, path)


def _document(path: Path, record: Record) -> Document:
    try:
        document = entities.to_document(record.content)
        normalize_fields(document.fields)
        check_size(document)
    except InvalidArgumentError as error:
        raise damaged(path, record.offset, str(error)) from error
    return document


def _inside(named_by: Path, field: str | bytes) -> Path:
    """A file below the folder of the file that names it."""
    try:
        relative = text(field)
    except UnicodeDecodeError as error:
        raise damaged(named_by, 0, f"the path {field!r} is not UTF-8.") from error
    path = PurePosixPath(relative)
    if not relative or "\0" in relative or path.is_absolute() or ".." in path.parts:
        raise damaged(named_by, 0, f"the path {relative!r} does not lead into the export.")
    return named_by.parent / path


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Only a regular file: reading a device or a pipe may never end."""
    try:
        if path.exists() and not path.is_file():
            raise FailedPreconditionError(f"Cannot read {path}: it is not a file.")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of this one at the end of the block."""
    try:
        if not folder.parent.is_dir():
            raise FailedPreconditionError(
                f"{folder.parent} must be a directory, to export into it."
            )
        _check_replaceable(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as directory:
            new, old = Path(directory, "new"), Path(directory, "old")
            new.mkdir()
            yield new
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _check_replaceable(folder: Path) -> None:
    """Deletes nothing but an earlier export."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise FailedPreconditionError(f"{folder} exists, and is no export that can be replaced.")
    others = [each.name for each in folder.iterdir() if each.name != _ALL]
    if any(not name.endswith(SUFFIX) for name in others):
        raise FailedPreconditionError(
            f"{folder} contains other files than an export, such as {min(others)}."
            " Choose another name."
        )
