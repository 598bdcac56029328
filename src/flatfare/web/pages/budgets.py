"""Budgets: what each allows, what is spent and reserved of it, how fast it goes, and who was told."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from flatfare.core.budget import DEFAULT_THRESHOLDS, EACH, Budget, Scope, Threshold, TopUp, Window
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput, NotAuthorised
from flatfare.core.moments import DAY_US
from flatfare.core.money import decimal_text, dollar_text, half_even
from flatfare.core.unit_cost import ACTION, UnitCost
from flatfare.service.access import keys as issuing
from flatfare.service.budgets import budgeting
from flatfare.service.budgets.units_left import unit_costs
from flatfare.store import alerts, budgets
from flatfare.store.budgets import Standing
from flatfare.web.access import Right, Visitor
from flatfare.web.pages.blocks import (
    Act,
    Block,
    Cell,
    Column,
    Csv,
    Field,
    Figure,
    Figures,
    Form,
    Notes,
    Option,
    Table,
    View,
)
from flatfare.web.pages.page import Deed, Page, Sent, Visit
from flatfare.web.pages.rendering import moment_text

SUBJECTS_MAX = 20
ALERTS_MAX = 20
_WINDOWS = ("month", "day", "week", "quarter", "year", "lifetime", "rolling 24h")


@dataclass(frozen=True, slots=True)
class _Line:
    """One subject of one budget as it stands now."""

    budget: Budget
    subject: str
    limit_nano: int
    spent_nano: int
    reserved_nano: int
    begins_us: int
    ends_us: int | None
    unit: UnitCost | None = None  # what a verified one of its action costs

    @property
    def units(self) -> Mapping[str, object]:
        """How many more of its action what is left pays for; nothing where that is not known."""
        return {} if self.unit is None else self.unit.left(self.subject, self.left_nano)

    @property
    def share(self) -> float:
        return self.spent_nano / self.limit_nano if self.limit_nano else float(self.spent_nano > 0)

    @property
    def left_nano(self) -> int:
        return max(0, self.limit_nano - self.spent_nano - self.reserved_nano)

    def expected_nano(self, now_us: int) -> int | None:
        """What will be spent by the end of the window if it goes on like this; None where it has no end."""
        gone = now_us - self.begins_us
        if self.ends_us is None or self.budget.window.kind == "rolling" or gone < DAY_US // 24:
            return None
        return half_even(self.spent_nano * (self.ends_us - self.begins_us), gone)

    def a_day_nano(self, now_us: int) -> int | None:
        """What was spent a day so far in this window."""
        gone = now_us - self.begins_us
        return half_even(self.spent_nano * DAY_US, gone) if self.begins_us and gone >= DAY_US // 24 else None


def view(visit: Visit) -> View:
    """The page."""
    now_us, book = visit.books.now_us, visit.books.book
    costs = _unit_costs(visit)
    lines = [line for budget in budgets.all_of(book) for line in _lines(budget, visit, costs)]
    lines.sort(key=lambda line: -line.share)
    names = {str(one["id"]): str(one["name"]) for one in issuing.listed(book, at_us=now_us, with_ended=True)}
    blocks: list[Block] = [Figures(_figures(lines, now_us))] if lines else []
    blocks.append(_table(lines, names, visit))
    if visit.visitor.may(Right.BUDGETS) and visit.visitor.scope.is_whole:
        blocks += [_new_form(), *([_top_up_form(lines)] if lines else [])]
    told = _alerts(visit)
    if told is not None:
        blocks.append(told)
    blocks.append(Notes((_NOTE,)))
    document = {"budgets": [_narrowed(one, visit.visitor) for one in _documents(visit, costs)]}
    return View("Budgets", tuple(blocks), document, has_period=False, is_live=True)


def _figures(lines: list[_Line], now_us: int) -> tuple[Figure, ...]:
    over = [line for line in lines if line.share >= 1]
    soon = [line for line in lines if line.share < 1 and (line.expected_nano(now_us) or 0) > line.limit_nano]
    reserved = dollar_text(sum(line.reserved_nano for line in lines))
    return (
        Figure("Budgets", f"{len({line.budget.id for line in lines}):,}", f"{len(lines):,} subjects"),
        Figure("Used up", f"{len(over):,}", ", ".join(line.subject for line in over[:3])),
        Figure("Will not last", f"{len(soon):,}", ", ".join(line.subject for line in soon[:3])),
        Figure("Reserved now", reserved, "by calls under way"),
    )


_NOTE = (
    "Spent and reserved together never exceed a hard budget. What is expected is the window's spend so far, "
    "gone on with to its end."
)


def _seen(budget: Budget, visitor: Visitor) -> bool:
    """A budget is of what the visitor sees: all of them, or those of labels of the own scope."""
    if visitor.scope.is_whole:
        return True
    values = dict(visitor.scope.labels).get(budget.scope.key, ())
    return (budget.scope.value == EACH and bool(values)) or budget.scope.value in values


def subject_seen(budget: Budget, subject: str, visitor: Visitor) -> bool:
    """What one subject of a budget spent is of what the visitor sees."""
    return visitor.scope.is_whole or subject in dict(visitor.scope.labels).get(budget.scope.key, ())


def _unit_costs(visit: Visit) -> Mapping[str, UnitCost]:
    """What a unit of each action costs: of everybody's tasks, so that only who sees everybody sees it."""
    if not visit.visitor.scope.is_whole:
        return {}
    books = visit.books
    return unit_costs(books.book, books.lake, budgets.all_of(books.book), books.now_us)


