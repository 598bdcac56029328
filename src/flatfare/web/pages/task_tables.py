"""The tables of one task's page: its calls, attempts, verdicts, moves, rework and signals."""

from collections.abc import Callable, Mapping, Sequence

from flatfare.core.currency import dollars
from flatfare.core.moments import parse_moment
from flatfare.core.money import dollar_text
from flatfare.prices.version import ALWAYS, BETWEEN, named
from flatfare.service.arriving import prices_of
from flatfare.web.pages.blocks import Cell, Column, Csv, Table
from flatfare.web.pages.page import Visit
from flatfare.web.pages.prices import address_of
from flatfare.web.pages.ranked import WHY
from flatfare.web.pages.rendering import moment_text
from flatfare.web.pages.tasks import TONES

CALLS_SHOWN = 20
"""Calls in the table until all are asked for, so that what became of them is not far below."""

Records = Sequence[Mapping[str, object]]
Made = tuple[tuple[Column, ...], list[tuple[Cell, ...]]]
"""Columns, and a row for each record."""


_CALL_COLUMNS = (
    Column("Call", "left"),
    Column("Time", "left", gives_way=True),
    Column("For", "left", gives_way=True),
    Column("Ended", "left"),
    Column("Tokens in", gives_way=True),
    Column("Tokens out", gives_way=True),
    Column("Took"),
    Column("Cost"),
    Column("Prices", "left", gives_way=True),
)
_CALL_NAMES = (
    *("call", "time", "purpose", "status", "provider", "model", "input_tokens", "output_tokens"),
    *("duration_ms", "cost", "cost_basis", "price_version"),
)


def calls_table(calls: Records, visit: Visit) -> Table:
    """Each call, with what it cost; the first of them until all are asked for."""
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
            _prices(one),
        )
        for one, cost in zip(calls, costs, strict=True)
    )
    flat = [{**{name: one[name] for name in _CALL_NAMES}, "cost": _amount(one["cost"])} for one in calls]
    limit = CALLS_SHOWN if visit.asking.limit is None and visit.rows_max else visit.limit
    shown = rows[:limit]
    more = (f"Show all {len(rows):,}", visit.asking.url(limit="0")) if len(rows) > len(shown) else None
    return Table("calls", "Calls", _CALL_COLUMNS, shown, Csv(_CALL_NAMES, flat), more=more)


def _prices(call: Mapping[str, object]) -> Cell:
    """By which prices the call was costed: who says so and since when, and a way to them."""
    version = call["price_version"]
    if version is None:
        return Cell(prices_of(call) or "", tone="quiet")
    first = named(str(version).split(BETWEEN)[0])
    if first is None:
        return Cell(str(version), tone="quiet")
    said = first.layer if first.since == ALWAYS else f"{first.layer}, since {first.since}"
    return Cell(said, href=address_of(str(version)))


def _attempts(rows: Records, visit: Visit) -> Made:
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


def _verdicts(rows: Records, visit: Visit) -> Made:
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
            Cell(
                str(one["judgement"]),
                "" if one["counts"] else "does not count: not from the review queue",
                tone=tones.get(str(one["judgement"]), "quiet") if one["counts"] else "quiet",
            ),
            Cell(str(one["attempt_number"] or "")),
            Cell(_time(one["at"], visit), tone="when"),
            Cell(str(one["score"] or "")),
            Cell(str(one["evidence_hash"] or "")[:16], tone="code"),
            Cell(_dollars(one["cost"])),
        )
        for one in rows
    ]


def _moves(rows: Records, visit: Visit) -> Made:
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


def _rework(rows: Records, visit: Visit) -> Made:
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


def _signals(rows: Records, visit: Visit) -> Made:
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


HAPPENINGS: Mapping[str, tuple[str, Callable[[Records, Visit], Made]]] = {
    "attempts": ("Attempts", _attempts),
    "verdicts": ("Verdicts", _verdicts),
    "moves": ("How the outcome came about", _moves),
    "rework": ("Rework", _rework),
    "signals": ("Signals", _signals),
}
"""What a task's story tells beside its calls, each with the title of its table."""


def table(key: str, rows: Records, visit: Visit) -> Table:
    """What happened of one kind, a row each."""
    title, make = HAPPENINGS[key]
    columns, cells = make(rows, visit)
    return Table(key, title, columns, tuple(cells), Csv(tuple(rows[0]), rows))


def _number(value: object) -> int:
    return int(str(value or 0))


def _nano(cost: object) -> int | None:
    amount = _amount(cost)
    return None if amount is None else dollars(amount)


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
    return "" if amount is None else dollar_text(dollars(str(amount)))


def _time(text: object, visit: Visit, *, seconds: bool = False) -> str:
    if not text:
        return ""
    at_us = parse_moment(str(text))[0]
    return moment_text(at_us, visit.asking.zone) + (f":{at_us // 1_000_000 % 60:02d}" if seconds else "")
