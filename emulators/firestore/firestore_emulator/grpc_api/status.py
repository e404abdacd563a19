"""The gRPC status code of an error."""

import grpc

from firestore_emulator.model.errors import EmulatorError

_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def code_of(error: EmulatorError) -> grpc.StatusCode:
    return _BY_NUMBER[error.code]
