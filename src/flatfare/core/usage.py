"""What a call used: counts of billable units that do not overlap.

No count is negative, and the leaves add up to what the provider reported: how
totals and parts overlap on a wire is settled once, in the dialect, before a
``Usage`` exists.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from flatfare.core.errors import Contradiction
from flatfare.core.units import INPUT_TOKENS, OUTPUT_TOKENS, UNITS

Count = int | Decimal
"""Whole for everything that is counted; ``Decimal`` for what is timed (seconds)."""

COUNT_MAX = 10**15
"""No single call uses more of anything; a larger count is a broken record."""


class Usage(Mapping[str, Count]):
    """Counts per unit, zeros left out; immutable, in the order given.

    >>> Usage(input=976, cache_read=1024, output=500)
    Usage(input=976, cache_read=1024, output=500)
    >>> Usage(input=-1)
    Traceback (most recent call last):
    flatfare.core.errors.Contradiction: Found -1 for 'input': a count is never negative.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, Count] | None = None, /, **more: Count) -> None:
        merged = {**counts, **more} if counts else more
        for unit, count in merged.items():
            _check(unit, count)
        self._counts = {unit: count for unit, count in merged.items() if count}

    @classmethod
    def of_leaves(cls, counts: dict[str, Count]) -> "Usage":
        """Take over counts that are known to be valid and free of zeros, unchecked."""
        usage = cls.__new__(cls)
        usage._counts = counts
        return usage

    def __getitem__(self, unit: str) -> Count:
        return self._counts[unit]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"Usage({', '.join(f'{unit}={count}' for unit, count in self._counts.items())})"

    def __eq__(self, other: object) -> bool:
        return self._counts == other._counts if isinstance(other, Usage) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __add__(self, other: "Usage") -> "Usage":
        total = dict(self._counts)
        for unit, count in other.items():
            total[unit] = total.get(unit, 0) + count
        return Usage.of_leaves(total)

    @property
    def input_tokens(self) -> int:
        """All tokens of the prompt, cached or not, of every modality."""
        return sum(int(count) for unit, count in self._counts.items() if unit in INPUT_TOKENS)

    @property
    def output_tokens(self) -> int:
        """All tokens of the answer, thinking included."""
        return sum(int(count) for unit, count in self._counts.items() if unit in OUTPUT_TOKENS)


def _check(unit: str, count: Count) -> None:
    if unit not in UNITS:
        raise Contradiction(f"Found usage of {unit!r}, which is no billable unit: see flatfare.core.units.")
    if isinstance(count, bool) or not isinstance(count, int | Decimal):
        raise Contradiction(f"Found {count!r} for {unit!r}: a count is a whole number.")
    if isinstance(count, Decimal) and not count.is_finite():
        raise Contradiction(f"Found {count} for {unit!r}: a count is a finite number.")
    if count < 0:
        raise Contradiction(f"Found {count} for {unit!r}: a count is never negative.")
    if count > COUNT_MAX:
        raise Contradiction(f"Found {count} for {unit!r}: no call uses that much.")
