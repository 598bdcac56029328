"""The summary: spend today and this month, what a verified outcome costs, and what needs attention."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from shlex import quote
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flatfare.core.budget import EACH, LIFETIME, Budget
from flatfare.core.moments import datetime_of, micros_of
from flatfare.core.money import dollar_text
from flatfare.service.reporting.figures import Figures, Row
from flatfare.service.reporting.question import checked_zone
from flatfare.service.reporting.report import Report, report
from flatfare.store import budgets, reading
from flatfare.store.book import Book
from flatfare.store.budgets import Standing
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
class Day:
    """One day of the last weeks, and what was spent on it."""

    day: str
    spend: Spend


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from one on, and the figures of the tasks opened in them."""

    begins: str
    row: Row


@dataclass(frozen=True, slots=True)
class Summary:
    """The books at a glance."""

    as_of_us: int
    today: Spend
    month: Spend
    ever: Row
    paths: tuple[Row, ...]  # those on which most was spent ever
    days: tuple[Day, ...]  # the last ones, the oldest first, those without anything too
    weeks: tuple[Week, ...]
    published: int  # aggregates of other people's runs
    concerns: tuple[Concern, ...]
    is_empty: bool


PATHS_SHOWN = 5
DAYS, WEEKS = 28, 8


def summary(book: Book, lake: Lake, *, now_us: int, time_zone: str = "UTC") -> Summary:
    """Spend since the day and the month began in that time zone, and the report by path of all there is."""
    zone = ZoneInfo(checked_zone(time_zone))
    now = datetime_of(now_us).astimezone(zone)
    today = micros_of(datetime(now.year, now.month, now.day, tzinfo=zone))
    month = micros_of(datetime(now.year, now.month, 1, tzinfo=zone))
    ever = report(book, lake, now_us=now_us, by=("path",), limit=PATHS_SHOWN)
    with reading.opened(book, lake, "calls", "folded", "tasks") as engine, translated("Summing up"):
        spends = [_spend(engine, since_us) for since_us in (today, month)]
        days = _days(engine, now)
    return Summary(
        as_of_us=now_us,
        days=days,
        weeks=_weeks(book, lake, now, time_zone),
        today=spends[0],
        month=spends[1],
        ever=ever.total,
        paths=tuple(row for row in ever.rows if not row.is_published),
        published=ever.published_total.n if ever.published_total else 0,
        concerns=(*concerns_about_budgets(book, now_us), *concerns_of(ever)),
        is_empty=ever.is_empty,
    )


def _days(engine: "DuckDBPyConnection", now: datetime) -> tuple[Day, ...]:
    """What was spent on each of the last days up to today, as ``today`` counts it."""
    dates = [now.date() - timedelta(days=ago) for ago in reversed(range(DAYS))]
    begins = [micros_of(datetime.combine(day, time(), now.tzinfo)) for day in dates]
    sums = [[0, 0] for _ in dates]
    for quarter, nano, unknown in engine.execute(_BY_QUARTER.format(since_us=begins[0])).fetchall():
        day = sums[min(bisect_right(begins, int(quarter) * QUARTER_US), DAYS) - 1]
        day[0] += int(nano)
        day[1] += int(unknown)
    return tuple(Day(day.isoformat(), Spend(*of_day)) for day, of_day in zip(dates, sums, strict=True))


QUARTER_US = 15 * 60 * 1_000_000
"""Days begin at a quarter of an hour in every time zone there is."""

_GIVEN = (
    "COALESCE(given_nano, 0) + COALESCE(given_verification_nano, 0) + COALESCE(given_simulation_nano, 0) "
    "+ COALESCE(rework_nano, 0)"
)
_WITHOUT_CALLS = "NOT EXISTS (SELECT 1 FROM folded WHERE folded.task_id = tasks.id)"
_BY_QUARTER = (
    "SELECT quarter, SUM(nano), SUM(unknown) FROM ("
    f"SELECT at_us // {QUARTER_US} AS quarter, COALESCE(SUM(cost_nano), 0) AS nano, "
    "SUM(CASE cost_state WHEN 'unknown' THEN n ELSE 0 END) AS unknown "
    "FROM calls WHERE at_us >= {since_us} GROUP BY 1 UNION ALL "
    f"SELECT opened_at_us // {QUARTER_US}, SUM({_GIVEN}), COUNT(*) FILTER (WHERE given_nano IS NULL) "
    f"FROM tasks WHERE opened_at_us >= {{since_us}} AND {_WITHOUT_CALLS} GROUP BY 1) GROUP BY 1"
)


