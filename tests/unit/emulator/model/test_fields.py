from support.emulator.firestore_messages import document, plain, value

from firestore_emulator.model import fields


def test_get_returns_nested_fields() -> None:
    nested = document("c/d", a={"b": {"c": 1}}, s="text")
    found = fields.get(nested.fields, ("a", "b", "c"))
    assert found is not None
    assert plain(found) == 1


def test_get_of_an_absent_field_changes_nothing() -> None:
    nested = document("c/d", a={"b": 1}, s="text")
    before = nested.SerializeToString(deterministic=True)
    for path in [("x",), ("x", "y"), ("a", "x"), ("s", "x"), ("a", "b", "c")]:
        assert fields.get(nested.fields, path) is None
        fields.delete(nested.fields, path)
    assert nested.SerializeToString(deterministic=True) == before


def test_put_replaces_a_parent_that_is_not_a_map() -> None:
    nested = document("c/d", a=1)
    fields.put(nested.fields, ("a", "b"), value(2))
    fields.put(nested.fields, ("x", "y"), value(3))
    assert nested == document("c/d", a={"b": 2}, x={"y": 3})


def test_delete_keeps_other_fields() -> None:
    nested = document("c/d", a={"b": 1, "c": 2})
    fields.delete(nested.fields, ("a", "b"))
    assert nested == document("c/d", a={"c": 2})


def test_project_returns_only_its_paths() -> None:
    whole = document("c/d", a={"b": 1, "c": 2}, x=3, y=4)
    whole.create_time.seconds, whole.update_time.seconds = 1, 2
    projected = fields.project(whole, [("a", "b"), ("x",), ("absent",)])
    assert projected.fields == document("c/d", a={"b": 1}, x=3).fields
    assert projected.name == whole.name
    assert (projected.create_time.seconds, projected.update_time.seconds) == (1, 2)
    assert not fields.project(whole, []).fields
    assert fields.project(whole, None) is whole
