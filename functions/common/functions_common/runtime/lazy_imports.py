"""Delays the import of a module until the first use of one of its attributes."""

from __future__ import annotations

import importlib.util
import sys


def import_lazily(name: str) -> None:
    """Make ``from package import module`` cheap: load the module on the first attribute access.

    Only for a module whose importers use its attributes later, within functions.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name=name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    package, _, own_name = name.rpartition(".")
    # Otherwise the next import reads the module's __spec__, which loads the module.
    setattr(sys.modules[package], own_name, module)
