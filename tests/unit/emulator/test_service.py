from collections.abc import Awaitable
from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    composite,
    document,
    field_filter,
    name,
    orders,
    put,
    reference,
    resolve,
    unary_filter,
    update,
    value,
    vector,
)

from firestore_emulator.grpc_api.status import CallError
from firestore_emulator.model import messages
from firestore_emulator.model.errors import (
    EmulatorError,
    InjectedError,
    InvalidArgumentError,
    NotFoundError,
)
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

ROOT = f"{DATABASE}/documents"


@pytest.fixture
def service() -> Service:
    databases = Databases()
    databases[DATABASE].commit(
        [put("c/a", x=1, y=2), put("c/b", x=2), put("c/a/s/1"), put("c/ghost/s/2"), put("d/e")]
    )
    return Service(databases)


def test_batch_get_returns_each_name_once_and_missing_ones_last(service: Service) -> None:
    names = [name(path) for path in ("c/b", "c/none", "c/a", "c/b")]
    responses = resolve(
        service.batch_get_documents(
            messages.BatchGetDocumentsRequest(
                database=DATABASE, documents=names, mask={"field_paths": ["x"]}
            )
        )
    )
    assert [response.found.name for response in responses] == [name("c/b"), name("c/a"), ""]
    assert responses[2].missing == name("c/none")
    assert responses[1].found.fields == document("c/a", x=1).fields
    assert len({response.read_time.ToNanoseconds() for response in responses}) == 1


def test_commit_time_is_after_earlier_read_times(service: Service) -> None:
    (read,) = resolve(
        service.batch_get_documents(
            messages.BatchGetDocumentsRequest(database=DATABASE, documents=[name("c/a")])
        )
    )
    commit = resolve(service.commit(messages.CommitRequest(database=DATABASE, writes=[put("c/a")])))
    assert commit.commit_time.ToNanoseconds() > read.read_time.ToNanoseconds()


def test_query_without_results_has_a_read_time(service: Service) -> None:
    (response,) = resolve(
        service.run_query(
            messages.RunQueryRequest(
                parent=ROOT, structured_query={"from_": [{"collection_id": "none"}]}
            )
        )
    )
    assert response.HasField("read_time")
    assert not response.HasField("document")


def test_request_without_a_structured_query_is_rejected(service: Service) -> None:
    with pytest.raises(InvalidArgumentError, match="structured"):
        resolve(service.run_query(messages.RunQueryRequest(parent=ROOT)))


def test_batch_write_returns_a_status_for_each_write(service: Service) -> None:
    outdated = messages.Write(delete=name("c/a"), current_document={"update_time": {"seconds": 1}})
    writes = [put("c/new"), update("c/none"), outdated, put("c/b", x=9)]
    response = resolve(
        service.batch_write(messages.BatchWriteRequest(database=DATABASE, writes=writes))
    )
    assert [status.code for status in response.status] == [0, 5, 9, 0]
    assert response.status[1].message == f"No document to update: {name('c/none')}"
    assert [result.HasField("update_time") for result in response.write_results] == [
        *(True, False),
        *(False, True),
    ]


def test_batch_write_writes_nothing_when_one_write_is_malformed(service: Service) -> None:
    request = messages.BatchWriteRequest(
        database=DATABASE, writes=[put("c/new"), put("c/a", x=[[1]])]
    )
    with pytest.raises(InvalidArgumentError, match="array value in an array value"):
        resolve(service.batch_write(request))
    with pytest.raises(NotFoundError):
        resolve(service.get_document(messages.GetDocumentRequest(name=name("c/new"))))


def test_batch_write_rejects_a_document_named_twice(service: Service) -> None:
    request = messages.BatchWriteRequest(
        database=DATABASE, writes=[put("c/a", x=7), messages.Write(delete=name("c/a"))]
    )
    with pytest.raises(InvalidArgumentError, match="more than once"):
        resolve(service.batch_write(request))
    found = resolve(service.get_document(messages.GetDocumentRequest(name=name("c/a"))))
    assert found.fields["x"] == value(1)


def test_get_document_fails_when_the_document_is_missing(service: Service) -> None:
    with pytest.raises(NotFoundError, match=r'Document ".*/c/none" not found\.'):
        resolve(service.get_document(messages.GetDocumentRequest(name=name("c/none"))))


def test_create_document_assigns_an_id(service: Service) -> None:
    request = messages.CreateDocumentRequest(
        parent=name("c/a"), collection_id="s", document={"fields": {"x": value(1)}}
    )
    first, second = (
        resolve(service.create_document(request)),
        resolve(service.create_document(request)),
    )
    assert first.name.startswith(name("c/a/s/"))
    assert first.name != second.name


