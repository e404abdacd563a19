"""The errors of a request. Each has the status code that clients get, as gRPC numbers them.

EmulatorError
├── AbortedError                the client may retry it as a new transaction
├── AlreadyExistsError
├── FailedPreconditionError
├── InjectedError               a fault that an option asks for
├── InvalidArgumentError
├── NotFoundError
├── StorageError                a file of the emulator cannot be written
└── UnimplementedError          the service has this feature, the emulator does not
"""

from google.rpc import code_pb2
from google.rpc.status_pb2 import Status


class EmulatorError(Exception):
    code: int = code_pb2.UNKNOWN

    @property
    def status(self) -> Status:
        return Status(code=self.code, message=str(self))


class AbortedError(EmulatorError):
    code = code_pb2.ABORTED

    def __init__(
        self, message: str = "Too much contention on these documents. Please try again."
    ) -> None:
        super().__init__(message)


class AlreadyExistsError(EmulatorError):
    code = code_pb2.ALREADY_EXISTS


class FailedPreconditionError(EmulatorError):
    code = code_pb2.FAILED_PRECONDITION


class InjectedError(EmulatorError):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidArgumentError(EmulatorError):
    code = code_pb2.INVALID_ARGUMENT


class NotFoundError(EmulatorError):
    code = code_pb2.NOT_FOUND


class StorageError(EmulatorError):
    code = code_pb2.INTERNAL


class UnimplementedError(EmulatorError):
    code = code_pb2.UNIMPLEMENTED

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} is not implemented in this emulator")
