"""One task's whole story: what was tried, called, judged, mended and paid, and why it costs what it costs."""

from collections.abc import Mapping
from urllib.parse import quote

from flatfare.core.errors import NotFound
from flatfare.core.money import dollar_text
from flatfare.service.reporting import neighbours as among
from flatfare.service.reporting.listing import Listed
from flatfare.service.reporting.neighbours import Neighbours
from flatfare.service.tasks import telling
from flatfare.web.access import Right
from flatfare.web.pages import settled
from flatfare.web.pages.blocks import (
    Block,
    Cell,
    Column,
    Csv,
    Fact,
    Facts,
    Figure,
    Figures,
    Notes,
    Table,
    View,
)
from flatfare.web.pages.on_a_timeline import timeline
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import WHY
from flatfare.web.pages.rendering import moment_text
from flatfare.web.pages.task_tables import HAPPENINGS, Records, calls_table, table
from flatfare.web.pages.tasks import TONES, cost_text


def view(visit: Visit) -> View:
    """The story."""
    books = visit.books
    name = visit.path["task"]
    task = telling.find(books.book, books.lake, name, now_us=books.now_us)
    if not visit.visitor.scope.sees(task.labels):
        raise NotFound(f"There is no task {name[:80]!r} that you may see.")
    told = telling.story(books.book, books.lake, task, now_us=books.now_us, currency=books.settings.currency)
    others = _neighbours(task, _records(told, "calls"), visit)
    sold = settled.settled(visit, task.id)
    document = {
        **told,
        "neighbours": None if others is None else others.as_json(),
        **({} if sold is None else {"sale": sold.as_json()}),
    }
    return View(
        str(task.columns["external_id"] or task.id),
        (
            Figures(_figures(task, others)),
            _facts(task, visit),
            *([] if others is None else [_compared(others, task)]),
            *_story(told, visit),
            *([] if sold is None else [settled.table(sold, visit)]),
            *([Notes((_CHAIN_HOLDS if told["chain_holds"] else _CHAIN_BROKEN,))] if told["verdicts"] else []),
        ),
        document,
        eyebrow=("Tasks", visit.asking.elsewhere("/tasks")),
        lede=others.sentence if others is not None else "",
        has_period=False,
    )


_CHAIN_HOLDS = "The chain of verdicts holds: none was changed, dropped or put in."
_CHAIN_BROKEN = "THE CHAIN OF VERDICTS IS BROKEN: see flatfare audit verify."


def _story(told: Mapping[str, object], visit: Visit) -> list[Block]:
    """What happened, on one line of time and in a table each."""
    calls = _records(told, "calls")
    seen = timeline(_records(told, "attempts"), calls, _records(told, "verdicts"))
    blocks: list[Block] = [] if seen is None else [seen]
    if calls:
        blocks.append(calls_table(calls, visit))
    return blocks + [table(key, _records(told, key), visit) for key in HAPPENINGS if _records(told, key)]


def _figures(task: Listed, others: Neighbours | None) -> tuple[Figure, ...]:
    median = None if others is None else others.median_nano
    beside = f"{task.cost.known_nano / median:,.1f} times the median, {dollar_text(median)}" if median else ""
    lacks = f"not all known: {', '.join(task.cost.lacks)}" if task.cost.lacks else ""
    return (
        Figure("Cost", cost_text(task), "; ".join(filter(None, (beside, lacks))), why=WHY, tone="lead"),
        Figure("Outcome", task.state, _cause(task), tone=TONES.get(task.state, "")),
        Figure(
            "Calls", None if task.calls is None else f"{task.calls:,}", _mean(others, among.CALLS), why=WHY
        ),
        Figure("Attempts", f"{task.attempts:,}", _mean(others, among.ATTEMPTS)),
    )


def _mean(others: Neighbours | None, name: str) -> str:
    mean = None if others is None else others.of(name).mean
    return "" if mean is None else f"its neighbours: {mean:,.1f} on average"


