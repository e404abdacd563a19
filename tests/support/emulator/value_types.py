"""Documents with values of every type, for exports that both emulators read and write."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from firestore_emulator.model.messages import Document, Value
from firestore_emulator.store.relocation import relocated
from support.emulator.firestore_messages import Plain, name, reference, value, vector

_OTHER_DATABASE = Value(reference_value="projects/other/databases/second/documents/c/a")

FIELDS: Mapping[str, Plain] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "double": 1.5,
    "tiny": 5e-324,
    "minus_zero": -0.0,
    "nan": math.nan,
    "infinity": math.inf,
    "minus_infinity": -math.inf,
    "epoch": datetime(1970, 1, 1, tzinfo=UTC),
    "microseconds": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "first_time": datetime(1, 1, 1, tzinfo=UTC),
    "last_time": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "string": "é𝄞\0\n",
    "empty_string": "",
    "bytes": b"\0\xff\x80",
    "empty_bytes": b"",
    "reference": reference("a/b/c/__id-7__"),
    "reference_elsewhere": _OTHER_DATABASE,
    "geo_point": Value(geo_point_value={"latitude": -90.0, "longitude": 180.0}),
    "array": [1, 1.0, "a", None, True, b"\1", {"deep": [{"deeper": []}]}, {}, _OTHER_DATABASE],
    "array_of_one": [{}],
    "array_of_doubles": [1.0, -0.0],
    "empty_array": [],
    "map": {
        "empty": {},
        "vector": vector(1, -0.0),
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "bytes": b"\2",
        "geo_point": Value(geo_point_value={"latitude": 0.5, "longitude": -0.0}),
    },
    "empty_map": {},
    "vector": vector(1, 2.5, -0.0),
    "vector_of_one": vector(1),
    "dot.and`tick": 1,
    "ünïcode 𝄞": 1,
}

DOCUMENTS: Mapping[str, Mapping[str, Plain]] = {
    **{f"types/{field}": {field: plain} for field, plain in FIELDS.items()},
    "all/all": FIELDS,
    "all/empty": {},
    "all/all/below/1": {"n": 1},
    "missing/parent/below/child/below/Ü𝄞": {"n": 1},
    "ids/__id7__": {"n": 7},
    "ids/__id-9223372036854775808__": {"n": 1},
    "ids/7": {"n": 1},
    "ids/a b.c~d:e": {"n": 1},
    "Kölleçtion 𝄞/a": {"n": 1},
    "blocks/fits": {"text": "f" * 32_000},
    "blocks/spans": {"text": "s" * 70_000},
}


def documents(database: str) -> list[Document]:
    """The documents of project p, moved into this database with their references."""
    return [
        relocated(
            Document(name=name(path), fields={each: value(fields[each]) for each in fields}),
            database,
        )
        for path, fields in DOCUMENTS.items()
    ]
