"""Leaderboards: each row what somebody published of one path on one benchmark, as sums over its tasks.

A rate becomes successes by its own count of tasks, a mean cost a total; the digits
that were published stand beside.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from functools import partial

from flatfare.core.errors import BadInput
from flatfare.core.identity import derived
from flatfare.core.money import half_even
from flatfare.service.importing import costs
from flatfare.service.importing.landing import Landing
from flatfare.service.importing.marking import Tally
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.tasks import path_of
from flatfare.store.book import Book, Value

_AMOUNTS = ("mean_cost", "total_cost", "cost", "simulation_cost", "total_simulation_cost")
_NUMBERS = ("n", "successes", "rate", "calls_per_task")
_COLUMNS = (
    "id", "benchmark", "domain", "path", "labels", "at_us", "n", "successes", "rate_digits", "cost_nano",
    "cost_reason", "cost_digits", "simulation_nano", "calls_per_task", "input_tokens", "output_tokens",
    "source", "import_id",
)  # fmt: skip
_INSERT = f"INSERT INTO aggregates ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_COMPARED = slice(5, 16)  # from at_us to output_tokens: what a published row says

_Cells = dict[str, object]


def check_columns(file: Readable, name: str) -> None:
    """Raises ``BadInput`` where the file's columns make no leaderboard."""
    columns = ", ".join(column.name for column in file.raw.columns)
    if not file.mapping.has("path", "model", "agent"):
        raise BadInput(f"{name} names no path, model or agent. It has: {columns}. Say --map path=COLUMN.")
    if not file.mapping.has("successes", "rate"):
        raise BadInput(
            f"{name} has neither successes nor a rate. It has: {columns}. Say --map successes=COLUMN or "
            "--map rate=COLUMN."
        )
    if not file.mapping.has("n"):
        raise BadInput(
            f"{name} does not say of how many tasks each result is. It has: {columns}. Say --map n=COLUMN or "
            "--set n=100."
        )
    if file.mapping.has("cost") and not file.mapping.has("mean_cost", "total_cost") and not _cost_is(file):
        bound = file.mapping.fields["cost"].says()
        raise BadInput(
            f"Is the cost in column {bound!r} of {name} that of one task, or of all? Say --set cost=mean or "
            "--set cost=total."
        )


def _cost_is(file: Readable) -> str | None:
    return file.mapping.switches.get("cost")


@dataclass(frozen=True, slots=True)
class _Scale:
    """How the rates of a file are meant, decided over the whole column."""

    divisor: int  # 1 for fractions, 100 for percent


def land_leaderboard(file: Readable, landing: Landing, book: Book, now_us: int) -> tuple[Tally, list[str]]:
    """Read the rows and have them written to the book; the counts, and what a person should know."""
    engine = file.engine
    engine.execute("CREATE TEMP TABLE marks (line BIGINT, fate VARCHAR, reason VARCHAR)")
    rows = _rows(file)
    scale = _scale(file, rows)
    known = {str(row[0]): row for row in book.rows(f"SELECT {', '.join(_COLUMNS)} FROM aggregates")}
    seen: dict[str, tuple[Value, ...]] = {}
    fates: list[tuple[int, str, str | None]] = []
    kept: list[tuple[Value, ...]] = []
    for cells in rows:
        line = int(str(cells["line"]))
        try:
            row = _row(file, cells, scale, landing.import_id)
            fate = _fate(row, known, seen, update=file.order.update)
        except BadInput as problem:
            fates.append((line, "rejected", str(problem)))
            continue
        seen[str(row[0])] = row
        if fate != "known":
            kept.append(row)
        if fate != "new":
            fates.append((line, fate, None))
    if fates:
        with engine.appender("marks") as appender:
            appender.append_rows(fates)
    if kept:
        landing.writes.append(partial(_write, rows=kept))
    counts = {fate: sum(own == fate for _, own, _ in fates) for fate in ("known", "update", "rejected")}
    broken = len(file.raw.rejected)
    new = len(rows) - sum(counts.values())
    tally = Tally(len(rows) + broken, new, counts["known"], counts["update"], counts["rejected"] + broken)
    return tally, list(_notes(file, rows, scale))


def _write(book: Book, rows: list[tuple[Value, ...]]) -> None:
    book.execute_many("DELETE FROM aggregates WHERE id = ?", [(row[0],) for row in rows])
    book.execute_many(_INSERT, rows)


