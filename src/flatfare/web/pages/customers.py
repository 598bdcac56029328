"""Customers: who buys, where each stands, what happened last, and this month's invoice as it will be."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from flatfare.core.currency import parse_in
from flatfare.core.errors import BadInput
from flatfare.core.moments import DAY_US, parse_moment
from flatfare.service import selling
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month_of
from flatfare.service.selling import showing, stating
from flatfare.service.selling.reading import Balance
from flatfare.store import invoices
from flatfare.store.invoices import Kept
from flatfare.web.access import Right
from flatfare.web.pages import statement
from flatfare.web.pages.blocks import (
    Block,
    Cell,
    Column,
    Csv,
    Fact,
    Facts,
    Field,
    Figure,
    Figures,
    Form,
    Notes,
    Option,
    Table,
    View,
)
from flatfare.web.pages.money import amount_text, nano_text
from flatfare.web.pages.page import Deed, Page, Sent, Visit
from flatfare.web.pages.rendering import moment_text

_CSV = (
    "name",
    "currency",
    "terms",
    "credit_limit",
    "available",
    "wallet",
    "held",
    "pending",
    "accrued",
    "receivable",
)
_LINES = ("kind", "text", "quantity", "unit", "amount", "note")
_TERMS = {
    "prepaid": "prepaid: pays first",
    "invoice": "invoice: pays by the month",
    "team": "team: inside the company, charged back",
}


def view(visit: Visit) -> View:
    """Every customer."""
    book, now_us = visit.books.book, visit.books.now_us
    found = [selling.balance(book, one.name, at_us=now_us) for one in selling.customers.listed(book)]
    rows = tuple(_row(one) for one in found)
    flat = [showing.balance_document(one, at_us=now_us) for one in found]
    columns = (
        Column("customer", "left"),
        Column("Can spend"),
        Column("Paid in"),
        Column("Held", gives_way=True),
        Column("Not invoiced yet"),
        Column("Invoiced, not paid"),
    )
    table = Table(
        "customers",
        "Customers",
        columns,
        rows,
        Csv(_CSV, flat),
        empty="No customer yet. One is entered below, or with: flatfare customers create NAME",
    )
    blocks: list[Block] = [table]
    if visit.visitor.may(Right.BILL):
        blocks.append(_new_form())
    blocks.append(_documents(invoices.listed(book, None, None), visit))
    return View("Customers", tuple(blocks), {"customers": flat}, has_period=False)


def _row(one: Balance) -> tuple[Cell, ...]:
    currency = one.currency
    available = "no limit" if one.available_nano is None else nano_text(one.available_nano, currency)
    return (
        Cell(
            one.customer.name,
            f"{one.customer.terms}, {currency}" + (", closed" if one.customer.closed_at_us else ""),
            f"/customers/{one.customer.name}",
        ),
        Cell(available, tone="strong"),
        Cell(nano_text(one.wallet_nano + one.grants_nano, currency)),
        Cell(nano_text(one.held_nano - one.pending_nano, currency)),
        Cell(nano_text(-one.accrued_nano, currency)),
        Cell(nano_text(-one.receivable_nano, currency), tone="bad" if one.receivable_nano else ""),
    )


def of_customer(visit: Visit) -> View:
    """One customer: balances, the invoice that is coming, documents, and the statement."""
    book, now_us = visit.books.book, visit.books.now_us
    name = visit.path["customer"]
    found = selling.balance(book, name, at_us=now_us)
    latest = stating.told(book, visit.books.lake, name, at_us=now_us, latest=visit.limit)
    books = Books(book, visit.books.lake, visit.books.settings.time_zone)
    month = month_of(now_us, visit.books.settings.time_zone)
    draft = issuing.draft(books, name, month)
    blocks: list[Block] = [
        Figures(_figures(found)),
        *_lots(found),
        lines_of(draft, f"The next invoice, of {month}, as it stands now", "draft"),
    ]
    if visit.visitor.may(Right.BILL):
        blocks += [_pay_form(found), _grant_form(found)]
    blocks += [_documents(invoices.listed(book, name, None), visit), statement.latest_of(latest, visit)]
    blocks.append(
        Notes((f"The invoice is issued when its month has ended: flatfare invoices issue {month}",))
    )
    document = {
        **showing.balance_document(found, at_us=now_us),
        "statement": stating.document_of(latest),
        "draft": draft,
    }
    return View(name, tuple(blocks), document, eyebrow=("Customers", "/customers"), has_period=False)


def _figures(found: Balance) -> tuple[Figure, ...]:
    currency = found.currency
    available = "no limit" if found.available_nano is None else nano_text(found.available_nano, currency)
    return (
        Figure("Can spend", available, str(found.customer.terms), tone="lead"),
        Figure(
            "Paid in and left", nano_text(found.wallet_nano + found.grants_nano, currency), "wallet and lots"
        ),
        Figure("Held", nano_text(found.held_nano - found.pending_nano, currency), "for sales under way"),
        Figure("Not invoiced yet", nano_text(-found.accrued_nano, currency), "settled"),
        Figure("Invoiced, not paid", nano_text(-found.receivable_nano, currency), ""),
    )


def _lots(found: Balance) -> tuple[Facts, ...]:
    if not found.grants:
        return ()
    facts = [
        Fact(
            lot.pack or str(lot.category),
            Cell(
                nano_text(left, lot.currency),
                "" if lot.units is None else f"{lot.units_of(left)} of {lot.units} units",
            ),
        )
        for lot, left in found.grants
    ]
    return (Facts("Packs and credit", tuple(facts)),)


def lines_of(document: Mapping[str, object], title: str, name: str) -> Table:
    """An invoice's lines, its tax and its total."""
    lines, tax = document["lines"], document["tax"]
    assert isinstance(lines, list)
    currency = str(document["currency"])
    rows = [
        (
            Cell(str(one["text"]), str(one["note"] or "")),
            Cell(f"{one['quantity']:,}" if one["quantity"] else ""),
            Cell("" if one["unit"] is None else amount_text(one["unit"], currency)),
            Cell(amount_text(one["amount"], currency)),
        )
        for one in lines
    ]
    if rows:
        rows.append(
            (Cell("Net", tone="quiet"), Cell(""), Cell(""), Cell(amount_text(document["net"], currency)))
        )
        if isinstance(tax, dict):
            said = f"{tax['name']} {tax['percent']} %"
            rows.append(
                (Cell(said, tone="quiet"), Cell(""), Cell(""), Cell(amount_text(tax["amount"], currency)))
            )
        total = amount_text(document["total"], currency)
        rows.append((Cell("Total", tone="strong"), Cell(""), Cell(""), Cell(total, tone="strong")))
    columns = (Column("line", "left"), Column("Quantity"), Column("Each", gives_way=True), Column("Amount"))
    return Table(
        name, title, columns, tuple(rows), Csv(_LINES, lines), empty="Nothing to bill in this month so far."
    )


