"""REST: the HTTP mapping of google.firestore.v1.Firestore, in JSON.

Browsers may call it from any origin, as Google's emulator allows them.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import NoReturn

from google.protobuf.message import Message
from google.rpc import code_pb2

from firestore_emulator.dispatch.dispatcher import Dispatcher, Parse
from firestore_emulator.dispatch.request_types import REQUEST_TYPES
from firestore_emulator.http_api.messages import HttpError, Request, Response, unless_disconnected
from firestore_emulator.http_api.rest import json_responses
from firestore_emulator.http_api.rest.json_requests import parse_request
from firestore_emulator.http_api.rest.routes import Route, find_route
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError

MAX_BODY_BYTES = 10 * 1024 * 1024

_LOG = logging.getLogger(__name__)
_WEB_CHANNEL = re.compile(r"/google\.firestore\.v1\.Firestore/\w+/channel")
_WEB_CHANNEL_MESSAGE = (
    "Browser SDKs over WebChannel and security rules are not supported by this emulator."
    " Use a server SDK or REST."
)
_STREAM_MESSAGE = "{} is a stream in both directions. Use it over gRPC: REST has no such streams."
_SMALL_BYTES = 32 * 1024  # larger messages are converted in a thread, so they block no other client


class RestApi:
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._unary = frozenset(dispatcher.unary_methods)
        self._streams = frozenset(dispatcher.server_stream_methods)
        self._bidirectional = frozenset(dispatcher.bidirectional_methods)

    @staticmethod
    def serves(path: str) -> bool:
        return path.startswith("/v1/") or _WEB_CHANNEL.fullmatch(path) is not None

    async def handle(self, request: Request) -> Response:
        response = await self._respond(request)
        return response._replace(headers={**response.headers, **_cors_headers(request)})

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(HTTPStatus.OK, "text/plain", b"")
        if _WEB_CHANNEL.fullmatch(request.path):
            return json_responses.of_code(code_pb2.UNIMPLEMENTED, _WEB_CHANNEL_MESSAGE)
        http_method = "GET" if request.method == "HEAD" else request.method
        route = find_route(http_method, request.path)
        if route is None:
            message = f"There is no method of Firestore at {http_method} {request.path}."
            return json_responses.of_code(code_pb2.NOT_FOUND, message)
        try:
            return await self._call(request, route)
        except EmulatorError as error:
            if route.rpc in self._streams:
                return json_responses.of_stream_error(error)
            return json_responses.of_error(error)

    async def _call(self, request: Request, route: Route) -> Response:
        body = await _body(request)
        return await unless_disconnected(request, self._run(route, request.query, body))

    async def _run(self, route: Route, query: str, body: bytes) -> Response:
        try:
            return await self._dispatch(route.rpc, await _parser(route, query, body))
        except EmulatorError:
            raise
        except Exception as error:
            _LOG.exception("%s failed", route.rpc)
            raise EmulatorError(f"{type(error).__name__} in the emulator") from error

    async def _dispatch(self, rpc: str, parse: Parse) -> Response:
        if rpc in self._unary:
            response = await self._dispatcher.call(rpc, parse)
            return await _converted([response], lambda: json_responses.of_message(response))
        if rpc in self._streams:
            responses: list[Message] = []

            async def keep(response: Message) -> None:
                responses.append(response)

            await self._dispatcher.call_for_stream(rpc, parse, keep)
            return await _converted(responses, lambda: json_responses.of_stream(responses))
        if rpc in self._bidirectional:
            return json_responses.of_code(code_pb2.UNIMPLEMENTED, _STREAM_MESSAGE.format(rpc))
        return await self._dispatcher.reject(rpc)


async def _body(request: Request) -> bytes:
    try:
        return await request.read_body(MAX_BODY_BYTES)
    except HttpError as error:
        raise InvalidArgumentError(
            f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes."
        ) from error


async def _parser(route: Route, query: str, body: bytes) -> Parse:
    """Parses a large request at once, in a thread. Its error is raised by the call."""
    if len(query) + len(body) <= _SMALL_BYTES:
        return lambda kind: parse_request(kind, route, query, body)
    try:
        kind = REQUEST_TYPES[route.rpc]
        parsed = await asyncio.to_thread(parse_request, kind, route, query, body)
    except InvalidArgumentError as error:
        return partial(_fail, error)
    return lambda _: parsed


def _fail(error: InvalidArgumentError, _: type[Message]) -> NoReturn:
    raise error


async def _converted(messages: Sequence[Message], convert: Callable[[], Response]) -> Response:
    """Stored documents are replaced, never changed, so another thread may read them."""
    if sum(each.ByteSize() for each in messages) <= _SMALL_BYTES:
        return convert()
    return await asyncio.to_thread(convert)


def _cors_headers(request: Request) -> Mapping[str, str]:
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "DELETE, GET, HEAD, PATCH, POST",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }
    asked = request.headers.get("access-control-request-headers")
    return headers | ({"Access-Control-Allow-Headers": asked} if asked else {})
