"""Tasks: each with its outcome and what it cost, the newest or the dearest first."""

from dataclasses import replace
from urllib.parse import quote

from flatfare.core.money import dollar_text
from flatfare.service.reporting import listing
from flatfare.service.reporting.listing import Listed
from flatfare.service.reporting.wording import at_least
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Cell, Column, Csv, Tab, Table, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import WHY
from flatfare.web.pages.rendering import moment_text

STATES = ("verified", "failed", "assumed", "reversed", "open")
TONES = {"verified": "good", "failed": "bad", "reversed": "bad", "assumed": "quiet", "open": "quiet"}
CSV_ROWS_MAX = 10_000


def view(visit: Visit) -> View:
    """The list."""
    asking = visit.asking
    sort = asking.sort or listing.NEWEST
    offset = _offset(asking.more.get("offset"))
    limit = visit.limit or CSV_ROWS_MAX
    found = listing.listed(
        visit.books.book,
        visit.books.lake,
        **visit.within,
        sort=sort,
        limit=min(limit + 1, CSV_ROWS_MAX),
        offset=offset,
    )
    shown, is_more = found[:limit], len(found) > limit
    most = max((task.cost.known_nano for task in shown), default=0)
    rows = tuple(_row(task, visit, most) for task in shown)
    currency = visit.books.settings.currency
    documents = [task.as_json(currency) for task in shown]
    table = Table(
        "tasks",
        "Newest first" if sort == listing.NEWEST else "Dearest first",
        _columns(visit, sort),
        rows,
        Csv(listing.CSV_COLUMNS, [listing.csv_row(one) for one in documents]),
        tabs=_tabs(visit),
        empty=visit.nothing("No task in this period that meets the filters."),
        more=("The next ones", asking.url(offset=str(offset + limit))) if is_more else None,
    )
    return View("Tasks", (table,), {"tasks": documents}, is_live=True)


def cost_text(task: Listed) -> str | None:
    """What a task cost, as far as it is known."""
    known = task.cost.known_nano
    return None if task.cost.lacks and not known else at_least(dollar_text(known), bool(task.cost.lacks))


def address_of(task_id: str) -> str:
    """Where a task's story stands."""
    return f"/tasks/{quote(task_id, safe='')}"


def _row(task: Listed, visit: Visit, most: int) -> tuple[Cell, ...]:
    row = task.columns
    zone = visit.asking.zone
    labels = ", ".join(f"{key}={value}" for key, value in task.labels.items())
    return (
        Cell(
            str(row["external_id"] or task.id),
            labels,
            address_of(task.id),
            bar=task.cost.known_nano / most if most else None,
        ),
        Cell(str(row["name"])),
        Cell(str(row["path"]) if row["path"] else "", tone="quiet"),
        Cell(moment_text(int(str(row["opened_at_us"])), zone), tone="when"),
        Cell(task.state, tone=TONES.get(task.state, ""), badge="disputed" if row["is_disputed"] else ""),
        Cell(cost_text(task), tone="strong", why=WHY),
        Cell(f"{task.calls:,}" if task.calls is not None else ""),
        Cell(f"{task.attempts:,}"),
        Cell(str(row["settlement"]) if row["settlement"] != "none" else "", tone="quiet"),
    )


def _columns(visit: Visit, sort: str) -> tuple[Column, ...]:
    asking = visit.asking

    def by(title: str, order: str, align: str = "right") -> Column:
        is_here = sort == order
        address = asking.url(sort=order, offset=None)
        return Column(title, align, address, "descending" if is_here else "")

    return (
        Column("task", "left"),
        Column("Action", "left", gives_way=True),
        Column("Path", "left"),
        by("Opened", listing.NEWEST, "left"),
        Column("Outcome", "left"),
        by("Cost", listing.DEAREST),
        Column("Calls", gives_way=True),
        Column("Attempts", gives_way=True),
        Column("Settlement", "left", gives_way=True),
    )


def _tabs(visit: Visit) -> tuple[Tab, ...]:
    """A tab for each outcome; the other filters stay."""
    asking = visit.asking
    here = [value for key, value in asking.filters if key == "outcome"]

    base = [pair for pair in asking.pairs if not (pair[0] == "filter" and pair[1].startswith("outcome="))]
    base = [pair for pair in base if pair[0] != "offset"]

    plain = replace(asking, pairs=tuple(base))
    return (
        Tab("all", plain.url(), not here),
        *(Tab(state, plain.filtered("outcome", state), here == [state]) for state in STATES),
    )


def _offset(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 8 else 0


PAGE = Page("/tasks", "tasks", "Tasks", Right.READ, view, takes=("offset",), narrows=True)
