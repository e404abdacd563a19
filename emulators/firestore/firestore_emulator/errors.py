"""What a request can be refused with. rpc.py maps each to its gRPC status.

EmulatorError
├── AlreadyExistsError
├── FailedPreconditionError
├── InvalidArgumentError
├── NotFoundError
├── NotKeptError                its data directory cannot be written
└── NotThereYetError            the service has it, this emulator does not
"""


class EmulatorError(Exception):
    pass


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
