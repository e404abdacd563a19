"""What a stream of Listen asks for, and how that changes from one snapshot to the next.

A target is told which documents were touched and what they were at its last snapshot. All but
those with a limit or an offset need to remember nothing to know what this means.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from firestore_emulator.indexes.checks import CheckIndexes, ignore_indexes
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import Document, TargetRequest
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.query.query import Query
from firestore_emulator.store.change_feed import Interest, Scope, in_document
from firestore_emulator.store.database import Database
from firestore_emulator.store.view import View

# By name; None is for a document that was not there, and is asked for by name.
Documents: TypeAlias = Mapping[DocumentName, Document | None]

# Whether a document is part of the target as it is now. False: no longer, or it is not there.
Changes: TypeAlias = dict[DocumentName, bool]


class Target(Protocol):
    @property
    def interests(self) -> Iterable[Interest]:
        """All that can change it. More may be in there."""
        ...

    @property
    def projection(self) -> tuple[FieldPath, ...] | None: ...

    def begin(self, now: View, since: View | None) -> Changes:
        """Since an earlier time; or else everything."""
        ...

    def changes(self, touched: Documents, now: View) -> Changes:
        """Of these, with what they were; and of others that they make room for, or push out."""
        ...


def compile_target(
    request: TargetRequest, database: Database, check_indexes: CheckIndexes = ignore_indexes
) -> Target:
    match request.WhichOneof("target_type"):
        case "documents":
            return _Named(database.document_name(name) for name in request.documents.documents)
        case "query" if request.query.HasField("structured_query"):
            parent = Parent.parse(request.query.parent)
            if parent.database != database.name:
                raise InvalidArgumentError(
                    f'Parent "{request.query.parent}" is not in database "{database.name}".'
                )
            query = Query.compile(request.query.structured_query)
            check_indexes(query, database.name)
            if query.offset or query.limit is not None:
                return _Window(query, parent)
            return _Found(query, parent)
        case _:
            raise InvalidArgumentError("A target has documents or a structured query.")


class _Named:
    projection = None

    def __init__(self, names: Iterable[DocumentName]) -> None:
        self._names = tuple(dict.fromkeys(names))

    @property
    def interests(self) -> Iterable[Interest]:
        return map(in_document, self._names)

    def begin(self, now: View, since: View | None) -> Changes:
        return _difference(self._documents(since) if since else {}, self._documents(now))

    def changes(self, touched: Documents, now: View) -> Changes:
        return _difference(touched, {name: now.get(name) for name in touched})

    def _documents(self, view: View) -> Documents:
        return {name: view.get(name) for name in self._names}


class _Found:
    """By a query without an end: whether a document is a result depends on no other."""

    def __init__(self, query: Query, parent: Parent) -> None:
        self._query = query
        self._parent = parent
        self.projection = query.projection

    @property
    def interests(self) -> Iterable[Interest]:
        yield _interest(self._query, self._parent)

    def begin(self, now: View, since: View | None) -> Changes:
        return _difference(self._results(since) if since else {}, self._results(now))

    def changes(self, touched: Documents, now: View) -> Changes:
        return _difference(
            self._among(touched), self._among({name: now.get(name) for name in touched})
        )

    def _results(self, view: View) -> Documents:
        return _by_name(self._query.matches(view, self._parent))

    def _among(self, documents: Documents) -> Documents:
        return {
            name: document
            for name, document in documents.items()
            if document is not None and self._query.finds(document, self._parent)
        }


class _Window:
    """By a query with a limit or an offset: a document that leaves lets another in.

    The query runs again, but only where a document up to the last of the results was touched.
    """

    def __init__(self, query: Query, parent: Parent) -> None:
        self._query = query
        self._parent = parent
        self._reach = query
        self._shown: Documents = {}
        self.projection = query.projection

    @property
    def interests(self) -> Iterable[Interest]:
        yield _interest(self._query, self._parent)

    def begin(self, now: View, since: View | None) -> Changes:
        if since:
            self._shown = _by_name(self._query.matches(since, self._parent))
        return self._move(now)

    def changes(self, touched: Documents, now: View) -> Changes:
        return self._move(now) if self._concerns(touched, now) else {}

    def _concerns(self, touched: Documents, now: View) -> bool:
        return any(
            document is not None and self._reach.finds(document, self._parent)
            for name, before in touched.items()
            for document in (before, now.get(name))
        )

    def _move(self, now: View) -> Changes:
        results = list(self._query.matches(now, self._parent))
        is_full = bool(results) and len(results) == self._query.limit
        self._reach = self._query.up_to(results[-1]) if is_full else self._query
        earlier, self._shown = self._shown, _by_name(results)
        return _difference(earlier, self._shown)


def _interest(query: Query, parent: Parent) -> Interest:
    selector = query.selector
    if not selector.collection_id:
        return Interest(Scope.DATABASE)
    if selector.all_descendants:
        return Interest(Scope.GROUP, selector.collection_id)
    return Interest(Scope.COLLECTION, parent.collection(selector.collection_id))


def _by_name(documents: Iterable[Document]) -> Documents:
    return {DocumentName.parse(document.name): document for document in documents}


def _difference(before: Documents, after: Documents) -> Changes:
    changes = {
        name: document is not None
        for name, document in after.items()
        if name not in before or not _is_same(before[name], document)
    }
    gone = (name for name in before if name not in after)
    return changes | dict.fromkeys(gone, False)


def _is_same(one: Document | None, other: Document | None) -> bool:
    """No document has two versions of one time."""
    if one is None or other is None:
        return one is other
    return one.update_time == other.update_time
