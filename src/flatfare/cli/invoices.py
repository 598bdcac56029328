"""``flatfare invoices``: what customers and teams owe for a month, as documents that never change."""

import json
import os
from decimal import Decimal

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Moment,
    Noun,
    book_of,
    format_options,
    is_within,
    lake_of,
    new_id,
    pass_settings,
    period_options,
    user_name,
    write_file,
)
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.currency import parse_in, payable_text
from flatfare.core.errors import BadInput, BadUsage, Conflict
from flatfare.core.money import decimal_text, dollar_text, nano_of
from flatfare.service import clock
from flatfare.service.invoicing import exporting, favour, issuing, rendering, sending
from flatfare.service.invoicing.chargeback import Statement, statements
from flatfare.service.invoicing.exporting import Format
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month as period_of
from flatfare.service.invoicing.periods import month_before, month_of
from flatfare.service.invoicing.sending import Delivery, Receiver
from flatfare.store import invoices as kept_documents
from flatfare.store.book import Book
from flatfare.store.invoices import Kept

SECRET_VARIABLE = "FLATFARE_BILLING_SECRET"

_FIELDS = (
    Field("number", "Number", align="left", is_strong=True),
    Field("customer", "Customer", align="left"),
    Field("period", "Month", align="left"),
    Field("status", "Status", align="left"),
    Field("total", "Total"),
    Field("open", "Open"),
    Field("currency", "", align="left"),
    Field("issued_at", "Issued", align="left"),
)


def _books(settings: Settings, book: Book) -> Books:
    return Books(book, lake_of(settings), settings.time_zone)


def _amount(book: Book, number: str, text: str | None) -> int | None:
    """An amount in the currency of a document."""
    return None if text is None else parse_in(text, issuing.one_of(book, number).currency)


@click.group(cls=Noun)
def invoices() -> None:
    """Invoices: draft, issue, pay, void, credit; what is issued never changes.

    Customers who pay later are invoiced for what was settled; plans add their fees. Teams of one's
    own are charged back.
    """


@invoices.command()
@click.argument("customer")
@click.option("--month", metavar="YYYY-MM", help="The month; this one, if not given.")
@click.option("--pdf", metavar="FILE", help="Write the page to print, marked as a draft.")
@format_options
@pass_settings
def draft(settings: Settings, shape: str, customer: str, month: str | None, pdf: str | None) -> None:
    """Show what CUSTOMER's document would be if it were issued now."""
    this = month_of(clock.now_us(), settings.time_zone)
    if month is not None and period_of(month, settings.time_zone).from_us > clock.now_us():
        raise BadInput(f"{month} has not begun: there is nothing to draft. This month is {this}.")
    with book_of(settings) as book:
        document = issuing.draft(_books(settings, book), customer, month or this)
    if pdf is not None:
        write_file(pdf, rendering.draft_page(document, dict(settings.seller)))
    elif shape == "csv":
        output.print_csv(rendering.rows(document), rendering.COLUMNS)
    else:
        _show(document, shape == "json")


@invoices.command()
@click.argument("customer", required=False)
@click.option("--month", metavar="YYYY-MM", help="The month; the last one, if not given.")
@click.option("--so-far", is_flag=True, help="What CUSTOMER owes up to now: without a plan, any time.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each document.")
@pass_settings
def issue(settings: Settings, customer: str | None, month: str | None, so_far: bool, as_json: bool) -> None:
    """Issue the documents of a month that has ended, for CUSTOMER or for all. Twice is once."""
    if so_far and (customer is None or month is not None):
        raise click.UsageError("--so-far is for one customer, and up to now: name the customer alone.")
    now_us = clock.now_us()
    with book_of(settings) as book:
        books = _books(settings, book)
        name = month or month_before(month_of(now_us, settings.time_zone), settings.time_zone)
        if so_far and customer is not None:
            name = "now"
            one = issuing.issue_so_far(books, customer, at_us=now_us, by_whom=user_name())
            issued = [] if one is None else [one]
        elif customer is None:
            issued = issuing.issue_all(books, name, at_us=now_us, by_whom=user_name())
        else:
            one = issuing.issue(books, customer, name, at_us=now_us, by_whom=user_name())
            issued = [] if one is None else [one]
        rows = [_row(book, kept) for kept in issued]
    if as_json:
        output.print_json_lines(rows)
    elif rows:
        output.print_table(rows, _FIELDS)
    else:
        output.say(f"Nothing to bill for {name}.")


@invoices.command("list")
@click.option("--customer", metavar="NAME", help="Of this customer alone.")
@click.option("--status", type=click.Choice(["issued", "paid", "void"]), help="Of this status alone.")
@period_options
@format_options
@pass_settings
def list_invoices(
    settings: Settings,
    shape: str,
    customer: str | None,
    status: str | None,
    since: int | None,
    until: int | None,
) -> None:
    """List documents, the newest first."""
    with book_of(settings) as book:
        found = kept_documents.listed(book, customer, status)
        rows = [_row(book, kept) for kept in found if is_within(kept.issued_at_us, since, until)]
    output.print_list(
        rows,
        _FIELDS,
        shape,
        nothing="No documents yet. See what a month comes to: flatfare invoices draft CUSTOMER",
    )


