"""A process that dies in the middle of something, told from one that fails."""


class ProcessDiedError(BaseException):
    """Not an Exception: nothing in a dead process handles it."""

    def __init__(self, process: str = "the only one") -> None:
        super().__init__(process)
        self.process = process
