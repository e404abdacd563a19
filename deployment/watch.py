"""Changes of Kubernetes objects and lines of logs, as the API server reports them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from deployment import cluster

if TYPE_CHECKING:
    from asyncio import StreamReader
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence

Object = Any
"""Kubernetes' own JSON."""

_BLOCK = 65_536


async def watch(
    kind: str,
    record: Callable[[str, Object], None],
    services: Sequence[str] = cluster.FUNCTIONS,
) -> None:
    """Call ``record(change, object)`` for every change of the services' objects, until cancelled.

    ``change`` is ADDED, MODIFIED or DELETED. Raises ``cluster.CommandError`` if the watch ends.
    """
    arguments = ("get", kind, "-l", cluster.of(*services), "--watch", "--output-watch-events")
    async with _kubectl(*arguments, "-o", "json") as (process, output):
        async for event in _json_values(output):
            record(event["type"], event["object"])
        _, errors = await process.communicate()
        raise cluster.CommandError(f"the watch of {kind} ended: {errors.decode().strip()}")


async def follow_log(pod: str, record: Callable[[str], None]) -> None:
    """Call ``record`` for every line of a function's log, from its first line until the pod ends.

    Each line begins with its time.
    """
    arguments = ("logs", "--follow", "--timestamps", pod, "-c", "user-container")
    async with _kubectl(*arguments) as (_, output):
        async for line in output:
            record(line.decode(errors="replace"))


@asynccontextmanager
async def _kubectl(*arguments: str) -> AsyncIterator[tuple[Process, StreamReader]]:
    """A kubectl and its output. It ends with the block."""
    process = await asyncio.create_subprocess_exec(
        "kubectl", "-n", cluster.NAMESPACE, *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process only
    )  # fmt: skip
    try:
        assert process.stdout is not None  # noqa: S101 - for the types
        yield process, process.stdout
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _json_values(stream: asyncio.StreamReader) -> AsyncIterator[Any]:
    """Concatenated JSON values, however kubectl breaks them into lines."""
    decoder, text = json.JSONDecoder(), ""
    while block := await stream.read(_BLOCK):
        text += block.decode()
        while text := text.lstrip():
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                break  # the rest has not arrived
            yield value
            text = text[end:]
