"""firestore.indexes.json: read at startup, rewritten for each index that is collected."""

import json
import re
from pathlib import Path
from typing import Self

from firestore_emulator.indexes import file_format
from firestore_emulator.indexes.file_format import Json, MalformedError
from firestore_emulator.indexes.index import Index, VectorIndex
from firestore_emulator.indexes.requirements import Indexes

_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)  # `firebase init` writes comments


class IndexFileError(Exception):
    """The file cannot be read or written, or is malformed."""


class IndexFile:
    def __init__(self, path: Path, content: Json) -> None:
        """Keeps the parts of the content that the emulator does not use, and writes them back."""
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
            raise IndexFileError(f"{path} is not valid JSON: {error}") from error
        return cls(path, content)

    @classmethod
    def read_or_create(cls, path: Path) -> Self:
        if path.exists():
            return cls.read(path)
        created = cls(path, {"indexes": [], "fieldOverrides": []})
        created.write()  # a path that cannot be written fails at startup
        return created

    def add(self, index: Index | VectorIndex) -> None:
        added = file_format.addition(index, self.indexes)
        if isinstance(index, VectorIndex) or index.single_field is None:
            self._content["indexes"].append(added)
        else:
            _override(self._content.setdefault("fieldOverrides", []), added)
        self.indexes = self._parsed()
        self.write()

    def write(self) -> None:
        """Replaces the file atomically: a reader sees the old or the new content."""
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.write_text(json.dumps(self._content, indent=2) + "\n", encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            raise IndexFileError(f"Cannot write {self._path}: {error.strerror or error}") from error

    def _parsed(self) -> Indexes:
        try:
            return file_format.parse(self._content)
        except MalformedError as error:
            raise IndexFileError(f"{self._path}: {error}") from error


def _override(overrides: list[Json], added: Json) -> None:
    """Replaces the indexes of the field's override, or adds an override."""
    for override in overrides:
        if all(override[key] == added[key] for key in ("collectionGroup", "fieldPath")):
            override["indexes"] = added["indexes"]
            return
    overrides.append(added)