@invoices.command()
@click.argument("number")
@click.option("--pdf", metavar="FILE", help="Write the page to print.")
@click.option("--verify", "is_verified", is_flag=True, help="Make it anew from the ledger and compare.")
@format_options
@pass_settings
def show(settings: Settings, shape: str, number: str, pdf: str | None, is_verified: bool) -> None:
    """Show a document: as a table, JSON, CSV that recounts to its total, or PDF."""
    with book_of(settings) as book:
        kept = issuing.one_of(book, number)
        if is_verified:
            is_same = issuing.rebuilt(_books(settings, book), kept) == kept.document
            output.say(
                f"{number} is what the ledger says, byte for byte."
                if is_same
                else f"{number} is NOT what the ledger says: one of them was changed."
            )
            if not is_same:
                raise SystemExit(1)
            return
    if pdf is not None:
        write_file(pdf, rendering.page(kept, dict(settings.seller)))
    elif shape == "csv":
        output.print_csv(rendering.rows(kept.says), rendering.COLUMNS)
    else:
        _show({**kept.says, "status": str(kept.status), "hash": kept.hash}, shape == "json")


@invoices.command()
@click.argument("number")
@click.option("--amount", metavar="AMOUNT", help="What was paid; all that is open, if not given.")
@click.option("--note", metavar="NUMBER", help="Paid by this credit note, as far as it goes.")
@click.option("--id", "payment_id", metavar="UUID", help="Of the payment: the same twice is one.")
@pass_settings
def pay(
    settings: Settings, number: str, amount: str | None, note: str | None, payment_id: str | None
) -> None:
    """Book what was paid of a document."""
    if note is not None and amount is not None:
        raise click.UsageError("A credit note pays as far as it goes: leave --amount out.")
    one, at_us, who = new_id(payment_id), clock.now_us(), user_name()
    with book_of(settings) as book:
        if note is not None:
            kept = favour.pay_by_note(book, number, note, payment_id=one, at_us=at_us, by_whom=who)
        else:
            amount_nano = _amount(book, number, amount)
            kept = issuing.pay(
                book, number, payment_id=one, amount_nano=amount_nano, at_us=at_us, by_whom=who
            )
        open_nano = issuing.open_of(book, kept)
    output.say(
        f"{number} is {kept.status}; {payable_text(open_nano, kept.currency)} {kept.currency} are open."
    )


@invoices.command("pay-out")
@click.argument("number")
@click.option("--amount", metavar="AMOUNT", help="What was paid; all that is left of it, if not given.")
@click.option("--id", "payment_id", metavar="UUID", help="Of the payment: the same twice is one.")
@pass_settings
def pay_out(settings: Settings, number: str, amount: str | None, payment_id: str | None) -> None:
    """Book that a credit note was paid to the customer."""
    with book_of(settings) as book:
        kept = favour.pay_out(
            book,
            number,
            payment_id=new_id(payment_id),
            amount_nano=_amount(book, number, amount),
            at_us=clock.now_us(),
            by_whom=user_name(),
        )
        left_nano = favour.left_of(book, kept)
    output.say(f"{payable_text(left_nano, kept.currency)} {kept.currency} of {number} are left.")


