"""The check for serializable histories, on histories written by hand."""

import pytest
from support.emulator.histories import HIGH, Executed, violation

BEGINNING = Executed(0, written={"c/a": 1, "c/b": 2})


def test_serial_history_has_no_violation() -> None:
    history = [
        Executed(3, read={"c/a": 3, "c/b": 2}, found={"c/n"}),
        Executed(1, read={"c/a": 1}, written={"c/a": 3}),
        BEGINNING,
        Executed(2, read={"c/n": None}, found=set(), written={"c/n": HIGH}),
        Executed(2, read={"c/n": HIGH}, found={"c/n"}),
        Executed(4, written={"c/n": None}),
        Executed(5, read={"c/n": None}, found=set()),
    ]
    assert violation(history) == ""


@pytest.mark.parametrize(
    "anomaly",
    [
        pytest.param(
            [
                Executed(1, read={"c/a": 1}, written={"c/a": 3}),
                Executed(2, read={"c/a": 1}, written={"c/a": 4}),
            ],
            id="lost update",
        ),
        pytest.param(
            [
                Executed(1, read={"c/a": 1, "c/b": 2}, written={"c/a": 3}),
                Executed(2, read={"c/a": 1, "c/b": 2}, written={"c/b": 4}),
            ],
            id="write skew",
        ),
        pytest.param(
            [
                Executed(1, found=set(), written={"c/n": HIGH}),
                Executed(2, found=set(), written={"c/m": HIGH + 1}),
            ],
            id="phantom",
        ),
        pytest.param(
            [
                Executed(1, written={"c/a": 3}),
                Executed(2, written={"c/b": 4}),
                Executed(3, read={"c/a": 3, "c/b": 2}),
                Executed(3, read={"c/a": 1, "c/b": 4}),
            ],
            id="long fork",
        ),
    ],
)
def test_anomaly_is_found(anomaly: list[Executed]) -> None:
    assert violation([BEGINNING, *anomaly]) != ""