def _lines(budget: Budget, visit: Visit, costs: Mapping[str, UnitCost]) -> list[_Line]:
    if not _seen(budget, visit.visitor):
        return []
    now_us = visit.books.now_us
    begins, ends = budget.window.span(now_us)
    standings: list[Standing] = budgets.standings(visit.books.book, budget, now_us)
    return [
        _Line(
            budget,
            one.allowance.subject,
            budget.limit_nano(now_us, one.allowance.subject),
            one.spent_nano,
            one.leased_nano,
            begins,
            ends,
            costs.get(one.allowance.subject) if budget.scope.key == ACTION else None,
        )
        for one in standings
        if subject_seen(budget, one.allowance.subject, visit.visitor)
    ][:SUBJECTS_MAX]


def _documents(visit: Visit, costs: Mapping[str, UnitCost]) -> list[dict[str, object]]:
    book, now_us = visit.books.book, visit.books.now_us
    return [
        budgeting.document_of(book, budget, at_us=now_us, subjects_max=1000, costs=costs)
        for budget in budgets.all_of(book)
        if _seen(budget, visit.visitor)
    ]


def _narrowed(document: dict[str, object], visitor: Visitor) -> dict[str, object]:
    """A budget as a document, with the subjects that the visitor sees."""
    if visitor.scope.is_whole:
        return document
    scope = Scope.of(str(document["scope"]))
    values = dict(visitor.scope.labels).get(scope.key, ())
    subjects = document["subjects"]
    assert isinstance(subjects, list)
    return {**document, "subjects": [one for one in subjects if one["subject"] in values], "top_ups": []}


def _table(lines: list[_Line], names: Mapping[str, str], visit: Visit) -> Table:
    now_us, zone = visit.books.now_us, visit.asking.zone
    may = visit.visitor.may(Right.BUDGETS) and visit.visitor.scope.is_whole
    rows = tuple(_row(line, names, now_us, zone, may) for line in lines)
    csv_names = (
        "budget",
        "scope",
        "subject",
        "limit",
        "spent",
        "reserved",
        "left",
        "units_left",
        "per",
        "hard",
    )
    csv = Csv(csv_names, [_flat(line) for line in lines])
    columns = (
        Column("budget", "left"),
        Column("Spent and reserved", "left", is_long=True),
        Column("Left"),
        Column("Burned a day", gives_way=True),
        Column("Expected"),
        Column("Until", "left", gives_way=True),
        *((Column("", "right"),) if may else ()),
    )
    return Table(
        "budgets",
        "The tightest first",
        columns,
        rows,
        csv,
        empty="No budget yet: flatfare budgets create --name NAME --amount 100 --per month",
    )