@invoices.command()
@click.argument("number")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the record.")
@pass_settings
def void(settings: Settings, number: str, reason: str) -> None:
    """Take an unpaid document back: what it billed may be invoiced anew."""
    with book_of(settings) as book:
        issuing.void(book, number, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{number} is void.")


@invoices.command()
@click.argument("number")
@click.option("--amount", metavar="AMOUNT", help="Tax included; all that is left, if not given.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stands on the document.")
@click.option("--id", "credit_id", metavar="UUID", help="Of the credit: the same twice is one.")
@pass_settings
def credit(settings: Settings, number: str, amount: str | None, reason: str, credit_id: str | None) -> None:
    """Issue a credit note that refers to a document."""
    with book_of(settings) as book:
        note = issuing.credit(
            book,
            number,
            credit_id=new_id(credit_id),
            amount_nano=_amount(book, number, amount),
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
    given = payable_text(-note.total_nano, note.currency)
    output.say(f"{note.number} gives back {given} {note.currency} of {number}.")


@invoices.command()
@click.option("--month", metavar="YYYY-MM", help="The month; this one, if not given.")
@click.option(
    "--by", "label", default="team", show_default=True, metavar="LABEL", help="What tells teams apart."
)
@format_options
@pass_settings
def chargeback(settings: Settings, shape: str, month: str | None, label: str) -> None:
    """Show what each team used in a month, and what nobody's label claims."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        name = month or month_of(now_us, settings.time_zone)
        found = statements(_books(settings, book), name, now_us=now_us, label=label)
    if shape == "json":
        output.print_json({"month": name, "by": label, "rows": [one.as_json() for one in found]})
        return
    rows = [
        {
            "team": one.team or "not attributed",
            "sales": sum(count for _, count, _ in one.actions),
            "actions": decimal_text(one.sold_nano) if shape == "csv" else _at_internal_prices(one),
            "currency": one.currency,
            "calls": one.calls,
            "cost": decimal_text(one.calls_nano) if shape == "csv" else dollar_text(one.calls_nano),
        }
        for one in found
    ]
    fields = (
        Field("team", label.capitalize(), align="left"),
        Field("sales", "Actions"),
        Field("actions", "At internal prices", is_strong=True),
        Field("calls", "Calls"),
        Field("cost", "Their cost"),
    )
    if shape == "csv":
        output.print_csv(rows, ("team", "sales", "actions", "currency", "calls", "cost"))
    else:
        output.print_table(rows, fields)


def _at_internal_prices(one: Statement) -> str:
    if one.currency == "USD":
        return dollar_text(one.sold_nano)
    return f"{payable_text(one.sold_nano, one.currency)} {one.currency}"


@invoices.command()
@click.option(
    "--format", "form", type=click.Choice([one.value for one in Format]), required=True, help="Whose."
)
@click.option("--since", type=Moment(), required=True, metavar="TIME", help="From this time on.")
@click.option("--until", type=Moment(), metavar="TIME", help="Up to, and without, this time; now.")
@click.option("--out", metavar="FILE", help="A line of JSON for each event; printed, if not given.")
@click.option("--to", "url", metavar="URL", help=f"Send them there, with the secret in {SECRET_VARIABLE}.")
@click.option("--receiver", metavar="NAME", default="", help="Which account there, where you have several.")
@click.option(
    "--unanswered",
    type=click.Choice(["send", "taken"]),
    help="What was sent a day ago or more without an answer: send it once more, or hold it to be taken.",
)
@pass_settings
def export(
    settings: Settings,
    form: str,
    since: int,
    until: int | None,
    out: str | None,
    url: str | None,
    receiver: str,
    unanswered: str | None,
) -> None:
    """Give settled and reversed sales to Stripe, OpenMeter or Lago.

    What a receiver has taken is remembered for good, and not sent to it again.
    """
    chosen = Format(form)
    with book_of(settings) as book:
        found = list(exporting.events(book, chosen, since_us=since, until_us=until or clock.now_us()))
        if url is not None:
            to = Receiver(chosen, url, _secret_of(url), receiver)
            delivery = sending.send(book, found, to, now_us=clock.now_us, unanswered=unanswered)
    if url is not None:
        _tell(delivery)
    elif out is not None:
        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in found)
        write_file(out, lines.encode("utf-8"))
        output.note(f"Wrote {out}: {len(found):,} events.")
    else:
        output.print_json_lines(found)
    if not found:
        output.note("No sale was settled or reversed in this time.")


def _secret_of(url: str) -> str:
    secret = os.environ.get(SECRET_VARIABLE)
    if not secret:
        raise BadUsage(f"Set {SECRET_VARIABLE} to the secret of {url}: it is never given on a command line.")
    return secret


def _tell(delivery: Delivery) -> None:
    before = f", {delivery.before:,} had been taken before" if delivery.before else ""
    output.say(f"{delivery.taken:,} events were taken{before}.")
    if delivery.unanswered:
        raise Conflict(
            f"{len(delivery.unanswered):,} events were sent a day ago or more and never answered, such as "
            f"{delivery.unanswered[0]}: whether they count is seen there alone. Then --unanswered taken, or "
            "--unanswered send."
        )


def _row(book: Book, kept: Kept) -> dict[str, object]:
    return {
        "number": kept.number,
        "kind": str(kept.kind),
        "customer": kept.customer,
        "period": kept.period,
        "status": str(kept.status),
        "total": payable_text(kept.total_nano, kept.currency),
        "open": payable_text(issuing.open_of(book, kept), kept.currency),
        "currency": kept.currency,
        "issued_at": str(kept.says["issued_at"])[:10],
        "hash": kept.hash,
        "refers": kept.refers,
    }


def _show(document: dict[str, object], as_json: bool) -> None:
    if as_json:
        output.print_json(document)
        return
    lines, tax = document["lines"], document["tax"]
    assert isinstance(lines, list)
    assert isinstance(tax, dict)
    currency = str(document["currency"])

    def amount(text: object) -> str | None:
        return None if text is None else payable_text(nano_of(Decimal(str(text))), currency)

    name = document["number"] or "Not issued"
    output.say(f"{name}  {document['customer']}  {document['period']}  {document['status']}")
    if not lines:
        output.say(
            f"Nothing to bill. What is paid already: flatfare customers statement {document['customer']}"
        )
        return
    output.print_table(
        [
            {
                **line,
                "quantity": f"{line['quantity']:,}",
                "unit": amount(line["unit"]),
                "amount": amount(line["amount"]),
            }
            for line in lines
        ],
        (
            Field("text", "What", align="left"),
            Field("quantity", "Quantity"),
            Field("unit", "Each"),
            Field("amount", currency, is_strong=True),
            Field("note", "", align="left"),
        ),
    )
    output.say(
        f"Net {amount(document['net'])}, {tax['name']} {tax['percent']} % {amount(tax['amount'])}, "
        f"total {amount(document['total'])} {currency}"
    )
