"""`make audit` audits the shop of this folder, or the database that is named, and says which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from local import audit, running
from local.processes import LocalError
from local.running import Shop

SHOP = Shop("http://127.0.0.1:8080", "127.0.0.1:8085", "demo", "(default)")
OTHER = Shop("http://127.0.0.1:9080", "127.0.0.1:9085", "mine", "trial")


def choose(environ: Mapping[str, str], folder: Path) -> audit.Target:
    return audit.target(environ, folder)


def test_shop_that_runs_in_the_folder_is_chosen(tmp_path: Path) -> None:
    with running.announced(tmp_path, SHOP):
        chosen = choose({}, tmp_path)
    assert chosen.describe() == (
        "Auditing the shop at http://127.0.0.1:8080: database (default) of project demo in the"
        " emulator at 127.0.0.1:8085"
    )


@pytest.mark.parametrize(
    "environ", [{"ORDER_PORT": "9080"}, {"EMULATOR_PORT": "9085"}, {"ORDER_PORT": "9080", "X": ""}]
)
def test_port_chooses_one_of_several_shops(environ: dict[str, str], tmp_path: Path) -> None:
    with running.announced(tmp_path, SHOP), running.announced(tmp_path, OTHER):
        chosen = choose(environ, tmp_path)
    assert (chosen.emulator, chosen.project, chosen.database) == ("127.0.0.1:9085", "mine", "trial")


def test_nothing_is_audited_when_the_choice_is_open(tmp_path: Path) -> None:
    with (
        running.announced(tmp_path, SHOP),
        running.announced(tmp_path, OTHER),
        pytest.raises(LocalError, match=r"2 shops run in this folder .*8080.*9080.* ORDER_PORT="),
    ):
        choose({"EMULATOR_PORT": ""}, tmp_path)


def test_neighbours_shop_is_not_audited(tmp_path: Path) -> None:
    """One of another folder, at the ports that `make run` uses."""
    with (
        running.announced(tmp_path / "neighbour", SHOP),
        pytest.raises(LocalError, match="No shop of `make run` runs in this folder"),
    ):
        choose({}, tmp_path / "own")


def test_port_without_a_shop_is_named(tmp_path: Path) -> None:
    with (
        running.announced(tmp_path, SHOP),
        pytest.raises(LocalError, match="`make run EMULATOR_PORT=9085` runs in this folder"),
    ):
        choose({"EMULATOR_PORT": "9085"}, tmp_path)


def test_database_of_the_environment_is_chosen_first(tmp_path: Path) -> None:
    with running.announced(tmp_path, SHOP):
        chosen = choose({"FIRESTORE_EMULATOR_HOST": "db:1", "GOOGLE_CLOUD_PROJECT": "p"}, tmp_path)
    assert chosen.describe() == (
        "Auditing the database of FIRESTORE_EMULATOR_HOST: database (default) of project p in the"
        " emulator at db:1"
    )


def test_shop_is_gone_when_its_process_has_ended(tmp_path: Path) -> None:
    with running.announced(tmp_path, SHOP):
        assert running.shops(tmp_path) == [SHOP]
    assert running.shops(tmp_path) == []


def test_running_shops_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert running.main(tmp_path) == 0
    with running.announced(tmp_path, SHOP):
        assert running.main(tmp_path) == 1
    expected = "A shop of this folder runs at http://127.0.0.1:8080. End it first.\n"
    assert capsys.readouterr().out == expected


def test_announcement_replaces_that_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / "shop-8080.json").write_text("x" * 1000)
    with running.announced(tmp_path, SHOP):
        assert json.loads((tmp_path / "shop-8080.json").read_text())["project"] == "demo"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (0, "Every invariant holds: 3 orders, 4 reservations, 7 products."),
        (1, "1 finding in 3 orders, 4 reservations, 7 products. docs/architecture.md explains"),
        (2, "2 findings in 3 orders"),
    ],
)
def test_result_is_a_sentence(findings: int, expected: str) -> None:
    report = {"findings": findings, "orders": 3, "reservations": 4, "products": 7}
    assert audit.result(report).startswith(expected)
