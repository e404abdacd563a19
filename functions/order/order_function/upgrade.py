"""``python -m order_function.upgrade``: add the fields of lists to orders of an older revision.

An older revision writes no ``shard``, ``product_ids`` and ``stored_at``, so staff's lists do not
have its orders. It also leaves ``stored_at`` as it was when it changes an order, so a sync by
``updated_since`` does not see the change. Run this command once, after the last process of the
older revision has ended. The shop can be open.

It reads all orders by id, and writes those that need it, each under the version that it read. A
second run finds nothing to do. After a crash it can be run again: from the start, or with
``--after`` from the order that the last progress line names.

Exit codes:

- 0: every order has the fields.
- 1: some orders are left: their documents are damaged, or they changed at the same time each time.
- 2: a setting is invalid, or the database cannot be read or written.
- 143, 130: stopped by SIGTERM or SIGINT; the last line has the order to continue with.
"""

from __future__ import annotations

import argparse
import logging.config
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Change, Documents
from functions_common.firestore.errors import ConflictError, StoreError, UnusableDocumentError
from functions_common.firestore.queries import Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import logs
from functions_common.runtime.arguments import whole_number
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from functions_common.runtime.settings import Environment, FirestoreSettings, SettingsError
from functions_common.runtime.stop_signals import StopSignals
from order_function.domain import Status
from order_function.order_documents import ORDERS, STORED_AT, read_order, to_document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions_common.firestore.documents import Document
    from functions_common.firestore.queries import Found

PAGE = 300
PAGE_SECONDS = 60.0
WRITES_PER_SECOND = 500
"""Firestore's advice for a collection that is written at a steady rate."""
MAX_TRIES = 3
"""Passes over a page: an order that changes at the same time is read again."""
MAX_REASONS = 20
STALE = timedelta(minutes=1)
"""If ``stored_at`` is so much older than the document, an older revision made the last change."""
_LISTED = ("shard", "product_ids")


@dataclass(slots=True)
class Progress:
    read: int = 0
    upgraded: int = 0
    left: int = 0
    """Orders that still need it."""
    failures: list[str] = field(default_factory=list)
    """The first reasons, with the ids of the orders."""
    after: str | None = None
    """All orders up to this one are done. A later run can begin after it."""

    def fail(self, order_id: str, reason: object) -> None:
        self.left += 1
        if len(self.failures) < MAX_REASONS:
            self.failures.append(f"{order_id}: {reason}"[:300])


class Upgrade:
    def __init__(
        self,
        connection: FirestoreConnection,
        after: str | None = None,
        writes_per_second: int = WRITES_PER_SECOND,
    ) -> None:
        self._queries = Queries(connection, ConcurrencyLimiter(cooldown=False))
        self._documents = Documents(connection)
        self._writes_per_second = writes_per_second
        self._stopping = False
        self.progress = Progress(after=after)

    def stop(self) -> None:
        """Finish the page in progress; then ``run`` returns."""
        self._stopping = True

    def run(self, report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Upgrade all orders. ``report`` is called after each page."""
        progress = self.progress
        while not self._stopping:
            page = self._page(progress.after)
            if not page:
                break
            progress.read += len(page)
            self._upgrade_page(page)
            progress.after = page[-1].document.id
            report(progress)
        return progress

    def _page(self, after: str | None) -> list[Found]:
        position = None if after is None else Position((ORDERS, after))
        query = Query((ORDERS,), after=position)
        return self._queries.page(query, PAGE, lambda found: found, Deadline.after(PAGE_SECONDS))

    def _upgrade_page(self, page: Sequence[Found]) -> None:
        documents = [found.document for found in page]
        for tries_left in reversed(range(MAX_TRIES)):
            changed = self._write(documents, last=not tries_left)
            if not changed:
                return
            deadline = Deadline.after(PAGE_SECONDS)
            documents = [found for _, found in self._documents.read(changed, deadline) if found]

    def _write(self, documents: Sequence[Document], *, last: bool) -> list[tuple[str, ...]]:
        """Write the orders that need it. Returns those that changed since they were read."""
        changes = [change for each in documents if (change := self._change(each))]
        if not changes:
            return []
        began = time.monotonic()
        writes = [self._documents.encode_write(change) for change in changes]
        results = self._documents.write_each(writes, Deadline.after(PAGE_SECONDS))
        conflicts = []
        for change, error in zip(changes, results, strict=True):
            if error is None:
                self.progress.upgraded += 1
            elif isinstance(error, ConflictError) and not last:
                conflicts.append(change.path)
            elif isinstance(error, ConflictError):
                self.progress.fail(change.path[-1], "it changed at the same time each time")
            else:
                raise error
        earned = len(changes) / self._writes_per_second
        time.sleep(max(0.0, earned - (time.monotonic() - began)))
        return conflicts

    def _change(self, found: Document) -> Change | None:
        """The fields that are missing or wrong. None if nothing is, or if it cannot be known."""
        try:
            order = read_order(found)
        except UnusableDocumentError as error:
            self.progress.fail(found.id, error.reason)
            return None
        if order.status is Status.ABANDONED or order.of_newer_revision:
            return None
        document = to_document(order)
        wanted = {name: document[name] for name in _LISTED}
        if wanted.items() <= found.fields.items() and not _is_stale(found):
            return None
        return Change(found.path, wanted, found.update_time, STORED_AT)


def _is_stale(found: Document) -> bool:
    stored_at = found.fields.get(STORED_AT)
    return not isinstance(stored_at, datetime) or found.update_time - stored_at > STALE


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="upgrade", description=__doc__)
    parser.add_argument("--after", metavar="ORDER_ID", help="begin after this order")
    parser.add_argument(
        "--writes-per-second",
        type=whole_number(1, 100_000),
        default=WRITES_PER_SECOND,
        metavar="N",
        help="at most so many writes a second (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    signals = StopSignals()
    logging.config.dictConfig(logs.configuration())
    try:
        settings = FirestoreSettings.load(Environment(os.environ))
        upgrade = Upgrade(FirestoreConnection(settings), options.after, options.writes_per_second)
        signals.stop_on_signal(upgrade)
        progress = upgrade.run(_report)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 2
    except (StoreError, DeadlineExceededError) as error:
        logs.fatal(f"The database cannot be read or written: {error}")
        return 2
    stopped = signals.exit_code is not None
    severity = logging.WARNING if progress.left or stopped else logging.INFO
    logs.event("Upgraded", severity=severity, **asdict(progress), stopped=stopped)
    if signals.exit_code is not None:
        return signals.exit_code
    return 1 if progress.left else 0


def _report(progress: Progress) -> None:
    logs.event(
        "Upgrading",
        read=progress.read,
        upgraded=progress.upgraded,
        left=progress.left,
        after=progress.after,
    )


if __name__ == "__main__":
    sys.exit(main())
