"""Modules of a package are imported without the package, which can be imported afterwards."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from functions_common.runtime.partial_imports import without_init

COMMON = Path(sys.modules[without_init.__module__].__file__ or "").parents[2]
PROGRAM = """
import sys
from functions_common.firestore import messages
package = "google.cloud.firestore_v1"
assert package not in sys.modules
early = messages.types
from google.cloud import firestore, firestore_v1
assert firestore.Client.__module__ == package + ".client"
assert firestore_v1.types is early
assert firestore_v1.types.Write.pb() is messages.Write
"""


def test_complete_library_uses_the_types_that_were_imported_without_it() -> None:
    program = [sys.executable, "-c", PROGRAM]
    subprocess.run(program, check=True, cwd=COMMON, env={"PYTHONPATH": str(COMMON)})


def test_package_that_is_loaded_stays_as_it_is() -> None:
    import google.cloud.firestore_v1 as library  # noqa: PLC0415 - only this test needs it loaded

    with without_init("google.cloud.firestore_v1"):
        assert sys.modules["google.cloud.firestore_v1"] is library
    assert sys.modules["google.cloud.firestore_v1"] is library


def test_package_can_be_imported_after_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "parcel"
    package.mkdir()
    (package / "__init__.py").write_text("from parcel import inside\nRUN = True")
    (package / "inside.py").write_text("VALUE = object()")
    monkeypatch.syspath_prepend(tmp_path)
    with without_init("parcel"):
        inside = importlib.import_module("parcel.inside")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("parcel.missing")
    assert "parcel" not in sys.modules
    parcel = importlib.import_module("parcel")
    assert parcel.RUN
    assert parcel.inside is inside


def test_package_is_free_again_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/inside.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError), without_init("broken"):
        importlib.import_module("broken.inside")
    assert "broken" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package", "colorsys"])
def test_only_a_package_has_modules(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=name), without_init(name):
        pass
