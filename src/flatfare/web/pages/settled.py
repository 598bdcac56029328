"""The money of one task: its price, who pays, and every movement of the ledger from hold to reversal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flatfare.core.errors import NotFound
from flatfare.core.ledger import Entry
from flatfare.core.sale import Sale
from flatfare.service import selling
from flatfare.service.selling import showing
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Cell, Column, Csv, Table
from flatfare.web.pages.money import nano_text
from flatfare.web.pages.page import Visit
from flatfare.web.pages.rendering import moment_text


@dataclass(frozen=True, slots=True)
class Settled:
    """A task's sale and what moved for it."""

    sale: Sale
    entries: Sequence[Entry]

    def as_json(self) -> Mapping[str, object]:
        """The sale with its entries as a document."""
        moved = [showing.entry_document(entry) for entry in self.entries]
        return {**showing.sale_document(self.sale), "entries": moved}


def settled(visit: Visit, task_id: str) -> Settled | None:
    """The money of a task, for who may see bills; None where nothing was sold."""
    if not (visit.visitor.may(Right.BILL) and visit.visitor.scope.is_whole):
        return None
    book = visit.books.book
    try:
        sale = selling.sale_of(book, task_id)
    except NotFound:
        return None
    return Settled(sale, selling.entries(book, task_id=task_id))


def table(found: Settled, visit: Visit) -> Table:
    """Quoted, held, settled, given back: what became of the price, in its order."""
    sale, zone = found.sale, visit.asking.zone
    customer = Cell(sale.customer, href=f"/customers/{quote(sale.customer, safe='')}")
    action = f"{sale.action} version {sale.action_version}"
    rows = [
        (
            Cell(verb, said),
            Cell(moment_text(at_us, zone), tone="when"),
            customer,
            Cell(action, tone="quiet"),
            Cell(nano_text(nano, sale.currency)),
        )
        for verb, said, at_us, nano in _steps(sale)
    ]
    blank = Cell("")
    rows += [
        (Cell(title, said), blank, blank, blank, Cell(text, tone=tone, why="/unknown"))
        for title, said, text, tone in _sums(sale)
    ]
    columns = (
        Column("Settlement", "left"),
        Column("When", "left"),
        Column("Customer", "left"),
        Column("Sold", "left", gives_way=True),
        Column("Amount"),
    )
    csv = Csv(("id", "verb", "at", "reason"), [showing.entry_document(entry) for entry in found.entries])
    return Table("settlement", f"Settlement: {sale.settlement}", columns, tuple(rows), csv)


def _steps(sale: Sale) -> list[tuple[str, str, int, int]]:
    """The verbs that happened: each with what it was about, when, and how much."""
    steps = [
        ("quoted", "", sale.quote.at_us, sale.quote.amount_nano),
        ("held", "so that it can be paid", sale.held_at_us, sale.quote.most_nano),
        ("settled", "; ".join(text for text, _ in sale.lines), sale.settled_at_us, sale.settled_nano),
        ("voided", "what was held is free again", sale.voided_at_us, 0),
        ("reversed", "given back", sale.reversed_at_us, -sale.reversed_nano),
    ]
    return [(verb, said, at_us, nano) for verb, said, at_us, nano in steps if at_us is not None]


def _sums(sale: Sale) -> list[tuple[str, str, str | None, str]]:
    said = [("Earned", "", nano_text(sale.net_nano, sale.currency), "strong")]
    if sale.settled_at_us is not None:
        margin = sale.margin_nano
        text = None if margin is None else nano_text(margin, sale.currency)
        why = sale.costs.reason or "after the cost that was booked for it"
        return [*said, ("Margin", why, text, "quiet")]
    return [("Earned", "nothing yet", nano_text(0, sale.currency), "strong")]
