"""Set match: how much of what was expected is there, and how much of what is there was expected.

Members count once, and their order is of no account.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from flatfare.core.checks.exact import shortened
from flatfare.core.checks.finding import Ruling, failed, passed
from flatfare.core.checks.likeness import alike
from flatfare.core.checks.submission import Json, canonical


def members(value: Json, separator: str, ignored: tuple[str, ...]) -> dict[str, str]:
    """The members of a list or of a separated text, by what makes them the same; empty ones are left out."""
    if isinstance(value, str):
        parts: Iterable[Json] = value.splitlines() if separator == "\n" else value.split(separator)
    else:
        parts = value if isinstance(value, Sequence) else [value]
    texts = [part if isinstance(part, str) else canonical(part) for part in parts]
    return {alike(text, ignored): text for text in sorted(texts) if text.strip()}


def compared(found: dict[str, str], expected: dict[str, str], precision: Decimal, recall: Decimal) -> Ruling:
    """Passes where both thresholds are reached; the score is their harmonic mean (F1)."""
    common = len(found.keys() & expected.keys())
    precise = Fraction(common, len(found)) if found else Fraction(1)
    recalled = Fraction(common, len(expected)) if expected else Fraction(1)
    score = _decimal(
        2 * precise * recalled / (precise + recalled) if common else Fraction(not (found or expected))
    )
    reasons = [
        *(
            f"Expected {shortened(expected[key])!r}, which is missing."
            for key in sorted(expected.keys() - found)
        ),
        *(
            f"Found {shortened(found[key])!r}, which was not expected."
            for key in sorted(found.keys() - expected)
        ),
    ]
    counts: dict[str, Json] = {"found": len(found), "expected": len(expected), "common": common}
    reached = f"precision {_decimal(precise)} of {precision}, recall {_decimal(recalled)} of {recall}"
    if precise >= Fraction(precision) and recalled >= Fraction(recall):
        return passed(
            f"{common} of {len(expected)} expected members are there: {reached}.", score=score, details=counts
        )
    return failed(f"Too few members agree: {reached}.", *reasons, score=score, details=counts)


def _decimal(share: Fraction) -> Decimal:
    return round(Decimal(share.numerator) / share.denominator, 6).normalize() if share else Decimal(0)
