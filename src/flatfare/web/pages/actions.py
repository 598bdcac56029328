"""Actions: what is sold, for how much, how often it is verified, and what is left of the price."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from flatfare.core.action_price import ActionPrice
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.sale import COST_CURRENCY
from flatfare.runner.running import Order, Result
from flatfare.service import selling
from flatfare.service.actions import documents, publishing, receipts
from flatfare.service.actions.publishing import Published
from flatfare.service.reporting import Row
from flatfare.service.reporting.wording import percent, percents
from flatfare.service.selling import summing
from flatfare.service.selling.summing import Sold
from flatfare.store import runs
from flatfare.store.runs import Run
from flatfare.web.access import Right
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
from flatfare.web.pages.page import Deed, Later, Page, Sent, Visit
from flatfare.web.pages.ranked import headline_cell
from flatfare.web.pages.rendering import moment_text
from flatfare.web.pages.run import view_of
from flatfare.web.workshop import Workshop


def view(visit: Visit) -> View:
    """Every version of every action, with what came of it in the period."""
    versions = publishing.listed(visit.books.book)
    sold = summing.sold(visit.books.book)
    by_version = {
        row.keys: row for row in visit.report("action", "action_version").rows if not row.is_published
    }
    rows: list[tuple[Cell, ...]] = []
    flat: list[dict[str, object]] = []
    for version in sorted(versions, key=lambda one: (one.action.name, -one.action.version)):
        key = (version.action.name, str(version.action.version))
        row, sums = by_version.get(key), sold.get(key, [])
        rows.append(_row(version, row, sums, visit))
        flat += _flat(version, row, sums)
    table = Table(
        "actions",
        "By version",
        _COLUMNS,
        tuple(rows),
        Csv(_NAMES, flat),
        empty="No action is published yet. Write one and publish it: flatfare actions publish FILE",
    )
    document = {"actions": documents.catalogue(versions, visit.books.now_us), "versions": flat}
    return View("Actions", (table, Notes(_NOTES)), document)


_COLUMNS = (
    Column("action", "left"),
    Column("Price", "left", is_long=True),
    Column("Sales"),
    Column("Earned"),
    Column("Margin"),
    Column("At risk", gives_way=True),
    Column("Success"),
    Column("Per verified outcome"),
)
_NAMES = (
    "action",
    "version",
    "price",
    "valid_from",
    "tasks",
    "verified",
    "sales",
    "settled",
    "earned",
    "margin",
    "held",
    "currency",
)
_SOLD = ("sales", "settled", "earned", "margin", "held", "currency")
"""What the ledger says of a version."""

_NOTES = (
    "Success and cost per verified outcome are of tasks opened in the period.",
    "Sales, what was earned and the margin are of all time, as the ledger has them.",
)


def _row(version: Published, row: Row | None, sums: Sequence[Sold], visit: Visit) -> tuple[Cell, ...]:
    action = version.action
    held = [one for one in sums if one.held_nano]
    return (
        Cell(
            action.name,
            f"version {action.version}, {action.path.name}",
            f"/actions/{action.name}?version={action.version}",
            badge=_to_come(version, visit),
        ),
        Cell(_price(action.price)),
        Cell(
            f"{sum(one.count for one in sums):,}",
            f"{sum(one.settled for one in sums):,} settled" if sums else "",
        ),
        Cell(_together((one.net_nano, one.currency) for one in sums), tone="strong"),
        Cell(
            _margin(sums) if sums else "",
            "cost not wholly known" if any(_lacks_cost(one) for one in sums) else "",
            why="/unknown",
        ),
        Cell(_together((one.held_nano, one.currency) for one in held)),
        Cell(
            percent(row.success_rate) or "" if row else "",
            percents(row.success_interval) if row and row.n else "",
        ),
        headline_cell(row) if row else Cell(""),
    )


def _together(amounts: Iterable[tuple[int, str]]) -> str:
    """Amounts of several currencies, which are never added."""
    return " + ".join(nano_text(nano, currency) for nano, currency in amounts)


def _lacks_cost(one: Sold) -> bool:
    return one.currency == COST_CURRENCY and one.margin_nano is None


def _to_come(version: Published, visit: Visit) -> str:
    """From when on it is sold, where that is still to come."""
    if not version.is_to_come(visit.books.now_us):
        return ""
    return f"from {moment_text(version.begins_us, visit.asking.zone)}"


def _price(price: ActionPrice) -> str:
    """A price in one line, its dollars written as all others on a page."""
    return re.sub(r"([\d.]+)( each)? USD\b", r"$\1\2", documents.price_words(price))


def _margin(sums: Sequence[Sold]) -> str | None:
    """What is left of the price, where it is in the currency of the cost and all of that is known."""
    known = [(one.margin_nano, one.currency) for one in sums if one.margin_nano is not None]
    return _together(known) if known else None


def _flat(version: Published, row: Row | None, sums: Sequence[Sold]) -> list[dict[str, object]]:
    """A row for each currency that the version was sold in; its tasks stand in the first."""
    action = version.action
    said: dict[str, object] = {
        "action": action.name,
        "version": action.version,
        "price": documents.price_words(action.price),
        "valid_from": iso(version.begins_us),
    }
    tasks: dict[str, object] = {"tasks": row.n if row else 0, "verified": row.verified if row else 0}
    if not sums:
        return [{**said, **tasks, "sales": 0, "settled": 0, **dict.fromkeys(_SOLD[2:])}]
    first, *more = sums
    return [
        {**said, **tasks, **_sold_document(first)},
        *({**said, **dict.fromkeys(tasks), **_sold_document(one)} for one in more),
    ]


def _sold_document(one: Sold) -> dict[str, object]:
    return {
        "sales": one.count,
        "settled": one.settled,
        "earned": decimal_text(one.net_nano),
        "margin": decimal_text(one.margin_nano),
        "held": decimal_text(one.held_nano),
        "currency": one.currency,
    }


def of_action(visit: Visit) -> View:
    """One action: its terms, a form that runs it, and its last runs."""
    book = visit.books.book
    wanted = visit.asking.more.get("version")
    version = int(wanted) if wanted and wanted.isascii() and wanted.isdigit() else None
    found = publishing.shown(book, visit.path["name"], version, at_us=visit.books.now_us)
    last = runs.listed(book, action=found.action.name, limit=visit.limit or 1000)
    sums = summing.sold(visit.books.book).get((found.action.name, str(found.action.version)), [])
    blocks: list[Block] = [Figures(_figures(found.action.name, sums)), _facts(found, visit)]
    if visit.visitor.may(Right.RECORD) and not found.is_to_come(visit.books.now_us):
        blocks.append(_form(found, visit))
    blocks.append(_runs(last, found.action.name, visit))
    document = {
        **documents.published_document(found),
        "sold": {name: value for name, value in _flat(found, None, sums)[0].items() if name in _SOLD},
        "sold_in_other_currencies": [_sold_document(one) for one in sums[1:]],
        "runs": [_run_document(one) for one in last],
    }
    title = f"{found.action.name}"
    return View(
        title,
        tuple(blocks),
        document,
        eyebrow=("Actions", "/actions"),
        lede=found.action.description,
        has_period=False,
    )


def _figures(action: str, sums: Sequence[Sold]) -> tuple[Figure, ...]:
    """What the version's sales came to, of all time."""
    sold = sums or [Sold(COST_CURRENCY)]
    is_known = all(one.margin_nano is not None for one in sold)
    tasks = f"/tasks?period=all&filter={quote(f'action={action}', safe='')}"
    return (
        Figure(
            "Sold",
            f"{sum(one.count for one in sold):,}",
            f"{sum(one.settled for one in sold):,} settled",
            href=tasks,
            tone="lead",
        ),
        Figure(
            "Earned",
            _together((one.net_nano, one.currency) for one in sold),
            "settled, and not given back",
        ),
        Figure(
            "Margin",
            _margin(sold),
            "after what it cost" if is_known else "its cost is not wholly known, or not in its currency",
            why="/unknown",
        ),
        Figure(
            "At risk",
            _together((one.held_nano, one.currency) for one in sold),
            "held, and not verified yet",
        ),
    )