def _cause(task: Listed) -> str:
    return "the sale: " + str(task.columns["settlement"]) if task.columns["settlement"] != "none" else ""


def _neighbours(task: Listed, calls: Records, visit: Visit) -> Neighbours | None:
    books = visit.books
    scope = visit.visitor.scope.narrowed([])
    return among.neighbours(books.book, books.lake, task, calls, now_us=books.now_us, filters=scope)


def _compared(others: Neighbours, task: Listed) -> Table:
    """The task beside the mean of its neighbours, a row a figure."""
    rows = []
    for one in others.measures:
        if not (one.own or one.mean):
            continue
        factor = one.factor
        rows.append(
            (
                Cell(one.name[:1].upper() + one.name[1:]),
                Cell(_measured(one.own, is_money=one.is_money), why=WHY),
                Cell(_measured(one.mean, is_money=one.is_money), why=WHY),
                Cell(
                    "" if factor is None else f"{factor:,.1f} ×",
                    tone="strong" if factor is not None and factor >= among.NOTABLE else "quiet",
                ),
            )
        )
    columns = (Column("Figure", "left"), Column("This task"), Column("Neighbours, each"), Column("Times"))
    flat = [one.as_json() for one in others.measures]
    kind = [
        f"action={task.columns['name']}",
        *([f"path={task.columns['path']}"] if task.columns["path"] else []),
    ]
    same = "&".join(f"filter={_quoted(one)}" for one in kind)
    whose = "action and path" if task.columns["path"] else "action"
    return Table(
        "neighbours",
        f"Beside its neighbours: the {others.n:,} other{'' if others.n == 1 else 's'} of the same {whose}",
        columns,
        tuple(rows),
        Csv(("name", "own", "mean", "times"), flat),
        more=(
            f"All {others.n + 1:,} of this {whose}, the dearest first",
            f"/tasks?{same}&period=all&sort=cost",
        ),
    )


def _measured(value: float | None, *, is_money: bool) -> str | None:
    if value is None:
        return None
    if is_money:
        return dollar_text(round(value))
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def _facts(task: Listed, visit: Visit) -> Facts:
    row, zone = task.columns, visit.asking.zone
    path = str(row["path"] or "")

    def time(name: str) -> Cell:
        at = row[name]
        return Cell("" if at is None else moment_text(int(str(at)), zone))

    cost = task.cost
    parts = (
        ("Inference", "inference", cost.work_nano),
        ("Verification", "verification", cost.verification_nano),
        ("Rework", "rework", cost.rework_nano),
    )
    facts = [
        Fact("Action", Cell(str(row["name"]), href=f"/tasks?filter=action%3D{_quoted(str(row['name']))}")),
        Fact("Path", Cell(path, href=f"/tasks?filter={_quoted(f'path={path}')}" if path else None)),
        Fact("Opened", time("opened_at_us")),
        Fact("Closed", time("closed_at_us")),
        Fact("Matures", time("matures_at_us")),
        *(
            Fact(title, Cell(None if nano is None else dollar_text(nano), why=WHY))
            for title, name, nano in parts
            if nano is not None or name in cost.lacks
        ),
        Fact("Source", Cell(str(row["source"]))),
        *(
            Fact(key, Cell(value, href=f"/tasks?filter={_quoted(f'{key}={value}')}"))
            for key, value in task.labels.items()
        ),
        Fact("Id", Cell(task.id, tone="code long")),
    ]
    return Facts("", tuple(fact for fact in facts if fact.value.text != ""))


def _records(told: Mapping[str, object], key: str) -> Records:
    found = told[key]
    assert isinstance(found, list)
    return found


def _quoted(text: str) -> str:
    return quote(text, safe="")


PAGE = Page("/tasks/{task}", "task", "Task", Right.READ, view, narrows=True, in_navigation=False)
