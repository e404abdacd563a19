"""What a function tells of itself: that it is up, and what it answers to."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from flask import Response

from functions_common.http.routing import HTML, JSON, Answer, Operation

if TYPE_CHECKING:
    from functions_common.http.routing import Api


class HealthAnswer(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


OPERATIONS = (
    Operation(
        "show_health",
        "GET",
        "/health",
        "Whether the process is up; asks nobody else",
        {HTTPStatus.OK: Answer("It is", HealthAnswer)},
    ),
    Operation(
        "show_description",
        "GET",
        "/openapi.json",
        "This description",
        {HTTPStatus.OK: Answer("OpenAPI 3.1", dict[str, Any])},
    ),
    Operation(
        "show_docs",
        "GET",
        "/docs",
        "This description, as a page for people",
        {HTTPStatus.OK: Answer("The page", str, ("Content-Security-Policy",), HTML)},
        ignores_unknown_query=True,
    ),
)


def whole(api: Api) -> Api:
    """With these, which every function has."""
    return replace(api, operations=(*api.operations, *OPERATIONS))


class About:
    def __init__(self, api: Api) -> None:
        self._api = whole(api)

    def show_health(self) -> Response:
        """Says nothing of Firestore, so that its outage does not restart pods."""
        return Response(msgspec.json.encode(HealthAnswer()), content_type=JSON)

    def show_description(self) -> Response:
        return Response(self._description, content_type=JSON)

    def show_docs(self) -> Response:
        page, policy = self._page
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return Response(page, content_type=f"{HTML}; charset=utf-8", headers=headers)

    @cached_property
    def _description(self) -> bytes:
        from functions_common.http import openapi  # noqa: PLC0415 - nobody's cold start pays for it

        return msgspec.json.encode(openapi.document(self._api))

    @cached_property
    def _page(self) -> tuple[bytes, str]:
        from functions_common.http import docs_page  # noqa: PLC0415 - likewise

        return docs_page.load()
