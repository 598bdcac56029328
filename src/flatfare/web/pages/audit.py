"""Audit: who changed what, when and why, each record hashed together with the one before it."""

import json

from flatfare.service import changes
from flatfare.service.changes import COLUMNS, KINDS, Change
from flatfare.store import chains
from flatfare.store.chains import ORGANISATION, Record
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Csv, Figure, Figures, Notes, Tab, Table, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.rendering import moment_text

_ROWS_MAX = 100_000


def view(visit: Visit) -> View:
    """The page."""
    asking, book = visit.asking, visit.books.book
    before, kind = asking.more.get("before"), asking.more.get("kind")
    limit = visit.limit or _ROWS_MAX
    found = changes.latest(
        book,
        visit.books.lake,
        limit + 1,
        before=int(before) if before and before.isascii() and before.isdigit() else None,
        kind=kind,
    )
    shown = found[:limit]
    broken = chains.broken_at(book, ORGANISATION)
    newest = chains.latest(book, ORGANISATION, 1)
    rows = tuple(_row(one, visit) for one in shown)
    more = None
    if len(found) > limit:
        more = ("Earlier ones", asking.url(before=str(shown[-1].record.position)))
    tabs = (
        Tab("all", asking.url(kind=None, before=None), kind is None),
        *(Tab(f"{one}s", asking.url(kind=one, before=None), kind == one) for one in KINDS),
    )
    documents = [one.document for one in shown]
    table = Table(
        "records",
        "Newest first",
        (
            Column("What", "left"),
            Column("When", "left"),
            Column("By", "left"),
            Column("Says", "left", is_long=True),
            Column("Hash", "left", gives_way=True),
        ),
        rows,
        Csv(COLUMNS, [{**one, "content": json.dumps(one["content"])} for one in documents]),
        tabs=tabs,
        empty="Nothing was changed yet.",
        more=more,
    )
    blocks: list[Block] = [Figures(_figures(broken, newest)), table, Notes(_NOTES)]
    holds = broken is None
    return View("Audit", tuple(blocks), {"holds": holds, "records": documents}, has_period=False)


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
