"""Money as whole nano-dollars: read from text, rounded once, printed without loss.

Every amount is an ``int`` of nano units (1e-9) of its currency. ``Decimal`` and
``Fraction`` appear only on the way in and out; ``float`` never holds money.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import overload

from flatfare.core.errors import BadInput

NANO = 1_000_000_000
"""Nano units in one unit of currency."""

_AMOUNT = re.compile(
    r"""\s*
    (?P<sign>[-+−])?\s*
    (?P<currency>US\$|USD|\$|€|EUR|£|GBP)?\s*
    (?P<inner_sign>[-+−])?
    (?P<digits>(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)
    (?:[eE](?P<exponent>[-+]?\d{1,3}))?
    \s*(?P<after>USD|EUR|GBP|€|£|\$)?\s*""",
    re.VERBOSE,
)
_CURRENCIES = {"$": "USD", "US$": "USD", "USD": "USD", "€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP"}
_EXPONENT_LIMIT = 30  # 1e30 dollars is no price; a bound keeps hostile exponents from building huge integers


def half_even(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest whole number, halves to even.

    >>> half_even(5, 2), half_even(7, 2), half_even(-5, 2)
    (2, 4, -2)
    """
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def nano_of(amount: Decimal | Fraction | int) -> int:
    """Nano units of an exact amount, rounded half to even.

    >>> nano_of(Decimal("0.0000000125"))
    12
    """
    exact = Fraction(amount) * NANO
    return half_even(exact.numerator, exact.denominator)


def parse_amount(text: str) -> tuple[Decimal, str | None]:
    """Read an amount as people and exports write it, and the currency if it names one.

    Takes a currency sign or code on either side, thousands separated by commas,
    and exponent notation. Raises ``BadInput`` for anything else, NaN and
    infinity included.

    >>> parse_amount("$1,234.50"), parse_amount("3.06e-05")
    ((Decimal('1234.50'), 'USD'), (Decimal('0.0000306'), None))
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise BadInput(
            f"Found {text[:60]!r} where an amount of money was expected: "
            "write it like 1.25, $1,234.50 or 3.06e-05."
        )
    exponent = int(found["exponent"] or 0)
    if abs(exponent) > _EXPONENT_LIMIT or len(found["digits"]) > 60:
        raise BadInput(f"Found an amount of {text[:60]!r}: no sum of money has that size.")
    if found["sign"] and found["inner_sign"]:
        raise BadInput(f"Found two signs in the amount {text[:60]!r}: write one.")
    before, after = _CURRENCIES.get(found["currency"] or ""), _CURRENCIES.get(found["after"] or "")
    if before and after and before != after:
        raise BadInput(f"Found two currencies in {text[:60]!r}: write one.")
    amount = Decimal(found["digits"].replace(",", "")).scaleb(exponent)
    sign = found["sign"] or found["inner_sign"]
    return (-amount if sign in ("-", "−") else Decimal(format(amount, "f"))), before or after


@overload
def decimal_text(nano: int) -> str: ...
@overload
def decimal_text(nano: None) -> None: ...
def decimal_text(nano: int | None) -> str | None:
    """The amount in units of currency with all nine decimals, for JSON and CSV; None where it is not known.

    >>> decimal_text(8_720_000), decimal_text(-1), decimal_text(None)
    ('0.008720000', '-0.000000001', None)
    """
    if nano is None:
        return None
    sign = "-" if nano < 0 else ""
    whole, rest = divmod(abs(nano), NANO)
    return f"{sign}{whole}.{rest:09d}"


def estimate_text(nano: float | None) -> str | None:
    """As ``decimal_text``, of a mean or the end of an interval: rounded to a whole nano unit.

    >>> estimate_text(8_720_000.4)
    '0.008720000'
    """
    return None if nano is None else decimal_text(round(nano))


def dollar_text(nano: int) -> str:
    """The amount as a person reads it: cents from a dollar up, four decimals below, never a false zero.

    >>> dollar_text(37_500_000_000), dollar_text(53_027_321), dollar_text(45_678), dollar_text(0)
    ('$37.50', '$0.0530', '$0.000046', '$0.00')
    """
    sign = "-" if nano < 0 else ""
    size = abs(nano)
    if half_even(size, NANO // 10_000) >= 10_000 or size == 0:  # a dollar, once it is rounded
        cents = half_even(size, NANO // 100)
        return f"{sign}${cents // 100:,}.{cents % 100:02d}"
    places = 4 if size >= NANO // 1000 else 11 - len(str(size))  # below a tenth of a cent: two digits
    return f"{sign}${Decimal(size) / NANO:.{min(places, 9)}f}"
