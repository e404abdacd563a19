"""Parse and format field paths: names joined by dots, quoted by backticks if necessary."""

import re
from functools import lru_cache
from typing import TypeAlias

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.names import is_reserved

FieldPath: TypeAlias = tuple[str, ...]

NAME: FieldPath = ("__name__",)  # in queries and masks: the document's own name
MAX_BYTES = 1500

_SIMPLE = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
_SEGMENT = rf"{_SIMPLE.pattern}|`(?:[^`\\]|\\.)+`"
_SEGMENTS = re.compile(_SEGMENT, re.DOTALL)
PATTERN = rf"(?:{_SEGMENT})(?:\.(?:{_SEGMENT}))*"
_PATH = re.compile(PATTERN, re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r"[`\\]")
_ESCAPED = r"\\\g<0>"


@lru_cache(maxsize=1024)
def parse(path: str) -> FieldPath:
    if len(path.encode()) > MAX_BYTES:
        raise InvalidArgumentError(f"A property path is longer than {MAX_BYTES} bytes.")
    if not path:
        raise InvalidArgumentError("Invalid empty property path string.")
    if not _PATH.fullmatch(path):
        raise InvalidArgumentError(
            f'Invalid property path "{path}": a segment is a simple name or quoted by backticks.'
        )
    segments = tuple(_unquoted(segment) for segment in _SEGMENTS.findall(path))
    if segments != NAME and any(map(is_reserved, segments)):
        raise InvalidArgumentError(f"Invalid reserved name in field path {path}")
    return segments


def to_text(path: FieldPath) -> str:
    return ".".join(
        segment if _SIMPLE.fullmatch(segment) else f"`{_TO_ESCAPE.sub(_ESCAPED, segment)}`"
        for segment in path
    )


def _unquoted(segment: str) -> str:
    return _ESCAPE.sub(r"\1", segment[1:-1]) if segment.startswith("`") else segment
