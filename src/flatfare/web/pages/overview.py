"""The overview: what finished work costs, whether it gets better, and what needs attention."""

from flatfare.core.budget import Budget
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import document_of, figures_of
from flatfare.service.reporting.summary import concerns_about_budgets, concerns_of
from flatfare.service.reporting.wording import headline, interval_text, known, percent, percents
from flatfare.web.access import Right
from flatfare.web.pages import movement
from flatfare.web.pages.blocks import (
    Block,
    Concern,
    Concerns,
    Figure,
    Figures,
    FirstRun,
    Notes,
    View,
    Way,
)
from flatfare.web.pages.budgets import subject_seen
from flatfare.web.pages.outcomes import frontier
from flatfare.web.pages.over_time import prices_over_time
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import WHY, key_tabs, other_keys, ranked

VERIFIED_A_DAY, DAYS_MIN = 20, 15
"""Below so many a day a chart tells time by weeks, where there are days enough."""

ROWS = 12
TABS = ("path", "model", "action", "team", "customer")
_PLACES = {
    "flatfare doctor": "/unknown",
    "flatfare report --by source": "/spend?by=source",
    "flatfare report --by outcome": "/outcomes",
    "flatfare report --by path --sort unverified-spend-share": "/?sort=unverified-spend-share",
}
"""Where a page shows what a command does."""


def view(visit: Visit) -> View:
    """The page."""
    if visit.extent.is_empty:
        return _first_run(visit)
    asking = visit.asking
    key = asking.by or "path"
    grain = asking.period.grain(visit.extent.first_at_us, visit.books.now_us)
    by_key = visit.report(key, sort=asking.sort, limit=_limit(visit))
    days = asking.period.days_of(visit.extent.first_at_us, visit.extent.last_at_us)
    if grain == "day" and _is_sparse(by_key.total, days):
        grain = "week"
    by_time = visit.report(grain)
    before = visit.report(before=True).total if asking.compares else None
    blocks: list[Block] = [Figures(_figures(by_time.total, before, visit))]
    chart = prices_over_time(by_time, visit, grain)
    if chart is None:
        chart = frontier(visit.report(key) if by_key.groups > len(by_key.rows) else by_key, visit, key)
    if chart is not None:
        blocks.append(chart)
    blocks.append(
        ranked(
            by_key,
            visit,
            name="ranked",
            title="What was spent most on",
            key=key,
            tabs=key_tabs(visit, key, (*TABS, key)),
            more_tabs=key_tabs(visit, key, other_keys(visit, (*TABS, key))),
        )
    )
    concerns = _concerns(by_key, visit)
    if concerns:
        blocks.insert(2 if chart is not None else 1, Concerns(concerns))
    document = {
        **document_of(by_key, visit.books.settings.currency),
        "before": figures_of(before) if before is not None else None,
        "over_time": document_of(by_time, visit.books.settings.currency)["rows"],
    }
    return View("Overview", tuple(blocks), document, compares=True, is_live=True)


def _limit(visit: Visit) -> int | None:
    return ROWS if visit.asking.limit is None and visit.rows_max else visit.limit


def _is_sparse(total: Row, days: float) -> bool:
    """So few are verified a day that a figure a day would be noise."""
    return days >= DAYS_MIN and total.verified < VERIFIED_A_DAY * days


def _figures(total: Row, before: Row | None, visit: Visit) -> tuple[Figure, ...]:
    f, unknown = total.figures, _unknown(total)
    return (
        _headline_figure(total, before),
        Figure(
            "Verified",
            f"{total.verified:,}",
            f"of {total.n:,} matured tasks",
            movement.of_count(total.verified, before.verified, less_is_good=False) if before else None,
            visit.asking.elsewhere("/outcomes"),
        ),
        Figure(
            "Success rate",
            percent(total.success_rate),
            f"95 %: {percents(total.success_interval)}" if total.n else "",
            movement.of_rate(total, before) if before else None,
            visit.asking.elsewhere("/outcomes"),
        ),
        Figure(
            "Spend",
            known(f.spend_nano, unknown),
            _share_lost(total),
            movement.of_money(f.spend_nano, before.figures.spend_nano, less_is_good=None) if before else None,
            visit.asking.elsewhere("/spend"),
            WHY,
        ),
        Figure(
            "Cost not known",
            f"{unknown:,}",
            "tasks and calls" if unknown else "everything is priced",
            movement.of_count(unknown, _unknown(before), less_is_good=True) if before else None,
            visit.asking.elsewhere("/unknown") if unknown else None,
        ),
    )


def _share_lost(total: Row) -> str:
    share = total.unverified_share
    return "" if share is None else f"{percent(share)} in tasks not verified"


def _headline_figure(total: Row, before: Row | None) -> Figure:
    """Cost per verified outcome, with its interval; none while it is of too few."""
    said, interval = headline(total), interval_text(total)
    is_early = said is not None and said.endswith("*")
    return Figure(
        "Cost per verified outcome",
        None if is_early else said,
        f"95 %: {interval}" if interval != "—" else (total.note or "no task has matured"),
        movement.of_outcome_cost(total, before) if before else None,
        why=WHY,
        tone="lead",
    )


def _unknown(total: Row) -> int:
    f = total.figures
    return f.unknown_cost_tasks + f.unknown_outside_calls + f.unknown_open_tasks


def _concerns(found: Report, visit: Visit) -> tuple[Concern, ...]:
    books = visit.books

    def sees(budget: Budget, subject: str) -> bool:
        return subject_seen(budget, subject, visit.visitor)

    said = [*concerns_about_budgets(books.book, books.now_us, sees), *concerns_of(found)]
    return tuple(Concern(one.text, _address(one.command, visit), one.command) for one in said)


def _address(command: str, visit: Visit) -> str | None:
    place = "/budgets" if command.startswith("flatfare budgets ") else _PLACES.get(command)
    if place is None:
        return None
    path, _, query = place.partition("?")
    name, _, value = query.partition("=")
    return visit.asking.elsewhere(path, **({name: value} if name else {}))


def _first_run(visit: Visit) -> View:
    address = visit.books.settings.listen
    ways = (
        Way(
            "Gateway",
            "Point an SDK you have at this address: every call is metered and kept. Nothing to install.",
            (
                f"export OPENAI_BASE_URL=http://{address}/v1",
                f"export ANTHROPIC_BASE_URL=http://{address}/anthropic",
            ),
        ),
        Way(
            "SDK",
            "Say what a task is and whether it was done: then there is a price per verified outcome.",
            (
                "from flatfare_sdk import task",
                'with task("resolve-ticket", customer="acme") as t:',
                '    t.verdict("tests", passed=True)',
            ),
        ),
        Way(
            "Import",
            "Bring what you have: exports of calls, tasks and verdicts as CSV, JSON Lines or Parquet.",
            ("flatfare import calls calls.csv", "flatfare import tasks tasks.csv"),
        ),
    )
    return View(
        "Nothing is in the books yet",
        (FirstRun(ways), Notes(("Or look at real public data first: flatfare demo --open",))),
        {"is_empty": True, "ways": [way.title.lower() for way in ways]},
        lede="Three ways in. This page shows the first call as it arrives.",
        has_period=False,
        is_live=True,
    )


PAGE = Page("/", "overview", "Overview", Right.READ, view, narrows=True)
