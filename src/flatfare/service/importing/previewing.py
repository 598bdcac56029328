"""How a file would be read, without reading it in: which column is what, and the first rows as values."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service.importing.columns import recognised
from flatfare.service.importing.order import Order
from flatfare.service.importing.reading import Readable, readable
from flatfare.service.importing.run import CHECKS, checked_fixed, engine_in
from flatfare.service.importing.sources import opened, rows_of
from flatfare.service.importing.usage import overlaps_of
from flatfare.service.importing.watching import unwatched

_ROWS = 5
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a dry run shows."""

    file: str
    fields: dict[str, str]  # ours → where it comes from
    unused: tuple[str, ...]
    rows: tuple[dict[str, str | None], ...]  # the first rows as they would be read
    notes: tuple[str, ...]


def preview(name: str, order: Order) -> Preview:
    """Look at a file's columns and first rows; nothing is written."""
    with tempfile.TemporaryDirectory() as place:
        source = opened(name, Path(place))
        with engine_in(Path(place)) as engine:
            raw = rows_of(engine, source, order, unwatched, rows_max=_LOOKED_AT)
            mapping = recognised(order, raw.columns)
            checked_fixed(mapping, order)
            file = readable(engine, raw, mapping, order)
            CHECKS[order.kind](file, source.name)
            return Preview(
                source.name, _fields(file), mapping.unused, tuple(_rows(file)), tuple(_notes(file))
            )


def _fields(file: Readable) -> dict[str, str]:
    fields = {name: bound.says() for name, bound in file.mapping.fields.items()}
    return fields | {f"label.{key}": bound.says() for key, bound in file.mapping.labels.items()}


def _rows(file: Readable) -> list[dict[str, str | None]]:
    values = {name: f"CAST({file.value(name)} AS VARCHAR)" for name in file.mapping.fields}
    values["labels"] = file.labels()
    values["rejected"] = f"coalesce({', '.join([*file.problems(), 'NULL'])})"
    cells = ", ".join(f'{sql} AS "{name}"' for name, sql in values.items())
    rows = file.engine.execute(
        f"SELECT {cells} FROM {file.relation()} ORDER BY raw.line LIMIT {_ROWS}"
    ).fetchall()
    return [{name: _shown(file, name, cell) for name, cell in zip(values, row, strict=True)} for row in rows]


def _shown(file: Readable, name: str, cell: str | None) -> str | None:
    bound = file.mapping.fields.get(name)
    if cell is None or bound is None:
        return cell
    if bound.ours.sort == "moment":
        return iso(int(cell))
    return decimal_text(int(cell)) if bound.ours.sort == "amount" else cell


def _notes(file: Readable) -> list[str]:
    if file.order.kind == "calls":
        return [
            (
                f"Read with {overlaps_of(file.mapping).says()}; --set cached=… and --set reasoning=… say "
                "otherwise."
            )
        ]
    return []
