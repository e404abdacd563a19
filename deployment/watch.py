"""Changes of Kubernetes objects, as the API server reports them."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from deployment import cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Object = Any
"""Kubernetes' own JSON."""

_BLOCK = 65_536


async def watch(kind: str, record: Callable[[str, Object], None]) -> None:
    """Call ``record(change, object)`` for every change of both functions' objects, until cancelled.

    ``change`` is ADDED, MODIFIED or DELETED. Raises ``cluster.CommandError`` if the watch ends.
    """
    process = await asyncio.create_subprocess_exec(
        "kubectl", "-n", cluster.NAMESPACE, "get", kind, "-l", cluster.of(*cluster.FUNCTIONS),
        "--watch", "--output-watch-events", "-o", "json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process only
    )  # fmt: skip
    try:
        assert process.stdout is not None  # noqa: S101 - for the types
        async for event in _json_values(process.stdout):
            record(event["type"], event["object"])
        _, errors = await process.communicate()
        raise cluster.CommandError(f"the watch of {kind} ended: {errors.decode().strip()}")
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
