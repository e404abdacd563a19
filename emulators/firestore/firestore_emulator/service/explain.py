"""The metrics of explain_options: the plan of a query, and what its execution cost.

The plan names the indexes with which the service would serve the query. The emulator itself reads
documents, so the entries that it scanned are those of the documents that it found.
"""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from firestore_emulator.indexes.index import Field, Index, Mode, Scope, VectorIndex
from firestore_emulator.indexes.requirements import Indexes, requirements_of
from firestore_emulator.model import field_paths
from firestore_emulator.model.field_paths import NAME
from firestore_emulator.model.messages import ExecutionStats, ExplainMetrics, PlanSummary
from firestore_emulator.query.query import Query
from firestore_emulator.service.bill import Bill

_SCOPES = {Scope.COLLECTION: "Collection", Scope.COLLECTION_GROUP: "Collection group"}
_MODES = {Mode.ASCENDING: "ASC", Mode.DESCENDING: "DESC", Mode.CONTAINS: "CONTAINS"}
_BY_NAME = Field(NAME, Mode.ASCENDING)


def plan(query: Query, indexes: Indexes) -> PlanSummary:
    """Names each index once. A query over collections of every id uses none."""
    used: dict[Index | VectorIndex, None] = {}
    for requirement in requirements_of(query):
        used |= dict.fromkeys(indexes.serving(requirement) or [requirement.index])
    return PlanSummary(indexes_used=map(_index, used))


def metrics(
    summary: PlanSummary, bill: Bill, found: int, returned: int, nanoseconds: int
) -> ExplainMetrics:
    debug = Struct()
    debug.update(
        {
            "index_entries_scanned": str(found),
            "documents_scanned": str(bill.documents),
            "billing_details": {
                "documents_billable": str(bill.documents),
                "index_entries_billable": str(bill.index_entries),
                "knn_vector_index_entries_billable": str(bill.vectors),
                "min_query_cost": str(int(bill == Bill())),
            },
        }
    )
    duration = Duration()
    duration.FromNanoseconds(nanoseconds)
    stats = ExecutionStats(
        results_returned=returned,
        execution_duration=duration,
        read_operations=bill.reads,
        debug_stats=debug,
    )
    return ExplainMetrics(plan_summary=summary, execution_stats=stats)


def _index(index: Index | VectorIndex) -> Struct:
    if isinstance(index, VectorIndex):
        properties = _properties([*sorted(index.fields), _BY_NAME])
        path, dimension = index.vector
        properties.append(f"{field_paths.to_text(path)} VECTOR<{dimension}>")
    else:
        properties = _properties(index.fields)
    described = Struct()
    described.update(
        {"query_scope": _SCOPES[index.scope], "properties": f"({', '.join(properties)})"}
    )
    return described


def _properties(fields: Iterable[Field]) -> list[str]:
    return [f"{field_paths.to_text(path)} {_MODES[mode]}" for path, mode in fields]
