"""Python's search for reference cycles, in work that creates many lasting objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class _Lasting:
    def __init__(self) -> None:
        self._users = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._users += 1
        gc.disable()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                gc.freeze()
                gc.enable()


# Without it, the search would visit all documents again and again, for up to a second each time.
# The block should leave objects without cycles only. Their reference counts still free them.
lasting_objects = _Lasting()
