"""The gRPC status of every error."""

import grpc

from firestore_emulator.model.errors import (
    AbortedError,
    AlreadyExistsError,
    EmulatorError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    NotKeptError,
    NotThereYetError,
)

_CODES: dict[type[EmulatorError], grpc.StatusCode] = {
    AbortedError: grpc.StatusCode.ABORTED,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    NotKeptError: grpc.StatusCode.INTERNAL,
    NotThereYetError: grpc.StatusCode.UNIMPLEMENTED,
}


def code_of(error: EmulatorError) -> grpc.StatusCode:
    return _CODES[type(error)]


def number_of(error: EmulatorError) -> int:
    """The code as google.rpc.Status has it."""
    number: int = code_of(error).value[0]
    return number
