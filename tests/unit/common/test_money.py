from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions_common.money import to_minor, to_wire

CURRENCIES = ("JPY", "USD", "KWD", "CLF")


@pytest.mark.parametrize(
    ("minor", "currency", "wire"),
    [(99_999, "USD", "999.99"), (500, "JPY", "500"), (1_001, "KWD", "1.001"), (0, "EUR", "0.00")],
)
def test_minor_units_convert_to_decimals_and_back(minor: int, currency: str, wire: str) -> None:
    assert str(to_wire(minor, currency)) == wire
    assert to_minor(Decimal(wire), currency) == minor


@pytest.mark.parametrize(
    ("amount", "minor"),
    [("999.9900000000000000000000000000000000", 99_999), ("5e3", 500_000), ("0e99999999", 0)],
)
def test_equal_decimals_give_equal_minor_units(amount: str, minor: int) -> None:
    assert to_minor(Decimal(amount), "USD") == minor


def test_negative_amounts_keep_their_sign() -> None:
    assert to_minor(Decimal("-1.5"), "USD") == -150


@given(st.integers(0, 10**15), st.sampled_from(CURRENCIES))
def test_conversion_to_decimal_and_back_is_exact(minor: int, currency: str) -> None:
    assert to_minor(to_wire(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("9.999", "USD"),
        ("0.5", "JPY"),
        ("1e-30", "USD"),
        ("1e-2000000", "USD"),
        ("999.990000000000000000000000000000000001", "USD"),
    ],
)
def test_to_minor_raises_when_the_amount_has_too_many_decimals(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"{currency} has"):
        to_minor(Decimal(amount), currency)
