"""``flatfare`` without a command: the books at a glance."""

from collections.abc import Sequence

import click

from flatfare.cli.options import book_of, format_options, lake_of, pass_settings
from flatfare.cli.output import MISSING, Field, print_document, print_table, say, say_words, spark
from flatfare.cli.report_table import shortened, terminal_width
from flatfare.config import Settings
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text, dollar_text
from flatfare.service import clock
from flatfare.service.reporting import Row
from flatfare.service.reporting.document import figures_of
from flatfare.service.reporting.figures import FEW_SUCCESSES
from flatfare.service.reporting.summary import Day, Spend, Summary, Week
from flatfare.service.reporting.summary import summary as summed
from flatfare.service.reporting.wording import at_least, headline, interval_text, money, percent
from flatfare.store.sqlite import is_file, sqlite_path

_FIRST_STEPS = (
    "Nothing is in the books yet. To begin:",
    "  flatfare demo                      real public data, and what a finished piece of work costs",
    "  flatfare import tasks FILE         your own tasks, with outcome and cost (CSV, JSON Lines, Parquet)",
    "  flatfare import calls FILE         your own calls, with usage or cost",
    "  flatfare serve                     your own programs, by one base URL; with --demo no key is needed",
)
_TITLE_WIDTH, _PATH_WIDTH = 22, 20
_DAYS = (28, 21, 14, 7)
"""So many of the last days are drawn where there is no room for all."""

_FIELDS = (
    Field("path", "Path", align="left"),
    Field("outcome", "Per verified\noutcome", is_strong=True),
    Field("interval", "95 %", gives_way=2),
    Field("success", "Success"),
    Field("tasks", "Tasks", gives_way=1),
    Field("cost", "Cost"),
)


@click.command()
@format_options
@pass_settings
def summary(settings: Settings, shape: str) -> None:
    """Show spend today and this month, cost per verified outcome, and what needs attention."""
    now_us = clock.now_us()
    if is_file(settings.database) and not sqlite_path(settings.database).exists():
        _say_first_steps(shape)
        return
    with book_of(settings) as book:
        found = summed(book, lake_of(settings), now_us=now_us, time_zone=settings.time_zone)
    if found.is_empty:
        _say_first_steps(shape)
    elif shape != "table":
        print_document(_document(found, settings.currency), shape)
    else:
        _say_summary(found, settings.time_zone)


def _say_first_steps(shape: str) -> None:
    if shape != "table":
        print_document(
            {"is_empty": True, "next": ["flatfare demo", "flatfare import tasks FILE", "flatfare serve"]},
            shape,
        )
        return
    for line in _FIRST_STEPS:
        say(line)


def _say_summary(found: Summary, time_zone: str) -> None:
    _line("Spend today", _spend(found.today))
    _line("Spend this month", _spend(found.month))
    _line("Spend a day", _by_day(found.days))
    if found.ever.n:
        _line("Verified", f"{found.ever.verified:,} of {found.ever.n:,} tasks ({_rate(found.ever)})")
        _line(
            "Per verified outcome", f"{headline(found.ever) or MISSING}  (95 %: {interval_text(found.ever)})"
        )
        _line("Week by week", _by_week(found.weeks))
    if found.ever.figures.open:
        _line("Open", f"{found.ever.figures.open:,} tasks count once their window has closed")
    if found.paths:
        say()
        print_table(map(_cells, found.paths), _FIELDS)
        if any((headline(row) or "").endswith("*") for row in (found.ever, *found.paths)):
            say(f"* {FEW_SUCCESSES}: only the spend so far is known.")
    if found.published:
        say()
        say(f"Beside your own: {found.published:,} tasks in published boards. See: flatfare leaderboard")
    say()
    if found.concerns:
        say("Needs attention")
        for concern in found.concerns:
            _say_concern(f"{concern.text}.", f"See: {concern.command}")
    else:
        say("Nothing needs attention.")
    say()
    say_words(f"As of {iso(found.as_of_us)[:16]}Z; days begin in {time_zone}. More: flatfare report --help")


def _say_concern(text: str, see: str) -> None:
    """On one line where it fits, else with the command on a line of its own."""
    if len(text) + len(see) + 3 <= terminal_width():
        say(f"  {text} {see}")
        return
    say_words(text, indent=2)
    say(f"    {see}")


def _line(title: str, text: str | None) -> None:
    if text is not None:
        say(f"{title:<{_TITLE_WIDTH}}{text}")


def _by_day(days: Sequence[Day]) -> str | None:
    """What was spent on each of the last days; nothing of one alone."""
    spent = [day.spend.nano if day.spend.is_known else None for day in days]
    known = [nano for nano in spent if nano]
    if len(known) < 2:
        return None
    told = f"days, at most {dollar_text(max(known))}"
    whole = f"{spark(spent)}  the last {len(spent)} {told}"
    shorter = (f"{spark(spent[-count:])}  {count} {told}" for count in _DAYS)
    fits = (text for text in (whole, *shorter) if len(text) + _TITLE_WIDTH <= terminal_width())
    return next(fits, whole)


def _by_week(weeks: Sequence[Week]) -> str | None:
    """What a verified outcome cost in each of the last weeks; nothing of one alone."""
    costs = [week.row.cost_per_verified_nano for week in weeks]
    known = [cost for cost in costs if cost is not None]
    if len(known) < 2:
        return None
    told = f"weeks, {dollar_text(known[0])} to {dollar_text(known[-1])}"
    whole = f"{spark(costs)}  the last {len(costs)} {told}"
    return whole if len(whole) + _TITLE_WIDTH <= terminal_width() else f"{spark(costs)}  {len(costs)} {told}"


def _spend(spend: Spend) -> str:
    return at_least(dollar_text(spend.nano), spend.unknown > 0) if spend.is_known else MISSING


def _rate(row: Row) -> str:
    return percent(row.success_rate) or MISSING


def _cells(row: Row) -> dict[str, object]:
    cost = money(row.cost_nano)
    return {
        "path": shortened(row.keys[0] or MISSING, max(_PATH_WIDTH, terminal_width() - 60)),
        "outcome": headline(row),
        "interval": interval_text(row),
        "success": percent(row.success_rate),
        "tasks": f"{row.n:,}",
        "cost": cost and at_least(cost, row.figures.is_at_least),
    }


def _document(found: Summary, currency: str) -> dict[str, object]:
    return {
        "as_of": iso(found.as_of_us),
        "currency": currency,
        "is_empty": False,
        "today": _spend_document(found.today),
        "month": _spend_document(found.month),
        "ever": figures_of(found.ever),
        "paths": [{"path": row.keys[0], **figures_of(row)} for row in found.paths],
        "days": [{"day": day.day, **_spend_document(day.spend)} for day in found.days],
        "weeks": [_week_document(week) for week in found.weeks],
        "published_tasks": found.published,
        "concerns": [{"text": concern.text, "command": concern.command} for concern in found.concerns],
    }


def _week_document(week: Week) -> dict[str, object]:
    cost = week.row.cost_per_verified_nano
    return {
        "from": week.begins,
        "verified": week.row.verified,
        "cost_per_verified_outcome": decimal_text(cost),
    }


def _spend_document(spend: Spend) -> dict[str, object]:
    return {
        "spend": decimal_text(spend.nano) if spend.is_known else None,
        "spend_is_at_least": spend.unknown > 0,
    }
