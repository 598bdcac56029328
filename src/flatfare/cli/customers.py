"""``flatfare customers``: who buys, what they have paid in, and where they stand."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Expiry,
    Noun,
    book_of,
    format_options,
    lake_of,
    new_id,
    pass_settings,
    period_options,
    user_name,
    write_file,
)
from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.currency import parse_in, payable_text
from flatfare.core.errors import BadUsage
from flatfare.core.grant import PRIORITY
from flatfare.core.moments import datetime_of, iso
from flatfare.service import clock, selling
from flatfare.service.invoicing import rendering
from flatfare.service.selling import showing, stating


@click.group(cls=Noun)
def customers() -> None:
    """Customers: who buys, on which terms, and where they stand.

    Work is paid from packs, credit and the wallet; on terms other than prepaid the rest falls into the
    next invoice. What the customer owes is shown negative.
    """


_TERMS = click.Choice(["prepaid", "invoice", "team"])


@customers.command()
@click.argument("name")
@click.option("--currency", default="USD", show_default=True, metavar="CODE", help="Of all its amounts.")
@click.option("--terms", type=_TERMS, default="prepaid", show_default=True, help="How it pays.")
@click.option("--credit-limit", metavar="100.00", help="How much may be owed at most, on invoice.")
@click.option("--detail", "details", multiple=True, metavar="KEY=TEXT", help="What its invoices say.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@format_options
@pass_settings
def create(
    settings: Settings,
    name: str,
    currency: str,
    terms: str,
    credit_limit: str | None,
    details: tuple[str, ...],
    reason: str | None,
    shape: str,
) -> None:
    """Enter the customer NAME. A team of your own is one too: --terms team."""
    with book_of(settings, create=True) as book:
        made = selling.customers.create(
            book,
            name=name,
            currency=currency,
            terms=terms,
            credit_limit_nano=None if credit_limit is None else parse_in(credit_limit, currency),
            details=_details(details),
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
    if shape == "json":
        output.print_json(showing.customer_document(made))
    else:
        output.say(f"{made.name} buys in {made.currency}, on terms {made.terms}.")


@customers.command()
@click.argument("name")
@click.option("--terms", type=_TERMS, help="How it pays.")
@click.option("--credit-limit", metavar="100.00", help="How much may be owed at most.")
@click.option("--no-credit-limit", is_flag=True, help="Let it owe any amount.")
@click.option("--detail", "details", multiple=True, metavar="KEY=TEXT", help="What its invoices say.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def change(
    settings: Settings,
    name: str,
    terms: str | None,
    credit_limit: str | None,
    no_credit_limit: bool,
    details: tuple[str, ...],
    reason: str | None,
) -> None:
    """Change the terms of NAME. Its currency stays; sales under way keep what holds them."""
    if not (terms or credit_limit or no_credit_limit or details):
        raise BadUsage("Nothing to change: give --terms, --credit-limit or --detail.")
    with book_of(settings) as book:
        currency = selling.customers.one_of(book, name).currency
        changed = selling.customers.change(
            book,
            name,
            terms=terms,
            credit_limit_nano=None if credit_limit is None else parse_in(credit_limit, currency),
            is_unlimited=no_credit_limit,
            details=_details(details) or None,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
    output.say(f"{changed.name} is changed: terms {changed.terms}.")


@customers.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def close(settings: Settings, name: str, reason: str | None) -> None:
    """Sell nothing more to NAME; what is under way ends as usual."""
    with book_of(settings) as book:
        selling.customers.close(book, name, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{name} is closed.")


@customers.command("top-up")
@click.argument("name")
@click.argument("amount")
@click.option("--id", "given_id", metavar="UUID", help="The same twice is one payment.")
@click.option("--reason", metavar="TEXT", help="Such as the payment's own number.")
@pass_settings
def top_up(settings: Settings, name: str, amount: str, given_id: str | None, reason: str | None) -> None:
    """Book AMOUNT that NAME has paid in."""
    with book_of(settings) as book:
        currency = selling.customers.one_of(book, name).currency
        selling.top_up_wallet(
            book,
            entry_id=new_id(given_id),
            customer=name,
            amount_nano=parse_in(amount, currency),
            currency=currency,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
        balance = selling.balance(book, name, at_us=clock.now_us())
    output.say(f"{name} has {payable_text(balance.wallet_nano, currency)} {currency} in the wallet.")


@customers.command()
@click.argument("name")
@click.argument("amount")
@click.option(
    "--paid",
    type=click.Choice(["cash", "invoice", "promotion"]),
    default="promotion",
    show_default=True,
    help="Given away, paid, or to be invoiced.",
)
@click.option("--expires", "expires_at_us", type=Expiry(), metavar="90d", help="In so long, or at a time.")
@click.option("--priority", type=int, default=PRIORITY, show_default=True, help="Lower is drawn first.")
@click.option("--action", "actions", multiple=True, metavar="NAME", help="Only for this action.")
@click.option("--id", "given_id", metavar="UUID", help="The same twice is one grant.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def grant(
    settings: Settings,
    name: str,
    amount: str,
    paid: str,
    expires_at_us: int | None,
    priority: int,
    actions: tuple[str, ...],
    given_id: str | None,
    reason: str | None,
) -> None:
    """Give NAME a lot of credit of AMOUNT."""
    with book_of(settings) as book:
        currency = selling.customers.one_of(book, name).currency
        lot = selling.grant_credit(
            book,
            grant_id=new_id(given_id),
            customer=name,
            amount_nano=parse_in(amount, currency),
            at_us=clock.now_us(),
            paid=paid,
            expires_at_us=expires_at_us,
            priority=priority,
            actions=actions,
            by_whom=user_name(),
            reason=reason,
        )
    output.say(f"{name} has a lot of {payable_text(lot.amount_nano, currency)} {currency} ({lot.id}).")


_FIELDS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("terms", "terms", "left"),
    output.Field("currency", "", "left"),
    output.Field("available", "available"),
    output.Field("wallet", "wallet"),
    output.Field("held", "held"),
    output.Field("accrued", "to be invoiced"),
    output.Field("receivable", "invoiced"),
    output.Field("closed_at", "closed", "left"),
)


@customers.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the customers with where each stands."""
    now_us = clock.now_us()
    with book_of(settings, create=True) as book:
        documents = [
            showing.balance_document(selling.balance(book, one.name, at_us=now_us), at_us=now_us)
            for one in selling.customers.listed(book)
        ]
    output.print_list(
        documents,
        _FIELDS,
        shape,
        nothing="No customers yet. Enter one: flatfare customers create NAME",
        read=_read,
    )


