"""What a request can be refused with. rpc.py maps each to its gRPC status.

EmulatorError
├── AbortedError                to be tried again, as a new transaction
├── AlreadyExistsError
├── FailedPreconditionError
├── InvalidArgumentError
├── NotFoundError
├── NotKeptError                what it has to keep in a file cannot be written
└── NotThereYetError            the service has it, this emulator does not
"""


class EmulatorError(Exception):
    pass


class AbortedError(EmulatorError):
    def __init__(
        self, message: str = "Too much contention on these documents. Please try again."
    ) -> None:
        super().__init__(message)


class AlreadyExistsError(EmulatorError):
    pass


class FailedPreconditionError(EmulatorError):
    pass


class InvalidArgumentError(EmulatorError):
    pass


class NotFoundError(EmulatorError):
    pass


class NotKeptError(EmulatorError):
    pass


class NotThereYetError(EmulatorError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not in this emulator yet")
