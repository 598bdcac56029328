"""Audit: who changed what, when and why, each record hashed together with the one before it."""

import json
import re

from flatfare.core.moments import iso
from flatfare.store import chains
from flatfare.store.chains import ORGANISATION, Record
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Csv, Figure, Figures, Notes, Tab, Table, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.rendering import moment_text

KINDS = ("key", "budget", "user", "definition", "guard", "action", "price")
_CSV = ("position", "at", "kind", "subject", "by_whom", "reason", "content", "hash")
_ROWS_MAX = 100_000


def view(visit: Visit) -> View:
    """The page."""
    asking, book = visit.asking, visit.books.book
    before, kind = asking.more.get("before"), asking.more.get("kind")
    limit = visit.limit or _ROWS_MAX
    found = chains.latest(
        book,
        ORGANISATION,
        limit + 1,
        before=int(before) if before and before.isascii() and before.isdigit() else None,
        kind=f"{kind}." if kind else None,
    )
    shown = found[:limit]
    broken = chains.broken_at(book, ORGANISATION)
    newest = chains.latest(book, ORGANISATION, 1)
    rows = tuple(_row(one, visit) for one in shown)
    more = None
    if len(found) > limit:
        more = ("Earlier ones", asking.url(before=str(shown[-1].position)))
    tabs = (
        Tab("all", asking.url(kind=None, before=None), kind is None),
        *(Tab(f"{one}s", asking.url(kind=one, before=None), kind == one) for one in KINDS),
    )
    documents = [_document(one) for one in shown]
    table = Table(
        "records",
        "Newest first",
        (
            Column("What", "left"),
            Column("When", "left"),
            Column("By", "left"),
            Column("Says", "left"),
            Column("Hash", "left", gives_way=True),
        ),
        rows,
        Csv(_CSV, [{**one, "content": json.dumps(one["content"])} for one in documents]),
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
            newest[0].hash[:12] if newest else "—",
            "write it down elsewhere to notice a cut end",
            tone="code",
        ),
    )


def _row(one: Record, visit: Visit) -> tuple[Cell, ...]:
    content = json.loads(one.content)
    said = [
        (key, _changed(value) if one.kind.endswith("changed") else _short(value))
        for key, value in content.items()
    ]
    says = ", ".join(f"{key}: {text}" for key, text in said if text)
    return (
        Cell(one.kind.replace(".", " ").replace("_", " "), one.subject),
        Cell(moment_text(one.at_us, visit.asking.zone), tone="when"),
        Cell(one.by_whom),
        Cell(says[:300], one.reason or "", tone="quiet"),
        Cell(one.hash[:12], tone="code"),
    )


def _changed(value: object) -> str:
    """What was, and what is: changes are written as pairs."""
    if isinstance(value, list) and len(value) == 2:
        return f"{_short(value[0]) or 'none'} → {_short(value[1]) or 'none'}"
    return _short(value)


def _short(value: object) -> str:
    """A value in words; nothing for what was left out."""
    if isinstance(value, dict):
        return " ".join(f"{key}={_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else _AMOUNT.sub(r"\1", str(value))


_AMOUNT = re.compile(r"^(-?\d+\.\d\d)0{7}$")
"""An amount to the nano of which nothing is below the cent."""


def _document(one: Record) -> dict[str, object]:
    return {
        "position": one.position,
        "at": iso(one.at_us),
        "kind": one.kind,
        "subject": one.subject,
        "by_whom": one.by_whom,
        "reason": one.reason,
        "content": json.loads(one.content),
        "hash": one.hash,
    }


PAGE = Page("/audit", "audit", "Audit", Right.AUDIT, view, takes=("before", "kind"))
