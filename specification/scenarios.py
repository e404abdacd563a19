"""The scenarios: small sets of clients, chosen so that every rule of the protocol is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import ABSENT, Attempt, Body, Change, EventType, Kind, Product, World
from specification.explore import Scenario, run_alone
from specification.processes import Call, Process
from specification.protocol import new_order
from specification.store import reprice

if TYPE_CHECKING:
    from specification.processes import Program
    from specification.protocol import Protocol

ANY, OTHER = Body("x"), Body("y")
AT_ONE = Body("x", expected_total=1)
"""The buyer expects the first price in the catalogue."""

TWO, HELD = Body("x", units=2), Body("x", hold=True)


def change_price(price: int) -> Program:
    yield Call(reprice, (price,))
    return None


def scenarios(protocol: Protocol) -> dict[str, Scenario]:
    return {
        **placing(protocol),
        **movements(protocol),
        **holds(protocol),
        **outbox(protocol),
    }


def buying_async(protocol: Protocol, attempt: Attempt) -> Process:
    """The client accepts a pending order if inventory is unavailable."""
    return Process.of(protocol.place, attempt, ABSENT, True)


def placing(protocol: Protocol) -> dict[str, Scenario]:
    """Orders of one unit, from the request to the last unit."""

    def buy(key: str, body: Body = ANY, *, keyed: bool = True) -> Process:
        return Process.of(protocol.place, Attempt(key, 0, body, keyed))

    def buy_async(key: str, body: Body = ANY, *, keyed: bool = True) -> Process:
        return buying_async(protocol, Attempt(key, 0, body, keyed))

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
            1, {"buyer": buy_async("A"), "retry": buy("A"), "cancel": cancel}
        ),
        "inventory unavailable, another body": Scenario(
            2, {"buyer": buy_async("A"), "other": buy("A", OTHER)}, faults=2
        ),
        "inventory unavailable, the last unit": Scenario(
            1,
            {
                "buyer": buy_async("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
        ),
        "inventory unavailable, and the last unit is released": Scenario(
            1,
            {
                "retry": buy("A"),
                "rival": buy("B"),
                "cancel": Process.of(protocol.cancel, "B"),
            },
            faults=0,
            start=pending(protocol, World(Product(1))),
        ),
        "without a key": Scenario(
            1, {"buyer": buy("A", keyed=False), "rival": buy("B"), "cancel": cancel}
        ),
        "without a key, inventory unavailable": Scenario(
            1, {"buyer": buy_async("A", keyed=False), "rival": buy("B")}
        ),
        "without a key, price change": Scenario(
            1, {"buyer": buy("A", AT_ONE, keyed=False), "catalogue": raise_price}
        ),
        "price change": Scenario(
            1, {"buyer": buy("A", AT_ONE), "retry": buy("A", AT_ONE), "catalogue": raise_price}
        ),
        "price change while inventory is unavailable": Scenario(
            1, {"buyer": buy_async("A", AT_ONE), "cancel": cancel, "catalogue": raise_price}
        ),
        "price change, and another buyer": Scenario(
            1, {"buyer": buy("A", AT_ONE), "rival": buy("B"), "catalogue": raise_price}
        ),
    }


def placed(protocol: Protocol, body: Body, world: World) -> World:
    """The documents after an order was placed without faults."""
    attempt = Attempt("A", 0, body)
    return run_alone(world, Process.of(protocol.place, attempt)).world


def pending(protocol: Protocol, world: World) -> World:
    """The documents after an order was placed while inventory was unavailable."""
    order = new_order(Attempt("A", 0, ANY), ABSENT).with_event(EventType.PLACED)
    return run_alone(world, Process.of(protocol.create, order, True)).world


def movements(protocol: Protocol) -> dict[str, Scenario]:
    """An order of two units, of which parts move."""

    def move(request: str, kind: Kind, units: int = 1) -> Process:
        return Process.of(protocol.move, "A", Change(request, kind, units))

    buy = Process.of(protocol.place, Attempt("A", 0, TWO))
    rival = Process.of(protocol.place, Attempt("B", 0, ANY))
    cancel = Process.of(protocol.cancel, "A")
    fulfil = Process.of(protocol.fulfil, "A")
    cancel_part, cancel_other = move("r1", Kind.RELEASE), move("r2", Kind.RELEASE)
    fulfil_part, restock = move("r3", Kind.CONSUME), move("r4", Kind.RESTOCK)
    start = placed(protocol, TWO, World(Product(2)))
    shipped = run_alone(start, fulfil_part).world
    return {
        "cancel a part, sent twice": Scenario(
            2, {"clerk": cancel_part, "retry": cancel_part}, faults=2, start=start
        ),
        "cancel two parts": Scenario(
            2, {"clerk": cancel_part, "other clerk": cancel_other}, start=start
        ),
        "cancel a part and fulfil a part": Scenario(
            2, {"clerk": cancel_part, "warehouse": fulfil_part}, start=start
        ),
        "fulfil a part and cancel the rest": Scenario(
            2, {"warehouse": fulfil_part, "cancel": cancel}, start=start
        ),
        "cancel a part and fulfil the rest": Scenario(
            2, {"clerk": cancel_part, "fulfil": fulfil}, start=start
        ),
        "more units than are left": Scenario(
            2, {"clerk": move("r5", Kind.RELEASE, 2), "warehouse": fulfil_part}, start=start
        ),
        "fulfil a part and restock it": Scenario(
            2, {"warehouse": fulfil_part, "returns": restock}, start=start
        ),
        "restock a part and cancel the rest": Scenario(
            2, {"returns": restock, "cancel": cancel}, start=shipped
        ),
        "restock a part and cancel a part": Scenario(
            2,
            {"returns": restock, "retry": restock, "clerk": cancel_part},
            faults=0,
            start=shipped,
        ),
        "cancel a part, and another buyer": Scenario(
            2, {"clerk": cancel_part, "rival": rival}, start=start
        ),
        "cancel a part of an order that is being placed": Scenario(
            2, {"buyer": buy, "clerk": cancel_part}
        ),
    }


def holds(protocol: Protocol) -> dict[str, Scenario]:
    """An order that holds the last unit until it is paid."""
    attempt = Attempt("A", 0, HELD)
    buy = Process.of(protocol.place, attempt)
    buy_async = buying_async(protocol, attempt)
    rival = Process.of(protocol.place, Attempt("B", 0, ANY))
    confirm = Process.of(protocol.confirm, "A")
    cancel = Process.of(protocol.cancel, "A")
    start = placed(protocol, HELD, World(Product(1)))
    return {
        "payment and expiry": Scenario(
            1, {"buyer": buy, "payment": confirm, "retry": confirm}, start=start
        ),
        "payment and cancel": Scenario(
            1, {"payment": confirm, "cancel": cancel, "retry": confirm}, start=start
        ),
        "payment of an order that is being placed": Scenario(1, {"buyer": buy, "payment": confirm}),
        "hold, and another buyer": Scenario(1, {"buyer": buy, "rival": rival}),
        "hold while inventory is unavailable": Scenario(
            1, {"buyer": buy_async, "retry": buy, "payment": confirm}
        ),
    }


def outbox(protocol: Protocol) -> dict[str, Scenario]:
    """An order whose events go to a sink."""
    publish = Process.of(protocol.publish, "A")
    buy_async = buying_async(protocol, Attempt("A", 0, ANY))
    rival = Process.of(protocol.place, Attempt("B", 0, ANY))
    buy = Process.of(protocol.place, Attempt("A", 0, ANY))
    cancel = Process.of(protocol.cancel, "A")
    cancel_part = Process.of(protocol.move, "A", Change("r1", Kind.RELEASE))
    start = placed(protocol, ANY, World(Product(1), deliveries=()))
    two = placed(protocol, TWO, World(Product(2), deliveries=()))
    held = placed(protocol, HELD, World(Product(1), deliveries=()))
    empty = World(Product(1), deliveries=())
    return {
        "publish a new order": Scenario(1, {"buyer": buy, "publisher": publish}, start=empty),
        "publish an order that was pending": Scenario(
            1, {"buyer": buy_async, "rival": rival, "publisher": publish}, start=empty
        ),
        "two publishers": Scenario(
            1,
            {"buyer": buy, "publisher": publish, "other publisher": publish},
            faults=2,
            start=empty,
        ),
        "publish during a cancellation": Scenario(
            1, {"cancel": cancel, "publisher": publish}, start=start
        ),
        "publish during a movement": Scenario(
            2, {"clerk": cancel_part, "publisher": publish}, start=two
        ),
        "publish during a payment": Scenario(
            1,
            {"payment": Process.of(protocol.confirm, "A"), "publisher": publish},
            start=held,
        ),
    }
