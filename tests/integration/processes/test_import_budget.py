"""A cold start consists of imports: a function loads no more than functions/import_budget.toml.

Parts of Google's libraries are imported late, or never. The whole library works beside them.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.machinery import PathFinder

import pytest
from local import stack, tokens
from local.processes import Process
from support.in_process.apps import OPERATOR, ORDER

from firestore_emulator.launcher import free_port

BUDGET = tomllib.loads((stack.ROOT / "functions/import_budget.toml").read_text())
SERVER = stack.ROOT / "tests/support/processes/listing_modules.py"
OURS = {"functions_common", "order_function", "inventory_function", "main", "__main__"}
NOBODY = "http://127.0.0.1:1"

CHECKS = """
from google.cloud import firestore, firestore_v1
assert firestore.Client.__module__ == "google.cloud.firestore_v1.client"
assert firestore_v1.types is messages.types
assert firestore_v1.types.Write.pb() is messages.Write
"""
MESSAGES_FIRST = f"""
import sys
from functions_common.firestore import messages
assert "google.cloud.firestore_v1" not in sys.modules
{CHECKS}
"""
LIBRARY_FIRST = f"""
from google.cloud import firestore
from functions_common.firestore import messages
{CHECKS}
"""
REAL_SERVICE = """
import sys
import google.auth
from google.auth.credentials import AnonymousCredentials
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
google.auth.default = lambda scopes: (AnonymousCredentials(), "shop")
connection = FirestoreConnection(FirestoreSettings("shop", "(default)", None))
assert connection.rpcs
assert not {"cryptography", "google.cloud.firestore_v1.client"} & {*sys.modules}
connection.close()
"""


def package_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.fixture(scope="module", params=["order", "inventory"])
def function(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def loaded(function: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The modules that the real server has loaded before its first request."""
    directory = tmp_path_factory.mktemp("modules")
    modules = directory / "modules"
    environment = {
        "FUNCTION": function,
        "PORT": str(free_port()),
        "HOST": stack.HOST,
        "PYTHONPATH": "",
        "GOOGLE_CLOUD_PROJECT": "none",
        "FIRESTORE_EMULATOR_HOST": emulator,
        "INVENTORY_SERVICE_URL": NOBODY,
        **tokens.variables(ORDER, OPERATOR),
        "AUTH_MODE": "open",
        "MODULES": str(modules),
    }
    server = [sys.executable, str(SERVER)]
    process = Process(function, server, environment, directory / "log")
    process.start()
    try:
        process.wait_until(modules.exists, lambda: None)
    finally:
        process.kill()
    return modules.read_text().split()


def test_function_imports_no_more_modules_than_the_budget(function: str, loaded: list[str]) -> None:
    others = [module for module in loaded if package_of(module) not in OURS]
    most = Counter(map(package_of, others)).most_common(30)
    assert len(others) <= BUDGET["modules"][function], f"most are of {most}"


def test_function_imports_only_packages_of_the_budget(loaded: list[str]) -> None:
    packages = {package_of(module) for module in loaded} - OURS
    assert {name for name in packages if is_installed(name)} <= set(BUDGET["packages"])


def is_installed(package: str) -> bool:
    """Modules other than the interpreter's and those that an extension module creates."""
    spec = None if package.startswith("_") else PathFinder.find_spec(package)
    if spec is None:
        return False
    places = spec.submodule_search_locations or [str(spec.origin)]
    return any("site-packages" in place for place in places)


@pytest.mark.parametrize("name", BUDGET["late"])
def test_rarely_needed_module_is_imported_on_first_use(loaded: list[str], name: str) -> None:
    assert importlib.util.find_spec(name), "there is no such module"
    assert name not in loaded, BUDGET["late"][name]


@pytest.mark.parametrize(
    "program", [MESSAGES_FIRST, LIBRARY_FIRST], ids=["before the library", "after the library"]
)
def test_library_has_the_same_message_classes(program: str) -> None:
    path = {"PYTHONPATH": str(stack.ROOT / "functions/common")}
    subprocess.run([sys.executable, "-c", program], check=True, env=path, timeout=60)


def test_channel_to_the_real_service_needs_neither_key_files_nor_the_client() -> None:
    path = {"PYTHONPATH": str(stack.ROOT / "functions/common")}
    subprocess.run([sys.executable, "-c", REAL_SERVICE], check=True, env=path, timeout=60)
