"""Identifiers in Crockford's base 32 (no I, L, O, U), and times in RFC 3339."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Two characters for each number of ten bits."""
ID_LENGTH = 26
_BITS = 5 * ID_LENGTH
_BYTES = (_BITS + 7) // 8
_IDS_AT_A_TIME = 64

MAX_ID = 128
ID_PATTERN = r"^(?!\.{1,2}$|__.*__$)[A-Za-z0-9._-]+$"
"""Firestore reserves ``.``, ``..`` and ``__…__``."""
_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether the text can be the id of a document."""
    return len(text) <= MAX_ID and bool(_ID.fullmatch(text))


def random_id() -> str:
    """26 characters, 130 random bits of the system's secure generator."""
    return _encode(int.from_bytes(_random_bytes()) >> (8 * _BYTES - _BITS))


def _random_bytes() -> bytes:
    """_BYTES random bytes. Most calls need no system call, for which a thread would wait."""
    while True:
        try:
            return _spare.pop()
        except IndexError:
            fresh = secrets.token_bytes(_BYTES * _IDS_AT_A_TIME)
            _spare.extend(fresh[at : at + _BYTES] for at in range(0, len(fresh), _BYTES))


_spare: deque[bytes] = deque()
"""Random bytes that no id has used. ``pop`` is atomic, so that no two threads get the same."""


def digest_id(*parts: str) -> str:
    """26 characters of the SHA-256 of the parts.

    The length of each part is hashed with it, so ("ab", "c") and ("a", "bc") differ.
    """
    framed = b"".join([b"%d:%b" % (len(each), each) for each in map(str.encode, parts)])
    return _encode(int.from_bytes(hashlib.sha256(framed).digest()) >> (256 - _BITS))


def timestamp(time: datetime) -> str:
    """``2025-11-23T19:11:48.658182+00:00``."""
    return time.isoformat(timespec="microseconds")


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(_BITS - 10, -1, -10)])
