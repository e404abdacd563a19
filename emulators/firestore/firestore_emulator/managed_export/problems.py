"""The errors of reading and writing an export. Each names the file, and the byte if it is known."""

from pathlib import Path

from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError


def damaged(file: Path, offset: int, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{file} cannot be imported. Byte {offset}: {reason}")


def cannot_read(path: Path, error: OSError) -> FailedPreconditionError:
    return FailedPreconditionError(f"Cannot read {path}: {error.strerror or error}")


def cannot_write(path: Path, error: OSError) -> FailedPreconditionError:
    return FailedPreconditionError(f"Cannot write {path}: {error.strerror or error}")
