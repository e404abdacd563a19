"""Loads the message classes of a client library without its client.

The package of the library imports the client and grpcio, which would take half of the emulator's
start and of its memory. A program that imports the client before or after gets the same classes.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def load_types(package: str) -> ModuleType:
    """The module ``types`` of the package, such as google.cloud.firestore_v1."""
    spec = find_spec(package)
    if spec is None or package in sys.modules:
        return import_module(f"{package}.types")
    sys.modules[package] = module_from_spec(spec)  # it has a path, but is not executed
    try:
        return import_module(f"{package}.types")
    finally:
        del sys.modules[package]