def _weeks(book: Book, lake: Lake, now: datetime, time_zone: str) -> tuple[Week, ...]:
    """The last sevens of days up to today, each with the figures of the tasks opened in it."""
    first = now.date() - timedelta(days=7 * WEEKS - 1)
    found = report(
        book,
        lake,
        now_us=micros_of(now),
        by=("day",),
        since_us=micros_of(datetime.combine(first, time(), now.tzinfo)),
        time_zone=time_zone,
    )
    sums = [Figures() for _ in range(WEEKS)]
    for row in found.rows:
        if row.keys[0] is not None and not row.is_published:
            sums[min((date.fromisoformat(row.keys[0]) - first).days // 7, WEEKS - 1)] += row.figures
    return tuple(
        Week((first + timedelta(days=7 * at)).isoformat(), Row((), figures))
        for at, figures in enumerate(sums)
    )


def _spend(engine: "DuckDBPyConnection", since_us: int) -> Spend:
    calls = engine.execute(
        f"""SELECT COALESCE(SUM(cost_nano), 0),
                   COALESCE(SUM(CASE cost_state WHEN 'unknown' THEN n ELSE 0 END), 0)
        FROM calls WHERE at_us >= {since_us}"""
    ).fetchone()
    tasks = engine.execute(
        f"SELECT COALESCE(SUM({_GIVEN}), 0), COUNT(*) FILTER (WHERE given_nano IS NULL) "
        f"FROM tasks WHERE opened_at_us >= {since_us} AND {_WITHOUT_CALLS}"
    ).fetchone()
    assert calls is not None
    assert tasks is not None
    return Spend(int(calls[0]) + int(tasks[0]), int(calls[1]) + int(tasks[1]))


NEARLY_SPENT_PERCENT = 90
BUDGETS_SHOWN = 5


def concerns_about_budgets(
    book: Book, now_us: int, sees: Callable[[Budget, str], bool] = lambda budget, subject: True
) -> list[Concern]:
    """Budgets that are nearly spent as they stand now and that somebody ``sees``, the tightest first."""
    found = [
        (one.spent_nano / limit_nano if limit_nano else float("inf"), _nearly_spent(budget, one, limit_nano))
        for budget in budgets.all_of(book)
        for one in budgets.standings(book, budget, now_us)
        for limit_nano in [budget.limit_nano(now_us, one.allowance.subject)]
        if sees(budget, one.allowance.subject)
        if one.spent_nano and one.spent_nano * 100 >= limit_nano * NEARLY_SPENT_PERCENT
    ]
    found.sort(key=lambda one: -one[0])
    return [concern for _, concern in found[:BUDGETS_SHOWN]]


def _nearly_spent(budget: Budget, standing: Standing, limit_nano: int) -> Concern:
    whose = f" of {standing.allowance.subject}" if budget.scope.value == EACH else ""
    share = f"{standing.spent_nano * 100 // limit_nano} % spent" if limit_nano else "spent"
    over = "in all" if budget.window.kind == LIFETIME else f"per {budget.window.text}"
    spent, limit = dollar_text(standing.spent_nano), dollar_text(limit_nano)
    text = f"The budget {budget.name}{whose} is {share}: {spent} of {limit} {over}"
    return Concern(text, f"flatfare budgets show {quote(budget.name)}")


def concerns_of(ever: Report) -> list[Concern]:
    """What a person should look at in a report."""
    f, share = ever.total.figures, ever.total.unverified_share
    found = []
    if f.unknown_cost_tasks:
        said = f"The cost of {f.unknown_cost_tasks:,} of {f.tasks:,} tasks is not wholly known"
        found.append(Concern(said, "flatfare doctor"))
    if f.unknown_outside_calls:
        said = f"{f.unknown_outside_calls:,} calls outside tasks have no known cost"
        found.append(Concern(said, "flatfare doctor"))
    if f.outside_calls:
        found.append(Concern(_outside(f.outside_calls), "flatfare report --by source"))
    if f.assumed:
        found.append(Concern(_assumed(f.assumed), "flatfare report --by outcome"))
    if share is not None and share >= WASTE_WORTH_SAYING:
        spend = "known spend" if f.is_at_least else "spend"
        said = f"{100 * share:.0f} % of the {spend} went into tasks that were not verified"
        found.append(Concern(said, "flatfare report --by path --sort unverified-spend-share"))
    return found


def _outside(count: int) -> str:
    if count == 1:
        return "1 call belongs to no task: nobody can say what it achieved"
    return f"{count:,} calls belong to no task: nobody can say what they achieved"


def _assumed(count: int) -> str:
    if count == 1:
        return "1 task is only assumed to be done: nobody has verified it"
    return f"{count:,} tasks are only assumed to be done: nobody has verified them"


WASTE_WORTH_SAYING = 0.25
"""The share of spend in tasks not verified from which the summary speaks of it."""
