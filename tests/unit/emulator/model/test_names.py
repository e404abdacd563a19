import pytest
from support.emulator.firestore_messages import DATABASE, name

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.names import DocumentName, Parent, check_database


@pytest.mark.parametrize(
    ("path", "collection", "document_id"),
    [
        ("c/d", "c", "d"),
        ("c/__id7__", "c", "__id7__"),
        ("____/____", "____", "____"),
        ("c/__d", "c", "__d"),
        ("c/d/e/f", "c/d/e", "f"),
        ("c/" + "x" * 1500, "c", "x" * 1500),
    ],
)
def test_document_name_is_parsed(path: str, collection: str, document_id: str) -> None:
    parsed = DocumentName.parse(name(path))
    assert parsed == (DATABASE, collection, document_id)
    assert str(parsed) == name(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c/d",
        DATABASE,
        f"{DATABASE}/documents",
        "projects//databases/d/documents/c/d",
        "projects/p/databases//documents/c/d",
        "projects/p/databases/d/elsewhere/c/d",
        *map(
            name,
            [
                "",
                "c",
                "c/",
                "/d",
                "c/d/e",
                "c//e/f",
                "c/.",
                "c/..",
                "c/__d__",
                "__c__/d",
                "c/__id07__",
                "c/_____",
                "__id7__/d",
            ],
        ),
        name("c/" + "x" * 1501),
        name("c/" + "é" * 751),
        name("/".join(["x" * 1500] * 6)),
    ],
)
def test_malformed_document_name_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        DocumentName.parse(text)


def test_parent_is_parsed() -> None:
    assert Parent.parse(f"{DATABASE}/documents").collection("c") == "c"
    assert Parent.parse(name("c/d")).collection("e") == "c/d/e"


@pytest.mark.parametrize("text", ["", DATABASE, name("c"), name("c/d/e"), name("c/..")])
def test_malformed_parent_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Parent.parse(text)


@pytest.mark.parametrize("collection_id", ["", "a/b", "__a__", "."])
def test_malformed_collection_id_is_rejected(collection_id: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Parent.parse(name("c/d")).collection(collection_id)


@pytest.mark.parametrize("text", ["", "p", "projects/p/databases/", f"{DATABASE}/documents"])
def test_malformed_database_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        check_database(text)
