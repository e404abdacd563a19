"""The intended differences, in which ours behaves like the service.

Each has an example, and tests/emulator/api/test_differential.py checks that the emulators differ.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import types

from support.emulator.differential.session import DATABASE, ROOT, Outcome, Step
from support.emulator.firestore_messages import value, vector

_DESCENDING = 2
_NOT_FOUND, _FAILED_PRECONDITION, _ABORTED = 5, 9, 10


class Difference(NamedTuple):
    what: str
    why: str  # ours behaves like the service
    applies: Callable[[Step, Outcome, Outcome], bool]  # to our response and the official emulator's
    example: Sequence[Step]  # the last of them differs
    diverges: bool = False  # the documents differ from here on, so the comparison ends


def _commit(*writes: dict[str, Any]) -> Step:
    return Step("Commit", types.CommitRequest.pb()(database=DATABASE, writes=writes))


def _writes_to_the_name(step: Step, ours: Outcome, _: Outcome) -> bool:
    paths = [
        path
        for write in getattr(step.request, "writes", ())
        for path in (
            *write.update_mask.field_paths,
            *(each.field_path for each in write.update_transforms),
            *(each.field_path for each in write.transform.field_transforms),
        )
    ]
    if step.method == "UpdateDocument":
        paths += step.request.update_mask.field_paths
    return ours == "INVALID_ARGUMENT" and "__name__" in paths


def _transform_of_the_name() -> list[Step]:
    increment = {"field_path": "__name__", "increment": {"integer_value": 1}}
    document = f"{ROOT}/a/x"
    return [_commit({"transform": {"document": document, "field_transforms": [increment]}})]


def _writes_a_document_twice(step: Step, ours: Outcome, its: Outcome) -> bool:
    if step.method != "Commit" or isinstance(ours, str) or isinstance(its, str):
        return False
    names = [_written_document(write) for write in step.request.writes]
    others = zip(names, ours[0]["write_results"], its[0]["write_results"], strict=True)
    return all(names.count(name) > 1 for name, own, other in others if own != other)


def _written_document(write: Any) -> str:
    return str(write.update.name or write.delete or write.transform.document)


def _written_and_deleted() -> list[Step]:
    name = f"{ROOT}/a/x"
    return [_commit({"update": {"name": name}}, {"delete": name})]


def _replaces_a_field_without_a_name(step: Step, ours: Outcome, its: Outcome) -> bool:
    if step.method != "Commit" or ours != "INVALID_ARGUMENT" or its == ours:
        return False
    malformed = set()
    for write in step.request.writes:
        if _written_document(write) in malformed:
            return True
        if "" in write.update.fields:
            malformed.add(write.update.name)
    return False


def _field_without_a_name_deleted() -> list[Step]:
    name = f"{ROOT}/a/x"
    fields = {"": value(1)}
    return [_commit({"update": {"name": name, "fields": fields}}, {"delete": name})]


def _scans_names_downwards(step: Step, _: Outcome, its: Outcome) -> bool:
    request = step.request
    if step.method not in {"RunQuery", "RunAggregationQuery"} or its != "FAILED_PRECONDITION":
        return False
    query = (
        request.structured_query
        if step.method == "RunQuery"
        else request.structured_aggregation_query.structured_query
    )
    return any(_is_name_descending(order) for order in query.order_by)


def _is_name_descending(order: Any) -> bool:
    return bool(order.field.field_path == "__name__" and order.direction == _DESCENDING)


def _downwards_from_some_names() -> list[Step]:
    name = {"reference_value": f"{ROOT}/a/x"}
    field = {"field_path": "__name__"}
    among = {"field": field, "op": 8, "value": {"array_value": {"values": [name]}}}
    query = {
        "from_": [{"collection_id": "a"}],
        "where": {"field_filter": among},
        "order_by": [{"field": field, "direction": _DESCENDING}],
    }
    request = types.RunQueryRequest.pb()(parent=ROOT, structured_query=query)
    return [Step("RunQuery", request)]


def _lists_missing_ones_with_a_mask(step: Step, ours: Outcome, its: Outcome) -> bool:
    if step.method != "ListDocuments" or isinstance(ours, str) or isinstance(its, str):
        return False
    names = [[document["name"] for document in answer] for answer in (ours, its)]
    masked = step.request.show_missing and step.request.HasField("mask")
    return bool(masked and names[0] == names[1])


def _listed_with_a_mask() -> list[Step]:
    fields = {"p": value(1), "q": value(2)}
    request = {
        "parent": ROOT,
        "collection_id": "a",
        "show_missing": True,
        "mask": {"field_paths": ["p"]},
    }
    return [
        _commit({"update": {"name": f"{ROOT}/a/x", "fields": fields}}),
        Step("ListDocuments", types.ListDocumentsRequest.pb()(**request)),
    ]


def _waits_for_a_lock(_: Step, ours: Outcome, its: Outcome) -> bool:
    return _is_aborted(its) and not _is_aborted(ours)


def _is_aborted(outcome: Outcome) -> bool:
    """The request, or one write of a BatchWrite."""
    if isinstance(outcome, str):
        return outcome == "ABORTED"
    statuses = outcome[0].get("status", ()) if outcome and isinstance(outcome[0], dict) else ()
    return any(status.get("code") == _ABORTED for status in statuses)


def _written_beside_what_was_queried() -> list[Step]:
    above = {"field": {"field_path": "n"}, "op": 3, "value": {"integer_value": 5}}
    query = {"from_": [{"collection_id": "a"}], "where": {"field_filter": above}}
    begin = types.BeginTransactionRequest.pb()(database=DATABASE, options={"read_write": {}})
    read = types.RunQueryRequest.pb()(parent=ROOT, structured_query=query, transaction=b"0")
    return [
        _commit({"update": {"name": f"{ROOT}/a/x", "fields": {"n": value(1)}}}),
        Step("BeginTransaction", begin, b"0"),
        Step("RunQuery", read),
        _commit({"update": {"name": f"{ROOT}/a/x", "fields": {"n": value(2)}}}),
    ]


def _dates_a_missing_one(step: Step, ours: Outcome, its: Outcome) -> bool:
    if step.method != "ListDocuments" or isinstance(ours, str) or isinstance(its, str):
        return False
    undated = [each if "create_time" in each else {"name": each["name"]} for each in its]
    return undated == ours


def _deleted_above_another() -> list[Step]:
    above, below = f"{ROOT}/a/x", f"{ROOT}/a/x/c/y"
    listing = {"parent": ROOT, "collection_id": "a", "show_missing": True}
    return [
        _commit({"update": {"name": above}}, {"update": {"name": below}}),
        _commit({"delete": above}),
        Step("ListDocuments", types.ListDocumentsRequest.pb()(**listing)),
    ]


def _is_of_version_zero(step: Step, ours: Outcome, _: Outcome) -> bool:
    zero = types.Precondition.pb()(update_time={})
    conditions = [write.current_document for write in getattr(step.request, "writes", ())]
    return ours == "FAILED_PRECONDITION" and zero in conditions


def _is_of_a_deletion(step: Step, ours: Outcome, its: Outcome) -> bool:
    """There a delete succeeds, and another write finds no document."""
    if ours != "FAILED_PRECONDITION":
        return False
    conditional = {
        "Commit": getattr(step.request, "writes", ()),
        "DeleteDocument": [step.request],
        "UpdateDocument": [step.request],
    }.get(step.method, ())
    versioned = [each for each in conditional if each.current_document.HasField("update_time")]
    if isinstance(its, str):
        return its == "NOT_FOUND" and bool(versioned)
    return any(step.method == "DeleteDocument" or getattr(each, "delete", "") for each in versioned)


def _is_of_a_deletion_in_a_batch(step: Step, ours: Outcome, its: Outcome) -> bool:
    if step.method != "BatchWrite" or isinstance(ours, str) or isinstance(its, str):
        return False
    codes = zip(step.request.writes, ours[0]["status"], its[0]["status"], strict=True)
    other = [each for each in codes if each[1] != each[2]]
    return bool(other) and all(
        write.current_document.HasField("update_time")
        and (own.get("code"), official.get("code")) == (_FAILED_PRECONDITION, _NOT_FOUND)
        for write, own, official in other
    )


def _deleted_at_its_deletion() -> list[Step]:
    name = f"{ROOT}/a/x"
    deletion = {"update_time": {"seconds": 1}}
    request = types.DeleteDocumentRequest.pb()(name=name, current_document=deletion)
    return [
        _commit({"update": {"name": name}}),
        _commit({"delete": name}),
        Step("DeleteDocument", request),
    ]


def _searches_nested_vectors(step: Step, _: Outcome, its: Outcome) -> bool:
    if step.method != "RunQuery":
        return False
    path = step.request.structured_query.find_nearest.vector_field.field_path
    return "." in path and its in ("UNKNOWN", [])


def _nearest_in_a_map() -> list[Step]:
    nearest = {
        "vector_field": {"field_path": "m.v"},
        "query_vector": vector(1),
        "distance_measure": 1,
        "limit": {"value": 1},
    }
    query = {"from_": [{"collection_id": "a"}], "find_nearest": nearest}
    fields = {"m": value({"v": vector(1)})}
    request = types.RunQueryRequest.pb()(parent=ROOT, structured_query=query)
    return [
        _commit({"update": {"name": f"{ROOT}/a/x", "fields": fields}}),
        Step("RunQuery", request),
    ]


DIFFERENCES = [
    Difference(
        "The official emulator fails to search the vectors of a field in a map.",
        "vector_field is a FieldReference like that of a filter (FindNearest.vector_field).",
        _searches_nested_vectors,
        _nearest_in_a_map(),
    ),
    Difference(
        "A missing document that was deleted has an update_time in the official emulator.",
        "A missing one has no create_time and no update_time (ListDocumentsRequest.show_missing).",
        _dates_a_missing_one,
        _deleted_above_another(),
    ),
    Difference(
        "For the official emulator, a missing document has the update time 0.",
        "With an update_time the target document must exist (Precondition.update_time).",
        _is_of_version_zero,
        [_commit({"update": {"name": f"{ROOT}/a/x"}, "current_document": {"update_time": {}}})],
        diverges=True,
    ),
    Difference(
        "For the official emulator a deleted document has the version of its deletion.",
        "With an update_time the target document must exist (Precondition.update_time).",
        lambda *each: _is_of_a_deletion(*each) or _is_of_a_deletion_in_a_batch(*each),
        _deleted_at_its_deletion(),
        diverges=True,
    ),
    Difference(
        "The official emulator locks more than a transaction reads, waits 2 s and aborts.",
        "A query locks so that no phantom appears. A write outside of its result does not wait.",
        _waits_for_a_lock,
        _written_beside_what_was_queried(),
        diverges=True,
    ),
    Difference(
        "The official emulator ignores the mask of a ListDocuments that shows missing documents.",
        "A field that is not in the mask is not in the response (ListDocumentsRequest.mask).",
        _lists_missing_ones_with_a_mask,
        _listed_with_a_mask(),
    ),
    Difference(
        "The official emulator rejects a scan of names in descending order.",
        "The service reports a missing index with this error. It has the index if it is defined;"
        " ours needs no index.",
        _scans_names_downwards,
        _downwards_from_some_names(),
    ),
    Difference(
        "The official emulator lets transforms and masks write a field __name__.",
        "Names of the form __.*__ are reserved (Firestore's limits on field names).",
        _writes_to_the_name,
        _transform_of_the_name(),
        diverges=True,
    ),
    Difference(
        "If a commit writes a document twice, the official emulator returns the result of the"
        " last write for both.",
        "WriteResult is the result of its own write, without a time after a delete (its proto).",
        _writes_a_document_twice,
        _written_and_deleted(),
    ),
    Difference(
        "If a commit writes a document twice, the official emulator checks only the final state.",
        "The service checks every write before it reads a document, and a field name is not"
        " empty (Firestore's limits on field names).",
        _replaces_a_field_without_a_name,
        _field_without_a_name_deleted(),
        diverges=True,
    ),
]


def listed(step: Step, ours: Outcome, its: Outcome) -> Difference | None:
    return next((each for each in DIFFERENCES if each.applies(step, ours, its)), None)
