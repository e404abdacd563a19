"""Records survive a file in the log format of LevelDB, and damage to a file is found."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firestore_emulator.managed_export import log_records
from firestore_emulator.managed_export.crc32c import masked_crc32c
from firestore_emulator.managed_export.log_records import (
    BLOCK_BYTES,
    RecordWriter,
    read_records,
)
from firestore_emulator.model.errors import InvalidArgumentError

PATH = Path("output-0")
HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(BLOCK_BYTES - 3 * HEADER, BLOCK_BYTES + HEADER),
    st.integers(2 * BLOCK_BYTES - 3 * HEADER, 3 * BLOCK_BYTES),
)


def written(contents: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    writer = RecordWriter(file)
    for content in contents:
        writer.append(content)
    assert writer.size == len(file.getvalue())
    return file.getvalue()


def read(data: bytes) -> list[bytes]:
    return [record.content for record in read_records(io.BytesIO(data), PATH)]


def fragment(kind: int, data: bytes) -> bytes:
    return struct.pack("<IHB", masked_crc32c(bytes([kind]) + data), len(data), kind) + data


@settings(deadline=None)  # the first checksum makes its tables
@given(st.lists(SIZES, max_size=5))
def test_records_of_any_size_are_read_back(sizes: list[int]) -> None:
    contents = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
    assert read(written(contents)) == contents


@pytest.mark.parametrize("left", range(HEADER + 2))
def test_record_after_the_last_bytes_of_a_block_is_read_back(left: int) -> None:
    contents = [b"a" * (BLOCK_BYTES - HEADER - left), b"b" * 10]
    data = written(contents)
    if left < HEADER:
        assert data[BLOCK_BYTES - left : BLOCK_BYTES] == bytes(left)
    assert read(data) == contents


def test_offset_is_that_of_the_first_byte_of_the_record() -> None:
    records = read_records(io.BytesIO(written([b"abc", b"d" * BLOCK_BYTES, b"e"])), PATH)
    assert [record.offset for record in records] == [
        0,
        HEADER + 3,
        HEADER + 3 + BLOCK_BYTES + 2 * HEADER,
    ]


def test_padding_of_zeros_to_the_end_of_a_block_is_skipped() -> None:
    data = written([b"abc"])
    padded = data + bytes(BLOCK_BYTES - len(data)) + written([b"d"])
    assert read(padded) == [b"abc", b"d"]


def test_each_changed_byte_is_found() -> None:
    data = written([b"abc", b"", b"defg"])
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x40
        with pytest.raises(InvalidArgumentError, match=r"output-0 cannot be imported. Byte \d+: "):
            read(bytes(changed))


def test_each_cut_within_a_record_is_found() -> None:
    contents = [b"abc", b"defg"]
    data = written(contents)
    whole = {0: 0, HEADER + 3: 1, len(data): 2}
    for length in range(len(data) + 1):
        if length in whole:
            assert read(data[:length]) == contents[: whole[length]]
        else:
            with pytest.raises(InvalidArgumentError, match="ends too early"):
                read(data[:length])


@pytest.mark.parametrize(
    ("fragments", "reason"),
    [
        ([(FIRST, b"a")], "Byte 0: the file ends within this record"),
        ([(FIRST, b"a"), (FULL, b"b")], "Byte 8: a part of a record is missing before it"),
        ([(FIRST, b"a"), (FIRST, b"b")], "Byte 8: a part of a record is missing before it"),
        ([(LAST, b"a")], "Byte 0: a part of a record is missing before it"),
        ([(MIDDLE, b"a")], "Byte 0: a part of a record is missing before it"),
        ([(5, b"a")], "Byte 0: a record has the unknown kind 5"),
        ([(0, b"a")], "Byte 0: a record has the unknown kind 0"),
    ],
)
def test_wrong_sequence_of_fragments_is_found(
    fragments: Sequence[tuple[int, bytes]], reason: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        read(b"".join(fragment(kind, data) for kind, data in fragments))


def test_record_above_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_records, "MAX_RECORD_BYTES", 100)
    assert read(written([b"a" * 100])) == [b"a" * 100]
    with pytest.raises(InvalidArgumentError, match="Byte 0: a record exceeds 100 bytes"):
        read(written([b"a" * 101]))


@settings(deadline=None)  # the first checksum makes its tables
@given(st.binary(max_size=60))
def test_any_other_file_is_rejected(data: bytes) -> None:
    try:
        read(data)
    except InvalidArgumentError:
        return
    assert not any(data)  # padding
