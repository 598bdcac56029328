"""A question put to the books: by what to group, what to leave out, which cost counts."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flatfare.core.errors import BadUsage
from flatfare.core.moments import DAY_US
from flatfare.service.reporting.keys import Key, Kind
from flatfare.store.engine import quoted

COUNTS, REPORTED, COMPUTED = "counts", "reported", "computed"
"""Which cost is looked at: the one that counts by the settings, or one of the two that stand beside."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with every key resolved."""

    by: tuple[Key, ...]
    now_us: int
    filters: tuple[tuple[Key, tuple[str, ...]], ...] = ()  # any of the values of each key
    since_us: int | None = None
    until_us: int | None = None
    cost: str = COUNTS
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.cost not in (COUNTS, REPORTED, COMPUTED):  # it becomes the name of a column
            raise BadUsage(f"Found the cost {self.cost[:20]!r}: it is {COUNTS}, {REPORTED} or {COMPUTED}.")

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys that are looked at: those grouped by, then those only filtered by."""
        return (*self.by, *(key for key, _ in self.filters if key not in self.by))

    @property
    def needs_moment(self) -> bool:
        """When a task was opened matters."""
        return self.since_us is not None or self.until_us is not None or self._has_period

    @property
    def needs_times_of_calls(self) -> bool:
        """Whole days in UTC, as folded rows have them, do not do for calls outside tasks."""
        aligned = all(at_us is None or at_us % DAY_US == 0 for at_us in (self.since_us, self.until_us))
        return not aligned or (self._has_period and self.time_zone != "UTC")

    @property
    def _has_period(self) -> bool:
        return any(key.kind is Kind.PERIOD for key in self.keys)

    def within(self, moment: str) -> str:
        """SQL: whether a moment lies in the period asked for."""
        parts = []
        if self.since_us is not None:
            parts.append(f"{moment} >= {self.since_us}")
        if self.until_us is not None:
            parts.append(f"{moment} < {self.until_us}")
        return " AND ".join(parts) or "TRUE"

    def period(self, name: str, moment: str) -> str:
        """SQL: the first day of the day, week, month, quarter or year a moment lies in."""
        if self.time_zone == "UTC":
            local = f"make_timestamp({moment})"
        else:
            local = f"timezone({quoted(self.time_zone)}, make_timestamptz({moment}))"
        return f"CAST(date_trunc('{name}', {local}) AS DATE)"

    def passes(self, value_of: dict[Key, str]) -> str:
        """SQL: whether the values of the filtered keys, those given here, are among those asked for."""
        parts = [
            f"{_text(key, value_of[key])} IN ({', '.join(quoted(value) for value in values)})"
            for key, values in self.filters
            if key in value_of
        ]
        return " AND ".join(parts) or "TRUE"


def _text(key: Key, sql: str) -> str:
    return period_text(key.name, sql) if key.kind is Kind.PERIOD else sql


def period_text(name: str, day: str) -> str:
    """SQL: a period as people write it, from its first day: 2026-01-05, 2026-W02, 2026-01, 2026-Q1, 2026."""
    if name == "quarter":
        return f"strftime({day}, '%Y-Q') || quarter({day})"
    shape = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}[name]
    return f"strftime({day}, '{shape}')"


def checked_zone(name: str) -> str:
    """The time zone's name, refused where there is none of that name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadUsage(
            f"There is no time zone {name!r}: write it like Europe/Berlin, America/New_York or UTC."
        ) from None
    return name
