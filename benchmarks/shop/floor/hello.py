"""A hello world with the Firestore client: the reference of the cold start."""

from __future__ import annotations

import functions_framework
from google.cloud import firestore  # noqa: F401 - for the cost of its import


@functions_framework.http
def hello(_request: object) -> str:
    return "Hello"
