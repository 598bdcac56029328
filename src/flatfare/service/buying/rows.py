"""The rows of a statement or of tickets, each read by its columns as any import reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flatfare.core.errors import BadInput
from flatfare.service.importing.columns import recognised
from flatfare.service.importing.order import Order
from flatfare.service.importing.reading import Readable, currency_named, readable
from flatfare.service.importing.run import checked_fixed, engine_in
from flatfare.service.importing.sources import opened, rows_of
from flatfare.service.importing.watching import unwatched
from flatfare.store.engine import translated


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its place, its fields as text, its labels as canonical JSON, and what is wrong with it."""

    line: int
    cells: dict[str, str]  # fields that have a value
    labels: str
    content: str  # the row as it was written
    problem: str | None


def read_rows(path: Path, name: str, order: Order) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of a file, and the columns that were not read; raises ``BadInput`` where it has none."""
    with TemporaryDirectory() as place, translated(f"Reading {name}"), engine_in(Path(place)) as engine:
        source = opened(str(path), Path(place))
        source.name = name
        raw = rows_of(engine, source, order, unwatched)
        mapping = recognised(order, raw.columns)
        checked_fixed(mapping, order)
        file = readable(engine, raw, mapping, order)
        if not mapping.has("conversation"):
            columns = ", ".join(column.name for column in raw.columns)
            raise BadInput(
                f"{name} has no column that names the conversation. It has: {columns}. Name it with "
                f"{'--ticket-map' if order.kind == 'tickets' else '--map'} conversation=COLUMN."
            )
        return list(_rows(file)), mapping.unused


def _rows(file: Readable) -> Iterator[Row]:
    for broken in file.raw.rejected:
        yield Row(broken.line, {}, "{}", str(broken.row), broken.reason)
    names = list(file.mapping.fields)
    amounts = [file.mapping.fields[name] for name in ("price", "unit_price") if name in names]
    named = next((own for bound in amounts if (own := currency_named(bound))), None)
    cells = ", ".join(f"CAST({file.value(name)} AS VARCHAR)" for name in names)
    problems = ", ".join([*file.problems(), "NULL"])
    found = file.engine.execute(
        f"SELECT raw.line, {file.labels()}, {file.content()}, coalesce({problems}), {cells} "
        f"FROM {file.relation()} ORDER BY raw.line"
    ).fetchall()
    for line, labels, content, problem, *values in found:
        known = {name: str(value) for name, value in zip(names, values, strict=True) if value is not None}
        if named is not None:
            known.setdefault("currency_named", named)
        yield Row(int(line), known, str(labels), str(content), problem)
