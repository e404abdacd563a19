"""The documents that runs have made: find them, delete them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc
from google.cloud.firestore_v1 import types

from tools.verify_firestore import counting
from tools.verify_firestore.forwarder import SERVICE
from tools.verify_firestore.names import ROOT_COLLECTION
from tools.verify_firestore.target import SECONDS

if TYPE_CHECKING:
    from costs.usage import Usage

    from tools.verify_firestore.forwarder import Meter
    from tools.verify_firestore.target import Target

_PAGE = 300
_LONGEST_SECONDS = 300.0
"""Without progress. A transaction of a test that was killed holds its locks for 60 s."""
_PAUSE = 1.0


def runs(target: Target, meter: Meter) -> list[str]:
    """The runs that have left documents."""
    request = types.ListDocumentsRequest.pb()(
        parent=f"{target.database}/documents",
        collection_id=ROOT_COLLECTION,
        show_missing=True,
        mask={},
    )
    found: list[str] = []
    while True:
        page = target.call("ListDocuments", request, types.ListDocumentsResponse.pb())
        meter.add(counting.of_call("ListDocuments", request, [page]))
        found += [each.name.rpartition("/")[2] for each in page.documents]
        if not page.next_page_token:
            return sorted(found)
        request.page_token = page.next_page_token


def delete(target: Target, folder: str, meter: Meter) -> int:
    """Delete all documents below this one. Their number.

    Raises grpc.RpcError if that makes no progress for five minutes.
    """
    deleted, late = 0, time.monotonic() + _LONGEST_SECONDS
    while True:
        try:
            names = _documents(target, folder, meter)
            if not names:
                return deleted
            done = _delete(target, names, meter)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED or time.monotonic() > late:
                raise
            done = 0
        if done:
            deleted, late = deleted + done, time.monotonic() + _LONGEST_SECONDS
        else:
            time.sleep(_PAUSE)


def _documents(target: Target, folder: str, meter: Meter) -> list[str]:
    """The names of some documents below the folder, at every depth."""
    query = {
        "from_": [{"all_descendants": True}],
        "select": {"fields": [{"field_path": "__name__"}]},
        "limit": {"value": _PAGE},
    }
    request = types.RunQueryRequest.pb()(parent=folder, structured_query=query)
    kind = types.RunQueryResponse.pb()
    send = target.channel.unary_stream(
        f"{SERVICE}/RunQuery", type(request).SerializeToString, kind.FromString
    )
    responses = [*send(request, timeout=SECONDS, metadata=target.metadata)]
    meter.add(counting.of_call("RunQuery", request, responses))
    return [each.document.name for each in responses if each.HasField("document")]


def _delete(target: Target, names: list[str], meter: Meter) -> int:
    """The number of documents that were deleted."""
    request = types.BatchWriteRequest.pb()(
        database=target.database, writes=[{"delete": name} for name in names]
    )
    response = target.call("BatchWrite", request, types.BatchWriteResponse.pb())
    used: Usage = counting.of_call("BatchWrite", request, [response])
    meter.add(used)
    return used.deletes
