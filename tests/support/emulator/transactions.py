"""Transactions, one request after the other, with the generated client."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaitingError
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient

Result = TypeVar("Result")

_SECONDS_TO_SEE_THAT_IT_WAITS = 0.2


class Requests:
    """Every document has one field, ``n``. None means that the document does not exist."""

    def __init__(self, client: FirestoreClient, database: str) -> None:
        self.client = client
        self.database = database
        self.root = f"{database}/documents"

    def begin(self, **options: Any) -> bytes:
        request = {"database": self.database, "options": options}
        return bytes(self.client.begin_transaction(request=request, timeout=30).transaction)

    def retry(self, transaction: bytes) -> bytes:
        return self.begin(read_write={"retry_transaction": transaction})

    def get(self, *paths: str, **consistency: Any) -> list[int | None]:
        return [number for _, number in self.got(*paths, **consistency)[1]]

    def got(self, *paths: str, **consistency: Any) -> tuple[bytes, list[tuple[str, int | None]]]:
        """The new transaction, and the values that it read, in the order of the paths."""
        request = {"database": self.database, "documents": list(map(self.name, paths))}
        responses = list(
            self.client.batch_get_documents(request={**request, **consistency}, timeout=30)
        )
        found = {
            response.found.name or response.missing: response.found.fields.get("n")
            for response in responses
            if not response.transaction
        }
        return responses[0].transaction, [(path, _number(found[self.name(path)])) for path in paths]

    def snapshot(self, *paths: str) -> tuple[Any, bytes, dict[str, int | None]]:
        """The read time, the read-only transaction, and the values that it read."""
        transaction = self.begin(read_only={})
        request = {
            "database": self.database,
            "documents": list(map(self.name, paths)),
            "transaction": transaction,
        }
        first, *_ = self.client.batch_get_documents(request=request, timeout=30)
        return (
            first.read_time,
            transaction,
            dict(zip(paths, self.get(*paths, transaction=transaction), strict=True)),
        )

    def query(self, at_least: int, collection: str = "c", **consistency: Any) -> list[str]:
        return self.queried(at_least, collection, **consistency)[1]

    def queried(
        self, at_least: int, collection: str = "c", **consistency: Any
    ) -> tuple[bytes, list[str]]:
        """The new transaction, and the ids of documents whose ``n`` is at least this."""
        query = {
            "from_": [{"collection_id": collection}],
            "where": {
                "field_filter": {
                    "field": {"field_path": "n"},
                    "op": types.StructuredQuery.FieldFilter.Operator.GREATER_THAN_OR_EQUAL,
                    "value": {"integer_value": at_least},
                }
            },
        }
        request = {"parent": self.root, "structured_query": query, **consistency}
        responses = list(self.client.run_query(request=request, timeout=30))
        ids = [
            response.document.name.rpartition("/")[2]
            for response in responses
            if response.document.name
        ]
        return responses[0].transaction, ids

    def commit(
        self, numbers: dict[str, int | None], transaction: bytes = b"", timeout: float = 30
    ) -> Any:
        """Its time."""
        request = {
            "database": self.database,
            "transaction": transaction,
            "writes": [self.write(path, numbers[path]) for path in numbers],
        }
        committed: Any = self.client.commit(
            request=request, retry=None, timeout=timeout
        ).commit_time
        return committed

    def rollback(self, transaction: bytes) -> None:
        self.client.rollback(request={"database": self.database, "transaction": transaction})

    def name(self, path: str) -> str:
        return f"{self.root}/{path}"

    def write(self, path: str, number: int | None) -> types.Write:
        if number is None:
            return types.Write(delete=self.name(path))
        fields = {"n": types.Value(integer_value=number)}
        return types.Write(update={"name": self.name(path), "fields": fields})


class InBackground:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def waits(self, call: Callable[..., Result], *args: Any, **named: Any) -> Future[Result]:
        future = self._pool.submit(call, *args, **named)
        with pytest.raises(StillWaitingError):
            future.result(_SECONDS_TO_SEE_THAT_IT_WAITS)
        return future


@contextmanager
def in_background() -> Iterator[InBackground]:
    with ThreadPoolExecutor(8) as pool:
        yield InBackground(pool)


def _number(value: types.Value | None) -> int | None:
    return None if value is None else value.integer_value
