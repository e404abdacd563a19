"""The status of a call, as its trailers carry it."""

from collections.abc import Mapping
from urllib.parse import quote

from google.rpc import code_pb2

from firestore_emulator.http2 import header_blocks
from firestore_emulator.model.errors import EmulatorError

# The wire has up to 3 bytes for each. Beyond 8 kB clients see RESOURCE_EXHAUSTED instead.
_MAX_DETAILS_BYTES = 2000
_UNESCAPED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class CallError(EmulatorError):
    """A call breaks a rule of gRPC, or it ends before its method does."""

    def __init__(self, code: int, details: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(details)
        self.code = code
        self.headers = headers or {}


OK = header_blocks.encode({"grpc-status": str(code_pb2.OK)})


def trailers(error: EmulatorError) -> bytes:
    """The header block of an error."""
    details = str(error).encode()[:_MAX_DETAILS_BYTES].decode(errors="ignore")
    fields = {"grpc-status": str(error.code), "grpc-message": quote(details, safe=_UNESCAPED)}
    if isinstance(error, CallError):
        fields |= error.headers
    return header_blocks.encode(fields)
