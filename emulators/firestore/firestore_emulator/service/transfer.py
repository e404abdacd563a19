"""Import and export of a database beside other requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from firestore_emulator.model import steps
from firestore_emulator.model.steps import run_in_turns
from firestore_emulator.service.service import Service
from firestore_emulator.store import json_lines
from firestore_emulator.store.database import Database


async def import_lines(service: Service, database: str, lines: Sequence[bytes]) -> int:
    """One commit of all documents, after a wait for its locks. Returns their number."""
    requested = map(json_lines.to_write, json_lines.parse(lines, into=database))
    return await service.isolation(database).commit_many(requested)


async def export_lines(database: Database) -> AsyncIterator[bytes]:
    """The documents as of the first line, in chunks of lines."""
    documents = await run_in_turns(json_lines.documents_of(database), database.share)
    chunk: list[bytes] = []
    end = time.perf_counter() + steps.TURN_SECONDS
    for document in documents:
        chunk.append(json_lines.to_line(document))
        if time.perf_counter() >= end:
            yield b"".join(chunk)
            chunk.clear()
            await asyncio.sleep(0)
            end = time.perf_counter() + steps.TURN_SECONDS
    yield b"".join(chunk)
