"""The page at ``/docs``: one file, which fetches ``openapi.json`` from beside itself.

Imported when the page is first asked for.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

FILE = Path(__file__).parent / "pages" / "docs.html"


def load() -> tuple[bytes, str]:
    """The page, and the policy that lets the browser run and fetch this much and no more."""
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
    """Of the one inline element of this name."""
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
