"""One row of a report held against the others: by what share each is cheaper per verified outcome.

The interval holds at every look, so that whoever looks each day and stops at the first clear
answer is not fooled: see ``core.sequential``.
"""

from dataclasses import dataclass

from flatfare.core.errors import BadUsage
from flatfare.core.sequential import cheaper_at_any_look
from flatfare.core.statistics import Interval
from flatfare.service.reporting.figures import Row
from flatfare.service.reporting.report import Report

SEPARATOR = ", "
"""What stands between the keys of a row where it is named as one."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A row against the one it is held to."""

    name: str
    base: str
    cheaper: float | None  # the share by which it is cheaper; below zero it is dearer
    interval: Interval | None  # of that share; None where one of the two says too little
    n: int  # its matured tasks
    base_n: int
    is_at_least: bool  # part of a cost is unknown: what is compared is what is known

    @property
    def sentence(self) -> str:
        """What can be said of it, in words."""
        of_n = f"n = {self.n:,} and {self.base_n:,}"
        if self.cheaper is None:
            lacking = f"nothing is known of what one of them cost, or none was verified ({of_n})"
            return f"{self.name} cannot be held against {self.base} yet: {lacking}."
        unknown = "; part of the cost is unknown" if self.is_at_least else ""
        if self.interval is None:
            said = f"{self.name} is {_share(self.cheaper)} per verified outcome than {self.base}"
            return f"{said}; too few verified outcomes for an interval ({of_n})."
        low, high = self.interval.low, self.interval.high
        confidence = f"{100 * self.interval.confidence:.0f} %"
        if low <= 0 <= (1.0 if high is None else high):
            return (
                f"{self.name} and {self.base} cannot be told apart yet: between {_share(low)} and "
                f"{_share(high)} ({confidence} interval, {of_n}{unknown})."
            )
        return (
            f"{self.name} is {_share(self.cheaper)} per verified outcome than {self.base}, {confidence} "
            f"interval {_range(low, high)}, {of_n}{unknown}."
        )

    def as_json(self) -> dict[str, object]:
        """The comparison as a document; shares as numbers."""
        return {
            "name": self.name,
            "base": self.base,
            "cheaper": _rounded(self.cheaper),
            "cheaper_low": _rounded(self.interval.low if self.interval else None),
            "cheaper_high": _rounded(self.interval.high if self.interval else None),
            "n": self.n,
            "base_n": self.base_n,
            "sentence": self.sentence,
        }


def compared(report: Report, base: str) -> list[Compared]:
    """Each other row against the row of this name. Raises ``BadUsage`` where there is no such row."""
    names = {_name(row): row for row in report.rows}
    held = names.get(base)
    if held is None:
        known = "; ".join(list(names)[:10]) or "there are none"
        raise BadUsage(f"There is no row {base!r} to hold the others against. Rows: {known}.")
    return [_compared(name, row, base, held) for name, row in names.items() if row is not held]


def _compared(name: str, row: Row, base: str, held: Row) -> Compared:
    mine, theirs = row.cost_per_verified, held.cost_per_verified
    found = None if mine is None or theirs is None else cheaper_at_any_look(theirs, mine)
    return Compared(
        name,
        base,
        found.point if found else None,
        found.interval if found else None,
        row.n,
        held.n,
        row.figures.is_at_least or held.figures.is_at_least,
    )


def _name(row: Row) -> str:
    return SEPARATOR.join("—" if key is None else key for key in row.keys)


def _share(cheaper: float | None) -> str:
    if cheaper is None:
        return "any share cheaper"
    return f"{100 * abs(cheaper):.0f} % {'cheaper' if cheaper >= 0 else 'dearer'}"


def _range(low: float, high: float | None) -> str:
    one, other = sorted((abs(low), 1.0 if high is None else abs(high)))
    return f"{100 * one:.0f}–{100 * other:.0f} %"


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 9)
