"""Money is an integer of minor units inside (cents), and a decimal number on the wire."""

from __future__ import annotations

from decimal import Decimal

# ISO 4217: the currencies whose minor unit is not a hundredth.
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"
_MINOR_DIGITS = {
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
    **dict.fromkeys(_FOUR_DIGITS.split(), 4),
}


def minor_digits(currency: str) -> int:
    return _MINOR_DIGITS.get(currency, 2)


def to_wire(minor: int, currency: str) -> Decimal:
    """``99999, "USD"`` → ``Decimal("999.99")``."""
    return Decimal(minor).scaleb(-minor_digits(currency))


def to_minor(amount: Decimal | int, currency: str) -> int:
    """``Decimal("999.99"), "USD"`` → ``99999``.

    The amount must be bounded by the caller (an exponent of a million is a legal number).
    Raises ``ValueError`` where the amount has more decimals than the currency.
    """
    minor = Decimal(amount).scaleb(minor_digits(currency))
    whole = int(minor)
    if minor != whole:
        digits = minor_digits(currency)
        raise ValueError(f"{currency} has {digits} decimals, {amount} has more")
    return whole
