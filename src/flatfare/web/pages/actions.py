"""Actions: what is sold, for how much, how often it is verified, and what is left of the price."""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from flatfare.core.action_price import ActionPrice
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.runner.running import Order, Result
from flatfare.service import selling
from flatfare.service.actions import documents, publishing, receipts
from flatfare.service.actions.publishing import Published
from flatfare.service.reporting import Row
from flatfare.service.reporting.wording import percent, percents
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
    sold = _sold(visit)
    by_version = {
        row.keys: row for row in visit.report("action", "action_version").rows if not row.is_published
    }
    rows, flat = [], []
    for version in sorted(versions, key=lambda one: (one.action.name, -one.action.version)):
        key = (version.action.name, str(version.action.version))
        row, sales = by_version.get(key), sold.get(key)
        rows.append(_row(version, row, sales, visit))
        flat.append(_flat(version, row, sales))
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


class _Sales:
    """The sales of one version, summed."""

    def __init__(self) -> None:
        self.count = self.settled = self.net_nano = self.cost_nano = self.held_nano = 0
        self.is_cost_known = True
        self.currency = "USD"


def _sold(visit: Visit) -> dict[tuple[str, str], _Sales]:
    found: dict[tuple[str, str], _Sales] = {}
    for sale in selling.sales_of(visit.books.book):
        sums = found.setdefault((sale.action, sale.action_version), _Sales())
        sums.count += 1
        sums.settled += sale.settled_at_us is not None
        sums.net_nano += sale.net_nano
        sums.cost_nano += sale.costs.total_nano
        sums.is_cost_known &= sale.costs.reason is None
        sums.held_nano += sale.held_nano if str(sale.settlement) == "held" else 0
        sums.currency = sale.currency
    return found


def _row(version: Published, row: Row | None, sales: _Sales | None, visit: Visit) -> tuple[Cell, ...]:
    action = version.action
    margin = _margin(sales)
    return (
        Cell(
            action.name,
            f"version {action.version}, {action.path.name}",
            f"/actions/{action.name}?version={action.version}",
            badge=_to_come(version, visit),
        ),
        Cell(_price(action.price)),
        Cell(f"{sales.count:,}" if sales else "0", f"{sales.settled:,} settled" if sales else ""),
        Cell(nano_text(sales.net_nano, sales.currency) if sales else "", tone="strong"),
        Cell(
            "" if sales is None else margin,
            "" if sales is None or sales.is_cost_known else "cost not wholly known",
            why="/unknown",
        ),
        Cell(nano_text(sales.held_nano, sales.currency) if sales and sales.held_nano else ""),
        Cell(
            percent(row.success_rate) or "" if row else "",
            percents(row.success_interval) if row and row.n else "",
        ),
        headline_cell(row) if row else Cell(""),
    )


def _to_come(version: Published, visit: Visit) -> str:
    """From when on it is sold, where that is still to come."""
    if not version.is_to_come(visit.books.now_us):
        return ""
    return f"from {moment_text(version.begins_us, visit.asking.zone)}"


def _price(price: ActionPrice) -> str:
    """A price in one line, its dollars written as all others on a page."""
    return re.sub(r"([\d.]+)( each)? USD\b", r"$\1\2", documents.price_words(price))


def _margin(sales: _Sales | None) -> str | None:
    nano = _margin_nano(sales)
    return None if nano is None else nano_text(nano, "USD")


def _margin_nano(sales: _Sales | None) -> int | None:
    """What is left of the price, where it is in the currency of the cost and all of that is known."""
    if sales is None or sales.currency != "USD" or not sales.is_cost_known:
        return None
    return sales.net_nano - sales.cost_nano


def _flat(version: Published, row: Row | None, sales: _Sales | None) -> dict[str, object]:
    margin_nano = _margin_nano(sales)
    return {
        "action": version.action.name,
        "version": version.action.version,
        "price": documents.price_words(version.action.price),
        "valid_from": iso(version.begins_us),
        "tasks": row.n if row else 0,
        "verified": row.verified if row else 0,
        "sales": sales.count if sales else 0,
        "settled": sales.settled if sales else 0,
        "earned": decimal_text(sales.net_nano) if sales else None,
        "margin": decimal_text(margin_nano),
        "held": decimal_text(sales.held_nano) if sales else None,
        "currency": sales.currency if sales else None,
    }


def of_action(visit: Visit) -> View:
    """One action: its terms, a form that runs it, and its last runs."""
    book = visit.books.book
    wanted = visit.asking.more.get("version")
    version = int(wanted) if wanted and wanted.isascii() and wanted.isdigit() else None
    found = publishing.shown(book, visit.path["name"], version, at_us=visit.books.now_us)
    last = runs.listed(book, action=found.action.name, limit=visit.limit or 1000)
    sales = _sold(visit).get((found.action.name, str(found.action.version)))
    blocks: list[Block] = [Figures(_figures(found.action.name, sales)), _facts(found, visit)]
    if visit.visitor.may(Right.RECORD) and not found.is_to_come(visit.books.now_us):
        blocks.append(_form(found, visit))
    blocks.append(_runs(last, found.action.name, visit))
    document = {
        **documents.published_document(found),
        "sold": {name: value for name, value in _flat(found, None, sales).items() if name in _SOLD},
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


def _figures(action: str, sales: _Sales | None) -> tuple[Figure, ...]:
    """What the version's sales came to, of all time."""
    sold = sales or _Sales()
    is_known = sold.is_cost_known and sold.currency == "USD"
    tasks = f"/tasks?period=all&filter={quote(f'action={action}', safe='')}"
    return (
        Figure("Sold", f"{sold.count:,}", f"{sold.settled:,} settled", href=tasks, tone="lead"),
        Figure("Earned", nano_text(sold.net_nano, sold.currency), "settled, and not given back"),
        Figure(
            "Margin",
            _margin(sold),
            "after what it cost" if is_known else "its cost is not wholly known, or not in its currency",
            why="/unknown",
        ),
        Figure("At risk", nano_text(sold.held_nano, sold.currency), "held, and not verified yet"),
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
            Cell(str(run.state), run.ending or "", tone="good" if run.ending == "verified" else ""),
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
        ("id", "action", "version", "state", "ending", "customer", "task", "attempts"),
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
