"""``flatfare ledger``: what stands in every account, which entries made it so, and whether it holds."""

import sys

import click

from flatfare.cli import output
from flatfare.cli.customers import entry_rows
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, period_options
from flatfare.config import Settings
from flatfare.service import selling
from flatfare.service.selling import showing
from flatfare.store.book import open_book

_TOTALS = (
    output.Field("account", "account", "left", is_strong=True),
    output.Field("currency", "", "left"),
    output.Field("balance", "balance"),
)
_LINES = (
    output.Field("position", "nr"),
    output.Field("at", "at", "left"),
    output.Field("verb", "what", "left", is_strong=True),
    output.Field("task", "task", "left"),
    output.Field("amount", "amount"),
    output.Field("balance", "balance"),
    output.Field("reason", "why", "left"),
)
_ENTRIES = (
    output.Field("customer", "customer", "left", is_strong=True),
    output.Field("number", "nr"),
    output.Field("at", "at", "left"),
    output.Field("verb", "what", "left"),
    output.Field("task", "task", "left"),
    output.Field("account", "account", "left"),
    output.Field("amount", "amount"),
)


@click.group(cls=Noun, shows="totals")
def ledger() -> None:
    """The ledger: double entry, in nano units of each currency, hash-chained by account.

    Credits are positive (owed to somebody, or earned), debits negative; every entry sums to zero.
    """


@ledger.command()
@format_options
@pass_settings
def totals(settings: Settings, shape: str) -> None:
    """Print what stands in all accounts of each kind together."""
    with book_of(settings) as book:
        rows = showing.totals_document(selling.totals(book))
    _show(rows, _TOTALS, shape, "Nothing has been sold yet.")


@ledger.command()
@click.argument("name")
@click.option("--after", type=click.IntRange(0), default=0, help="Only lines after this one.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@format_options
@pass_settings
def account(settings: Settings, name: str, after: int, limit: int, shape: str) -> None:
    """Print the lines of the account NAME, such as wallet:acme:USD."""
    with book_of(settings) as book:
        rows = showing.account_document(book, name, after, limit)
    _show(rows, _LINES, shape, f"Nothing stands in {name}.")


@ledger.command()
@click.option("--customer", metavar="NAME", help="Only of this customer.")
@click.option("--task", metavar="ID", help="Only of this task.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@period_options
@format_options
@pass_settings
def entries(
    settings: Settings,
    customer: str | None,
    task: str | None,
    limit: int,
    since: int | None,
    until: int | None,
    shape: str,
) -> None:
    """Print entries with all their postings."""
    with book_of(settings) as book:
        found = selling.entries(
            book, customer=customer, task_id=task, since_us=since, until_us=until, limit=limit
        )
    documents = [showing.entry_document(entry) for entry in found]
    if shape == "json":
        output.print_json_lines(documents)
    else:
        _show(entry_rows(documents), _ENTRIES, shape, "There are no such entries.")


@ledger.command()
@click.argument("task")
@format_options
@pass_settings
def sale(settings: Settings, task: str, shape: str) -> None:
    """Print the sale of TASK (its id): what was held, settled, given back, and what it cost."""
    with book_of(settings) as book:
        output.print_document(showing.sale_document(selling.sale_of(book, task)), shape)


@ledger.command()
@click.option("--replay", is_flag=True, help="Write it anew from its log too, and compare every byte.")
@format_options
@pass_settings
def verify(settings: Settings, replay: bool, shape: str) -> None:
    """Tell every sum, balance, chain and sale anew; end with exit code 1 if any differs."""
    with book_of(settings) as book:
        problems = selling.verify(book)
        if replay and not problems:
            with open_book(":memory:") as fresh:
                count = selling.rebuilt(book, fresh)
                problems = selling.differences(book, fresh)
            output.note(f"{count} entries were replayed.")
    if shape != "table":
        output.print_document({"holds": not problems, "problems": problems}, shape)
        sys.exit(1 if problems else 0)
    for problem in problems:
        output.say(problem)
    if not problems:
        output.say(
            "The ledger holds: every entry sums to zero, every balance and chain is as it was written."
        )
    sys.exit(1 if problems else 0)


def _show(rows: list[dict[str, object]], fields: tuple[output.Field, ...], shape: str, nothing: str) -> None:
    output.print_list(rows, fields, shape, nothing=nothing)
