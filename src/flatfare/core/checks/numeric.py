"""Numeric match: two numbers are the same within a stated tolerance, and count the same thing.

The tolerance is symmetric: which of the two was expected makes no difference.
"""

from decimal import Decimal
from fractions import Fraction

from flatfare.core.checks.exact import shortened
from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.quantity import Ambiguous, Quantity, numbers, quantity
from flatfare.core.checks.submission import Json, plain


def is_within(one: Fraction, other: Fraction, absolute: Decimal, relative: Decimal) -> bool:
    """They differ by no more than the larger of both tolerances; the relative one is of the larger number.

    >>> is_within(Fraction(99), Fraction(100), Decimal(0), Decimal("0.01"))
    True
    """
    allowed = max(Fraction(absolute), Fraction(relative) * max(abs(one), abs(other)))
    return abs(one - other) <= allowed


def compared(found: Quantity, expected: Quantity, absolute: Decimal, relative: Decimal) -> Ruling:
    """Whether the number found is the expected one; one that states no unit is taken in the other's."""
    pairs = _pairs(found, expected)
    if not pairs:
        return failed(f"Found {_told(found)}, expected {_told(expected)}: they do not count the same.")
    if found.is_bare and expected.dimension == "share":
        return abstained(
            f"Found {_told(found)}, expected {_told(expected)}: is the former a share or a per cent?"
        )
    tolerance = (
        f"within {plain(absolute)} or {plain(relative * 100)} %" if absolute or relative else "exactly"
    )
    if any(is_within(one, other, absolute, relative) for one, other in pairs):
        return passed(f"Found {_told(found)}, expected {_told(expected)}: they agree {tolerance}.")
    return failed(f"Found {_told(found)}, expected {_told(expected)} {tolerance}.")


def _pairs(found: Quantity, expected: Quantity) -> list[tuple[Fraction, Fraction]]:
    """The numbers to compare; none where the two count different things."""
    as_written = (found.number, expected.number)
    if found.is_bare or expected.is_bare:
        is_share = found.dimension == "share"
        return [as_written, (found.value, expected.value)] if is_share else [as_written]
    if found.currencies & expected.currencies:
        return [as_written]
    is_same = found.dimension is not None and found.dimension == expected.dimension
    return [(found.value, expected.value)] if is_same else []


def picked(text: str, pick: str, decimal_mark: str) -> Quantity | Ruling:
    """The number of the text that is judged, or a ruling where it has none or too many."""
    places = numbers(text)
    if not places:
        return failed("The output holds no number.")
    if pick != "only":
        places = places[-1:] if pick == "last" else places[:1]
    try:
        found = [quantity(place, decimal_mark) for place in places]
    except Ambiguous as problem:
        return abstained(str(problem))
    if len(set(found)) > 1:
        return abstained(
            f"The output holds {len(places)} numbers: state 'pick' as 'first' or 'last', or 'at'."
        )
    return found[0]


def expected_quantity(expected: Json, decimal_mark: str) -> Quantity | Ruling:
    """The number that was expected."""
    if isinstance(expected, bool) or not isinstance(expected, str | int | float | Decimal):
        return abstained("No number was expected: there is nothing to compare the output with.")
    if not isinstance(expected, str):
        return Quantity(Fraction(Decimal(str(expected))))
    places = numbers(expected)
    if len(places) != 1:
        return abstained(f"Expected {shortened(expected)!r}, which is not one number.")
    try:
        return quantity(places[0], decimal_mark)
    except Ambiguous as problem:
        return abstained(str(problem))


def _told(quantity: Quantity) -> str:
    number = plain(Decimal(quantity.number.numerator) / quantity.number.denominator)
    return " ".join(filter(None, (number, quantity.unit or "/".join(sorted(quantity.currencies)))))
