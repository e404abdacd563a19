"""Responses and errors in JSON, as of every Google API."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.code_pb2 import Code

from firestore_emulator.http_api.messages import Response
from firestore_emulator.model.errors import EmulatorError

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUS = {
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: HTTPStatus.INTERNAL_SERVER_ERROR,
    code_pb2.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    code_pb2.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    code_pb2.NOT_FOUND: HTTPStatus.NOT_FOUND,
    code_pb2.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    code_pb2.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    code_pb2.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    code_pb2.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    code_pb2.ABORTED: HTTPStatus.CONFLICT,
    code_pb2.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    code_pb2.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    code_pb2.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    code_pb2.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    code_pb2.DATA_LOSS: HTTPStatus.INTERNAL_SERVER_ERROR,
    code_pb2.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}


def of_message(message: Message) -> Response:
    return _response(HTTPStatus.OK, _plain(message))


def of_stream(messages: Sequence[Message]) -> Response:
    """The responses of a stream are one JSON array. Client libraries accept nothing after it."""
    return _response(HTTPStatus.OK, [_plain(each) for each in messages])


def of_content(content: Mapping[str, object]) -> Response:
    return _response(HTTPStatus.OK, content)


def of_error(error: EmulatorError) -> Response:
    return of_code(error.code, str(error))


def of_stream_error(error: EmulatorError) -> Response:
    """The error is in an array, like the responses of a stream."""
    return _response(_STATUS[error.code], [_error(error.code, str(error))])


def of_code(code: int, message: str) -> Response:
    return _response(_STATUS[code], _error(code, message))


def _error(code: int, message: str) -> Mapping[str, object]:
    content = {"code": int(_STATUS[code]), "message": message, "status": Code.Name(code)}
    return {"error": content}


def _plain(message: Message) -> Mapping[str, object]:
    plain: dict[str, object] = json_format.MessageToDict(message)
    return plain


def _response(status: int, content: object) -> Response:
    end = "" if isinstance(content, list) else "\n"
    body = json.dumps(content, ensure_ascii=False, indent=2) + end
    return Response(status, "application/json; charset=utf-8", body.encode())
