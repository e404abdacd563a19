"""Random requests from a seed, by several clients in turn, each with one transaction at a time.

No request waits for a lock, because the official emulator takes 2 s for each. So while a
transaction has read below a top collection, only that transaction writes there.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from google.cloud.firestore_v1 import types

from support.emulator.differential.session import DATABASE, ROOT, Step

SLOTS = (b"0", b"1", b"2")
COLLECTIONS = ("a", "b", "a/x/c", "b/y/c", "a/x/c/z/d")
IDS = ("x", "y", "z", "__id7__", "ä", "10", "____")
PATHS = ("p", "q", "r", "m.n", "m.o", "`a b`", "v")
NAN, INFINITY = float("nan"), float("inf")
WRONG_NAMES = ("a", "a/", "a//b", "a/./b/x", "a/__x__", "/a/x", "a/x/c", "__id7__/x")
WRONG_PATHS = ("", ".", "p.", "1a", "`p", "__x__", "__name__", "p..q")

Value = types.Value.pb()
Query = types.StructuredQuery.pb()


class Script:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311
        self._open: dict[bytes, set[str]] = {}  # the top collections each transaction has read of
        self._read_only: set[bytes] = set()

    def steps(self, count: int) -> Iterator[Step]:
        methods: Sequence[tuple[Callable[[], Step | None], int]] = (
            (self._commit, 30),
            (self._batch_write, 4),
            (self._one_document, 8),
            (self._get, 12),
            (self._list, 6),
            (self._query, 24),
            (self._aggregation, 8),
            (self._begin, 8),
            (self._rollback, 2),
        )
        makers = [maker for maker, _ in methods]
        weights = [weight for _, weight in methods]
        yield self._first()
        for _ in range(count):
            step = self._random.choices(makers, weights)[0]()
            if step is not None:
                yield step
                yield from self._afterwards(step)

    def _first(self) -> Step:
        """Make sure that a version exists."""
        write = {"update": {"name": _name("a/x"), "fields": self._fields()}}
        return Step("Commit", types.CommitRequest.pb()(database=DATABASE, writes=[write]))

    def _afterwards(self, step: Step) -> Iterator[Step]:
        """After a malformed commit, the official emulator's transaction stays open."""
        if step.method == "Commit" and step.request.transaction:
            yield _rollback(step.request.transaction)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _pick(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    # Transactions.

    def _begin(self) -> Step | None:
        slot = self._pick(*SLOTS)
        if slot in self._open:
            return None
        self._open[slot] = set()
        options: dict[str, Any] = {"read_write": {}}
        if self._chance(0.3):
            self._read_only.add(slot)
            options = {"read_only": self._at()}
        request = {"database": DATABASE, "options": options}
        return Step("BeginTransaction", types.BeginTransactionRequest.pb()(**request), slot)

    def _rollback(self) -> Step:
        slot = self._pick(*SLOTS, b"none")
        self._close(slot)
        return _rollback(slot)

    def _close(self, slot: bytes) -> None:
        self._open.pop(slot, None)
        self._read_only.discard(slot)

    def _at(self) -> dict[str, Any]:
        return {"read_time": {"seconds": self._random.randrange(20)}} if self._chance(0.3) else {}

    def _consistency(self, *collections: str) -> dict[str, Any]:
        """Read in a transaction, at an earlier time, or the latest version."""
        if self._chance(0.3) and collections:
            slot = self._pick(*SLOTS)
            if slot in self._open:
                self._open[slot] |= {_top(each) for each in collections}
            return {"transaction": slot} if slot in self._open or self._chance(0.2) else {}
        return self._at() if self._chance(0.2) else {}

    def _may_write(self, paths: Sequence[str], slot: bytes = b"") -> bool:
        collections = set(map(_top, paths))
        others = (read for other, read in self._open.items() if other != slot)
        return not any(collections & read for read in others)

    # Reads.

    def _get(self) -> Step:
        paths = [self._path() for _ in range(self._random.randint(1, 3))]
        read_in = self._consistency(*(path.rpartition("/")[0] for path in paths))
        mask = {"mask": {"field_paths": self._field_paths()}} if self._chance(0.3) else {}
        if self._chance(0.2):
            one = types.GetDocumentRequest.pb()(name=_name(paths[0]), **mask, **read_in)
            return Step("GetDocument", one)
        names = [_name(path) for path in paths]
        request = {"database": DATABASE, "documents": names, **mask, **read_in}
        return Step("BatchGetDocuments", types.BatchGetDocumentsRequest.pb()(**request))

    def _list(self) -> Step:
        collection = self._pick(*COLLECTIONS)
        above, _, collection_id = collection.rpartition("/")
        parent = _name(above) if above else ROOT
        if self._chance(0.4):
            ids = types.ListCollectionIdsRequest.pb()(
                parent=parent, page_size=self._random.randint(0, 2), **self._consistency()
            )
            return Step("ListCollectionIds", ids)
        request = {
            "parent": parent,
            "collection_id": collection_id,
            "page_size": self._random.randint(0, 3),
            "show_missing": self._chance(0.4),
            **({"mask": {"field_paths": self._field_paths()}} if self._chance(0.3) else {}),
        }
        return Step("ListDocuments", types.ListDocumentsRequest.pb()(**request))

    def _query(self) -> Step:
        parent, query, collections = self._structured()
        if self._chance(0.3):
            query.select.fields.extend(
                Query.FieldReference(field_path=path) for path in self._field_paths()
            )
        request = {
            "parent": parent,
            "structured_query": query,
            **self._consistency(*collections),
        }
        return Step("RunQuery", types.RunQueryRequest.pb()(**request))

    def _aggregation(self) -> Step:
        parent, query, collections = self._structured()
        kinds = [self._aggregated() for _ in range(self._random.randint(1, 3))]
        aggregation = types.StructuredAggregationQuery.pb()(
            structured_query=query, aggregations=kinds
        )
        request = {
            "parent": parent,
            "structured_aggregation_query": aggregation,
            **self._consistency(*collections),
        }
        return Step("RunAggregationQuery", types.RunAggregationQueryRequest.pb()(**request))

    def _aggregated(self) -> dict[str, Any]:
        field = {"field": {"field_path": self._field_path()}}
        kind = self._pick(
            {"count": {}},
            {"count": {"up_to": {"value": self._pick(0, 1, 2, 100)}}},
            {"sum": field},
            {"avg": field},
        )
        return {**kind, "alias": self._pick("", "", "", "n", "m", "__x__")}

    def _structured(self) -> tuple[str, Any, list[str]]:
        """The parent, the query, and its collection; no collection for a collection group."""
        collection = self._pick("a", "a", "a", "b", *COLLECTIONS)
        above, _, collection_id = collection.rpartition("/")
        in_group = self._chance(0.15)
        selector = {"collection_id": collection_id, "all_descendants": in_group}
        if self._chance(0.05):
            del selector["collection_id"]
        query = Query(from_=[selector])
        if self._chance(0.65):
            query.where.CopyFrom(self._filter())
        for path in self._random.sample(PATHS, self._random.choice((0, 0, 0, 1, 1, 2))):
            order = query.order_by.add(direction=self._pick(0, 1, 2))
            order.field.field_path = path
        if self._chance(0.2):
            query.order_by.add(direction=self._pick(1, 2)).field.field_path = "__name__"
        for cursor in (query.start_at, query.end_at):
            if query.order_by and self._chance(0.3):
                self._fill(cursor, query.order_by)
        if self._chance(0.3):
            query.limit.value = self._pick(1, 2, 3, 0, -1)
        if self._chance(0.2):
            query.offset = self._pick(1, 2, 3, -1)
        if self._chance(0.15):
            self._add_nearest(query)
        below = above and (not in_group or self._chance(0.3))
        in_one = selector["all_descendants"] is False and "collection_id" in selector
        return _name(above) if below else ROOT, query, [collection] if in_one else []

    def _add_nearest(self, query: Any) -> None:
        if self._chance(0.9):  # they cannot be combined with it
            for field in ("limit", "offset", "start_at", "end_at"):
                query.ClearField(field)
        nearest = query.find_nearest
        nearest.vector_field.field_path = self._pick("v", "v", "v", "v", "p", *WRONG_PATHS)
        nearest.query_vector.CopyFrom(self._value() if self._chance(0.05) else self._vector())
        nearest.distance_measure = self._pick(1, 2, 3) if self._chance(0.95) else 0
        nearest.limit.value = self._pick(1, 2, 5, 1000) if self._chance(0.95) else 1001
        nearest.distance_result_field = self._pick("", "d", "d", "p", "m.n", "__x__")
        if self._chance(0.3):
            nearest.distance_threshold.value = self._pick(0.0, 0.4, 1.0, 2.5, -1.0, NAN)

    def _fill(self, cursor: Any, orders: Sequence[Any]) -> None:
        cursor.before = self._chance(0.5)
        for order in orders[: self._random.randint(1, len(orders))]:
            is_name = order.field.field_path == "__name__" and not self._chance(0.1)
            cursor.values.append(
                Value(reference_value=_name(self._path())) if is_name else self._value()
            )
        if self._chance(0.05):
            cursor.values.append(self._value())

    def _filter(self, depth: int = 0) -> Any:
        if depth < 2 and self._chance(0.3):
            parts = [self._filter(depth + 1) for _ in range(self._random.randint(2, 3))]
            return Query.Filter(composite_filter={"op": self._pick(1, 2), "filters": parts})
        if self._chance(0.15):
            unary = {"op": self._pick(2, 3, 4, 5), "field": {"field_path": self._field_path()}}
            return Query.Filter(unary_filter=unary)
        operator = self._pick(1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10)
        operand = self._value()
        if operator in {8, 9, 10} and not self._chance(0.05):
            values = [self._value(flat=True) for _ in range(self._random.randint(1, 3))]
            operand = Value(array_value={"values": values})
        field = {"field_path": self._field_path()}
        if self._chance(0.1):
            field = {"field_path": "__name__"}
            named = [Value(reference_value=_name(self._path())) for _ in range(2)]
            operand = Value(array_value={"values": named}) if operator in {8, 10} else named[0]
        return Query.Filter(field_filter={"field": field, "op": operator, "value": operand})

    # Writes.

    def _commit(self) -> Step | None:
        slot = self._pick(*SLOTS, b"none") if self._chance(0.4) else b""
        if slot and slot not in self._open and self._chance(0.8):
            slot = b""
        paths = [self._path() for _ in range(self._random.choice((0, 1, 1, 1, 1, 2, 3)))]
        if not self._may_write(paths, slot):
            return None
        self._close(slot)
        once = len(set(paths)) == len(paths)
        writes = [self._write(path, versioned=once) for path in paths]
        request = {"database": DATABASE, "writes": writes, "transaction": slot}
        return Step("Commit", types.CommitRequest.pb()(**request))

    def _batch_write(self) -> Step | None:
        paths = [self._path() for _ in range(self._random.randint(1, 4))]
        if not self._may_write(paths):
            return None
        writes = [self._write(path, versioned=True) for path in paths]
        request = types.BatchWriteRequest.pb()(database=DATABASE, writes=writes)
        return Step("BatchWrite", request)

    def _one_document(self) -> Step | None:
        path = self._path()
        if not self._may_write([path]):
            return None
        method = self._pick("CreateDocument", "UpdateDocument", "DeleteDocument")
        condition = self._precondition()
        if method == "DeleteDocument":
            deleted = types.DeleteDocumentRequest.pb()(name=_name(path), **condition)
            return Step(method, deleted)
        if method == "UpdateDocument":
            document = {"name": _name(path), "fields": self._fields()}
            mask = {"update_mask": {"field_paths": self._field_paths()}}
            updated = types.UpdateDocumentRequest.pb()(
                document=document, **condition, **(mask if self._chance(0.5) else {})
            )
            return Step(method, updated)
        collection, _, document_id = path.rpartition("/")
        if not document_id:  # each makes an id of its own
            return None
        above, _, collection_id = collection.rpartition("/")
        created = types.CreateDocumentRequest.pb()(
            parent=_name(above) if above else ROOT,
            collection_id=collection_id,
            document_id=document_id,
            document={"fields": self._fields()},
        )
        return Step(method, created)

    def _write(self, path: str, *, versioned: bool) -> dict[str, Any]:
        name = _name(path)
        document = {"name": name, "fields": self._fields()}
        transforms = [self._transform() for _ in range(self._random.randint(1, 3))]
        mask = {"update_mask": {"field_paths": self._field_paths()}}
        return {
            **self._pick(
                {"update": document},
                {"update": document},
                {"update": document, **mask},
                {"update": document, "update_transforms": transforms},
                {"update": document, **mask, "update_transforms": transforms},
                {"delete": name},
                {"transform": {"document": name, "field_transforms": transforms}},
            ),
            **self._precondition(versioned=versioned),
        }

    def _precondition(self, *, versioned: bool = True) -> dict[str, Any]:
        if self._chance(0.6):
            return {}
        version = {"update_time": {"seconds": self._random.randrange(40)}}
        exists = {"exists": self._chance(0.5)}
        return {"current_document": version if versioned and self._chance(0.4) else exists}

    def _transform(self) -> dict[str, Any]:
        elements = {"values": [self._value(flat=True) for _ in range(2)]}
        kind = self._pick("number", "number", "array", "time")
        if kind == "time":
            change: dict[str, Any] = {"set_to_server_value": 1}
        elif kind == "array":
            change = {self._pick("append_missing_elements", "remove_all_from_array"): elements}
        else:
            operand = self._value() if self._chance(0.1) else self._number()
            change = {self._pick("increment", "maximum", "minimum"): operand}
        return {"field_path": self._field_path(), **change}

    # The documents and values.

    def _path(self) -> str:
        if self._chance(0.02):
            return str(self._pick(*WRONG_NAMES))
        return f"{self._pick('a', 'a', 'b', *COLLECTIONS)}/{self._pick(*IDS)}"

    def _field_path(self) -> str:
        return str(self._pick(*(WRONG_PATHS if self._chance(0.02) else PATHS)))

    def _field_paths(self) -> list[str]:
        return sorted({self._field_path() for _ in range(self._random.randint(1, 3))})

    def _fields(self) -> dict[str, Any]:
        fields = {name: self._value() for name in ("p", "q", "r", "a b") if self._chance(0.6)}
        if self._chance(0.5):
            inner = {name: self._value() for name in ("n", "o") if self._chance(0.7)}
            fields["m"] = Value(map_value={"fields": inner})
        if self._chance(0.7):
            fields["v"] = self._vector()
        if self._chance(0.01):
            fields[self._pick("", "__x__")] = self._value()
        return fields

    def _vector(self) -> Any:
        """Small numbers: both emulators round their distances to the same doubles."""
        length = 2 if self._chance(0.9) else self._pick(0, 1, 3, 2048, 2049)
        numbers = [Value(double_value=self._pick(0.0, 1.0, 2.0, -1.0, 5.0)) for _ in range(length)]
        if self._chance(0.01):
            numbers.append(self._pick(Value(integer_value=1), Value(double_value=INFINITY)))
        elements = Value(array_value={"values": numbers})
        return Value(
            map_value={"fields": {"__type__": Value(string_value="__vector__"), "value": elements}}
        )

    def _number(self) -> Any:
        if self._chance(0.5):
            return Value(integer_value=self._pick(0, 1, 2, 2, 7, -3, 2**63 - 1, -(2**63)))
        return Value(double_value=self._pick(0.0, -0.0, 1.0, 2.0, 2.5, NAN, INFINITY, -INFINITY))

    def _value(self, *, flat: bool = False) -> Any:
        kind = self._random.randrange(12 if flat else 15)
        if kind < 5:
            return self._number()
        if kind < 12:
            return self._scalar(kind)
        if kind == 12:
            inner = {name: self._value(flat=True) for name in ("n", "o") if self._chance(0.5)}
            return Value(map_value={"fields": inner})
        elements = [self._value(flat=True) for _ in range(self._random.randint(0, 3))]
        if self._chance(0.02):
            elements.append(Value(array_value={}))
        return Value(array_value={"values": elements})

    def _scalar(self, kind: int) -> Any:
        match kind:
            case 5:
                return Value(null_value=0)
            case 6:
                return Value(boolean_value=self._chance(0.5))
            case 7 | 8:
                return Value(string_value=self._pick("", "a", "b", "ä", "\U0001f600", "\ufffd"))
            case 9:
                return Value(bytes_value=self._pick(b"", b"\x00", b"\xff"))
            case 10:
                time = {"seconds": self._pick(0, 1, -1), "nanos": self._pick(0, 1000, 1999)}
                return Value(timestamp_value=time)
            case _:
                if self._chance(0.5):
                    return Value(reference_value=_name(f"a/{self._pick(*IDS)}"))
                return Value(geo_point_value={"latitude": self._pick(0, 1), "longitude": 2})


def _top(path: str) -> str:
    return path.partition("/")[0]


def _name(path: str) -> str:
    return f"{ROOT}/{path}"


def _rollback(slot: bytes) -> Step:
    request = types.RollbackRequest.pb()(database=DATABASE, transaction=slot)
    return Step("Rollback", request)
