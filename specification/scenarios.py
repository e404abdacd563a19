"""The scenarios: small sets of clients, chosen so that every rule of the protocol is needed."""

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
"""The buyer expects the first price in the catalogue."""


def change_price(price: int) -> Program:
    yield Call(reprice, (price,))
    return None


def scenarios(protocol: Protocol) -> dict[str, Scenario]:
    def buy(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.place, Attempt(key, 0, body))

    def buy_pending(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.place_pending, Attempt(key, 0, body))

    def replay(key: str, body: Body = ANY) -> Process:
        return Process.of(protocol.replay_without_inventory, Attempt(key, 0, body))

    cancel = Process.of(protocol.cancel, "A")
    fulfil = Process.of(protocol.fulfil, "A")
    raise_price = Process.of(change_price, 2)
    return {
        "a request and its retry, the last unit": Scenario(
            1, {"buyer": buy("A"), "retry": buy("A")}, faults=2
        ),
        "two buyers, the last unit": Scenario(
            1, {"buyer": buy("A"), "retry": buy("A"), "rival": buy("B")}
        ),
        "cancel": Scenario(1, {"buyer": buy("A"), "retry": buy("A"), "cancel": cancel}),
        "cancel, and another buyer": Scenario(
            1, {"buyer": buy("A"), "rival": buy("B"), "cancel": cancel}
        ),
        "cancel and fulfil": Scenario(1, {"buyer": buy("A"), "cancel": cancel, "fulfil": fulfil}),
        "another body": Scenario(2, {"buyer": buy("A"), "other": buy("A", OTHER)}, faults=2),
        "inventory unavailable": Scenario(
            1, {"buyer": buy_pending("A"), "retry": buy("A"), "cancel": cancel}
        ),
        "inventory unavailable after a request": Scenario(
            1, {"buyer": buy("A"), "retry": replay("A"), "cancel": cancel}
        ),
        "inventory unavailable after a request, another body": Scenario(
            2, {"buyer": buy("A"), "other": replay("A", OTHER)}
        ),
        "inventory unavailable, another body": Scenario(
            2, {"buyer": buy_pending("A"), "other": buy("A", OTHER)}, faults=2
        ),
        "inventory unavailable, the last unit": Scenario(
            1,
            {
                "buyer": buy_pending("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
        ),
        "inventory unavailable, and the last unit is released": Scenario(
            1,
            {
                "buyer": buy_pending("A"),
                "retry": buy("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
            faults=0,
        ),
        "price change": Scenario(
            1, {"buyer": buy("A", AT_ONE), "retry": buy("A", AT_ONE), "catalogue": raise_price}
        ),
        "price change while inventory is unavailable": Scenario(
            1, {"buyer": buy_pending("A", AT_ONE), "cancel": cancel, "catalogue": raise_price}
        ),
        "price change, and another buyer": Scenario(
            1, {"buyer": buy("A", AT_ONE), "rival": buy("B"), "catalogue": raise_price}
        ),
    }
