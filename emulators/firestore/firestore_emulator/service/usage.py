"""Count the requests of a database: round trips, and the operations that Firestore bills.

Operations are counted as in the price list of the Standard edition,
https://firebase.google.com/docs/firestore/pricing. A request that fails is a round trip and costs
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from google.protobuf.message import Message

from firestore_emulator.model.messages import ListenResponse, Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.service.bill import Bill


@dataclass(slots=True)
class Usage:
    """The counts of one database since the emulator started."""

    # By method. Only the requests of a Write stream that name the database count: the first must.
    calls: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    writes: int = 0
    deletes: int = 0

    def add_lookups(self, documents: int) -> None:
        """Look-ups by name. A missing document is a read too."""
        self.reads += documents

    def add_listing(self, documents: int) -> None:
        """A listing costs at least one read."""
        self.reads += max(1, documents)

    def add_bill(self, bill: Bill) -> None:
        self.reads += bill.reads

    def add_commit(self, writes: Iterable[Write]) -> None:
        """Each write counts, even a second one of a document or one without a change."""
        for write in writes:
            if write.HasField("delete"):
                self.deletes += 1
            else:
                self.writes += 1

    def figures(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Usages(defaultdict[str, Usage]):
    """The usage of every database, by its name."""

    def __init__(self) -> None:
        super().__init__(Usage)

    def add_call(self, request: Message) -> None:
        database = _database(request)
        if database:
            method = request.DESCRIPTOR.name.removesuffix("Request")
            self[database].calls[method] += 1

    def add_listen_response(self, response: ListenResponse) -> None:
        """A document that a listener receives is a read, even if it leaves the results."""
        name = response.document_change.document.name or response.document_remove.document
        if name:
            self[DocumentName.parse(name).database].reads += 1


def _database(request: Message) -> str:
    """The database that the request names, or an empty string."""
    for name in ("database", "parent", "name"):
        if name in request.DESCRIPTOR.fields_by_name:
            return _database_in(getattr(request, name))
    return _database_in(request.document.name)  # type: ignore[attr-defined]


def _database_in(name: str) -> str:
    return "/".join(name.split("/", 4)[:4])
