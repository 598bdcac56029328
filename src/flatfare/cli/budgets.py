"""``flatfare budgets``: limits on spend that hold, what is left of them, and more for a while."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import ParamSpec, TypeVar

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Amount,
    Expiry,
    Noun,
    book_of,
    format_options,
    lake_of,
    pass_settings,
    reading_options,
    user_name,
)
from flatfare.config import Settings
from flatfare.core.budget import ACTIONS, EACH, Budget, Scope, Threshold, TopUp, Window
from flatfare.core.errors import BadUsage
from flatfare.core.moments import iso
from flatfare.core.money import dollar_text, nano_of
from flatfare.service import clock
from flatfare.service.budgets import budgeting
from flatfare.service.budgets.units_left import unit_costs
from flatfare.store import budgets as standing
from flatfare.store import keys as kept_keys
from flatfare.store import spenders
from flatfare.store.book import Book

P = ParamSpec("P")
R = TypeVar("R")


@click.group(cls=Noun)
def budgets() -> None:
    """Budgets: what may be spent, by whom, over which time. A hard one is never exceeded.

    Before a call is sent, the most it can cost is held against every budget it falls under.
    """


def terms_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the terms of a budget that may be changed later."""
    for option in reversed(
        (
            click.option("--hard/--soft", "is_hard", default=None, help="A soft one only counts and alerts."),
            click.option(
                "--threshold",
                "thresholds",
                multiple=True,
                metavar="PERCENT[:ACTION]",
                help=f"At so much of it: {', '.join(ACTIONS)}. 50, 75, 90 and 100 alert if none is given.",
            ),
            click.option(
                "--queue-ms", type=click.IntRange(0, 600_000), help="How long a call may wait to fit."
            ),
            click.option(
                "--unpriced",
                type=click.Choice(["refuse", "allow"]),
                help="Calls of which nobody can say what they cost at most.",
            ),
            click.option(
                "--fail", type=click.Choice(["closed", "open"]), help="Where budgets cannot be asked."
            ),
            click.option(
                "--output-limit",
                type=click.Choice(["set", "refuse"]),
                help="Calls that do not say how long their answer may be.",
            ),
            click.option("--contact", metavar="TEXT", help="Whom to ask for more; a refusal says so."),
            click.option("--reason", metavar="TEXT", help="Why, for the record."),
        )
    ):
        command = option(command)
    return command


