"""Import and export of a database beside other requests."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path

from firestore_emulator.managed_export import folder
from firestore_emulator.model import steps
from firestore_emulator.model.messages import Document
from firestore_emulator.model.steps import run_in_turns
from firestore_emulator.service.service import Service
from firestore_emulator.store import json_lines
from firestore_emulator.store.database import Database
from firestore_emulator.store.relocation import relocated


async def import_lines(service: Service, database: str, lines: Sequence[bytes]) -> int:
    """One commit of all documents, after a wait for its locks. Returns their number."""
    return await _import(service, database, json_lines.parse(lines))


async def import_folder(service: Service, database: str, path: Path) -> int:
    """The same for the exports at the path, in the format of managed exports."""
    return await _import(service, database, folder.read_all(path))


async def export_lines(database: Database) -> AsyncGenerator[bytes, None]:
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


async def export_folder(database: Database, path: Path) -> None:
    """The documents as of the first step, in the format of managed exports."""
    documents = await run_in_turns(json_lines.documents_of(database), database.share)
    await run_in_turns(folder.write(documents, path))


async def _import(service: Service, database: str, documents: Iterable[Document]) -> int:
    """The documents move into the database. References to their old database move along."""
    moved = (relocated(each, database) for each in documents)
    return await service.isolation(database).commit_many(map(json_lines.to_write, moved))
