"""One Write stream: a handshake, then one commit for each request."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from typing import TypeAlias

from firestore_emulator.model.errors import InvalidArgumentError, UnimplementedError
from firestore_emulator.model.messages import Write, WriteRequest, WriteResponse
from firestore_emulator.model.names import check_database
from firestore_emulator.store.database import Commit

# Commits the writes to the database of that name.
CommitTo: TypeAlias = Callable[[str, Sequence[Write]], Awaitable[Commit]]

_ID_BYTES = 16


async def write(
    commit_to: CommitTo,
    requests: AsyncIterator[WriteRequest],
    send: Callable[[WriteResponse], Awaitable[None]],
) -> None:
    """Ends at the first commit that fails. Earlier commits stay.

    Stream tokens number the responses. Like the official emulator this one ignores the tokens of
    requests: they serve to resume a stream, and that would need stored responses.
    """
    first = await anext(requests, None)
    if first is None:
        return
    check_database(first.database)
    _check_handshake(first)
    tokens = (str(number).encode() for number in count())
    await send(WriteResponse(stream_id=secrets.token_hex(_ID_BYTES), stream_token=next(tokens)))
    async for request in requests:
        if request.stream_id:
            raise InvalidArgumentError("Only the first request of a stream has a stream_id.")
        response = WriteResponse(stream_token=next(tokens))
        if request.writes:
            commit = await commit_to(first.database, request.writes)
            response.write_results.extend(commit.results)
            response.commit_time.CopyFrom(commit.time)
        await send(response)


def _check_handshake(request: WriteRequest) -> None:
    if request.stream_id or request.stream_token:
        raise UnimplementedError("Resuming a Write stream")
    if request.writes:
        raise InvalidArgumentError("'writes' must not be set on an initial write request.")
