"""Names for people: visible characters, and those that hide, break lines or turn the direction."""

# ruff: noqa: RUF001 - letters of other scripts
from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from tools import openapi

from functions_common.http.text import is_one_line

ACCEPTED = {
    "a plain name": "Laptop 15″, 2-in-1 (black)",
    "one letter": "L",
    "one digit": "7",
    "one symbol": "€",
    "spaces around": " Laptop ",
    "a no-break space": "10\u00a0kg",
    "an ideographic space": "山田\u3000太郎",
    "German": "Käsereibe, große",
    "French, decomposed": unicodedata.normalize("NFD", "Crème brûlée"),
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "Phở đặc biệt"),
    "Hebrew with points": "שָׁלוֹם",
    "Arabic": "حاسوب محمول",
    "Arabic with marks": "مُحَمَّد",
    "Hebrew and Latin": "מחשב Laptop 15",
    "Persian with a non-joiner": "می\u200cخواهم",
    "Sinhala with a joiner": "ශ්\u200dරී",
    "Bengali, a mark after a joiner": "র\u200d্যাব",
    "Hindi": "क्षत्रिय",
    "Tamil": "தமிழ்",
    "Thai": "น้ำ",
    "Tibetan": "བོད་སྐད",
    "Chinese": "笔记本电脑",
    "Japanese, a variation of a character": "葛\U000e0100城",
    "Korean": "노트북",
    "Korean, decomposed": unicodedata.normalize("NFD", "노트북"),
    "Mongolian, a variation": "ᠠ\u180bᠭ",
    "Cherokee": "ᏣᎳᎩ",
    "an emoji": "💻",
    "an emoji with a variation selector": "❤\ufe0f",
    "a family": "👨\u200d👩\u200d👧",
    "a rainbow flag": "🏳\ufe0f\u200d🌈",
    "a skin tone": "👍🏽",
    "a keycap": "1\ufe0f\u20e3",
    "a country's flag": "🇫🇷",
    "Scotland's flag": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "an emoji of Unicode 15": "\U0001fae8",
    "an emoji of Unicode 17": "\U0001faea",
    "a replacement character": "a\ufffdb",
    "8 marks in a row": "a" + "\u0301" * 8,
    "8 marks on each letter": ("a" + "\u0301" * 8) * 3,
    "8 joiners and marks": "a" + "\u0301\u200d" * 4 + "b",
}

REFUSED = {
    "nothing": "",
    "spaces": " \u00a0\u2003\u3000",
    "a line break": "a\nb",
    "a tab": "a\tb",
    "a carriage return": "a\rb",
    "NUL": "a\0b",
    "next line, U+0085": "a\u0085b",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "delete": "a\x7fb",
    "half a surrogate pair": "a\ud800",
    "private use": "a\ue000b",
    "private use beyond the BMP": "a\U000f0000b",
    "a noncharacter": "a\ufffeb",
    "a noncharacter in the middle": "a\ufdd0b",
    "unassigned": "a\u0378b",
    "unassigned, ignorable": "a\U000e0fffb",
    "a tag alone": "a\U000e0041",
    "a flag with other tags": "🏴\U000e0061\U000e0062\U000e007f",
    "a mark alone": "\u0301",
    "9 marks in a row": "a" + "\u0301" * 9,
    "150 marks in a row": "a" + "\u0301" * 150,
    "9 different marks in a row": "a" + "".join(map(chr, range(0x300, 0x309))),
    "9 spacing marks in a row": "क" + "\u093e" * 9,
    "9 enclosing marks in a row": "a" + "\u20dd" * 9,
    "9 variation selectors in a row": "a" + "\ufe0f" * 9,
    "9 marks in the middle": "Lap" + "\u0489" * 9 + "top",
    "9 marks with joiners in between": "a" + "\u0301\u200d" * 8 + "\u0301",
    "a mark after a space": "a \u0301",
    "a variation selector alone": "\ufe0f",
    "a supplementary variation selector alone": "\U000e0100",
    "a joiner alone": "\u200d",
    "a joiner in front": "\u200da",
    "a joiner at the end": "a\u200d",
    "a joiner before a space": "a\u200d b",
    "two joiners": "a\u200d\u200db",
    "a non-joiner alone": "\u200c",
} | {
    f"hidden U+{ord(each):04X} {place}": text
    for each in (
        *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2800\u3164\ufeff\uffa0",
        *map(chr, (*range(0x202A, 0x202F), *range(0x2060, 0x2070))),
        *"\ufff9\ufffa\ufffb\ufffc\U00013441\U00013442\U0001d159\U0001d173\U000e0001\U000e007f",
    )
    for place, text in {"alone": each, "beside letters": f"Lap{each}top"}.items()
}

SCHEMA = openapi.served("inventory")["components"]["schemas"]["ProductRequest"]
PATTERN = re.compile(SCHEMA["properties"]["name"]["pattern"])


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_text_is_accepted(text: str) -> None:
    assert is_one_line(text)
    assert PATTERN.search(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_text_is_rejected(text: str) -> None:
    assert not is_one_line(text)


DEFAULT_IGNORABLE = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
"""Ranges of Unicode's property ``Default_Ignorable_Code_Point``: programs show nothing for them."""
HIEROGLYPH_FORMATS = (0x13430, 0x13442)
"""Controls that arrange hieroglyphs, and two blanks."""
JOINERS = "\u200c\u200d"


def test_character_that_shows_nothing_is_rejected() -> None:
    """Accepted are only joiners and variation selectors, and only after a visible character."""
    ranges = (*DEFAULT_IGNORABLE, HIEROGLYPH_FORMATS)
    for hidden in (chr(code) for first, last in ranges for code in range(first, last + 1)):
        assert not is_one_line(hidden), ascii(hidden)
        assert not is_one_line(f"{hidden}Laptop"), ascii(hidden)
        selector = unicodedata.category(hidden) == "Mn"
        if hidden not in JOINERS and not selector:
            assert not is_one_line(f"Lap{hidden}top"), ascii(hidden)


@pytest.mark.parametrize("blank", ["\U00013441", "\U00013442"])
def test_blank_hieroglyph_is_rejected_when_python_knows_it(
    monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    """Unicode 15, which Python 3.12 and later have, makes them letters."""
    monkeypatch.setattr(unicodedata, "category", lambda _: "Lo")
    assert is_one_line("a")
    assert not is_one_line(blank)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u200b",
        "a\u2028b",
        "a\u202eb",
        "\u2800",
        "\u3164",
        "a\u00adb",
        "\ufeff",
        "a\ue000",
    ],
    ids=ascii,
)
def test_pattern_excludes_hidden_characters(text: str) -> None:
    assert not PATTERN.search(text)


def test_accepted_text_matches_the_pattern() -> None:
    """A client that checks the pattern rejects no valid name. The reverse is not promised."""
    codes = (*range(0x10000), *range(0x10000, sys.maxunicode, 61))
    names = (form.format(chr(code)) for code in codes for form in ("{}", "a{}b"))
    accepted = [name for name in names if is_one_line(name)]
    assert len(accepted) > 100_000
    assert [name for name in accepted if not PATTERN.search(name)] == []


def test_pattern_is_the_same_in_ecmascript() -> None:
    """The pattern has no characters beyond the BMP, and no syntax that only Python has."""
    assert PATTERN.pattern.isascii()
    assert re.findall(r"\\[^us]|\(\?", PATTERN.pattern) == []
