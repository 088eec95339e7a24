"""Money, as whole numbers of minor units: 1999 is 19.99 EUR, and 1999 JPY.

A float is only what somebody sent who has nothing better. Its shortest decimal form is what they
wrote, and that has to be a whole number of minor units: nothing is rounded behind anybody's back.
"""

import re
from decimal import Decimal, InvalidOperation

MAX_MINOR = 10**15
"""Of one transaction. Sums of a few thousand of them still fit into int64, and one into a float."""

#: ISO 4217: how many decimals a currency has that does not have two.
_DECIMALS = {
    code: decimals
    for decimals, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}
_CODE = re.compile(r"[A-Z]{3}")


def decimals(currency: str) -> int:
    """Return how many decimals a currency has. Raises `ValueError` for what is no code of one."""
    if not _CODE.fullmatch(currency):
        raise ValueError(
            f"a currency is three capital letters, as in ISO 4217, not {currency!r:.80}"
        )
    return _DECIMALS.get(currency, 2)


def minor_units(amount: float, currency: str) -> int:
    """Return a number of units of a currency in its minor units. Raises `ValueError`."""
    places = decimals(currency)
    try:
        minor = Decimal(repr(amount)).scaleb(places)
        whole = minor.to_integral_exact()
    except InvalidOperation:
        raise ValueError(f"{amount} is no amount of money") from None
    if not whole.is_finite() or not 0 <= whole <= MAX_MINOR:
        raise ValueError(f"an amount is 0 to {MAX_MINOR} minor units, not {amount}")
    if whole != minor:
        raise ValueError(f"{currency} has {places} decimals, and {amount} has more")
    return int(whole)


def agreed(amount_minor: int | None, amount: float, currency: str) -> int:
    """Return the minor units of an amount that is told in one way or the other, or in both.

    A float of 0 is none. Raises `ValueError` where the two differ, or there is neither.
    """
    if amount_minor is None and amount == 0:
        raise ValueError("there is no amount")
    converted = minor_units(amount, currency)
    if amount_minor is None:
        return converted
    if not 0 <= amount_minor <= MAX_MINOR:
        raise ValueError(f"an amount is 0 to {MAX_MINOR} minor units, not {amount_minor}")
    if amount != 0 and converted != amount_minor:
        raise ValueError(f"{amount} {currency} is {converted} minor units, not {amount_minor}")
    return amount_minor
