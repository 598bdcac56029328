"""The weekly report: the last whole week of the calendar against the one before, as a document and as text.

It is owed to each of its channels once a week, by the alerts' own tables: whoever keeps the
book, and however often it is started anew, the same week is the same alert.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from flatfare.config import Settings
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text, dollar_text
from flatfare.core.week import Week, last_due
from flatfare.service.alerts import alerting
from flatfare.service.reporting import Report, Row, report
from flatfare.service.reporting.document import Document, figures_of, shown_cost
from flatfare.service.reporting.summary import concerns_of
from flatfare.service.reporting.wording import MISSING, headline, interval_text, known, percent, percents
from flatfare.store import alerts, budgets
from flatfare.store.alerts import Alert
from flatfare.store.book import Book
from flatfare.store.lake import Lake

KIND = "report.weekly"
WEEKS_SHOWN = 13
"""How many weeks its chart goes back: a quarter."""

CLOSE_TO_LIMIT = 0.8
BUDGETS_MAX = 10


def weekly(
    book: Book, lake: Lake, settings: Settings, week: Week, *, now_us: int, threads: int | None = None
) -> Document:
    """The report of a week, as a document of JSON; money is decimal text."""

    def asked(since: Week, until: Week, by: str) -> Report:
        return report(
            book,
            lake,
            now_us=now_us,
            by=(by,),
            since_us=since.since_us,
            until_us=until.until_us,
            time_zone=settings.time_zone,
            threads=threads,
        )

    former = week.before()
    this, before = asked(week, week, "path"), asked(former, former, "path").total
    over_time = asked(week.before(WEEKS_SHOWN - 1), week, "week")
    return {
        "week": week.name,
        "title": f"Week {int(week.name[-2:])} of {week.name[:4]}: {_span(week)}",
        "since": iso(week.since_us),
        "until": iso(week.until_us),
        "time_zone": settings.time_zone,
        "as_of": iso(now_us),
        "currency": settings.currency,
        "is_empty": this.is_empty,
        "figures": _figures(this.total, before),
        "this_week": figures_of(this.total),
        "week_before": figures_of(before),
        "dearest_failing_path": _dearest_failing(this.rows),
        "budgets": _tight_budgets(book, now_us),
        "attention": [{"text": one.text, "command": one.command} for one in concerns_of(this)],
        "weeks": [_point(row) for row in sorted(over_time.rows, key=_by_time) if _is_dated(row)],
    }


def _span(week: Week) -> str:
    def said(day: date, *, has_year: bool) -> str:
        return f"{day.day} {day:%B}" + (f" {day.year}" if has_year else "")

    first = said(week.monday, has_year=week.monday.year != week.sunday.year)
    return f"{first} to {said(week.sunday, has_year=True)}"


def _figures(now: Row, before: Row) -> list[Document]:
    """The headline's lines as they are read: what, this week, the week before, and the move."""
    spend, former_spend = now.figures.spend_nano, before.figures.spend_nano
    unknown, former_unknown = _unknown(now), _unknown(before)
    return [
        _line(
            "Cost per verified outcome",
            _priced(now),
            _priced(before),
            _move(shown_cost(now), shown_cost(before)),
            "" if interval_text(now) == MISSING else f"95 %: {interval_text(now)}",
        ),
        _line(
            "Verified",
            f"{now.verified:,}",
            f"{before.verified:,}",
            _move(now.verified, before.verified),
            f"of {now.n:,} matured tasks",
        ),
        _line(
            "Success rate",
            percent(now.success_rate),
            percent(before.success_rate),
            _points(now.success_rate, before.success_rate),
            f"95 %: {percents(now.success_interval)}" if now.n else "",
        ),
        _line(
            "Spend",
            known(spend, unknown),
            known(former_spend, former_unknown),
            _move(spend, former_spend),
            "" if now.unverified_share is None else f"{percent(now.unverified_share)} in tasks not verified",
        ),
        _line(
            "Cost not known",
            f"{unknown:,}",
            f"{former_unknown:,}",
            _move(unknown, former_unknown),
            "tasks and calls" if unknown else "everything is priced",
        ),
    ]


def _line(name: str, now: str | None, before: str | None, change: str | None, beside: str) -> Document:
    return {"name": name, "now": now, "before": before, "change": change, "beside": beside}


def _priced(row: Row) -> str | None:
    return headline(row) if shown_cost(row) is not None else None


def _unknown(row: Row) -> int:
    f = row.figures
    return f.unknown_cost_tasks + f.unknown_outside_calls + f.unknown_open_tasks


def _move(now: int | None, before: int | None) -> str | None:
    if now is None or not before:
        return None
    return f"{100 * (now / before - 1):+.1f} %".replace("-", "−")


def _points(now: float | None, before: float | None) -> str | None:
    if now is None or before is None:
        return None
    return f"{100 * (now - before):+.1f} points".replace("-", "−")


def _dearest_failing(rows: Sequence[Row]) -> Document | None:
    """The path on which most was spent on tasks that failed; None where nothing was."""
    own = [row for row in rows if not row.is_published and row.figures.failure_nano]
    if not own:
        return None
    worst = max(own, key=lambda row: row.figures.failure_nano)
    return {
        "path": worst.keys[0],
        "cost_of_failures": decimal_text(worst.figures.failure_nano),
        "failed": worst.figures.failed + worst.figures.reversed,
        "tasks": worst.n,
        "cost": decimal_text(worst.figures.cost_nano),
        "said": (
            f"{worst.keys[0] or MISSING}: {dollar_text(worst.figures.failure_nano)} went into "
            f"{worst.figures.failed + worst.figures.reversed:,} of {worst.n:,} tasks that failed"
        ),
    }


