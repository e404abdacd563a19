"""Operations that every function has: its health, and its own documentation."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from flask import Response

from functions_common.http.routing import HTML, JSON, Operation, ResponseSpec
from functions_common.http.schema import described

if TYPE_CHECKING:
    from functions_common.http.routing import Api

SERVICE = "Service"


class HealthResponse(msgspec.Struct, frozen=True):
    """The state of the process."""

    status: Annotated[Literal["ok"], described("Always `ok`.")] = "ok"


OPERATIONS = (
    Operation(
        "show_health",
        "GET",
        "/health",
        "Check health",
        {
            HTTPStatus.OK: ResponseSpec(
                "The process is up.", HealthResponse, examples={"up": {"status": "ok"}}
            )
        },
        tag=SERVICE,
        description="Returns that the process is up. It does not check Firestore or inventory.",
    ),
    Operation(
        "show_description",
        "GET",
        "/openapi.json",
        "Retrieve this description",
        {HTTPStatus.OK: ResponseSpec("The OpenAPI 3.1 document.", dict[str, Any])},
        tag=SERVICE,
        description="Returns the OpenAPI 3.1 description of all operations.",
    ),
    Operation(
        "show_docs",
        "GET",
        "/docs",
        "Read this description as a page",
        {HTTPStatus.OK: ResponseSpec("The HTML page.", str, ("Content-Security-Policy",), HTML)},
        tag=SERVICE,
        description="Returns a page for browsers that shows this description. It ignores unknown"
        " query parameters.",
        ignores_unknown_query=True,
    ),
)


def with_service_operations(api: Api) -> Api:
    """The API, with the operations that every function has."""
    return replace(
        api,
        operations=(*api.operations, *OPERATIONS),
        tags={**api.tags, SERVICE: "Health and documentation."},
    )


class ServiceViews:
    """The views of ``OPERATIONS``."""

    def __init__(self, api: Api) -> None:
        self._api = with_service_operations(api)

    def show_health(self) -> Response:
        """Does not check Firestore, so that its outage does not restart pods."""
        return Response(msgspec.json.encode(HealthResponse()), content_type=JSON)

    def show_description(self) -> Response:
        return Response(self._description, content_type=JSON)

    def show_docs(self) -> Response:
        page, policy = self._page
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return Response(page, content_type=f"{HTML}; charset=utf-8", headers=headers)

    @cached_property
    def _description(self) -> bytes:
        from functions_common.http import openapi  # noqa: PLC0415 - keeps cold starts short

        return msgspec.json.encode(openapi.document(self._api))

    @cached_property
    def _page(self) -> tuple[bytes, str]:
        from functions_common.http import docs_page  # noqa: PLC0415 - keeps cold starts short

        return docs_page.load()
