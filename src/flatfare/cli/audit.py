"""``flatfare audit``: can what is kept be believed?"""

import sys
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, lake_of, pass_settings, period_options
from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.core.moments import datetime_of
from flatfare.service import auditing, changes, clock, naming, vouching
from flatfare.service.auditing import Suspicion
from flatfare.service.changes import COLUMNS, KINDS, Change
from flatfare.service.costing.pricing import open_price_book
from flatfare.service.vouching import Problem, Verified
from flatfare.store.book import Book
from flatfare.store.lake import Lake

_FIELDS = (
    output.Field("check", "check", "left", is_strong=True),
    output.Field("source", "source", "left"),
    output.Field("subject", "path or model", "left"),
    output.Field("count", "records"),
    output.Field("what", "what cannot be right", "left"),
)


@click.group(cls=Noun, shows="verify")
def audit() -> None:
    """Find what was changed, and records that cannot be right."""


@audit.command()
@click.option(
    "--digest", metavar="HEX", help="A statement's digest that you wrote down: it must still stand."
)
@click.option("--no-sign", "signs", flag_value=False, default=True, help="Sign nothing, only look.")
@format_options
@pass_settings
def verify(settings: Settings, digest: str | None, signs: bool, shape: str) -> None:
    """Find any change to what is chained: verdicts, entries of the ledger, keys, budgets, definitions.

    Holds each chain against itself and against heads that were signed outside the book; where all
    holds, signs what is new. Ends with 1 if anything was changed.
    """
    with book_of(settings) as book:
        found = vouching.verify(
            book,
            lake_of(settings),
            vouching.heads_of(settings),
            now_us=clock.now_us(),
            signs=signs,
            digest=digest,
        )
        names = _names(book, lake_of(settings), found.problems)
    if shape != "table":
        output.print_document(
            {
                "holds": found.holds,
                "problems": [{**problem.as_json(), "name": names.get(problem)} for problem in found.problems],
                "verdicts": found.verdicts,
                "records": found.records,
                "heads": found.heads,
                "statements": found.statements,
                "signed": found.signed,
                "digest": found.digest,
            },
            shape,
        )
    else:
        _print_verified(found, names)
    sys.exit(0 if found.holds else 1)


def _names(book: Book, lake: Lake, problems: Sequence[Problem]) -> dict[Problem, str]:
    """What each problem is about, by name, where it has one: a key, a budget, a user, a task, a change."""
    try:
        names = naming.names_in(book, lake, (f"{one.chain} {one.what}" for one in problems))
    except StoreFailure:  # what was tampered with may not be readable: the problems are told all the same
        names = {}
    found: dict[Problem, str] = {}
    for one in problems:
        family, _, chain = one.chain.partition("/")
        name = naming.called(f"{one.chain} {one.what}", names)
        if family == "record" and one.position is not None:
            change = changes.at(book, lake, chain, one.position)
            name = None if change is None else f"{change.what} {change.name or change.record.subject}"
        if name is not None:
            found[one] = name
    return found


def _print_verified(found: Verified, names: Mapping[Problem, str]) -> None:
    for problem in found.problems:
        at = "" if problem.position is None else f" at {problem.position}"
        name = f" ({names[problem]})" if problem in names else ""
        output.say(f"{problem.chain}{at}{name}: {problem.what}")
    looked = f"{found.verdicts:,} verdicts, {found.records:,} other records, {found.heads:,} signed heads"
    if found.problems:
        output.say(f"{len(found.problems):,} problems in {looked}. Compare the book with a copy from before.")
        return
    output.say(f"Nothing was changed: {looked}.")
    if found.digest is None and not found.verdicts + found.records:
        output.say("There is nothing to sign yet.")
    elif found.digest is None:
        output.say("No head was ever signed, so a cut end would go unnoticed: leave out --no-sign.")
    else:
        output.say(
            f"The last statement's digest is {found.digest}: written down elsewhere, it vouches for all."
        )


_CHANGES = (
    output.Field("at", "when", "left"),
    output.Field("what", "what", "left", is_strong=True),
    output.Field("whose", "of", "left"),
    output.Field("by_whom", "by", "left"),
    output.Field("says", "says", "left"),
    output.Field("reason", "why", "left"),
)


@audit.command("changes")
@click.option("--kind", metavar="KIND", help=f"Only of one kind, such as {', '.join(KINDS)}.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@period_options
@format_options
@pass_settings
def changes_(
    settings: Settings, kind: str | None, limit: int, since: int | None, until: int | None, shape: str
) -> None:
    """List who changed what, when and why, the newest first: keys, budgets, users, definitions, actions.

    Ids are called by their names; --json and --csv have the ids too.
    """
    with book_of(settings, create=True) as book:
        found = changes.latest(book, lake_of(settings), limit, kind=kind, since_us=since, until_us=until)
    if shape == "json":
        output.print_json_lines(one.document for one in found)
    elif shape == "csv":
        output.print_csv((one.document for one in found), COLUMNS)
    elif not found:
        output.say("Nothing was changed.")
    else:
        output.print_table([_change_row(one, settings.time_zone) for one in found], _CHANGES)


def _change_row(one: Change, time_zone: str) -> dict[str, object]:
    local = datetime_of(one.record.at_us).astimezone(ZoneInfo(time_zone))
    return {
        "at": f"{local:%Y-%m-%d %H:%M}",
        "what": one.what,
        "whose": one.name or one.record.subject,
        "by_whom": one.by_whom,
        "says": one.says[:200],
        "reason": one.record.reason,
    }


@audit.command()
@click.option("--limit", type=click.IntRange(1), default=None, help="Print at most so many lines.")
@click.option("--strict", is_flag=True, help="End with exit code 1 if anything was found.")
@format_options
@pass_settings
def data(settings: Settings, limit: int | None, strict: bool, shape: str) -> None:
    """Find imported records that cannot be right.

    Zero cost beside work, costs that no published price explains, totals that are not
    the sum of their parts, runs counted twice, rates that contradict their counts,
    times that cannot be.
    """
    with book_of(settings) as book:
        found = auditing.audit(book, lake_of(settings), open_price_book(settings), now_us=clock.now_us())
    rows = [_row(suspicion) for suspicion in found]
    if shape == "json":
        output.print_json({"suspicions": rows, "records": sum(one.count for one in found)})
    elif shape == "csv":
        output.print_csv(rows, [*(field.key for field in _FIELDS), "examples"])
    else:
        _print_table(found, rows, limit)
    sys.exit(1 if strict and found else 0)


def _row(suspicion: Suspicion) -> dict[str, object]:
    return {
        "check": suspicion.check,
        "source": suspicion.source,
        "subject": suspicion.subject,
        "count": suspicion.count,
        "what": suspicion.what,
        "examples": list(suspicion.examples),
    }


def _print_table(found: list[Suspicion], rows: list[dict[str, object]], limit: int | None) -> None:
    if not found:
        output.say(
            "Nothing suspicious: no zeros beside work, no unexplained costs, no repeats, no odd totals."
        )
        return
    output.print_table([{**row, "count": f"{row['count']:,}"} for row in rows[:limit]], _FIELDS)
    for suspicion in found[:limit]:
        if suspicion.examples:
            output.note(f"  {suspicion.check}, {suspicion.subject}: {'; '.join(suspicion.examples)}")
    if limit and len(rows) > limit:
        output.note(f"… and {len(rows) - limit} lines more; leave out --limit to see them.")
