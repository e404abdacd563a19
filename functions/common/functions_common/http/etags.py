"""Entity tags, and the conditions ``If-Match`` and ``If-None-Match`` (RFC 9110, 13.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from functions_common.http.problems import InvalidField, InvalidValueError
from functions_common.http.routing import Parameter
from functions_common.http.schema import as_schema

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

ANY = "*"
"""The condition is about the existence of the resource, not about a tag."""
MAX_CONDITION = 1000
"""Characters of a header: more than ten of our own tags."""

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_EACH_TAG = re.compile(r'(W/)?"([^"]*)"')
_PATTERN = r'^(\*|(W/)?"[^"]*"([ \t]*,[ \t]*(W/)?"[^"]*")*)$'


def _header(name: str, description: str) -> Parameter:
    schema = as_schema(maxLength=MAX_CONDITION, pattern=_PATTERN)
    return Parameter(name, "header", Annotated[str, schema], description)


IF_MATCH = _header(
    "If-Match",
    "Make the change only if no other request has changed the product since you read it: send the"
    " `ETag` that you read. Sales do not count as a change here. `*`: only if the product exists.",
)
IF_NONE_MATCH = _header(
    "If-None-Match",
    "`*`: make the change only if the product does not exist. With tags: only if the product has"
    " none of them.",
)
IF_NONE_MATCH_OF_READ = _header(
    "If-None-Match",
    "The `ETag` of your copy. If the product and its stock are unchanged, the response is 304"
    " without a body.",
)


def malformed_detail(name: str) -> str:
    return (
        f'{name}: must be * or a list of entity tags such as "…", with the quotes, and have at most'
        f" {MAX_CONDITION:,} characters; send the ETag of a response, unchanged"
    )


def condition(request: Request, name: str) -> frozenset[str] | None:
    """The tags in a header, without quotes; ``{ANY}`` for ``*``. None if the header is absent.

    A weak tag is left out of ``If-Match``, because that header compares strongly: it matches
    nothing. Raises InvalidValueError if the header is malformed.
    """
    value = request.headers.get(name)
    if value is None:
        return None
    value = value.strip(" \t") if len(value) <= MAX_CONDITION else ""
    if value == ANY:
        return frozenset((ANY,))
    if not _TAGS.fullmatch(value):
        raise InvalidValueError(InvalidField(malformed_detail(name), header=name))
    strong_only = name == IF_MATCH.name
    # A tag that is a quoted asterisk is not ANY; no resource here has it.
    return frozenset(
        tag for weak, tag in _EACH_TAG.findall(value) if tag != ANY and not (weak and strong_only)
    )