def _row(line: _Line, names: Mapping[str, str], now_us: int, zone: str, may: bool) -> tuple[Cell, ...]:
    budget = line.budget
    expected, a_day = line.expected_nano(now_us), line.a_day_nano(now_us)
    is_tight = expected is not None and expected > line.limit_nano
    resets = budget.window.resets_at(now_us)
    return (
        _name_cell(line, names.get(line.subject, line.subject)),
        _spent_cell(line),
        Cell(
            dollar_text(line.left_nano),
            str(line.units.get("said", "")),
            tone="bad" if not line.left_nano else "strong",
        ),
        Cell("" if a_day is None else dollar_text(a_day)),
        Cell(
            "" if expected is None else dollar_text(expected),
            "over" if is_tight else "",
            tone="bad" if is_tight else "",
        ),
        Cell("" if resets is None else moment_text(resets, zone), tone="when"),
        *((_removal(budget),) if may else ()),
    )


def _name_cell(line: _Line, subject: str) -> Cell:
    """Its name, what it is of, and the spend that it limits, where a page can show that."""
    budget = line.budget
    scope = f"{budget.scope.key}={subject}" if budget.scope.value else "organisation"
    kind = "hard" if budget.is_hard else "soft"
    href = None
    if budget.scope.key not in ("organisation", "project", "task", "session"):
        href = f"/spend?filter={_address(budget.scope.key, line.subject)}&period={_period(budget)}"
    return Cell(budget.name, f"{scope}, {kind}, {budget.window}", href)


def _spent_cell(line: _Line) -> Cell:
    reserved = f", {dollar_text(line.reserved_nano)} reserved" if line.reserved_nano else ""
    return Cell(
        f"{dollar_text(line.spent_nano)} of {dollar_text(line.limit_nano)}",
        f"{100 * line.share:.0f} %{reserved}",
        meter=(line.share, line.reserved_nano / line.limit_nano if line.limit_nano else 0.0),
        tone="bad" if line.share >= 1 else "",
    )


def _removal(budget: Budget) -> Cell:
    asks = f"Remove the budget {budget.name}?"
    return Cell("", act=Act(f"/budgets/{budget.id}/remove", "Remove", asks, tone="danger"))


def _address(key: str, subject: str) -> str:
    return quote(f"{key}={subject}", safe="")


def _period(budget: Budget) -> str:
    return {"day": "today", "week": "7d", "month": "month", "quarter": "quarter", "year": "year"}.get(
        budget.window.kind, "all"
    )


def _flat(line: _Line) -> dict[str, object]:
    return {
        "budget": line.budget.name,
        "scope": str(line.budget.scope),
        "subject": line.subject,
        "limit": decimal_text(line.limit_nano),
        "spent": decimal_text(line.spent_nano),
        "reserved": decimal_text(line.reserved_nano),
        "left": decimal_text(line.left_nano),
        "units_left": line.units.get("units"),
        "per": line.budget.window.text,
        "hard": line.budget.is_hard,
    }


def _alerts(visit: Visit) -> Table | None:
    """The last alerts; they name anybody, so that only who sees everybody sees them."""
    if not visit.visitor.scope.is_whole:
        return None
    rows = []
    documents = []
    for alert, deliveries in alerts.latest(visit.books.book, visit.limit or 1000):
        told = [one.channel for one in deliveries if one.delivered_at_us is not None]
        waits = [one.channel for one in deliveries if one.delivered_at_us is None]
        said = ", ".join(
            filter(
                None,
                (f"told: {', '.join(told)}" if told else "", f"waits: {', '.join(waits)}" if waits else ""),
            )
        )
        rows.append(
            (
                Cell(alert.said),
                Cell(moment_text(alert.at_us, visit.asking.zone), tone="when"),
                Cell(alert.kind, tone="quiet"),
                Cell(said or "no channel wants it", tone="quiet"),
            )
        )
        documents.append(
            {"at_us": alert.at_us, "kind": alert.kind, "subject": alert.subject, "said": alert.said}
        )
    columns = (
        Column("alert", "left"),
        Column("When", "left"),
        Column("Kind", "left", gives_way=True),
        Column("Channels", "left"),
    )
    csv = Csv(("at_us", "kind", "subject", "said"), documents)
    return Table(
        "alerts", "Alerts", columns, tuple(rows[:ALERTS_MAX]), csv, empty="No alert was ever raised."
    )


