"""A hello world that could speak to Firestore: what a cold start is measured against."""

from __future__ import annotations

import functions_framework
from google.cloud import firestore  # noqa: F401 - for what it costs


@functions_framework.http
def hello(_request: object) -> str:
    return "Hello"
