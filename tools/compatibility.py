"""What one description promises and the next one does not keep (docs/adr/0011).

Requests may be let in more widely and answers may say more; never the other way round:

    gone                    a path, an operation, a parameter, a status of an answer, a member of it
    asked for               a parameter or a request member that is required now and was not
    narrowed in a request   type, enum, bound or pattern
    widened in an answer    type, enum; a member or header that may be absent now

Types of problems are outside the schemas and may grow: an unknown one means what its status means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

_LEAST = ("minimum", "minLength", "minItems")
_MOST = ("maximum", "maxLength", "maxItems")
_AS_IT_IS = ("pattern", "format", "const", "not", "oneOf")
"""Whether a change of one of these narrows or widens is not worked out: it counts as both."""


def broken(old: Schema, new: Schema) -> list[str]:
    """Every incompatible change, named by its place."""
    return list(_Comparison(old, new).paths())


def unexpected(old: Schema, new: Schema) -> list[str]:
    """The same, unless the first number of the version tells clients to expect it."""
    return [] if _major(new) > _major(old) else broken(old, new)


def _major(description: Schema) -> int:
    return int(description["info"]["version"].split(".")[0])


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def paths(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method, old in operations.items():
                where = f"{method.upper()} {path}"
                new = self._new["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{where}: is gone"
                else:
                    yield from self._operation(where, old, new)

    def _operation(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        needed = new.get("security", [])
        if needed != old.get("security", []) and needed and {} not in needed:
            yield f"{where}: needs another token"
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            place = f"{where}: answer {status}"
            if status not in new["responses"]:
                yield f"{place}: is gone"
            else:
                yield from self._answer(place, answer, new["responses"][status])

    def _parameters(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = (
            {(each["in"], each["name"]): each for each in operation.get("parameters", [])}
            for operation in (old, new)
        )
        for key, parameter in before.items():
            place = f"{where}: {' '.join(key)}"
            if key not in after:
                yield f"{place}: is gone"
            else:
                yield from self._request(place, parameter["schema"], after[key]["schema"])
        for key, parameter in after.items():
            if parameter["required"] and not before.get(key, {}).get("required"):
                yield f"{where}: {' '.join(key)}: is required now"

    def _body(self, where: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if old is None:
            if new is not None and new["required"]:
                yield f"{where}: body: is required now"
        elif new is None:
            yield f"{where}: body: is gone"
        else:
            for media, described in old.get("content", {}).items():
                place = f"{where}: body"
                if media not in new.get("content", {}):
                    yield f"{place}: {media} is gone"
                else:
                    schemas = described["schema"], new["content"][media]["schema"]
                    yield from self._request(place, *schemas)

    def _answer(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        for name, header in old.get("headers", {}).items():
            place = f"{where}: header {name}"
            if name not in new.get("headers", {}):
                yield f"{place}: is gone"
                continue
            before, after = (
                self._follow(self._old, header),
                self._follow(self._new, new["headers"][name]),
            )
            if before.get("required") and not after.get("required"):
                yield f"{place}: may be absent now"
            yield from self._told(place, before["schema"], after["schema"])
        for media, described in old.get("content", {}).items():
            if media not in new.get("content", {}):
                yield f"{where}: {media} is gone"
            else:
                yield from self._told(where, described["schema"], new["content"][media]["schema"])

    def _request(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """What was accepted is accepted still."""
        old, new = self._follow(self._old, old), self._follow(self._new, new)
        yield from _changed_otherwise(where, old, new)
        if types := _types(self._old, old) - _types(self._new, new):
            yield f"{where}: may no longer be {', '.join(sorted(types))}"
        if values := _values(old, new):
            yield f"{where}: may no longer be one of {', '.join(values)}"
        yield from _tightened(where, old, new)
        yield from self._request_members(where, old, new)
        for before, after in _nested(old, new):
            yield from self._request(f"{where}/*", before, after)

    def _request_members(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self._request(f"{where}/{name}", before[name], after[name])
            elif new.get("additionalProperties") is False:
                yield f"{where}/{name}: is refused now"
        for name in sorted(_required(new) - _required(old)):
            yield f"{where}/{name}: is required now"

    def _told(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """Nothing is told that could not be told before."""
        old, new = self._follow(self._old, old), self._follow(self._new, new)
        yield from _changed_otherwise(where, old, new)
        if types := _types(self._new, new) - _types(self._old, old):
            yield f"{where}: may be {', '.join(sorted(types))} now"
        if values := _values(new, old):
            yield f"{where}: may be one of {', '.join(values)} now"
        yield from self._told_members(where, old, new)
        for before, after in _nested(old, new):
            yield from self._told(f"{where}/*", before, after)

    def _told_members(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{where}/{name}: is gone"
                continue
            if name in _required(old) - _required(new):
                yield f"{where}/{name}: may be absent now"
            yield from self._told(f"{where}/{name}", before[name], after[name])

    @staticmethod
    def _follow(description: Schema, thing: Schema) -> Schema:
        """What a reference stands for, with what stands beside it."""
        while (reference := thing.get("$ref")) is not None:
            beside = {key: value for key, value in thing.items() if key != "$ref"}
            found: Any = description
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            thing = {**found, **beside}
        return thing


def _types(description: Schema, schema: Schema) -> set[str]:
    """Its JSON types; all of them where none is named."""
    if "anyOf" in schema:
        follow = _Comparison._follow  # noqa: SLF001 - of this module
        return {
            each
            for part in schema["anyOf"]
            for each in _types(description, follow(description, part))
        }
    if "type" not in schema:
        return {"array", "boolean", "integer", "null", "number", "object", "string"}
    return {"number", "integer"} if schema["type"] == "number" else {schema["type"]}


def _values(more: Schema, less: Schema) -> list[str]:
    """What one enum has and the other has not; a schema without one allows everything."""
    if "enum" not in less:
        return []
    if "enum" not in more:
        return ["anything"]
    return [str(value) for value in more["enum"] if value not in less["enum"]]


def _tightened(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _LEAST:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{where}: {name} is {new[name]} now"
    for name in _MOST:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{where}: {name} is {new[name]} now"


def _changed_otherwise(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _AS_IT_IS:
        if old.get(name) != new.get(name):
            yield f"{where}: {name} is another now"


def _nested(old: Schema, new: Schema) -> Iterator[tuple[Schema, Schema]]:
    """Entries of lists, and the branches of values that may be of several types."""
    if "items" in old and "items" in new:
        yield old["items"], new["items"]
    branches = {each["type"]: each for each in new.get("anyOf", []) if "type" in each}
    for each in old.get("anyOf", []):
        if each.get("type") in branches:
            yield each, branches[each["type"]]


def _required(schema: Schema) -> set[str]:
    return set(schema.get("required", ()))
