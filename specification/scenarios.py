"""Small casts that between them meet in every way the protocol knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Attempt, Body
from specification.explore import Scenario
from specification.processes import Call, Process
from specification.protocol import reprice

if TYPE_CHECKING:
    from specification.processes import Program
    from specification.protocol import Protocol

ANY, OTHER = Body("x"), Body("y")
AT_ONE = Body("x", expected_total=1)
"""The catalogue's price at first is 1."""


def change_price(price: int) -> Program:
    yield Call(reprice, (price,))
    return None


def scenarios(protocol: Protocol) -> dict[str, Scenario]:
    def buy(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.place, Attempt(key, 0, body))

    def buy_later(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.place_later, Attempt(key, 0, body))

    def ask_again(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.replay, Attempt(key, 0, body))

    cancel = Process.of(protocol.cancel, "A")
    fulfil = Process.of(protocol.fulfil, "A")
    dearer = Process.of(change_price, 2)
    return {
        "a request and its retry, the last unit": Scenario(
            1, {"buyer": buy("A"), "retry": buy("A")}, faults=2
        ),
        "two buyers, the last unit": Scenario(
            1, {"buyer": buy("A"), "retry": buy("A"), "rival": buy("B")}
        ),
        "cancel": Scenario(1, {"buyer": buy("A"), "retry": buy("A"), "cancel": cancel}),
        "cancel, and another buys": Scenario(
            1, {"buyer": buy("A"), "rival": buy("B"), "cancel": cancel}
        ),
        "cancel and fulfil": Scenario(1, {"buyer": buy("A"), "cancel": cancel, "fulfil": fulfil}),
        "another body": Scenario(2, {"buyer": buy("A"), "other": buy("A", OTHER)}, faults=2),
        "inventory away": Scenario(
            1, {"buyer": buy_later("A"), "retry": buy("A"), "cancel": cancel}
        ),
        "inventory away after a request": Scenario(
            1, {"buyer": buy("A"), "retry": ask_again("A"), "cancel": cancel}
        ),
        "inventory away after a request, another body": Scenario(
            2, {"buyer": buy("A"), "other": ask_again("A", OTHER)}
        ),
        "inventory away, another body": Scenario(
            2, {"buyer": buy_later("A"), "other": buy("A", OTHER)}, faults=2
        ),
        "inventory away, the last unit": Scenario(
            1,
            {
                "buyer": buy_later("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
        ),
        "inventory away, and the last unit comes back": Scenario(
            1,
            {
                "buyer": buy_later("A"),
                "retry": buy("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
            faults=0,
        ),
        "repriced": Scenario(
            1, {"buyer": buy("A", AT_ONE), "retry": buy("A", AT_ONE), "catalogue": dearer}
        ),
        "repriced while inventory is away": Scenario(
            1, {"buyer": buy_later("A", AT_ONE), "cancel": cancel, "catalogue": dearer}
        ),
        "repriced, and another buys": Scenario(
            1, {"buyer": buy("A", AT_ONE), "rival": buy("B"), "catalogue": dearer}
        ),
    }
