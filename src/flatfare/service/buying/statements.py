"""A vendor's statement on its way in: a line a unit it billed, matched to tickets by conversation.

Each conversation is one task with the vendor as its path and what was billed for it as its cost.
What the vendor says of it proves nothing: the task is ``assumed`` until somebody else has judged it.
A ticket that was reopened or handed to a person says so as a verdict.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.identity import derived
from flatfare.core.money import decimal_text, nano_of, parse_amount
from flatfare.service.buying.rows import Row, read_rows
from flatfare.service.buying.vendors import Vendor
from flatfare.service.importing.found import Cells, Found, Reading, Unread, Work, evidence
from flatfare.service.importing.order import Imported, Order
from flatfare.service.importing.results import Tool, import_results
from flatfare.service.importing.run import Stores
from flatfare.service.importing.watching import OnProgress, unwatched
from flatfare.service.tasks.defining import Register
from flatfare.store.book import Book

KIND = "bought"
_DECIMAL_COMMA = re.compile(r"[^\d.,]*(\d{1,3}(\.\d{3})+,\d+|0,\d+|\d+,\d{1,2}|\d+,\d{4,})[^\d.,]*")
_TOTALS = frozenset(
    (
        *("total", "totals", "subtotal", "sub-total", "sub total", "grand total", "total due", "amount due"),
        *("sum", "summe", "gesamt", "gesamtsumme", "zwischensumme", "somme", "total général", "totale"),
        *("totaal", "suma"),
    )
)
_LINES = (
    "INSERT INTO bought_outcomes (id, task_id, vendor, unit, billed_nano, currency, billed_at_us, "
    "conversation, statement_line, import_id, source, reported_as, quantity) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_TICKETS = (
    "INSERT INTO tickets (task_id, source, conversation, ticket, opened_at_us, closed_at_us, reopened_at_us, "
    "is_reopened, is_handed_off, csat) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (task_id) DO UPDATE SET ticket = excluded.ticket, opened_at_us = excluded.opened_at_us, "
    "closed_at_us = excluded.closed_at_us, reopened_at_us = excluded.reopened_at_us, "
    "is_reopened = excluded.is_reopened, is_handed_off = excluded.is_handed_off, csat = excluded.csat"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement; a credit is below zero."""

    id: str
    place: int
    conversation: str | None
    at_us: int
    nano: int
    currency: str  # of the amount as it was written; ``nano`` is in dollars
    unit: str
    reported_as: str | None
    quantity: str | None
    name: str | None
    labels: str

    @property
    def key(self) -> str:
        """What its task is called: a line that names no conversation stands alone."""
        return self.conversation or f"line:{self.id}"


def import_bought(
    stores: Stores,
    name: str,
    order: Order,
    vendor: Vendor,
    now_us: int,
    *,
    tickets: str | None = None,
    ticket_maps: Mapping[str, str] | None = None,
    rejects: str | None = None,
    on_progress: OnProgress = unwatched,
    on_wait: Callable[[str], None] | None = None,
) -> Imported:
    """Import a statement, with the tickets it is matched to if they are given; counted in conversations.

    Raises ``BadInput`` where a file as a whole cannot be read; then nothing has changed.
    """
    source = order.source if order.source != Order(KIND).source else vendor.key
    choices = {"vendor": vendor.key}
    if tickets is not None:
        choices |= {"tickets": _fingerprint(tickets), "ticket_maps": json.dumps(dict(ticket_maps or {}))}
    asked = replace(order, source=source, choices=choices, zero_is_free=True)
    reader = _Statement(vendor, now_us, tickets, dict(ticket_maps or {}))
    tool = Tool(reader.read, "*.csv", "conversation", is_correcting=True)
    result = import_results(
        stores,
        [name],
        asked,
        now_us,
        rejects=rejects,
        tool=tool,
        on_progress=on_progress,
        on_wait=on_wait,
    )
    return result if result.already_at_us else replace(result, more={"lines": reader.new, **result.more})


def _fingerprint(name: str) -> str:
    try:
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    except OSError as problem:
        raise BadInput(f"{name} cannot be read: {problem.strerror}.") from problem