def _rows(file: Readable) -> list[_Cells]:
    values = {name: file.value(name) for name in (*_NUMBERS, "input_tokens", "output_tokens", "at")}
    for name in ("benchmark", "domain"):
        values[name] = file.value(name)
    for name in _AMOUNTS:
        values[name] = file.value(name)
        values[f"{name}_digits"] = file.more(name, "digits")
        values[f"{name}_unknown"] = file.more(name, "unknown")
        values[f"{name}_text"] = _text(file, name)
    values |= {"setting": _setting(file), "path": path_of(file), "labels": file.labels(_label_fields(file))}
    values["problem"] = f"coalesce({', '.join([*file.problems(), 'NULL'])})"
    cells = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
    cursor = file.engine.execute(f"SELECT raw.line AS line, {cells} FROM {file.relation()} ORDER BY raw.line")
    names = [str(column[0]) for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _text(file: Readable, name: str) -> str:
    """An amount as the source wrote it: a mean is multiplied by its exact digits."""
    found = file.parsed.get(name)
    bound = file.mapping.fields.get(name)
    if found is None or bound is None or len(bound.columns) != 1:
        return "NULL"
    return f"CAST({bound.columns[0].sql} AS VARCHAR)"


def _label_fields(file: Readable) -> dict[str, str]:
    return {
        name: file.value(name)
        for name in ("agent", "model")
        if file.mapping.has(name) and name not in file.mapping.labels
    }


def _scale(file: Readable, rows: Iterable[_Cells]) -> _Scale:
    asked = file.mapping.switches.get("rate")
    if asked:
        return _Scale(100 if asked == "percent" else 1)
    rates = [Decimal(str(cells["rate"])) for cells in rows if cells["rate"] and "%" not in str(cells["rate"])]
    return _Scale(100 if any(rate > 1 for rate in rates) else 1)


def _row(file: Readable, cells: _Cells, scale: _Scale, import_id: str) -> tuple[Value, ...]:
    if cells["problem"]:
        raise BadInput(str(cells["problem"]))
    path = _needed(cells, "path", "path")
    n = _whole(cells, "n")
    successes, rate_digits = _successes(file, cells, n, scale)
    nano, reason, digits = _cost(file, cells, n)
    benchmark, domain = str(cells["benchmark"] or ""), str(cells["domain"] or "")
    labels = str(cells["labels"])
    at_us = cells["at"] if cells["at"] is not None else file.order.at_us
    key = (benchmark, domain, path, labels, str(cells["at"] or ""), str(cells["setting"]))
    return (
        str(derived("aggregate", file.order.source, *key)),
        benchmark,
        domain,
        path,
        labels,
        int(str(at_us)) if at_us is not None else None,
        n,
        successes,
        rate_digits,
        nano,
        reason,
        digits,
        _simulation(cells, n),
        _said(cells, "calls_per_task"),
        _count(cells, "input_tokens"),
        _count(cells, "output_tokens"),
        file.order.source,
        import_id,
    )


def _setting(file: Readable) -> str:
    """What else tells two published rows of one path apart, in SQL: words in columns that are not read."""
    words = [
        column
        for column in file.raw.columns
        if column.kind == "VARCHAR" and column.name in file.mapping.unused
    ]
    if not words:
        return "''"
    parts = ", ".join(f"{column.sql}" for column in sorted(words, key=lambda column: column.name))
    return f"md5(concat_ws(chr(31), {parts}))"


def _needed(cells: _Cells, name: str, what: str) -> str:
    if not cells[name]:
        raise BadInput(f"Found no {what} in this row.")
    return str(cells[name])


def _whole(cells: _Cells, name: str) -> int:
    number = Decimal(_needed(cells, name, name).rstrip("%"))
    if number != number.to_integral_value() or number < 0 or (name == "n" and number == 0):
        raise BadInput(f"Found {cells[name]} for {name}: expected a whole number above 0.")
    return int(number)


def _successes(file: Readable, cells: _Cells, n: int, scale: _Scale) -> tuple[int, str | None]:
    """Whole successes and the rate's digits: from the rate, unless only successes were asked for or given."""
    asked = {"successes", "rate"} & {*file.order.maps, *file.order.fixed}
    if cells["rate"] is None or (asked == {"successes"} and cells["successes"] is not None):
        successes = _whole(cells, "successes")
        if successes > n:
            raise BadInput(f"Found {successes} successes among {n} tasks: there cannot be more than tasks.")
        return successes, None
    said = str(cells["rate"])
    rate = Decimal(said.rstrip("%")) / (100 if said.endswith("%") else scale.divisor)
    if not 0 <= rate <= 1:
        raise BadInput(f"Found a success rate of {said}: it lies between 0 and 1, or 0 and 100 percent.")
    return int((rate * n).to_integral_value(ROUND_HALF_EVEN)), said


def _cost(file: Readable, cells: _Cells, n: int) -> tuple[int | None, str | None, str | None]:
    """(total in nano units, why that is unknown, the digits as published)."""
    for name in ("total_cost", "mean_cost", "cost"):
        unknown = cells[f"{name}_unknown"]
        if cells[name] is None and unknown is None:
            continue
        digits = str(cells[f"{name}_text"] or cells[f"{name}_digits"] or "")
        if unknown is not None:
            return None, str(unknown), digits
        nano = int(str(cells[name]))
        if nano == 0 and not file.order.zero_is_free and not costs.is_above_zero(digits):
            return None, costs.zero_reason(file, "input_tokens", "output_tokens"), "0"
        is_total = name == "total_cost" or (name == "cost" and _cost_is(file) == "total")
        return (nano if is_total else _times(nano, digits, n)), None, digits
    return None, "no cost given", None


def _times(nano: int, digits: str, n: int) -> int:
    """A mean times the number of tasks, from its own digits where they are plain, rounded once."""
    try:
        exact = Fraction(digits) * n * 10**9
    except (ValueError, ZeroDivisionError):
        return nano * n
    return half_even(exact.numerator, exact.denominator)


def _simulation(cells: _Cells, n: int) -> int | None:
    if cells["total_simulation_cost"] is not None:
        return int(str(cells["total_simulation_cost"]))
    if cells["simulation_cost"] is None:
        return None
    return _times(int(str(cells["simulation_cost"])), str(cells["simulation_cost_text"]), n)


def _said(cells: _Cells, name: str) -> str | None:
    return None if cells[name] is None else str(cells[name])


def _count(cells: _Cells, name: str) -> int | None:
    return None if cells[name] is None else int(str(cells[name]))


def _fate(
    row: tuple[Value, ...],
    known: dict[str, tuple[Value, ...]],
    seen: dict[str, tuple[Value, ...]],
    *,
    update: bool,
) -> str:
    key = str(row[0])
    if key in seen:
        if seen[key][_COMPARED] == row[_COMPARED]:
            return "known"
        raise BadInput(
            f"Found {row[3]!r} on {str(row[1]) or 'this benchmark'!r} a second time with other figures: "
            "what tells "
            "them apart? Name it with --map path=column+column or --map label.x=COLUMN."
        )
    if key not in known:
        return "new"
    if known[key][_COMPARED] == row[_COMPARED]:
        return "known"
    if not update:
        raise BadInput("This result was imported before with other figures: --update takes the new ones.")
    return "update"


def _notes(file: Readable, rows: list[_Cells], scale: _Scale) -> Iterable[str]:
    if file.mapping.has("rate"):
        meant = "percent" if scale.divisor == 100 else "fractions of 1"
        yield (
            f"Rates in {file.mapping.fields['rate'].says()!r} were read as {meant} (--set rate=… says "
            "otherwise)."
        )
    both = file.mapping.has("rate") and file.mapping.has("successes")
    if both and not {"successes", "rate"} & {*file.order.maps, *file.order.fixed}:
        differing = sum(_disagree(cells, scale) for cells in rows)
        if differing:
            rate, successes = (file.mapping.fields[name].says() for name in ("rate", "successes"))
            yield f"In {differing} rows {successes!r} is not {rate!r} times n: the rate was taken."


def _disagree(cells: _Cells, scale: _Scale) -> bool:
    if not cells["rate"] or cells["successes"] is None or cells["n"] is None:
        return False
    expected = Decimal(str(cells["rate"]).rstrip("%")) / scale.divisor * Decimal(str(cells["n"]))
    return abs(expected - Decimal(str(cells["successes"]).rstrip("%"))) > 1
