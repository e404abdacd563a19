"""Arguments of the commands."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """A type of ``argparse``. Any other value ends the command with exit code 2."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and minimum <= int(text) <= maximum:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from {minimum} to {maximum}")

    return parse