class _Statement:
    """The reader of one vendor's statement."""

    def __init__(
        self, vendor: Vendor, now_us: int, tickets: str | None, ticket_maps: Mapping[str, str]
    ) -> None:
        self._vendor = vendor
        self._now_us = now_us
        self._tickets = tickets
        self._ticket_maps = ticket_maps
        self.new = 0

    def read(self, reading: Reading) -> Found:
        """Each conversation of the statement, or why a line cannot be read."""
        order = reading.order
        rows, unused = read_rows(reading.path, reading.name, replace(order, kind=KIND, choices={}))
        if unused:
            reading.notes[f"Not read: {', '.join(unused[:12])}."] += 1
        tickets = self._read_tickets(reading)
        by_key: dict[str, list[Line]] = {}
        seen: dict[str, str] = {}
        for row in rows:
            if _is_total(row):
                reading.notes["Rows that add others up were left out: {n}."] += 1
                continue
            found = _line(row, order, self._vendor, seen)
            if isinstance(found, Unread):
                yield found
            elif found is not None:
                by_key.setdefault(found.key, []).append(found)
        before = _lines_before(reading.book, order.source)
        register = Register(reading.book)
        for key, lines in by_key.items():
            yield self._work(key, lines, tickets, before, register, reading)

    def _read_tickets(self, reading: Reading) -> dict[str, Row] | None:
        if self._tickets is None:
            reading.notes[
                "No tickets were given (--tickets FILE): nothing says which conversations were reopened, "
                "handed off, or exist at all."
            ] += 1
            return None
        order = Order("tickets", maps=self._ticket_maps, time_format=reading.order.time_format)
        rows, _ = read_rows(Path(self._tickets), self._tickets, order)
        for row in rows:
            if row.problem:
                reading.notes[f"{self._tickets}: rows that were not read: {{n}}, such as: {row.problem}"] += 1
        return {
            row.cells["conversation"]: row for row in rows if not row.problem and "conversation" in row.cells
        }

    def _work(
        self,
        key: str,
        lines: list[Line],
        tickets: Mapping[str, Row] | None,
        before: Mapping[str, dict[str, int]],
        register: Register,
        reading: Reading,
    ) -> Work:
        source = reading.order.source
        task_id = str(derived("task", source, key))
        known = before.get(task_id, {})
        fresh = [line for line in lines if line.id not in known]
        self.new += len(fresh)
        reading.writes.setdefault(_LINES, []).extend(
            (line.id, task_id, self._vendor.key, line.unit, line.nano, line.currency, line.at_us,
             line.conversation, str(line.place), source, line.reported_as, line.quantity)
            for line in fresh
        )  # fmt: skip
        ticket = None if tickets is None else tickets.get(key)
        facts = _Ticket.of(ticket, min(line.at_us for line in lines))
        if tickets is not None:
            reading.writes.setdefault(_TICKETS, []).append((task_id, source, key, *facts.columns()))
        billed = sum(known.values()) + sum(line.nano for line in fresh)
        return Work(
            self._task(key, lines, facts, max(billed, 0), register, reading.order), [], facts.verdicts(key)
        )

    def _task(
        self,
        key: str,
        lines: list[Line],
        ticket: "_Ticket",
        billed_nano: int,
        register: Register,
        order: Order,
    ) -> Cells:
        first = min(lines, key=lambda line: line.at_us)
        name = order.fixed.get("name") or first.name or "resolution"
        opened_at_us = ticket.opened_at_us or first.at_us
        closed_at_us = ticket.closed_at_us or first.at_us
        window_us = register.of(name, opened_at_us).window_us or 0
        labels = {f"label.{label}": value for label, value in json.loads(first.labels).items()}
        return {
            "task": key,
            "name": name,
            "path": order.fixed.get("path", self._vendor.key),
            "outcome": "assumed",
            "opened_at": str(min(opened_at_us, closed_at_us)),
            "closed_at": str(closed_at_us),
            "matures_at": str(closed_at_us + window_us),
            "cost": decimal_text(billed_nano),
            **labels,
            "label.vendor": self._vendor.key,
            "label.unit": first.unit,
        }


def _lines_before(book: Book, source: str) -> dict[str, dict[str, int]]:
    """What was billed before, by task and line."""
    found: dict[str, dict[str, int]] = {}
    rows = book.rows("SELECT task_id, id, billed_nano FROM bought_outcomes WHERE source = ?", (source,))
    for task_id, line, nano in rows:
        found.setdefault(str(task_id), {})[str(line)] = int(str(nano))
    return found


def _is_total(row: Row) -> bool:
    """The row adds others up: it names no conversation, and says so in one of its cells."""
    if "conversation" in row.cells:
        return False
    values = (cell.partition("=")[2] for cell in row.content.split("\x1f"))
    return any(value.strip(" :").casefold() in _TOTALS for value in values)


def _line(row: Row, order: Order, vendor: Vendor, seen: dict[str, str]) -> Line | Unread | None:
    """The line of a row; None for the very line again."""
    place = f"line {row.line}"
    cells = row.cells
    if row.problem:
        return Unread(place, row.problem, row.content)
    at_us = int(cells["at"]) if "at" in cells else order.at_us
    if at_us is None:
        return Unread(place, "Found no date in this line: --at DATE gives one to lines without.", row.content)
    try:
        nano, currency = _amount(cells, order)
    except BadInput as problem:
        return Unread(place, str(problem), row.content)
    key = cells.get("line")
    content = hashlib.sha256(row.content.encode()).hexdigest()
    if key is not None:
        if key in seen:
            said = f"Found the line {key!r} a second time, with other content: is that its whole key?"
            return None if seen[key] == content else Unread(place, said, row.content)
        seen[key] = content
    else:
        count = int(seen.get(content, "0"))
        seen[content] = str(count + 1)
        key = f"{content}:{count}"
    return Line(
        id=str(derived("bought", order.source, key)),
        place=row.line,
        conversation=cells.get("conversation"),
        at_us=at_us,
        nano=nano,
        currency=currency,
        unit=cells.get("unit", vendor.unit),
        reported_as=cells.get("reported_as"),
        quantity=cells.get("quantity"),
        name=cells.get("name"),
        labels=row.labels,
    )


