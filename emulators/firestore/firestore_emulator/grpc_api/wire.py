"""The messages of a call on the wire: each has a prefix with its length, and may be compressed."""

import struct
import zlib
from collections.abc import Mapping

from google.protobuf.message import Message
from google.rpc import code_pb2

from firestore_emulator.dispatch.dispatcher import MAX_REQUEST_BYTES, request_too_large
from firestore_emulator.grpc_api.status import CallError

ENCODINGS = ("identity", "deflate", "gzip")

_PREFIX = struct.Struct(">BI")  # whether it is compressed, and its length
_WINDOW_BITS: Mapping[str, int] = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}


def to_wire(message: Message) -> bytes:
    data = message.SerializeToString()
    return _PREFIX.pack(0, len(data)) + data


class MessageBuffer:
    """The received bytes of a call, from which it takes one message after the other."""

    def __init__(self, encoding: str | None) -> None:
        """``encoding`` is that of the header grpc-encoding."""
        self._encoding = encoding
        self._data: bytes | bytearray = b""

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        if not self._data:
            self._data = data  # usually it is a whole message
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += data

    @property
    def has_too_much(self) -> bool:
        """Whether there is more than one message, or the beginning of one that is too long."""
        if len(self._data) < _PREFIX.size:
            return False
        size = int.from_bytes(self._data[1 : _PREFIX.size])
        return size > MAX_REQUEST_BYTES or len(self._data) > _PREFIX.size + size

    def take(self) -> bytes | None:
        """The next message, or None if it is not complete.

        Raises CallError, and InvalidArgumentError as soon as the message is known to be too long.
        """
        data = self._data
        if len(data) < _PREFIX.size:
            return None
        is_compressed, size = _PREFIX.unpack_from(data)
        if size > MAX_REQUEST_BYTES:
            raise request_too_large()
        end = _PREFIX.size + size
        if len(data) < end:
            return None
        message = bytes(data[_PREFIX.size : end])
        if isinstance(data, bytearray):
            del data[:end]
        else:
            self._data = bytearray(data[end:]) if len(data) > end else b""
        return self._decompressed(message) if is_compressed else message

    def _decompressed(self, data: bytes) -> bytes:
        bits = _WINDOW_BITS.get(self._encoding or "")
        if bits is None:
            raise CallError(code_pb2.INTERNAL, "A compressed message needs a grpc-encoding.")
        decompressor = zlib.decompressobj(bits)
        try:
            message = decompressor.decompress(data, MAX_REQUEST_BYTES + 1)
        except zlib.error as error:
            raise CallError(code_pb2.INTERNAL, f"A message is not {self._encoding}.") from error
        if len(message) > MAX_REQUEST_BYTES:
            raise request_too_large()
        if not decompressor.eof:
            raise CallError(code_pb2.INTERNAL, f"A message of {self._encoding} is cut off.")
        return message