def test_create_document_rejects_a_name(service: Service) -> None:
    request = messages.CreateDocumentRequest(
        parent=ROOT, collection_id="c", document={"name": name("c/x")}
    )
    with pytest.raises(InvalidArgumentError, match="name must not be set"):
        resolve(service.create_document(request))


def test_invalid_response_mask_writes_nothing(service: Service) -> None:
    request = messages.UpdateDocumentRequest(
        document=document("c/a", x=5), mask={"field_paths": ["a..b"]}
    )
    with pytest.raises(InvalidArgumentError):
        resolve(service.update_document(request))
    found = resolve(service.get_document(messages.GetDocumentRequest(name=name("c/a"))))
    assert found.fields["x"] == value(1)


@pytest.mark.parametrize(
    ("parent", "collection_id", "show_missing", "expected"),
    [
        (ROOT, "c", False, ["c/a", "c/b"]),
        (ROOT, "c", True, ["c/a", "c/b", "c/ghost"]),
        (ROOT, "", True, ["c/a", "c/b", "c/ghost", "d/e"]),
        (name("c/ghost"), "s", True, ["c/ghost/s/2"]),
        (ROOT, "none", True, []),
    ],
)
def test_list_documents_returns_the_collection(
    service: Service, parent: str, collection_id: str, *, show_missing: bool, expected: list[str]
) -> None:
    response = resolve(
        service.list_documents(
            messages.ListDocumentsRequest(
                parent=parent, collection_id=collection_id, show_missing=show_missing, mask={}
            )
        )
    )
    assert [found.name for found in response.documents] == list(map(name, expected))
    assert response.next_page_token == ""


def test_missing_document_in_a_listing_has_no_times(service: Service) -> None:
    request = messages.ListDocumentsRequest(parent=ROOT, collection_id="c", show_missing=True)
    *_, ghost = resolve(service.list_documents(request)).documents
    assert ghost == messages.Document(name=name("c/ghost"))


@pytest.mark.parametrize(("page_size", "pages"), [(1, 4), (2, 2), (3, 2), (4, 1), (0, 1)])
def test_pages_contain_each_document_once(service: Service, page_size: int, pages: int) -> None:
    request = messages.ListDocumentsRequest(parent=ROOT, show_missing=True, page_size=page_size)
    seen = []
    for _ in range(pages):
        response = resolve(service.list_documents(request))
        seen += [found.name for found in response.documents]
        request.page_token = response.next_page_token
    assert seen == [name(path) for path in ("c/a", "c/b", "c/ghost", "d/e")]
    assert request.page_token == ""


