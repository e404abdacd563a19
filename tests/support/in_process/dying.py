"""The exception for a crashed process, which is different from a failed call."""


class ProcessDiedError(BaseException):
    """A BaseException, because no code of a crashed process may handle it."""

    def __init__(self, process: str = "the only one") -> None:
        super().__init__(process)
        self.process = process
