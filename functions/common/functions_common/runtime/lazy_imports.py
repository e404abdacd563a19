"""Modules that others import and we hardly use: loaded when first touched, and not before."""

from __future__ import annotations

import importlib.util
import sys


def import_lazily(name: str) -> None:
    """Have ``from package import module`` cost nothing until an attribute of the module is read.

    Only for a module whose importers keep its name and look into it later, in a function.
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
    # Else the next import looks at the module's __spec__ for itself, which is a touch.
    setattr(sys.modules[package], own_name, module)