def _documents(found: list[Kept], visit: Visit) -> Table:
    month = month_of(visit.books.now_us, visit.books.settings.time_zone)
    rows = tuple(
        (
            Cell(str(kept.number), str(kept.kind), f"/invoices/{kept.number}"),
            Cell(kept.customer),
            Cell(_period(kept.period, visit.asking.zone)),
            Cell(str(kept.status), tone="good" if str(kept.status) == "paid" else "quiet"),
            Cell(nano_text(kept.total_nano, kept.currency)),
            Cell(nano_text(issuing.open_of(visit.books.book, kept), kept.currency)),
        )
        for kept in found[: visit.limit]
    )
    columns = (
        Column("document", "left"),
        Column("Customer", "left"),
        Column("Month", "left"),
        Column("Status", "left"),
        Column("Total"),
        Column("Open"),
    )
    flat: list[dict[str, object]] = [
        {
            "number": kept.number,
            "kind": str(kept.kind),
            "customer": kept.customer,
            "period": kept.period,
            "status": str(kept.status),
        }
        for kept in found
    ]
    csv = Csv(("number", "kind", "customer", "period", "status"), flat)
    return Table(
        "invoices",
        "Invoices and credit notes",
        columns,
        rows,
        csv,
        empty=f"None was issued yet. When this month has ended: flatfare invoices issue {month}",
    )


def of_invoice(visit: Visit) -> View:
    """One document as it was issued."""
    kept = issuing.one_of(visit.books.book, visit.path["number"])
    says = dict(kept.says)
    facts = [
        Fact("Customer", Cell(kept.customer, href=f"/customers/{kept.customer}")),
        Fact("Month", Cell(_period(kept.period, visit.asking.zone))),
        Fact("Status", Cell(str(kept.status))),
        Fact("Issued", Cell(moment_text(kept.issued_at_us, visit.asking.zone))),
        Fact("Due", Cell(str(says["due_at"] or "")[:10])),
        Fact("Paid", Cell(nano_text(kept.paid_nano, kept.currency))),
        Fact("Open", Cell(nano_text(issuing.open_of(visit.books.book, kept), kept.currency))),
        Fact("As PDF", Cell("download", href=f"/api/invoices/{kept.number}.pdf")),
        Fact("Hash", Cell(kept.hash[:16], tone="code")),
    ]
    blocks: tuple[Block, ...] = (Facts("", tuple(facts)), lines_of(says, "Lines", "lines"))
    return View(
        f"{str(kept.kind).capitalize()} {kept.number}",
        blocks,
        says,
        eyebrow=(kept.customer, f"/customers/{kept.customer}"),
        has_period=False,
    )