def _facts(found: Published, visit: Visit) -> Facts:
    action = found.action
    document = documents.document_of(action)
    limits, verifiers = document["limits"], document["verifiers"]
    assert isinstance(limits, dict)
    assert isinstance(verifiers, list)
    said = [
        ("Version", str(action.version)),
        ("Price", _price(action.price)),
        ("Path", action.path.name),
        ("Verified by", ", ".join(str(one["name"]) for one in verifiers)),
        ("Spends at most", "" if limits["cost"] is None else amount_text(limits["cost"], "USD")),
        ("Attempts", str(limits["attempts"])),
        ("Deadline", str(limits["deadline"] or "")),
        ("Published", f"{moment_text(found.at_us, visit.asking.zone)} by {found.by_whom}"),
    ]
    facts = [Fact(label, Cell(text)) for label, text in said if text]
    for one in publishing.listed(visit.books.book):
        if one.action.name == action.name and (when := _to_come(one, visit)):
            address = f"/actions/{action.name}?version={one.action.version}"
            is_this = one.action.version == action.version
            label = "Holds" if is_this else f"To come: version {one.action.version}"
            facts.append(Fact(label, Cell(when, "" if is_this else _price(one.action.price), address)))
    facts.append(Fact("Hash", Cell(found.hash[:16], tone="code")))
    return Facts("", tuple(facts))


