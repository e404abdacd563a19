"""The modules that `make mutants` changes, and the tests that must notice each change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    file: str
    """A path in the folder of the function, or a pattern: ``[!o]*.py`` leaves out ``order.py``."""
    tests: tuple[str, ...]
    """Paths in ``tests/unit``: few and fast, because most of them run for each change."""


MODULES = (
    Module("batching", "functions_common/batching.py", ("common/test_batching.py",)),
    Module(
        "transactions",
        "inventory_function/transactions.py",
        (
            "inventory/test_transactions.py",
            "inventory/test_low_stock_events.py",
            "inventory/test_group_commit.py",
        ),
    ),
    Module(
        "unit_of_work",
        "inventory_function/unit_of_work.py",
        (
            "inventory/test_unit_of_work.py",
            "inventory/test_stock_operations.py",
            "inventory/test_transactions.py",
            "inventory/test_low_stock_events.py",
            "protocol/test_unusable_documents.py",
        ),
    ),
    Module(
        "operations",
        "inventory_function/operations.py",
        (
            "inventory/test_stock_operations.py",
            "inventory/test_transactions.py",
            "inventory/test_inventory_http.py",
            "protocol/test_unusable_documents.py",
        ),
    ),
    Module(
        "inventory domain",
        "inventory_function/domain.py",
        (
            "inventory/test_stock_errors.py",
            "inventory/test_domain_rules.py",
            "inventory/test_stock_operations.py",
            "inventory/test_inventory_http.py",
            "inventory/test_catalogue_http.py",
            "inventory/test_low_stock_events.py",
        ),
    ),
    Module(
        "group_commit",
        "inventory_function/group_commit.py",
        (
            "inventory/test_group_commit.py",
            "inventory/test_low_stock_events.py",
            "protocol/test_unusable_documents.py",
        ),
    ),
    Module(
        "sweep",
        "order_function/reconcile/sweep.py",
        (
            "order/commands/test_sweep.py",
            "order/commands/test_sweep_calls.py",
            "order/commands/test_commands.py",
            "order/test_pending_orders.py",
            "order/test_holds.py",
            "order/test_movements.py",
            "protocol/test_abandoned_attempts.py",
            "protocol/test_unusable_documents.py",
        ),
    ),
    Module(
        "order parts",
        "order_function/domain/[!o]*.py",
        (
            "order/test_order_errors.py",
            "order/test_order_rules.py",
            "order/test_placing_orders.py",
            "order/test_erasing_customers.py",
        ),
    ),
    Module(
        "order",
        "order_function/domain/order.py",
        (
            "order/test_order_rules.py",
            "order/test_placing_orders.py",
            "order/test_pending_orders.py",
            "order/test_holds.py",
            "order/test_movements.py",
            "order/test_fulfilling_orders.py",
        ),
    ),
)
BY_NAME = {each.name.replace(" ", "_"): each for each in MODULES}
