"""The page at ``/docs``: one file, which fetches ``openapi.json`` from the same function.

The module is imported when the page is first requested.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

FILE = Path(__file__).parent / "pages" / "docs.html"


def load() -> tuple[bytes, str]:
    """Return the page, and a ``Content-Security-Policy`` that allows only its own code."""
    text = FILE.read_text(encoding="utf-8")
    policy = {
        "default-src": "'none'",
        "script-src": _hash(text, "script"),
        "style-src": _hash(text, "style"),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return text.encode(), "; ".join(f"{name} {value}" for name, value in policy.items())


def _hash(text: str, element: str) -> str:
    """The hash of the only inline element of this name, as the policy spells it."""
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
