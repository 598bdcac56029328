"""Totals and parts on a wire made into leaves that do not overlap.

A part larger than its total is a contradiction and refused with a sentence: nothing
is clamped, since a clamped count is a wrong bill that nobody sees.
"""

from flatfare.core.errors import Contradiction
from flatfare.core.usage import COUNT_MAX, Count, Usage

Wire = int | float | None
"""A count as hosts write it: null for none, and some write 25.0 for 25."""


def count_of(value: Wire, name: str) -> int:
    """A whole count that is not negative; none is zero."""
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return value
    if value is None:
        return 0
    whole = int(value)
    if whole != value or whole < 0 or whole > COUNT_MAX:
        raise Contradiction(
            f"Found {value!r} for {name}: a count is a whole number, and no call uses that much."
        )
    return whole


def rest_of(total: int, total_name: str, parts: dict[str, int]) -> int:
    """What of the total is in none of its parts; the parts are named as on the wire.

    >>> rest_of(100, "prompt_tokens", {"cached_tokens": 60})
    40
    """
    rest = total - sum(parts.values())
    if rest < 0:
        named = ", ".join(f"{name} {count}" for name, count in parts.items() if count)
        raise Contradiction(f"Found {total_name} {total} with parts that are more than it: {named}.")
    return rest


def usage_of(**counts: Count) -> Usage:
    """Counts that were checked before, zeros left out."""
    return Usage.of_leaves({unit: count for unit, count in counts.items() if count})


def usage_from(prompt: dict[str, Count], answer: dict[str, Count]) -> Usage:
    """Leaves of a prompt and of its answer that were checked before, zeros left out."""
    leaves = {unit: count for unit, count in prompt.items() if count}
    leaves.update({unit: count for unit, count in answer.items() if count})
    return Usage.of_leaves(leaves)
