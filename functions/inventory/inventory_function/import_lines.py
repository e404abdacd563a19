"""The lines of ``POST /products:import``."""

from __future__ import annotations

from functions_common.http import parsing
from functions_common.http.problems import InvalidField, InvalidValueError, RequestError
from inventory_function import schemas
from inventory_function.domain import MAX_IMPORT_LINE, CatalogueChanges

ImportLine = tuple[str, CatalogueChanges, int]
"""A product's id, its catalogue fields, and the units to add."""


def parse_line(
    number: int, line: bytes, currency: str, first_lines: dict[str, int]
) -> ImportLine | RequestError:
    """Check a line. Returns the error of a bad line, because it must not end the import.

    ``first_lines``: the number of the line of each product so far; this one is added.
    """
    try:
        if len(line) > MAX_IMPORT_LINE:
            detail = f"#: the line has {len(line):,} bytes, and may have {MAX_IMPORT_LINE:,}"
            raise InvalidValueError(InvalidField(detail, pointer="#"))
        body = parsing.document(line, schemas.ImportedProductRequest, "The line")
        parsed = body.to_domain(currency)
    except RequestError as error:
        return error
    first = first_lines.setdefault(parsed[0], number)
    if first != number:
        detail = f"#/product_id: {parsed[0]} is on line {first} already; import it once"
        return InvalidValueError(InvalidField(detail, pointer="#/product_id"))
    return parsed
