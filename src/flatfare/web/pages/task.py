"""One task's whole story: what was tried, called, judged, mended and paid, and why it costs what it costs."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from flatfare.core.errors import NotFound
from flatfare.core.moments import parse_moment
from flatfare.core.money import dollar_text, nano_of, parse_amount
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
from flatfare.web.pages.tasks import TONES, cost_text

CALLS_SHOWN = 20
"""Calls in the table until all are asked for, so that what became of them is not far below."""

Records = Sequence[Mapping[str, object]]


def view(visit: Visit) -> View:
    """The story."""
    books = visit.books
    name = visit.path["task"]
    task = telling.find(books.book, books.lake, name, now_us=books.now_us)
    if not visit.visitor.scope.sees(task.labels):
        raise NotFound(f"There is no task {name[:80]!r} that you may see.")
    told = telling.story(books.book, books.lake, task, now_us=books.now_us, currency=books.settings.currency)
    calls = _records(told, "calls")
    others = _neighbours(task, calls, visit)
    sold = settled.settled(visit, task.id)
    blocks: list[Block] = [Figures(_figures(task, others)), _facts(task, told, visit)]
    if others is not None:
        blocks.append(_compared(others, task, visit))
    seen = timeline(_records(told, "attempts"), calls, _records(told, "verdicts"))
    if seen is not None:
        blocks.append(seen)
    if calls:
        blocks.append(_calls(calls, visit))
    for title, key, make in (
        ("Attempts", "attempts", _attempts),
        ("Verdicts", "verdicts", _verdicts),
        ("How the outcome came about", "moves", _moves),
        ("Rework", "rework", _rework),
        ("Signals", "signals", _signals),
    ):
        rows = _records(told, key)
        if rows:
            blocks.append(_table(key, title, rows, make(rows, visit)))
    if sold is not None:
        blocks.append(settled.table(sold, visit))
    if told["verdicts"]:
        blocks.append(
            Notes(
                (
                    "The chain of verdicts holds: none was changed, dropped or put in."
                    if told["chain_holds"]
                    else "THE CHAIN OF VERDICTS IS BROKEN: see flatfare audit verify.",
                )
            )
        )
    document = {
        **told,
        "neighbours": None if others is None else others.as_json(),
        **({} if sold is None else {"sale": sold.as_json()}),
    }
    return View(
        str(task.columns["external_id"] or task.id),
        tuple(blocks),
        document,
        eyebrow=("Tasks", visit.asking.elsewhere("/tasks")),
        lede=others.sentence if others is not None else "",
        has_period=False,
    )


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


def _compared(others: Neighbours, task: Listed, visit: Visit) -> Table:
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


def _facts(task: Listed, told: Mapping[str, object], visit: Visit) -> Facts:
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


def _calls(calls: Records, visit: Visit) -> Table:
    costs = [_nano(one["cost"]) for one in calls]
    most = max((cost or 0 for cost in costs), default=0)
    rows = tuple(
        (
            Cell(
                str(one["model"] or "model not known"),
                str(one["provider"] or ""),
                bar=(cost or 0) / most if most else None,
            ),
            Cell(_time(one["time"], visit, seconds=True), tone="when"),
            Cell(str(one["purpose"])),
            Cell(str(one["status"]), tone="bad" if one["status"] not in ("ok", "cached") else ""),
            Cell(f"{_number(one['input_tokens']):,}"),
            Cell(f"{_number(one['output_tokens']):,}"),
            Cell("" if one["duration_ms"] is None else f"{_number(one['duration_ms']) / 1000:.1f} s"),
            Cell(_money(one["cost"]), _reason(one["cost"]), why=WHY),
        )
        for one, cost in zip(calls, costs, strict=True)
    )
    columns = (
        Column("Call", "left"),
        Column("Time", "left", gives_way=True),
        Column("For", "left", gives_way=True),
        Column("Ended", "left"),
        Column("Tokens in", gives_way=True),
        Column("Tokens out", gives_way=True),
        Column("Took"),
        Column("Cost"),
    )
    names = (
        "call",
        "time",
        "purpose",
        "status",
        "provider",
        "model",
        "input_tokens",
        "output_tokens",
        "duration_ms",
        "cost",
    )
    flat = [{**{name: one[name] for name in names}, "cost": _amount(one["cost"])} for one in calls]
    limit = CALLS_SHOWN if visit.asking.limit is None and visit.rows_max else visit.limit
    shown = rows[:limit]
    more = (f"Show all {len(rows):,}", visit.asking.url(limit="0")) if len(rows) > len(shown) else None
    return Table("calls", "Calls", columns, shown, Csv(names, flat), more=more)


def _attempts(rows: Records, visit: Visit) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    columns = (
        Column("Attempt", "left"),
        Column("Rung", "left"),
        Column("Ended", "left"),
        Column("Began", "left"),
    )
    return columns, [
        (
            Cell(f"{one['number'] or ''}".strip() or str(one["attempt"])),
            Cell(str(one["rung"] or "")),
            Cell(str(one["status"] or "under way"), tone="bad" if one["status"] == "failed" else ""),
            Cell(_time(one["started_at"], visit), tone="when"),
        )
        for one in rows
    ]


def _verdicts(rows: Records, visit: Visit) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    columns = (
        Column("Verifier", "left"),
        Column("Said", "left"),
        Column("Attempt", "left", gives_way=True),
        Column("When", "left"),
        Column("Score"),
        Column("Evidence (SHA-256)", "left", is_long=True),
        Column("Cost"),
    )
    tones = {"pass": "good", "fail": "bad"}
    return columns, [
        (
            Cell(str(one["verifier"]), f"{one['kind']}, version {one['version']}"),
            Cell(str(one["judgement"]), tone=tones.get(str(one["judgement"]), "quiet")),
            Cell(str(one["attempt_number"] or "")),
            Cell(_time(one["at"], visit), tone="when"),
            Cell(str(one["score"] or "")),
            Cell(str(one["evidence_hash"] or "")[:16], tone="code"),
            Cell(_dollars(one["cost"])),
        )
        for one in rows
    ]


def _moves(rows: Records, visit: Visit) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    columns = (
        Column("Became", "left"),
        Column("Was", "left"),
        Column("When", "left"),
        Column("Because", "left", is_long=True),
    )
    return columns, [
        (
            Cell(str(one["to"]), tone=TONES.get(str(one["to"]), "")),
            Cell(str(one["from"]), tone="quiet"),
            Cell(_time(one["at"], visit), tone="when"),
            Cell(str(one["because"])),
        )
        for one in rows
    ]


def _rework(rows: Records, visit: Visit) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    columns = (Column("By", "left"), Column("When", "left"), Column("Minutes"), Column("Cost"))
    return columns, [
        (
            Cell(str(one["by_whom"] or "not given")),
            Cell(_time(one["at"], visit), tone="when"),
            Cell(str(one["minutes"])),
            Cell(_dollars(one["cost"]) or None),
        )
        for one in rows
    ]


def _signals(rows: Records, visit: Visit) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    columns = (
        Column("Signal", "left"),
        Column("Value", "left"),
        Column("When", "left"),
        Column("From", "left"),
    )
    return columns, [
        (
            Cell(str(one["name"])),
            Cell(str(one["value"] or "")),
            Cell(_time(one["at"], visit), tone="when"),
            Cell(str(one["source"] or "")),
        )
        for one in rows
    ]


def _table(
    name: str, title: str, rows: Records, made: tuple[tuple[Column, ...], list[tuple[Cell, ...]]]
) -> Table:
    columns, cells = made
    return Table(name, title, columns, tuple(cells), Csv(tuple(rows[0]), rows))


def _records(told: Mapping[str, object], key: str) -> Records:
    found = told[key]
    assert isinstance(found, list)
    return found


def _number(value: object) -> int:
    return int(str(value or 0))


def _nano(cost: object) -> int | None:
    amount = _amount(cost)
    return None if amount is None else nano_of(parse_amount(amount)[0])


def _amount(cost: object) -> str | None:
    assert isinstance(cost, dict)
    amount = cost["amount"]
    return None if amount is None else str(amount)


def _money(cost: object) -> str | None:
    nano = _nano(cost)
    return None if nano is None else dollar_text(nano)


def _reason(cost: object) -> str:
    assert isinstance(cost, dict)
    return str(cost["reason"] or "") if cost["amount"] is None else ""


def _dollars(amount: object) -> str:
    return "" if amount is None else dollar_text(nano_of(parse_amount(str(amount))[0]))


def _time(text: object, visit: Visit, *, seconds: bool = False) -> str:
    if not text:
        return ""
    at_us = parse_moment(str(text))[0]
    return moment_text(at_us, visit.asking.zone) + (f":{at_us // 1_000_000 % 60:02d}" if seconds else "")


def _quoted(text: str) -> str:
    return quote(text, safe="")


PAGE = Page("/tasks/{task}", "task", "Task", Right.READ, view, narrows=True, in_navigation=False)
