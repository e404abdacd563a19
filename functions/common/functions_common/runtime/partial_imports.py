"""Imports modules of a package without the rest of the package."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_init(package: str) -> Iterator[None]:
    """Within the block, import modules of the package without running its ``__init__.py``.

    Until then a stand-in takes the place of the package. It only knows the folder of the modules.
    The package itself can be imported later, and then uses the modules that are loaded already. If
    it is loaded already, the block changes nothing.
    """
    if package in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"there is no package {package}", name=package)
    stand_in = ModuleType(package)
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        del sys.modules[package]
