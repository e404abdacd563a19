"""Read and write records in the log format of LevelDB.

A file is a sequence of blocks of 32 KiB. A record is cut into fragments that do not cross the end
of a block. Each fragment has a header: a masked CRC-32C of its kind and its data, the length of the
data, and its kind. See https://github.com/google/leveldb/blob/main/doc/log_format.md.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from firestore_emulator.managed_export.crc32c import masked_crc32c
from firestore_emulator.managed_export.problems import damaged

BLOCK_BYTES = 32 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024

_HEADER = struct.Struct("<IHB")


class _Kind(IntEnum):
    PADDING = 0
    FULL = 1
    FIRST = 2
    MIDDLE = 3
    LAST = 4


_BEGINS = {_Kind.FULL, _Kind.FIRST}
_ENDS = {_Kind.FULL, _Kind.LAST}


class Record(NamedTuple):
    offset: int  # of its first byte in the file
    content: bytes


class _Fragment(NamedTuple):
    offset: int
    kind: _Kind
    data: bytes


def read_records(file: BinaryIO, path: Path) -> Iterator[Record]:
    """Reads one block at a time. Raises InvalidArgumentError at the first damaged fragment."""
    begun: list[_Fragment] = []
    size = 0
    for fragment in _fragments(file, path):
        if (fragment.kind in _BEGINS) == bool(begun):
            raise damaged(path, fragment.offset, "a part of a record is missing before it.")
        begun.append(fragment)
        size += len(fragment.data)
        if size > MAX_RECORD_BYTES:
            raise damaged(path, begun[0].offset, f"a record exceeds {MAX_RECORD_BYTES} bytes.")
        if fragment.kind in _ENDS:
            yield Record(begun[0].offset, b"".join(each.data for each in begun))
            begun, size = [], 0
    if begun:
        raise damaged(path, begun[0].offset, "the file ends within this record.")


def _fragments(file: BinaryIO, path: Path) -> Iterator[_Fragment]:
    start = 0
    while block := file.read(BLOCK_BYTES):
        position = 0
        while len(block) - position >= _HEADER.size:
            checksum, length, kind = _HEADER.unpack_from(block, position)
            if (checksum, length, kind) == (0, 0, _Kind.PADDING):
                break
            begin = position + _HEADER.size
            end = begin + length
            if end > len(block):
                raise damaged(path, start + position, "the file or its block ends too early.")
            if not _Kind.FULL <= kind <= _Kind.LAST:
                raise damaged(path, start + position, f"a record has the unknown kind {kind}.")
            if masked_crc32c(block[begin - 1 : end]) != checksum:
                raise damaged(path, start + position, "the checksum is wrong.")
            yield _Fragment(start + position, _Kind(kind), block[begin:end])
            position = end
        if any(block[position:]):
            raise damaged(path, start + position, "the file or its block ends too early.")
        start += len(block)


class RecordWriter:
    def __init__(self, file: BinaryIO) -> None:
        """Appends to an empty file."""
        self._file = file
        self.size = 0

    def append(self, content: bytes) -> None:
        begin, is_first = 0, True
        while is_first or begin < len(content):
            left = BLOCK_BYTES - self.size % BLOCK_BYTES
            if left < _HEADER.size:
                self._write(bytes(left))
                left = BLOCK_BYTES
            end = min(len(content), begin + left - _HEADER.size)
            self._append_fragment(
                content[begin:end], is_first=is_first, is_last=end == len(content)
            )
            begin, is_first = end, False

    def _append_fragment(self, data: bytes, *, is_first: bool, is_last: bool) -> None:
        if is_first:
            kind = _Kind.FULL if is_last else _Kind.FIRST
        else:
            kind = _Kind.LAST if is_last else _Kind.MIDDLE
        checksum = masked_crc32c(bytes([kind]) + data)
        self._write(_HEADER.pack(checksum, len(data), kind) + data)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)
