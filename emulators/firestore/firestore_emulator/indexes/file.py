"""firestore.indexes.json: read at the start, and written where indexes are collected."""

import json
import re
from pathlib import Path
from typing import Self

from firestore_emulator.indexes import definitions
from firestore_emulator.indexes.definitions import Json, MalformedError
from firestore_emulator.indexes.matching import Index, Indexes

_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)  # `firebase init` writes some


class IndexFileError(Exception):
    """It cannot be read or written, or is malformed."""


class IndexFile:
    def __init__(self, path: Path, content: Json) -> None:
        """What is not understood of the content is kept when it is written."""
        self._path = path
        self._content = content
        self.indexes = self._parsed()

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            content = json.loads(_COMMENT.sub("", path.read_text(encoding="utf-8")))
        except OSError as error:
            raise IndexFileError(f"Cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise IndexFileError(f"{path}: it is no JSON: {error}") from error
        return cls(path, content)

    @classmethod
    def read_or_make(cls, path: Path) -> Self:
        if path.exists():
            return cls.read(path)
        made = cls(path, {"indexes": [], "fieldOverrides": []})
        made.write()  # where it cannot be, that is told now
        return made

    def add(self, index: Index) -> None:
        added = definitions.addition(index, self.indexes)
        if index.single_field is None:
            self._content["indexes"].append(added)
        else:
            _override(self._content.setdefault("fieldOverrides", []), added)
        self.indexes = self._parsed()
        self.write()

    def write(self) -> None:
        """Whole or not at all, whenever it is read."""
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.write_text(json.dumps(self._content, indent=2) + "\n", encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            raise IndexFileError(f"Cannot write {self._path}: {error.strerror or error}") from error

    def _parsed(self) -> Indexes:
        try:
            return definitions.parse(self._content)
        except MalformedError as error:
            raise IndexFileError(f"{self._path}: {error}") from error


def _override(overrides: list[Json], added: Json) -> None:
    """In place of the indexes that the field's override has, if there is one."""
    for override in overrides:
        if all(override[key] == added[key] for key in ("collectionGroup", "fieldPath")):
            override["indexes"] = added["indexes"]
            return
    overrides.append(added)