def _new_form() -> Form:
    windows = tuple(Option(window, window) for window in _WINDOWS)
    hard = (Option("hard", "hard: refuses calls"), Option("soft", "soft: tells somebody"))
    usual = ", ".join(str(percent) for percent, _ in DEFAULT_THRESHOLDS)
    return Form(
        "new-budget",
        "New budget",
        "/budgets",
        "Make it",
        (
            Field("name", "Name", is_required=True),
            Field("amount", "Amount in dollars", is_required=True, placeholder="100.00"),
            Field("per", "Per", type="select", options=windows, value="month"),
            Field(
                "scope",
                "Whose spend",
                "organisation, a label such as team=search, key=NAME, or customer=* for each by itself",
                "organisation",
            ),
            Field("hard", "Kind", type="select", options=hard, value="hard"),
            Field("thresholds", "Tell at", f"percents, such as {usual}", usual),
            Field("contact", "Contact", "whom a refused caller is told to ask"),
            Field("reason", "Reason", "for the record"),
        ),
        is_open=False,
    )


def _top_up_form(lines: list[_Line]) -> Form:
    names = list(dict.fromkeys((line.budget.id, line.budget.name) for line in lines))
    return Form(
        "top-up",
        "Top up a budget",
        "/budgets/top-ups",
        "Top up",
        (
            Field("budget", "Budget", type="select", options=tuple(Option(*one) for one in names)),
            Field("amount", "More, in dollars", is_required=True, placeholder="25.00"),
            Field("days", "For so many days", "until then it counts; for good if left out", type="number"),
            Field("subject", "Only for", "one subject of a budget for each, such as acme"),
            Field("reason", "Reason", "for the record"),
        ),
    )


def _create(sent: Sent) -> str:
    thresholds = tuple(
        Threshold.of(one.strip()) for one in (sent.text("thresholds") or "").split(",") if one.strip()
    )
    wanted = Budget(
        "",
        sent.text("name") or "",
        Scope.of(sent.text("scope") or "organisation"),
        dollars(sent.text("amount") or ""),
        Window.of(sent.text("per") or "month", sent.books.settings.time_zone),
        is_hard=sent.fields.get("hard") != "soft",
        contact=sent.text("contact"),
        thresholds=thresholds,
    )
    budgeting.create(sent.books.book, wanted, **sent.on_record)
    return "/budgets"


def _top_up(sent: Sent) -> str:
    now_us, days = sent.books.now_us, sent.text("days")
    if days is not None and not (days.isascii() and days.isdigit() and 0 < int(days) < 4000):
        raise BadInput(f"Found {days!r} days: write a whole number from 1 up.")
    until = None if days is None else now_us + int(days) * DAY_US
    more = TopUp(
        dollars(sent.text("amount") or ""),
        now_us,
        until,
        sent.visitor.name,
        sent.text("reason"),
        False,
        sent.text("subject"),
    )
    budgeting.top_up(
        sent.books.book, sent.text("budget") or "", more, at_us=now_us, reason=sent.text("reason")
    )
    return "/budgets"


def _remove(sent: Sent) -> str:
    if not sent.visitor.scope.is_whole:
        raise NotAuthorised("Only who sees everything may remove a budget.")
    budgeting.remove(sent.books.book, sent.path["budget"], **sent.on_record)
    return "/budgets"


PAGE = Page(
    "/budgets",
    "budgets",
    "Budgets",
    Right.READ,
    view,
    narrows=True,
    deeds=(
        Deed("/budgets", "create_budget", Right.BUDGETS, _create),
        Deed("/budgets/top-ups", "top_up_budget", Right.BUDGETS, _top_up),
        Deed("/budgets/{budget}/remove", "remove_budget", Right.BUDGETS, _remove),
    ),
)
