"""Money: an integer of minor units (cents) in the code, and a decimal number in JSON."""

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
_HUNDREDTHS = 2


def to_wire(minor: int, currency: str) -> Decimal:
    """``99999, "USD"`` → ``Decimal("999.99")``."""
    return Decimal(minor).scaleb(-_MINOR_DIGITS.get(currency, _HUNDREDTHS))


def to_minor(amount: Decimal | int, currency: str) -> int:
    """``Decimal("999.99"), "USD"`` → ``99999``.

    The caller must limit the amount first, since a JSON number can have an exponent of a million.
    Raises ``ValueError`` if the amount has more decimals than the currency.
    """
    sign, digits, exponent = Decimal(amount).as_tuple()
    if not any(digits):
        return 0
    minor_digits = _MINOR_DIGITS.get(currency, _HUNDREDTHS)
    shift = int(exponent) + minor_digits
    whole, fraction = (digits, ()) if shift >= 0 else (digits[:shift], digits[shift:])
    if any(fraction):
        raise ValueError(f"{currency} has {minor_digits} decimals, this amount has more")
    number: int = int("".join(map(str, whole)) or "0") * 10 ** max(shift, 0)
    return -number if sign else number