def _tight_budgets(book: Book, now_us: int) -> list[Document]:
    """Budgets of which four fifths are spent or more, as they stand now; the tightest first."""
    found = []
    for budget in budgets.all_of(book):
        for one in budgets.standings(book, budget, now_us):
            limit_nano = budget.limit_nano(now_us, one.allowance.subject)
            share = one.spent_nano / limit_nano if limit_nano else float(one.spent_nano > 0)
            if share >= CLOSE_TO_LIMIT:
                found.append(
                    {
                        "budget": budget.name,
                        "subject": one.allowance.subject,
                        "limit": decimal_text(limit_nano),
                        "spent": decimal_text(one.spent_nano),
                        "share": round(share, 6),
                        "per": budget.window.text,
                        "said": (
                            f"{budget.name}, {one.allowance.subject}: {100 * share:.0f} % of "
                            f"{dollar_text(limit_nano)} per {budget.window.text}"
                        ),
                    }
                )
    return sorted(found, key=lambda one: -float(str(one["share"])))[:BUDGETS_MAX]


def _is_dated(row: Row) -> bool:
    return not row.is_published and row.keys[0] is not None


def _by_time(row: Row) -> str:
    return row.keys[0] or ""


_POINT = (
    "cost_per_verified_outcome",
    "cost_per_verified_outcome_low",
    "cost_per_verified_outcome_high",
    "price_per_million_tokens",
    "verified",
)


def _point(row: Row) -> Document:
    figures = figures_of(row)
    return {"week": row.keys[0], **{name: figures[name] for name in _POINT}}


def lines_of(document: Mapping[str, object]) -> Iterator[str]:
    """The report as text, for a message: a figure a line."""
    for one in _listed(document, "figures"):
        said = f"{one['name']}: {one['now'] or MISSING}"
        beside = f" ({one['beside']})" if one["beside"] else ""
        change = f", {one['change']}" if one["change"] else ""
        yield f"{said}{beside}; the week before {one['before'] or MISSING}{change}"
    yield from notes_of(document)


def notes_of(document: Mapping[str, object]) -> Iterator[str]:
    """What stands below the figures: where money was lost, what is nearly spent, what to look at."""
    worst = document["dearest_failing_path"]
    if isinstance(worst, Mapping):
        yield ""
        yield f"Dearest failing path: {worst['said']}."
    tight = _listed(document, "budgets")
    if tight:
        yield ""
        yield "Budgets close to their limit"
        yield from (f"  {one['said']}" for one in tight)
    yield ""
    attention = _listed(document, "attention")
    yield "Needs attention" if attention else "Nothing needs attention."
    yield from (f"  {one['text']}. See: {one['command']}" for one in attention)


def _listed(document: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    found = document[name]
    assert isinstance(found, list)
    return found


def sentence_of(document: Mapping[str, object]) -> str:
    """The report in one sentence, as a title."""
    cost = _listed(document, "figures")[0]
    change = f" ({cost['change']})" if cost["change"] else ""
    said = f"{cost['now']} per verified outcome{change}" if cost["now"] else "no cost per verified outcome"
    return f"{document['title']}: {said}"


def alert_of(document: Mapping[str, object], at_us: int) -> Alert:
    """What is told of a week; the same week has the same id."""
    week = str(document["week"])
    return Alert(id_of(week), KIND, week, sentence_of(document), document, at_us)


def id_of(week: str) -> str:
    """The id of a week's alert."""
    return f"weekly-{week}"


def owe_if_due(book: Book, lake: Lake, settings: Settings, *, now_us: int) -> bool:
    """Owe the report to each of its channels that has not been owed it, once its hour has come.

    Cheap where nothing is due. A week in which nobody kept the book is not made up for later.
    """
    wanted = settings.weekly_report
    if wanted is None:
        return False
    week = Week.last(last_due(now_us, wanted.day, wanted.hour, _zone(settings)), _zone(settings))
    owed = alerts.owed_to(book, id_of(week.name))
    missing = [name for name in wanted.channels if name not in owed]
    if not missing:
        return False
    document = weekly(book, lake, settings, week, now_us=now_us, threads=1)
    if document["is_empty"]:
        return False
    owe(book, settings, alert_of(document, now_us), missing)
    return True


def owe(book: Book, settings: Settings, alert: Alert, channels: Sequence[str]) -> None:
    """Owe a week's report to channels, after their quiet hours; what was owed before stays as it is."""
    with book.writing():
        alerts.insert(book, alert)
        for name in channels:
            channel = alerting.channel_named(settings, name)
            alerts.insert_delivery(book, alert.id, name, alerting.after_quiet(channel, alert.at_us, settings))


def week_of(settings: Settings, text: str | None, now_us: int) -> Week:
    """The week of that name in the time zone of the settings; the last whole one where none is named."""
    zone = _zone(settings)
    return Week.last(now_us, zone) if text is None else Week.named(text, zone)


def _zone(settings: Settings) -> ZoneInfo:
    return ZoneInfo(settings.time_zone)
