"""Listen targets: the documents of a target, and how they change between two snapshots.

A target receives the names of the touched documents and their content at its last snapshot. From
these it computes its changes. Only targets with a limit or an offset keep state of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from firestore_emulator.indexes.checks import CheckIndexes, ignore_indexes
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import Document, TargetRequest
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.steps import ITEMS, Steps, run_at_once
from firestore_emulator.query.query import Query
from firestore_emulator.store.change_feed import Scope, Topic, document_topic
from firestore_emulator.store.database import Database
from firestore_emulator.store.view import View

# None: the target names the document, and it does not exist.
Documents: TypeAlias = Mapping[DocumentName, Document | None]

# True: the document is part of the target now. False: it is not, or it does not exist.
Changes: TypeAlias = dict[DocumentName, bool]


class Target(Protocol):
    @property
    def topics(self) -> Iterable[Topic]:
        """Topics that contain every document of the target, and possibly others."""
        ...

    @property
    def projection(self) -> tuple[FieldPath, ...] | None: ...

    def prepare(self, database: Database) -> Steps[None]:
        """Makes ``begin`` faster, with the same result."""
        ...

    def begin(self, now: View) -> Steps[Documents]:
        """All documents, in the order of their names or of the query."""
        ...

    def resume(self, now: View, since: View) -> Changes:
        """The changes since an earlier view."""
        ...

    def changes(self, touched: Documents, now: View) -> Changes:
        """The changes, given the touched documents as of the last snapshot.

        With a limit they can include other documents, which enter or leave the results.
        """
        ...


def compile_target(
    request: TargetRequest, database: Database, check_indexes: CheckIndexes = ignore_indexes
) -> Target:
    match request.WhichOneof("target_type"):
        case "documents":
            return _DocumentsTarget(
                database.document_name(name) for name in request.documents.documents
            )
        case "query" if request.query.HasField("structured_query"):
            parent = Parent.parse(request.query.parent)
            if parent.database != database.name:
                raise InvalidArgumentError(
                    f'Parent "{request.query.parent}" is not in database "{database.name}".'
                )
            query = Query.compile(request.query.structured_query)
            if query.nearest is not None:
                raise InvalidArgumentError("A target cannot have a query with find_nearest.")
            query.check_parent(parent)
            check_indexes(query, database.name)
            if query.offset or query.limit is not None:
                return _LimitedQueryTarget(query, parent)
            return _QueryTarget(query, parent)
        case _:
            raise InvalidArgumentError("A target must have documents or a structured query.")


class _DocumentsTarget:
    projection = None

    def __init__(self, names: Iterable[DocumentName]) -> None:
        self._names = tuple(dict.fromkeys(names))

    @property
    def topics(self) -> Iterable[Topic]:
        return map(document_topic, self._names)

    def prepare(self, database: Database) -> Steps[None]:  # noqa: ARG002
        yield from ()

    def begin(self, now: View) -> Steps[Documents]:
        yield from ()
        return self._documents(now)

    def resume(self, now: View, since: View) -> Changes:
        return _difference(self._documents(since), self._documents(now))

    def changes(self, touched: Documents, now: View) -> Changes:
        return _difference(touched, {name: now.get(name) for name in touched})

    def _documents(self, view: View) -> Documents:
        return {name: view.get(name) for name in self._names}


class _QueryTarget:
    """A query without limit and offset: no result depends on another document."""

    def __init__(self, query: Query, parent: Parent) -> None:
        self._query = query
        self._parent = parent
        self.projection = query.projection

    @property
    def topics(self) -> Iterable[Topic]:
        yield _topic(self._query, self._parent)

    def prepare(self, database: Database) -> Steps[None]:
        return self._query.sort_names(database, self._parent)

    def begin(self, now: View) -> Steps[Documents]:
        found = yield from self._query.execute(now, self._parent)
        return (yield from _by_name_in_steps(found.documents))

    def resume(self, now: View, since: View) -> Changes:
        return _difference(self._results(since), self._results(now))

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


class _LimitedQueryTarget:
    """A query with a limit or an offset: if a document leaves, another can enter.

    Runs the query again, but only if a document up to the last result was touched.
    """

    def __init__(self, query: Query, parent: Parent) -> None:
        self._query = query
        self._parent = parent
        self._reach = query
        self._shown: Documents = {}
        self.projection = query.projection

    @property
    def topics(self) -> Iterable[Topic]:
        yield _topic(self._query, self._parent)

    def prepare(self, database: Database) -> Steps[None]:
        return self._query.sort_names(database, self._parent)

    def begin(self, now: View) -> Steps[Documents]:
        found = yield from self._query.execute(now, self._parent)
        self._show(found.documents, (yield from _by_name_in_steps(found.documents)))
        return self._shown

    def resume(self, now: View, since: View) -> Changes:
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
        results, earlier = self._query.matches(now, self._parent), self._shown
        self._show(results, _by_name(results))
        return _difference(earlier, self._shown)

    def _show(self, results: Sequence[Document], by_name: Documents) -> None:
        is_full = bool(results) and len(results) == self._query.limit
        self._reach = self._query.up_to(results[-1]) if is_full else self._query
        self._shown = by_name


def _topic(query: Query, parent: Parent) -> Topic:
    selector = query.selector
    if not selector.collection_id:
        return Topic(Scope.DATABASE)
    if selector.all_descendants:
        return Topic(Scope.GROUP, selector.collection_id)
    return Topic(Scope.COLLECTION, parent.collection(selector.collection_id))


def _by_name(documents: Iterable[Document]) -> Documents:
    return run_at_once(_by_name_in_steps(documents))


def _by_name_in_steps(documents: Iterable[Document]) -> Steps[Documents]:
    by_name = {}
    for number, document in enumerate(documents, 1):
        by_name[DocumentName.parse(document.name)] = document
        if number % ITEMS == 0:
            yield
    return by_name


def _difference(before: Documents, after: Documents) -> Changes:
    changes = {
        name: document is not None
        for name, document in after.items()
        if name not in before or not _is_same(before[name], document)
    }
    gone = (name for name in before if name not in after)
    return changes | dict.fromkeys(gone, False)


def _is_same(one: Document | None, other: Document | None) -> bool:
    """Compares update times: two versions of a document never share one."""
    if one is None or other is None:
        return one is other
    return one.update_time == other.update_time