def _amount(cells: Mapping[str, str], order: Order) -> tuple[int, str]:
    """What a line costs in nano-dollars, and the currency it was written in; below zero for a credit."""
    if "price" in cells:
        amount, sign = _parsed(cells["price"], order)
    elif "unit_price" in cells:
        amount, sign = _parsed(cells["unit_price"], order)
        amount *= _decimal(cells.get("quantity", "1"), order)
    else:
        raise BadInput(
            "Found no price in this line: name its column with --map price=COLUMN, or give one to all lines "
            "with --set unit_price=0.99."
        )
    currency = (cells.get("currency") or sign or cells.get("currency_named") or "USD").upper()
    if currency == "USD":
        return nano_of(amount), currency
    rate = order.exchange.get(currency)
    if rate is None:
        raise BadInput(
            f"Found an amount in {currency}: --exchange {currency}=RATE@DATE says what that is worth."
        )
    return nano_of(amount * rate.rate), currency


def _parsed(text: str, order: Order) -> tuple[Decimal, str | None]:
    stripped = text.strip()
    is_credit = stripped.startswith("(") and stripped.endswith(")")  # as accountants write below zero
    amount, sign = parse_amount(_pointed(stripped[1:-1] if is_credit else stripped, order))
    return (-amount if is_credit else amount), sign


def _pointed(text: str, order: Order) -> str:
    """The amount with a decimal point, where the order says it has a comma, or it can be nothing else."""
    is_comma = order.decimal_comma
    if is_comma is None:
        is_comma = _DECIMAL_COMMA.fullmatch(text) is not None
    return text.replace(".", "").replace(",", ".") if is_comma else text


def _decimal(text: str, order: Order) -> Decimal:
    try:
        number = Decimal(_pointed(text, order).replace(",", ""))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadInput(f"Found {text[:60]!r} where a quantity was expected: write a number like 20.")
    return number


@dataclass(frozen=True, slots=True)
class _Ticket:
    """What your own system says of one conversation; nothing, where it knows of none."""

    name: str | None
    opened_at_us: int | None
    closed_at_us: int | None
    reopened_at_us: int | None
    is_reopened: bool | None
    is_handed_off: bool | None
    csat: str | None
    billed_at_us: int

    @classmethod
    def of(cls, row: Row | None, billed_at_us: int) -> "_Ticket":
        cells = row.cells if row is not None else {}

        def moment(name: str) -> int | None:
            return int(cells[name]) if name in cells else None

        def happened(name: str) -> bool | None:
            return cells[name] == "true" if name in cells else None

        return cls(
            name=None if row is None else cells.get("ticket", cells["conversation"]),
            opened_at_us=moment("opened_at"),
            closed_at_us=moment("closed_at"),
            reopened_at_us=moment("reopened_at"),
            is_reopened=True if "reopened_at" in cells else happened("reopened"),
            is_handed_off=happened("handed_off"),
            csat=cells.get("csat"),
            billed_at_us=billed_at_us,
        )

    def columns(self) -> tuple[str | int | None, ...]:
        """As the book keeps them."""
        flags = (None if flag is None else int(flag) for flag in (self.is_reopened, self.is_handed_off))
        return self.name, self.opened_at_us, self.closed_at_us, self.reopened_at_us, *flags, self.csat

    def verdicts(self, key: str) -> list[Cells]:
        """What the ticket says against the vendor's word, or for it."""
        ended = self.closed_at_us or self.billed_at_us
        said: list[tuple[str, str, int, str | None]] = []
        if self.is_reopened:
            said.append(("signal:reopened", "fail", self.reopened_at_us or ended + 1, None))
        if self.is_handed_off:
            said.append(("ticket:handed-off", "fail", ended, None))
        if self.csat is not None:
            said.append(("signal:csat", "abstain", ended, self.csat))
        return [
            {
                "id": f"{key}/{verifier}/{at_us}/{score or ''}",
                "verifier": verifier,
                "version": "1",
                "kind": "customer" if verifier == "signal:csat" else "signal",
                "result": result,
                "score": score,
                "evidence": evidence([key, self.name, *self.columns()]),
                "at": str(at_us),
            }
            for verifier, result, at_us, score in said
        ]


def check_vendor(name: str | None) -> str:
    """The vendor's name; raises ``BadUsage`` where there is none."""
    if not name or not name.strip():
        raise BadUsage("Found no vendor: say --vendor intercom-fin, or what yours is called.")
    return name