@pytest.mark.parametrize(
    ("parent", "expected"), [(ROOT, ["c", "d"]), (name("c/a"), ["s"]), (name("d/e"), [])]
)
def test_list_collection_ids_returns_the_collections_of_a_parent(
    service: Service, parent: str, expected: list[str]
) -> None:
    response = service.list_collection_ids(messages.ListCollectionIdsRequest(parent=parent))
    assert response.collection_ids == expected


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"page_size": -1}, "nonnegative"),
        ({"page_token": "*"}, "page token"),
        ({"page_token": "_w=="}, "page token"),
    ],
)
def test_invalid_page_is_rejected(service: Service, part: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        service.list_collection_ids(messages.ListCollectionIdsRequest(parent=ROOT, **part))


@pytest.mark.parametrize(
    "error",
    [each for each in EmulatorError.__subclasses__() if each not in {CallError, InjectedError}],
)
def test_every_error_has_a_status_code(error: type[EmulatorError]) -> None:
    raised = error("it")
    assert code_pb2.UNKNOWN < raised.code <= code_pb2.UNAUTHENTICATED


EVERYTHING = {
    "l": [None, True, 1, NAN, "s", b"b", {"m": {"n": 1}}],
    "r": reference("c/a"),
    "g": messages.Value(geo_point_value={"latitude": 1}),
    "t": messages.Value(timestamp_value={"seconds": 1}),
    "v": vector(1, 2),
}
TRANSFORMS = [
    {"field_path": "t.`a-b`", "set_to_server_value": 1},
    {"field_path": "l", "append_missing_elements": {"values": [value(1)]}},
    {"field_path": "l", "remove_all_from_array": {"values": [value(1)]}},
    {"field_path": "n", "increment": value(1)},
    {"field_path": "n", "maximum": value(1.5)},
]
WRITES = [
    put("c/a", **EVERYTHING),
    update("c/a", "l", "v.x", l=[1]),
    messages.Write(transform={"document": name("c/a"), "field_transforms": TRANSFORMS}),
    messages.Write(delete=name("c/b"), current_document={"update_time": {"seconds": 1}}),
]
QUERY = messages.StructuredQuery(
    from_=[{"collection_id": "c", "all_descendants": True}],
    where=composite(
        "AND",
        field_filter("l", "IN", [1, [None, True]]),
        field_filter("__name__", "GREATER_THAN", reference("c/a")),
        composite("OR", unary_filter("n", "IS_NOT_NULL"), field_filter("v", "LESS_THAN", 1)),
    ),
    order_by=orders("l", "-n", "v", "__name__"),
    start_at={"values": [value([1]), value(1), value(0)], "before": True},
    end_at={"values": [value([9])]},
    offset=1,
    limit={"value": 5},
    select={"fields": [{"field_path": "l"}]},
)
NEAREST = messages.StructuredQuery(
    from_=[{"collection_id": "c"}],
    where=field_filter("l", "ARRAY_CONTAINS", 1),
    find_nearest={
        "vector_field": {"field_path": "v"},
        "query_vector": vector(1, 2),
        "distance_measure": messages.StructuredQuery.FindNearest.COSINE,
        "limit": {"value": 1},
        "distance_result_field": "d",
        "distance_threshold": {"value": 1.0},
    },
)

REQUESTS = [
    ("clear_data", messages.ClearDataRequest(database=DATABASE)),
    ("get_document", messages.GetDocumentRequest(name=name("c/a"), mask={"field_paths": ["l"]})),
    (
        "batch_get_documents",
        messages.BatchGetDocumentsRequest(
            database=DATABASE,
            documents=[name("c/a"), name("c/none")],
            mask={"field_paths": ["v.x"]},
        ),
    ),
    (
        "list_documents",
        messages.ListDocumentsRequest(
            parent=name("c/a"), collection_id="s", page_size=1, page_token="Yw==", show_missing=True
        ),
    ),
    ("list_collection_ids", messages.ListCollectionIdsRequest(parent=ROOT, page_token="Yw==")),
    ("run_query", messages.RunQueryRequest(parent=ROOT, structured_query=QUERY)),
    (
        "run_query",
        messages.RunQueryRequest(
            parent=ROOT, structured_query=NEAREST, explain_options={"analyze": True}
        ),
    ),
    (
        "run_aggregation_query",
        messages.RunAggregationQueryRequest(
            parent=ROOT,
            structured_aggregation_query={
                "structured_query": NEAREST,
                "aggregations": [{"count": {}}],
            },
            explain_options={},
        ),
    ),
    ("commit", messages.CommitRequest(database=DATABASE, writes=WRITES[:-1])),
    ("batch_write", messages.BatchWriteRequest(database=DATABASE, writes=WRITES[2:])),
    (
        "create_document",
        messages.CreateDocumentRequest(
            parent=ROOT, collection_id="c", document_id="n", document={"fields": {"x": value(1)}}
        ),
    ),
    (
        "update_document",
        messages.UpdateDocumentRequest(
            document=document("c/a", **EVERYTHING), update_mask={"field_paths": ["l", "r"]}
        ),
    ),
    (
        "begin_transaction",
        messages.BeginTransactionRequest(database=DATABASE, options={"read_only": {}}),
    ),
    ("rollback", messages.RollbackRequest(database=DATABASE, transaction=bytes(16))),
    ("delete_document", messages.DeleteDocumentRequest(name=name("c/a"))),
]


def prepared() -> Service:
    databases = Databases()
    databases[DATABASE].commit([put("c/a", **EVERYTHING), put("c/b", l=[1], n=1), put("c/a/s/1")])
    return Service(databases)


def answer_of(method: str, request: Message) -> object:
    """The response of any method, called in an event loop as the dispatcher does."""

    async def call() -> object:
        given = getattr(prepared(), method)(request)
        return await given if isinstance(given, Awaitable) else given

    return resolve(call())


@pytest.mark.parametrize(
    ("method", "request_message"), REQUESTS, ids=[each for each, _ in REQUESTS]
)
def test_undamaged_requests_succeed(method: str, request_message: Message) -> None:
    assert answer_of(method, request_message) is not None


@given(
    seed=st.sampled_from(REQUESTS),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=2)), max_size=4),
)
def test_damaged_request_raises_only_emulator_errors(
    seed: tuple[str, Message], damage: list[tuple[int, bytes]]
) -> None:
    method, whole = seed
    data = bytearray(whole.SerializeToString())
    for position, replacement in damage:
        at = position % (len(data) + 1)
        data[at : at + 1] = replacement
    with suppress(DecodeError, EmulatorError):
        answer_of(method, type(whole).FromString(bytes(data)))
