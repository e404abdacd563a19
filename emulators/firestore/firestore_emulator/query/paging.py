"""Pages of sorted names. A page token contains the last name of its page."""

import base64
import binascii
from collections.abc import Sequence

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.values import reference_key

DEFAULT_PAGE_SIZE = 300


def page(names: Sequence[str], size: int, token: str) -> tuple[Sequence[str], str]:
    """The names after the token, at most ``size``, and the token of the next page or ""."""
    check_size(size)
    after = reference_key(decoded(token))
    return cut([name for name in names if reference_key(name) > after], size)


def cut(rest: Sequence[str], size: int) -> tuple[Sequence[str], str]:
    """The first names of the rest, and the token of the next page or ""."""
    found = rest[: size or DEFAULT_PAGE_SIZE]
    return found, _encoded(found[-1]) if len(found) < len(rest) else ""


def check_size(size: int) -> None:
    if size < 0:
        raise InvalidArgumentError("Page size must be nonnegative.")


def invalid_token() -> InvalidArgumentError:
    return InvalidArgumentError("invalid page token")


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def decoded(token: str) -> str:
    """The last name of the page before."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_token() from error
