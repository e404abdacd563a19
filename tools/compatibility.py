"""Finds the changes of a description that break clients (docs/adr/0011).

A new description may accept more requests and add members to responses. These break
clients:

    removed                 a path, an operation, a parameter, a status or a member of a response
    required                a parameter or a request member that was optional
    narrowed in a request   a type, an enum, a bound or a pattern
    widened in a response   a type or an enum; a member or a header that may now be absent

Problem types are outside the schemas and may be added: clients treat an unknown one by its status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

_MINIMA = ("minimum", "minLength", "minItems")
_MAXIMA = ("maximum", "maxLength", "maxItems")
_COMPARED_AS_A_WHOLE = ("pattern", "format", "const", "not", "oneOf")
"""A change of one of these counts as narrowing and as widening: the difference is not computed."""


def broken(old: Schema, new: Schema) -> list[str]:
    """Return every breaking change, each with its place in the description."""
    return list(_Comparison(old, new).paths())


def unexpected(old: Schema, new: Schema) -> list[str]:
    """Like ``broken``; empty if the first number of the version was raised."""
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
                    yield f"{where}: was removed"
                else:
                    yield from self._operation(where, old, new)

    def _operation(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        needed = new.get("security", [])
        if needed != old.get("security", []) and needed and {} not in needed:
            yield f"{where}: needs a different token"
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            place = f"{where}: response {status}"
            if status not in new["responses"]:
                yield f"{place}: was removed"
            else:
                yield from self._response(place, response, new["responses"][status])

    def _parameters(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = (
            {(each["in"], each["name"]): each for each in operation.get("parameters", [])}
            for operation in (old, new)
        )
        for key, parameter in before.items():
            place = f"{where}: {' '.join(key)}"
            if key not in after:
                yield f"{place}: was removed"
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
            yield f"{where}: body: was removed"
        else:
            for media, described in old.get("content", {}).items():
                place = f"{where}: body"
                if media not in new.get("content", {}):
                    yield f"{place}: {media} was removed"
                else:
                    schemas = described["schema"], new["content"][media]["schema"]
                    yield from self._request(place, *schemas)

    def _response(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        for name, header in old.get("headers", {}).items():
            place = f"{where}: header {name}"
            if name not in new.get("headers", {}):
                yield f"{place}: was removed"
                continue
            before, after = (
                self._follow(self._old, header),
                self._follow(self._new, new["headers"][name]),
            )
            if before.get("required") and not after.get("required"):
                yield f"{place}: may be absent now"
            yield from self._sent(place, before["schema"], after["schema"])
        for media, described in old.get("content", {}).items():
            if media not in new.get("content", {}):
                yield f"{where}: {media} was removed"
            else:
                yield from self._sent(where, described["schema"], new["content"][media]["schema"])

    def _request(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """Compare what the function accepts: it must not accept less."""
        old, new = self._follow(self._old, old), self._follow(self._new, new)
        yield from _changed(where, old, new)
        if types := _types(self._old, old) - _types(self._new, new):
            yield f"{where}: can no longer be {', '.join(sorted(types))}"
        if values := _values(old, new):
            yield f"{where}: can no longer be one of {', '.join(values)}"
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
                yield f"{where}/{name}: is rejected now"
        for name in sorted(_required(new) - _required(old)):
            yield f"{where}/{name}: is required now"

    def _sent(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """Compare what the function sends: it must not send anything new."""
        old, new = self._follow(self._old, old), self._follow(self._new, new)
        yield from _changed(where, old, new)
        if types := _types(self._new, new) - _types(self._old, old):
            yield f"{where}: may be {', '.join(sorted(types))} now"
        if values := _values(new, old):
            yield f"{where}: may be one of {', '.join(values)} now"
        yield from self._sent_members(where, old, new)
        for before, after in _nested(old, new):
            yield from self._sent(f"{where}/*", before, after)

    def _sent_members(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{where}/{name}: was removed"
                continue
            if name in _required(old) - _required(new):
                yield f"{where}/{name}: may be absent now"
            yield from self._sent(f"{where}/{name}", before[name], after[name])

    @staticmethod
    def _follow(description: Schema, thing: Schema) -> Schema:
        """Resolve a reference; keywords beside it are kept."""
        while (reference := thing.get("$ref")) is not None:
            siblings = {key: value for key, value in thing.items() if key != "$ref"}
            found: Any = description
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            thing = {**found, **siblings}
        return thing


def _types(description: Schema, schema: Schema) -> set[str]:
    """The JSON types of a schema; all types if it names none."""
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


def _values(first: Schema, second: Schema) -> list[str]:
    """The values that only the first schema allows; a schema without an enum allows everything."""
    if "enum" not in second:
        return []
    if "enum" not in first:
        return ["anything"]
    return [str(value) for value in first["enum"] if value not in second["enum"]]


def _tightened(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _MINIMA:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{where}: {name} is {new[name]} now"
    for name in _MAXIMA:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{where}: {name} is {new[name]} now"


def _changed(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _COMPARED_AS_A_WHOLE:
        if old.get(name) != new.get(name):
            yield f"{where}: {name} is different now"


def _nested(old: Schema, new: Schema) -> Iterator[tuple[Schema, Schema]]:
    """Pairs of nested schemas: list entries, and the branches of ``anyOf`` by their type."""
    if "items" in old and "items" in new:
        yield old["items"], new["items"]
    branches = {each["type"]: each for each in new.get("anyOf", []) if "type" in each}
    for each in old.get("anyOf", []):
        if each.get("type") in branches:
            yield each, branches[each["type"]]


def _required(schema: Schema) -> set[str]:
    return set(schema.get("required", ()))
