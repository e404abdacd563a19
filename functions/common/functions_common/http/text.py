"""Text that people read: names, reasons, references. One line, and something to see on it.

A character's Unicode category decides (``unicodedata``), so that whole kinds are refused: controls,
formatting characters that show nothing or turn the direction of the line, line and paragraph
separators, surrogates, private use and unassigned code points. Real names need two formatting
characters, the joiners of emoji, Persian and Indic scripts: these are accepted between two visible
characters. The soft hyphen is refused: it shows nothing, or breaks the line. Marks are stacked on
their character, so many of them would draw over the lines above and below: 8 is the limit.
"""

from __future__ import annotations

import re
import unicodedata

_VISIBLE, _MARK, _JOINER, _SPACE, _REFUSED = "v", "m", "j", "s", "x"

_JOINERS = "\u200c\u200d"
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159"
"""Letters, marks and symbols by category that are drawn as nothing: fillers, a joiner of
graphemes, an empty Braille cell, a placeholder for an object, a note without a head."""
_FUTURE_EMOJI = ((0x1F000, 0x1FAFF), (0x1FC00, 0x1FFFD))
"""Unicode keeps these blocks for emoji (Extended_Pictographic), so one that is newer than this
Python's tables is accepted, although it counts as unassigned there."""

_KINDS = {
    **dict.fromkeys("LNPS", _VISIBLE),
    "M": _MARK,
    "Z": _SPACE,
}
"""By the first letter of the category; the others are refused."""
_REFUSED_CATEGORIES = ("Zl", "Zp")

_FLAG = re.compile(
    "\U0001f3f4(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073))\U000e007f"
)
"""England's, Scotland's and Wales': the emoji that are spelled with tag characters."""

MAX_MARKS = 8
"""Marks and joiners on one visible character."""
_LINE = re.compile(f"s*(?:v(?:m|j(?=[vm])){{0,{MAX_MARKS}}}s*)+")
"""Of kinds. A mark or a joiner follows a visible character; a joiner has something to join."""


def is_one_line(text: str) -> bool:
    """Whether people can read the text as one line; the caller bounds its length first."""
    kinds = "".join(map(_kind, _FLAG.sub("\U0001f3f4", text)))
    return _LINE.fullmatch(kinds) is not None


def _kind(character: str) -> str:
    if character in _JOINERS:
        return _JOINER
    category = unicodedata.category(character)
    if category == "Cn":
        code = ord(character)
        future = any(first <= code <= last for first, last in _FUTURE_EMOJI)
        return _VISIBLE if future else _REFUSED
    if character in _BLANK or category in _REFUSED_CATEGORIES:
        return _REFUSED
    return _KINDS.get(category[0], _REFUSED)