def _period(name: str, zone: str) -> str:
    """What a document bills: a month, or a month up to a moment."""
    month, _, until = name.partition(" until ")
    return f"{month} until {moment_text(parse_moment(until)[0], zone)}" if until else name


def _new_form() -> Form:
    return Form(
        "new-customer",
        "New customer",
        "/customers",
        "Enter",
        (
            Field("name", "Name", "letters, digits and . _ - @ +", is_required=True),
            Field("currency", "Currency", value="USD", is_required=True),
            Field("terms", "Terms", type="select", options=tuple(Option(*one) for one in _TERMS.items())),
            Field("credit_limit", "Credit limit", "of terms other than prepaid; none if left out"),
        ),
    )


def _pay_form(found: Balance) -> Form:
    fields = (
        _once(),
        Field("amount", f"Amount in {found.currency}", is_required=True),
        Field("reason", "Reason", "for the record"),
    )
    return Form("payment", "Book a payment", f"/customers/{found.customer.name}/payments", "Book it", fields)


def _grant_form(found: Balance) -> Form:
    fields = (
        _once(),
        Field("amount", f"Credit in {found.currency}", is_required=True),
        Field("days", "Expires in so many days", "never if left out", type="number"),
        Field("reason", "Reason", "for the record"),
    )
    return Form("grant", "Give credit away", f"/customers/{found.customer.name}/grants", "Give it", fields)


def _once() -> Field:
    """An id of the form itself: sent twice, it is one."""
    return Field("id", "", value=str(uuid4()), type="hidden")


def _id(sent: Sent) -> UUID:
    try:
        return UUID(sent.fields.get("id", ""))
    except ValueError:
        raise BadInput("The form carries no id of its own: load the page again.") from None


def _create(sent: Sent) -> str:
    currency = (sent.text("currency") or "USD").upper()
    limit = sent.text("credit_limit")
    made = selling.customers.create(
        sent.books.book,
        name=sent.text("name") or "",
        currency=currency,
        terms=sent.text("terms") or "prepaid",
        credit_limit_nano=None if limit is None else parse_in(limit, currency),
        at_us=sent.books.now_us,
        by_whom=sent.visitor.name,
    )
    return f"/customers/{made.name}"


def _pay(sent: Sent) -> str:
    book, name = sent.books.book, sent.path["customer"]
    currency = selling.customers.one_of(book, name).currency
    selling.top_up_wallet(
        book,
        entry_id=_id(sent),
        customer=name,
        amount_nano=parse_in(sent.text("amount") or "", currency),
        currency=currency,
        **sent.on_record,
    )
    return f"/customers/{name}"


def _grant(sent: Sent) -> str:
    book, now_us, name = sent.books.book, sent.books.now_us, sent.path["customer"]
    currency = selling.customers.one_of(book, name).currency
    days = sent.text("days")
    if days is not None and not (days.isascii() and days.isdigit() and 0 < int(days) < 4000):
        raise BadInput(f"Found {days[:20]!r} days: write a whole number from 1 up.")
    selling.grant_credit(
        book,
        grant_id=_id(sent),
        customer=name,
        amount_nano=parse_in(sent.text("amount") or "", currency),
        paid="promotion",
        expires_at_us=None if days is None else now_us + int(days) * DAY_US,
        **sent.on_record,
    )
    return f"/customers/{name}"


PAGE = Page(
    "/customers",
    "customers",
    "Customers",
    Right.READ,
    view,
    deeds=(Deed("/customers", "create_customer_here", Right.BILL, _create),),
)
OF_CUSTOMER = Page(
    "/customers/{customer}",
    "customer",
    "Customer",
    Right.READ,
    of_customer,
    in_navigation=False,
    deeds=(
        Deed("/customers/{customer}/payments", "pay_customer_here", Right.BILL, _pay),
        Deed("/customers/{customer}/grants", "grant_customer_here", Right.BILL, _grant),
    ),
)
OF_INVOICE = Page("/invoices/{number}", "invoice", "Invoice", Right.READ, of_invoice, in_navigation=False)
