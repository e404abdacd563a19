"""Text for people (names, reasons, references): one line, with at least one visible character.

A character's Unicode category decides (``unicodedata``). These categories are rejected: controls,
invisible formatting characters and those that change the direction of the line, line and paragraph
separators, surrogates, private use and unassigned code points. Real names need two formatting
characters, the joiners of emoji, Persian and Indic scripts. They are accepted between two visible
characters. The soft hyphen is rejected, since it is invisible or breaks the line. Marks are drawn
above and below their character, so many of them would cover other lines: 8 is the limit.
"""

from __future__ import annotations

import re
import unicodedata

_VISIBLE, _MARK, _JOINER, _SPACE, _REJECTED = "v", "m", "j", "s", "x"

_JOINERS = "\u200c\u200d"
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U00013441\U00013442\U0001d159"
"""Invisible, although their categories are letters, marks and symbols: fillers, a joiner of
graphemes, an empty Braille cell, a placeholder for an object, two blanks of hieroglyphs, a note
without a head."""
_FUTURE_EMOJI = ((0x1F000, 0x1FAFF), (0x1FC00, 0x1FFFD))
"""Unicode reserves these blocks for emoji (Extended_Pictographic). A new emoji is unassigned in the
tables of an older Python, so all code points of these blocks are accepted."""

_KINDS = {
    **dict.fromkeys("LNPS", _VISIBLE),
    "M": _MARK,
    "Z": _SPACE,
}
"""By the first letter of the category. All others are rejected."""
_REJECTED_CATEGORIES = ("Zl", "Zp")

_FLAG = re.compile(
    "\U0001f3f4(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073))\U000e007f"
)
"""The flags of England, Scotland and Wales, the only emoji with tag characters."""

MAX_MARKS = 8
"""Marks and joiners after one visible character."""
_LINE = re.compile(f"s*(?:v(?:m|j(?=[vm])){{0,{MAX_MARKS}}}s*)+")
"""A pattern of kinds. A mark or a joiner follows a visible character. A character to join follows
a joiner."""


def is_one_line(text: str) -> bool:
    """People can read the text as one line. The caller must limit its length first."""
    kinds = "".join(map(_kind, _FLAG.sub("\U0001f3f4", text)))
    return _LINE.fullmatch(kinds) is not None


def _kind(character: str) -> str:
    if character in _JOINERS:
        return _JOINER
    category = unicodedata.category(character)
    if category == "Cn":
        code = ord(character)
        future = any(first <= code <= last for first, last in _FUTURE_EMOJI)
        return _VISIBLE if future else _REJECTED
    if character in _BLANK or category in _REJECTED_CATEGORIES:
        return _REJECTED
    return _KINDS.get(category[0], _REJECTED)
