"""The summary: spend today and this month, what a verified outcome costs, and what needs attention."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flatfare.core.moments import datetime_of, micros_of
from flatfare.service.reporting.figures import Row
from flatfare.service.reporting.question import checked_zone
from flatfare.service.reporting.report import Report, report
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person should look at, and the command that shows it."""

    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What a period cost: of its calls, by when they were made, and of tasks without calls."""

    nano: int  # the known part
    unknown: int  # calls and tasks whose cost is not known

    @property
    def is_known(self) -> bool:
        """Anything is known of it, if only that it was nothing."""
        return self.nano != 0 or not self.unknown


@dataclass(frozen=True, slots=True)
class Summary:
    """The books at a glance."""

    as_of_us: int
    today: Spend
    month: Spend
    ever: Row
    paths: tuple[Row, ...]  # those on which most was spent ever
    published: int  # aggregates of other people's runs
    concerns: tuple[Concern, ...]
    is_empty: bool


PATHS_SHOWN = 5


def summary(book: Book, lake: Lake, *, now_us: int, time_zone: str = "UTC") -> Summary:
    """Spend since the day and the month began in that time zone, and the report by path of all there is."""
    zone = ZoneInfo(checked_zone(time_zone))
    now = datetime_of(now_us).astimezone(zone)
    today = micros_of(datetime(now.year, now.month, now.day, tzinfo=zone))
    month = micros_of(datetime(now.year, now.month, 1, tzinfo=zone))
    ever = report(book, lake, now_us=now_us, by=("path",), limit=PATHS_SHOWN)
    with reading.opened(book, lake, "calls", "folded", "tasks") as engine, translated("Summing up"):
        spends = [_spend(engine, since_us) for since_us in (today, month)]
    return Summary(
        as_of_us=now_us,
        today=spends[0],
        month=spends[1],
        ever=ever.total,
        paths=tuple(row for row in ever.rows if not row.is_published),
        published=ever.published_total.n if ever.published_total else 0,
        concerns=tuple(concerns_of(ever)),
        is_empty=ever.is_empty,
    )


def _spend(engine: "DuckDBPyConnection", since_us: int) -> Spend:
    calls = engine.execute(
        f"""SELECT COALESCE(SUM(cost_nano), 0),
                   COALESCE(SUM(CASE cost_state WHEN 'unknown' THEN n ELSE 0 END), 0)
        FROM calls WHERE at_us >= {since_us}"""
    ).fetchone()
    tasks = engine.execute(
        f"""SELECT COALESCE(SUM(COALESCE(given_nano, 0) + COALESCE(given_verification_nano, 0)
                   + COALESCE(given_simulation_nano, 0) + COALESCE(rework_nano, 0)), 0),
                   COUNT(*) FILTER (WHERE given_nano IS NULL)
        FROM tasks WHERE opened_at_us >= {since_us} AND NOT EXISTS (
            SELECT 1 FROM folded WHERE folded.task_id = tasks.id)"""
    ).fetchone()
    assert calls is not None
    assert tasks is not None
    return Spend(int(calls[0]) + int(tasks[0]), int(calls[1]) + int(tasks[1]))


def concerns_of(ever: Report) -> list[Concern]:
    """What a person should look at in a report."""
    figures = ever.total.figures
    found = []
    if figures.unknown_cost_tasks:
        found.append(
            Concern(
                f"The cost of {figures.unknown_cost_tasks:,} of {figures.tasks:,} tasks is not wholly known",
                "flatfare doctor",
            )
        )
    unknown_apart = figures.unknown_outside_calls
    if unknown_apart:
        found.append(Concern(f"{unknown_apart:,} calls outside tasks have no known cost", "flatfare doctor"))
    if figures.outside_calls:
        found.append(
            Concern(
                f"{figures.outside_calls:,} calls belong to no task: nobody can say what they achieved",
                "flatfare report --by source",
            )
        )
    if figures.assumed:
        found.append(
            Concern(
                "1 task is only assumed to be done: nobody has verified it"
                if figures.assumed == 1
                else f"{figures.assumed:,} tasks are only assumed to be done: nobody has verified them",
                "flatfare report --by outcome",
            )
        )
    share = ever.total.unverified_share
    if share is not None and share >= WASTE_WORTH_SAYING:
        found.append(
            Concern(
                f"{100 * share:.0f} % of the {'known ' if figures.is_at_least else ''}spend went into tasks "
                "that were not verified",
                "flatfare report --by path --sort unverified-spend-share",
            )
        )
    return found


WASTE_WORTH_SAYING = 0.25
"""The share of spend in tasks not verified from which the summary speaks of it."""
