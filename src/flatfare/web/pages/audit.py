"""Audit: who changed what, when and why, each record hashed together with the one before it."""

import json

from flatfare.service import changes
from flatfare.service.changes import COLUMNS, KINDS, Change
from flatfare.store import chains
from flatfare.store.chains import ORGANISATION, Record
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Cell, Column, Csv, Figure, Figures, Notes, Tab, Table, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.rendering import moment_text

_ROWS_MAX = 100_000


def view(visit: Visit) -> View:
    """The page."""
    book, limit = visit.books.book, visit.limit or _ROWS_MAX
    before = visit.asking.more.get("before")
    found = changes.latest(
        book,
        visit.books.lake,
        limit + 1,
        before=int(before) if before and before.isascii() and before.isdigit() else None,
        kind=visit.asking.more.get("kind"),
    )
    broken = chains.broken_at(book, ORGANISATION)
    shown = found[:limit]
    blocks = (
        Figures(_figures(broken, chains.latest(book, ORGANISATION, 1))),
        _table(shown, visit, has_more=len(found) > limit),
        Notes(_NOTES),
    )
    document = {"holds": broken is None, "records": [one.document for one in shown]}
    return View("Audit", blocks, document, has_period=False)


_COLUMNS = (
    Column("What", "left"),
    Column("When", "left"),
    Column("By", "left"),
    Column("Says", "left", is_long=True),
    Column("Hash", "left", gives_way=True),
)


def _table(shown: list[Change], visit: Visit, *, has_more: bool) -> Table:
    asking, kind = visit.asking, visit.asking.more.get("kind")
    last = str(shown[-1].record.position) if shown else None
    return Table(
        "records",
        "Newest first",
        _COLUMNS,
        tuple(_row(one, visit) for one in shown),
        Csv(COLUMNS, [{**one.document, "content": json.dumps(one.document["content"])} for one in shown]),
        tabs=(
            Tab("all", asking.url(kind=None, before=None), kind is None),
            *(Tab(f"{one}s", asking.url(kind=one, before=None), kind == one) for one in KINDS),
        ),
        empty="Nothing was changed yet.",
        more=("Earlier ones", asking.url(before=last)) if has_more else None,
    )


_NOTES = ("Verdicts and entries have chains of their own: flatfare audit verify looks at all of them.",)


def _figures(broken: int | None, newest: list[Record]) -> tuple[Figure, ...]:
    records = newest[0].position + 1 if newest else 0
    return (
        Figure(
            "The chain",
            "holds" if broken is None else "is broken",
            "no record was changed, dropped or put in" if broken is None else f"from record {broken} on",
        ),
        Figure("Records", f"{records:,}", "changes to keys, budgets, users, definitions"),
        Figure(
            "Head",
            newest[0].hash[:12] if newest else None,
            "write it down elsewhere to notice a cut end" if newest else "there is no record yet",
            tone="code",
        ),
    )


def _row(one: Change, visit: Visit) -> tuple[Cell, ...]:
    record = one.record
    return (
        Cell(one.what, one.name or record.subject),
        Cell(moment_text(record.at_us, visit.asking.zone), tone="when"),
        Cell(one.by_whom),
        Cell(one.says[:300], record.reason or "", tone="quiet"),
        Cell(record.hash[:12], tone="code"),
    )


PAGE = Page("/audit", "audit", "Audit", Right.AUDIT, view, takes=("before", "kind"))