def _form(found: Published, visit: Visit) -> Form:
    customers = selling.customers.listed(visit.books.book)
    options = (Option("", "nobody: no money moves"), *(Option(one.name, one.name) for one in customers))
    schema = found.action.input_schema
    return Form(
        "run",
        "Run it",
        f"/actions/{found.action.name}/runs",
        "Run",
        (
            Field("input", "Input, as JSON", value=_skeleton(schema), type="textarea", is_required=True),
            Field("customer", "Who pays", type="select", options=options),
            Field("id", "Id of your own", "the same again is the same run"),
        ),
        "It is carried out now, with real calls and real costs. The receipt is shown when it is done.",
    )


def _skeleton(schema: object) -> str:
    """An input to fill in: every property that is needed, empty."""
    plain = documents.plain(schema)  # type: ignore[arg-type]
    properties = plain.get("properties", {}) if isinstance(plain, dict) else {}
    empty = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    values = {
        name: empty.get(str(one.get("type")), "") if isinstance(one, dict) else ""
        for name, one in properties.items()
    }
    return json.dumps(values, ensure_ascii=False, indent=2)


def _runs(found: list[Run], action: str, visit: Visit) -> Table:
    rows = tuple(
        (
            Cell(run.request_key or run.id[:13], href=f"/runs/{run.id}"),
            Cell(
                str(run.state),
                run.ending or receipts.refusal_of(run) or "",
                tone="good" if run.ending == "verified" else "",
            ),
            Cell(run.customer or "", tone="quiet"),
            Cell(f"{run.attempts:,}"),
            Cell(moment_text(run.started_at_us, visit.asking.zone), tone="when"),
        )
        for run in found
    )
    columns = (
        Column("run", "left"),
        Column("State", "left"),
        Column("Customer", "left"),
        Column("Attempts", gives_way=True),
        Column("Began", "left"),
    )
    csv = Csv(
        ("id", "action", "version", "state", "ending", "customer", "task", "attempts", "reason"),
        [_run_document(one) for one in found],
    )
    return Table(
        "runs",
        "Last runs",
        columns,
        rows[: visit.limit],
        csv,
        empty=f"It was not run yet: flatfare actions run {action} --input JSON",
    )


def _run_document(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "action": run.action,
        "version": run.action_version,
        "state": str(run.state),
        "ending": run.ending,
        "customer": run.customer,
        "task": run.task_id,
        "attempts": run.attempts,
        "reason": receipts.refusal_of(run),
    }


def _run(sent: Sent) -> Later:
    """Carry the action out, and show what came of it."""
    text = sent.text("input") or ""
    try:
        given = json.loads(text)
    except ValueError as problem:
        raise BadInput(f"The input cannot be read as JSON: {problem}.") from None
    if not isinstance(given, dict):
        raise BadInput('The input is a JSON object: {"name": value, …}.')
    order = Order(sent.path["name"], given, customer=sent.text("customer"), key=sent.text("id"))

    async def work(workshop: Workshop) -> View:
        result = await workshop.carry_out(order)
        runner = await workshop.runner()
        view = await runner.books.do(_came, result, sent.books.settings.time_zone)
        await runner.handed_over(result.run)
        return view

    return Later(work)


def _came(shelf: object, result: Result, zone: str) -> View:
    book, lake = shelf.book, shelf.lake  # type: ignore[attr-defined]
    run = runs.one(book, result.run.id) or result.run
    document: Mapping[str, object] = receipts.document_of(
        book, lake, run, for_operator=True, output=result.output, reasons=result.reasons
    )
    return view_of(document, zone)


PAGE = Page("/actions", "actions", "Actions", Right.READ, view)
OF_ACTION = Page(
    "/actions/{name}",
    "action",
    "Action",
    Right.READ,
    of_action,
    takes=("version",),
    in_navigation=False,
    deeds=(Deed("/actions/{name}/runs", "run_action_here", Right.RECORD, _run),),
)
