"""A customer's statement: what was bought, paid in, given back and invoiced, with the balance after each."""

from flatfare.core.moments import iso
from flatfare.core.statement import Line, LineKind
from flatfare.service.selling import stating
from flatfare.service.selling.stating import Told
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Csv, Fact, Facts, Figure, Figures, Table, View
from flatfare.web.pages.money import nano_text
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.rendering import moment_text

_COLUMNS = (
    Column("what", "left"),
    Column("When", "left"),
    Column("How", "left", gives_way=True),
    Column("Amount"),
    Column("Balance after"),
)


def view(visit: Visit) -> View:
    """The statement of the period asked for."""
    books, period, name = visit.books, visit.asking.period, visit.path["customer"]
    found = stating.told(
        books.book,
        books.lake,
        name,
        at_us=books.now_us,
        since_us=period.since_us,
        until_us=period.until_us,
    )
    blocks: list[Block] = [
        Figures(_figures(found)),
        _table(found, visit, "Newest first"),
        *_facts(found),
    ]
    return View(
        f"Statement of {name}",
        tuple(blocks),
        stating.document_of(found),
        eyebrow=(name, f"/customers/{name}"),
        takes_filters=False,
    )


def latest_of(found: Told, visit: Visit) -> Table:
    """The last things that happened for a customer, for the customer's own page."""
    name = found.customer.name
    return _table(
        found,
        visit,
        "Statement, newest first",
        ("The whole statement", f"/customers/{name}/statement?period=all"),
    )


def _table(found: Told, visit: Visit, title: str, more: tuple[str, str] | None = None) -> Table:
    newest = list(reversed(found.said.lines))
    shown = newest[: visit.limit]
    if len(newest) > len(shown) and more is None:
        more = (f"All {len(newest):,}", visit.asking.url(limit="0"))
    return Table(
        "statement",
        title,
        _COLUMNS,
        tuple(_row(found, line, visit.asking.zone) for line in shown),
        Csv(stating.COLUMNS, list(stating.rows(found))),
        empty="Nothing has happened yet.",
        more=more if newest else None,
    )


def _row(found: Told, line: Line, zone: str) -> tuple[Cell, ...]:
    currency = found.customer.currency
    is_plus = line.amount_nano > 0
    return (
        Cell(line.text, found.called(line), _address(found, line)),
        Cell(moment_text(line.entry.at_us, zone), tone="when"),
        Cell(stating.note_of(line, currency), tone="quiet"),
        Cell(
            ("+" if is_plus else "") + nano_text(line.amount_nano, currency), tone="good" if is_plus else ""
        ),
        Cell(nano_text(line.after.balance_nano, currency)),
    )


def _address(found: Told, line: Line) -> str | None:
    """The receipt of the run that did it, else the task, else the document."""
    if line.document is not None:
        return f"/invoices/{line.document}"
    task = line.entry.task_id
    if task is None:
        return None
    run = found.work[task].run
    return f"/runs/{run}" if run is not None else f"/tasks/{task}"


def _figures(found: Told) -> tuple[Figure, ...]:
    said, currency = found.said, found.customer.currency
    totals = said.totals
    bought_nano = -sum(totals.get(kind, 0) for kind in (LineKind.BOUGHT, LineKind.GIVEN_BACK))
    paid_nano = sum(totals.get(kind, 0) for kind in (LineKind.PAID_IN, LineKind.PAYMENT))
    count = sum(line.kind is LineKind.BOUGHT for line in said.lines)
    owes = "owed" if said.after.balance_nano < 0 else "in the customer's favour"
    return (
        Figure("Balance after", nano_text(said.after.balance_nano, currency), owes, tone="lead"),
        Figure("Balance before", nano_text(said.before.balance_nano, currency)),
        Figure("Bought", nano_text(bought_nano, currency), f"{count:,} sold, less what was given back"),
        Figure("Paid", nano_text(paid_nano, currency), "into the wallet and of invoices"),
    )


def _facts(found: Told) -> tuple[Facts, ...]:
    """What the balance is made of, and the lots that hold something."""
    currency = found.customer.currency
    parts = [Fact(text, Cell(nano_text(nano, currency))) for text, nano in stating.parts_of(found.said.after)]
    lots = [
        Fact(
            lot.pack or "credit",
            Cell(
                nano_text(left, currency),
                "" if lot.units is None else f"{lot.units_of(left)} of {lot.units} units",
            ),
        )
        for lot, left in found.said.lots
    ]
    pdf = f"/api/customers/{found.customer.name}/statement.pdf{_query(found)}"
    to_print = Fact("To print", Cell("as PDF", href=pdf))
    made_of = Facts("The balance is made of", (*parts, to_print))
    return (made_of, Facts("Packs and credit left", tuple(lots))) if lots else (made_of,)


def _query(found: Told) -> str:
    given = [
        f"{name}={iso(at_us)}"
        for name, at_us in (("since", found.since_us), ("until", found.until_us))
        if at_us is not None
    ]
    return f"?{'&'.join(given)}" if given else ""


PAGE = Page(
    "/customers/{customer}/statement", "statement", "Statement", Right.READ, view, in_navigation=False
)