@budgets.command()
@click.option("--name", required=True, help="What to call it.")
@click.option("--amount", type=Amount(), required=True, metavar="5.00", help="What may be spent, in dollars.")
@click.option(
    "--per",
    default="month",
    show_default=True,
    metavar="WINDOW",
    help="day, week, month, quarter, year, lifetime, or like 'rolling 24h'.",
)
@click.option("--time-zone", metavar="ZONE", help="Where its days begin, such as Europe/Berlin.")
@click.option(
    "--scope",
    default="organisation",
    show_default=True,
    metavar="KEY=VALUE",
    help="Whose spend: team=search, key=NAME, session=* for each session, and the like.",
)
@terms_options
@format_options
@pass_settings
def create(
    settings: Settings,
    /,
    name: str,
    amount: int,
    per: str,
    time_zone: str | None,
    scope: str,
    shape: str,
    reason: str | None,
    **terms: object,
) -> None:
    """Create a budget."""
    with reading_options():
        wanted = Budget(
            "",
            name,
            Scope.of(scope),
            amount,
            Window.of(per, time_zone or settings.time_zone),
            **_terms(terms),  # type: ignore[arg-type]
        )
    with book_of(settings, create=True) as book:
        made = budgeting.create(book, wanted, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
        document = budgeting.document_of(book, made, at_us=clock.now_us())
    if shape == "json":
        output.print_json(document)
    else:
        kind, amount_text = "hard" if made.is_hard else "soft", dollar_text(made.amount_nano)
        output.say(f"{made.name} ({made.id}): {amount_text} per {made.window}, {made.scope}, {kind}.")


@budgets.command()
@click.argument("budget")
@click.option("--amount", type=Amount(), metavar="5.00", help="What may be spent from now on.")
@terms_options
@pass_settings
def change(
    settings: Settings, /, budget: str, amount: int | None, reason: str | None, **terms: object
) -> None:
    """Change BUDGET (its id or name). Its scope and window stay."""
    with reading_options():
        changes = _terms(terms)
    if amount is not None:
        changes["amount_nano"] = amount
    if not changes:
        raise BadUsage("Nothing to change: give --amount or another term.")
    with book_of(settings) as book:
        changed = budgeting.change(
            book, budget, changes, at_us=clock.now_us(), by_whom=user_name(), reason=reason
        )
    output.say(f"{changed.name} ({changed.id}) is changed. See: flatfare budgets show {changed.name}")


@budgets.command("top-up")
@click.argument("budget")
@click.argument("amount", type=Amount())
@click.option("--expires", "until_us", type=Expiry(), metavar="7d", help="In so long, or at a time.")
@click.option("--subject", help="For this one alone, such as one session of session=*.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def top_up(
    settings: Settings,
    budget: str,
    amount: int,
    until_us: int | None,
    subject: str | None,
    reason: str | None,
) -> None:
    """Add AMOUNT to BUDGET until it expires."""
    _top_up(settings, budget, amount, until_us, subject, reason, replaces=False)


@budgets.command()
@click.argument("budget")
@click.argument("amount", type=Amount())
@click.option("--expires", "until_us", type=Expiry(), required=True, metavar="7d", help="Until when.")
@click.option("--subject", help="For this one alone.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def override(
    settings: Settings,
    budget: str,
    amount: int,
    until_us: int,
    subject: str | None,
    reason: str | None,
) -> None:
    """Let AMOUNT stand in place of BUDGET's own for a while."""
    _top_up(settings, budget, amount, until_us, subject, reason, replaces=True)


def _top_up(
    settings: Settings,
    budget: str,
    amount: int,
    until_us: int | None,
    subject: str | None,
    reason: str | None,
    *,
    replaces: bool,
) -> None:
    now_us = clock.now_us()
    more = TopUp(amount, now_us, until_us, user_name(), reason, replaces, subject)
    with book_of(settings) as book:
        changed = budgeting.top_up(book, budget, more, at_us=now_us, reason=reason)
    limit = dollar_text(changed.limit_nano(now_us, subject or _subject_of(changed)))
    whose = f" for {subject}" if subject else ""
    until = "" if until_us is None else f" until {iso(until_us)}"
    output.say(f"{changed.name} ({changed.id}) may spend {limit} per {changed.window}{whose}{until}.")
    output.note(f"Agreed: {dollar_text(changed.amount_nano)}. See: flatfare budgets show {changed.name}")


def _subject_of(budget: Budget) -> str:
    return budget.scope.value or budget.scope.key


@budgets.command()
@click.argument("budget")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def remove(settings: Settings, budget: str, reason: str | None) -> None:
    """End BUDGET: it limits nothing any more; what was spent under it stays on record."""
    with book_of(settings) as book:
        removed = budgeting.remove(book, budget, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{removed.name} ({removed.id}) is removed.")


_FIELDS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("scope", "scope", "left"),
    output.Field("subject", "subject", "left"),
    output.Field("per", "per", "left"),
    output.Field("kind", "kind", "left"),
    output.Field("limit", "limit"),
    output.Field("spent", "spent"),
    output.Field("reserved", "reserved"),
    output.Field("left", "left"),
    output.Field("share", "spent %"),
    output.Field("resets", "resets", "left"),
)
_UNITS = output.Field("units_left", "units left")


@budgets.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the budgets, with what is spent, reserved and left of each now."""
    with book_of(settings, create=True) as book:
        costs = unit_costs(book, lake_of(settings), standing.all_of(book), clock.now_us())
        documents = budgeting.listed(book, at_us=clock.now_us(), costs=costs)
    _show(documents, shape)


@budgets.command()
@click.argument("budget")
@format_options
@pass_settings
def show(settings: Settings, budget: str, shape: str) -> None:
    """Show BUDGET (its id or name): terms, top-ups, and where every subject stands."""
    with book_of(settings) as book:
        found = budgeting.one_of(book, budget)
        costs = unit_costs(book, lake_of(settings), [found], clock.now_us())
        document = budgeting.document_of(book, found, at_us=clock.now_us(), subjects_max=1000, costs=costs)
        said = list(_spenders(book, found)) if shape == "table" else []
    if shape != "table":
        _show([document], shape)
        return
    _show([document], shape)
    subjects = document["subjects"]
    assert isinstance(subjects, list)
    for one in subjects:
        if "units_left" in one:
            output.say(one["units_left"]["said"])
    for line in said:
        output.say(line)
    if said:
        output.note("By label: flatfare report --by user|team|feature|…")
    output.say(f"thresholds: {', '.join(f'{one.percent}:{one.action}' for one in found.thresholds)}")
    for name in ("queue_ms", "unpriced", "fail", "output_limit", "contact"):
        if document[name]:
            output.say(f"{name}: {document[name]}")
    for more in found.top_ups:
        output.say(_top_up_text(more))


def _spenders(book: Book, budget: Budget) -> Iterator[str]:
    """Who spent most of a budget of late, a line each."""
    now_us = clock.now_us()
    since_us = spenders.counted_since(book, budget.window.counted_since(budget.window.span(now_us)[0]))
    since = f" since {iso(since_us)}" if since_us else ""
    names = {key.id: key.name for key in kept_keys.all_of(book)}
    for one in standing.standings(book, budget, now_us)[:3]:
        subject = one.allowance.subject
        whose = "" if budget.scope.value != EACH else f" of {subject}"
        for spender in spenders.dearest(book, budget, subject, since_us):
            key = "no key" if spender.key_id is None else names.get(spender.key_id, spender.key_id)
            spent = dollar_text(spender.cost_nano)
            yield f"spent{whose}{since}: {spent} by {key}, {spender.model or '—'}"


def _top_up_text(more: TopUp) -> str:
    what = f"{dollar_text(more.amount_nano)} {'in its place' if more.replaces else 'more'}"
    whose = f" for {more.subject}" if more.subject else ""
    until = "" if more.until_us is None else f" until {iso(more.until_us)}"
    why = f": {more.reason}" if more.reason else ""
    return f"{what}{whose} since {iso(more.from_us)}{until}, by {more.by_whom}{why}"


def _show(documents: list[dict[str, object]], shape: str) -> None:
    rows = [row for document in documents for row in _rows(document)]
    fields = (*_FIELDS, _UNITS) if any(row["units_left"] is not None for row in rows) else _FIELDS
    output.print_list(
        rows,
        fields,
        shape,
        nothing="No budgets yet. Create one: flatfare budgets create --name NAME --amount 5.00",
        documents=documents,
        columns=["id", *(field.key for field in (*_FIELDS, _UNITS))],
        read=_read,
    )


def _read(row: Mapping[str, object]) -> dict[str, object]:
    """A row as a person reads it."""
    money = ("limit", "spent", "reserved", "left")
    return {**row, **{name: dollar_text(nano_of(Decimal(str(row[name])))) for name in money}}


def _rows(document: dict[str, object]) -> list[dict[str, object]]:
    """A row a subject; a budget on which nothing was spent has one too."""
    subjects = document["subjects"]
    assert isinstance(subjects, list)
    amount = document["amount"]
    untouched = {"subject": None, "limit": amount, "spent": "0", "reserved": "0", "left": amount, "share": 0}
    return [
        {
            **{name: document[name] for name in ("id", "name", "scope", "per", "resets")},
            "kind": "hard" if document["hard"] else "soft",
            **one,
            "share": None if one["share"] is None else f"{one['share']:.0%}",
            "units_left": _units_text(one.get("units_left")),
        }
        for one in subjects or [untouched]
    ]


def _units_text(found: object) -> str | None:
    return f"about {found['units']:,} (n={found['n']:,})" if isinstance(found, dict) else None


def _terms(given: dict[str, object]) -> dict[str, object]:
    """The terms that were given, as a budget takes them."""
    terms = {name: value for name, value in given.items() if value not in (None, ())}
    texts = terms.pop("thresholds", ())
    assert isinstance(texts, tuple)
    if texts:
        terms["thresholds"] = tuple(Threshold.of(str(text)) for text in texts)
    return terms
