"""Header blocks (HPACK, RFC 7541): decodes those of requests, and encodes those of responses."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import hpack

from firestore_emulator.http2.frames import ConnectionFailure, ErrorCode

Field: TypeAlias = tuple[bytes, bytes]

MAX_BYTES = 256 * 1024  # of a header list; a longer one ends its connection

_ENTRY_OVERHEAD = 32
_ENCODER = hpack.Encoder()


class Decoder:
    """Decodes the header blocks of one connection, in their order."""

    def __init__(self) -> None:
        self.table_changes = 0  # grows when an index may get another meaning
        self._decoder = hpack.Decoder(MAX_BYTES)

    def decode(self, block: bytes) -> list[Field]:
        """Raises ConnectionFailure: after an error the table is not the client's any more."""
        before = self._table()
        try:
            fields = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.OversizedHeaderListError as error:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, str(error)) from error
        except hpack.HPACKError as error:
            raise ConnectionFailure(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        after = self._table()
        if before[:2] != after[:2] or before[2] is not after[2]:
            self.table_changes += 1
        return fields

    def _table(self) -> tuple[int, int, object]:
        """Its size, and its number of entries and the newest. An addition creates a new object."""
        entries = self._decoder.header_table.dynamic_entries
        return self._decoder.header_table_size, len(entries), entries[0] if entries else None


def list_size(fields: Iterable[Field]) -> int:
    """The size of a header list, as SETTINGS_MAX_HEADER_LIST_SIZE counts it."""
    return sum(len(name) + len(value) + _ENTRY_OVERHEAD for name, value in fields)


def encode(fields: Mapping[str, str]) -> bytes:
    """The same bytes on every connection: a field that is never indexed changes no table."""
    return _ENCODER.encode(
        [
            hpack.NeverIndexedHeaderTuple(name.encode("ascii"), value.encode("latin-1"))
            for name, value in fields.items()
        ],
        huffman=False,
    )