_LOTS = (
    output.Field("pack", "pack", "left", is_strong=True),
    output.Field("category", "", "left"),
    output.Field("actions", "for", "left"),
    output.Field("left", "left"),
    output.Field("units_left", "units"),
    output.Field("priority", "priority"),
    output.Field("expires_at", "expires", "left"),
    output.Field("id", "id", "left"),
)


@customers.command()
@click.argument("name")
@format_options
@pass_settings
def show(settings: Settings, name: str, shape: str) -> None:
    """Show where NAME stands: wallet, lots in the order of drawing, what is held, owed and invoiced."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        document = showing.balance_document(selling.balance(book, name, at_us=now_us), at_us=now_us)
    lots = document["grants"]
    assert isinstance(lots, list)
    if shape == "json":
        output.print_json(document)
    elif shape == "csv":
        output.print_csv(lots, [field.key for field in _LOTS])
    else:
        output.print_table([_read(document)], _FIELDS)
        if lots:
            output.say()
            rows = [{**_read(lot), "actions": ", ".join(lot["actions"]) or "all"} for lot in lots]
            output.print_table(rows, _LOTS)


_LINES = (
    output.Field("when", "when", "left"),
    output.Field("text", "what", "left", is_strong=True),
    output.Field("called", "task or document", "left"),
    output.Field("amount", "amount"),
    output.Field("balance", "balance"),
    output.Field("note", "how", "left"),
)


@customers.command()
@click.argument("name")
@click.option("--pdf", metavar="FILE", help="Write the page to print.")
@period_options
@format_options
@pass_settings
def statement(
    settings: Settings, name: str, pdf: str | None, since: int | None, until: int | None, shape: str
) -> None:
    """Print what NAME bought, paid in, was given back and invoiced, with the balance after each.

    A balance below zero is owed. The postings behind it: flatfare ledger entries --customer NAME
    """
    with book_of(settings) as book:
        found = stating.told(
            book, lake_of(settings), name, at_us=clock.now_us(), since_us=since, until_us=until
        )
    if pdf is not None:
        write_file(pdf, rendering.statement_page(found, dict(settings.seller), settings.time_zone))
    elif shape == "json":
        output.print_json(stating.document_of(found))
    elif shape == "csv":
        output.print_csv(stating.rows(found), stating.COLUMNS)
    else:
        _print_statement(found, settings.time_zone)


def _print_statement(found: stating.Told, time_zone: str) -> None:
    said, currency, zone = found.said, found.customer.currency, ZoneInfo(time_zone)
    if not said.lines and not said.before.balance_nano:
        output.say(f"Nothing has happened for {found.customer.name} in this time.")
        return
    before = {"text": "balance before", "balance": payable_text(said.before.balance_nano, currency)}
    rows: list[Mapping[str, object]] = [before]
    rows += [
        {
            "when": f"{datetime_of(line.entry.at_us).astimezone(zone):%Y-%m-%d %H:%M}",
            "text": line.text,
            "called": found.called(line),
            "amount": payable_text(line.amount_nano, currency),
            "balance": payable_text(line.after.balance_nano, currency),
            "note": stating.note_of(line, currency),
        }
        for line in said.lines
    ]
    output.print_table(rows, _LINES)
    made_of = ", ".join(
        f"{payable_text(nano, currency)} {text}" for text, nano in stating.parts_of(said.after)
    )
    after = payable_text(said.after.balance_nano, currency)
    output.say(f"Balance after: {after} {currency}" + (f" ({made_of})." if made_of else "."))
    for lot, left in said.lots:
        held = payable_text(left, currency) if lot.units is None else f"{lot.units_of(left)} units"
        expiry = "" if lot.expires_at_us is None else f", expires {iso(lot.expires_at_us)[:10]}"
        output.say(f"  {lot.pack or 'credit'}: {held} left{expiry}")


def entry_rows(documents: list[dict[str, object]]) -> list[dict[str, object]]:
    """A row for each posting of each entry."""
    rows = []
    for document in documents:
        postings = document["postings"]
        assert isinstance(postings, list)
        rows += [{**document, **posting} for posting in postings]
    return rows


def _read(document: Mapping[str, object]) -> dict[str, object]:
    """The document with amounts as a person reads them."""
    currency = str(document["currency"])
    amounts = ("available", "wallet", "held", "accrued", "receivable", "left")
    shown = dict(document)
    for key in amounts:
        if isinstance(shown.get(key), str):
            shown[key] = payable_text(parse_in(str(shown[key]), currency), currency)
    if "available" in shown and shown["available"] is None:
        shown["available"] = "any"
    return shown


def _details(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        key, equals, text = one.partition("=")
        if not equals:
            raise BadUsage(f"Found {one[:40]!r} where a detail was expected: write --detail key=text.")
        found |= labels.checked({key: text})
    return found
