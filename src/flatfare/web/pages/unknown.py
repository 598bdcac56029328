"""What is not known, and why: every reason a person can act on, and how often it holds."""

from flatfare.service.reporting.unknowns import unknowns
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Csv, Notes, Table, View
from flatfare.web.pages.page import Page, Visit


def view(visit: Visit) -> View:
    """The page."""
    found = unknowns(visit.books.book, visit.books.lake, **visit.within)
    most = max((one.count for one in found), default=0)
    rows = tuple(
        (
            Cell(one.reason, bar=one.count / most if most else None),
            Cell(one.of_what, tone="quiet"),
            Cell(f"{one.count:,}"),
            Cell(one.example or "", tone="code"),
        )
        for one in found[: visit.limit]
    )
    csv = Csv(("reason", "of_what", "count", "example"), [one.as_json() for one in found])
    table = Table(
        "reasons",
        "Why a cost is not known",
        (
            Column("Reason", "left"),
            Column("Of", "left"),
            Column("How many"),
            Column("Such as", "left", gives_way=True),
        ),
        rows,
        csv,
        empty=visit.nothing("Every cost of this period is known."),
    )
    blocks: tuple[Block, ...] = (table, Notes(_NOTES))
    return View("What is not known, and why", blocks, {"unknown": [one.as_json() for one in found]})


_NOTES = (
    "Unknown is not zero: a sum with an unknown part reads as at least (≥), one without a known part as —.",
    "Give a model its price with flatfare prices add; price what was recorded before with flatfare adjust.",
)

PAGE = Page("/unknown", "unknown", "Not known", Right.READ, view, narrows=True, in_navigation=False)
