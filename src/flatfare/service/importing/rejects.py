"""The rejects file: each row that could not be read, with its line and the reason, as JSON Lines.

It is written aside and moved to its name whole; a run without rejects leaves none of
an earlier run behind.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.sources import STDIN

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PAGE = 10_000


def rejects_path(name: str, given: str | None) -> Path:
    """Where the rejects of a file go: beside it, or where the order says."""
    if given:
        return Path(given)
    return Path("stdin.rejects.jsonl" if name in (STDIN, "standard input") else f"{name}.rejects.jsonl")


def write_rejects(file: Readable, path: Path) -> tuple[int, tuple[str, ...]]:
    """Write what was rejected; returns how many, and the first reasons. Nothing rejected, no file."""
    return write_records(records_of(file), path)


def write_records(records: Iterable[dict[str, object]], path: Path) -> tuple[int, tuple[str, ...]]:
    """Write these rejects; returns how many, and the first reasons. None, no file."""
    reasons: list[str] = []
    count = 0
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            for record in records:
                count += 1
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                if len(reasons) < 5 and record["reason"] not in reasons:
                    reasons.append(str(record["reason"]))
        if count:
            aside.replace(path)
        else:
            aside.unlink()
            path.unlink(missing_ok=True)
    except OSError as problem:
        with suppress(OSError):
            aside.unlink()
        if not count and next(iter(records), None) is None:
            return 0, ()
        raise StoreFailure(
            f"The rejects file {path} cannot be written: {problem.strerror}. Nothing was imported; "
            "name another place with --rejects PATH."
        ) from problem
    return count, tuple(reasons)


def records_of(file: Readable) -> Iterator[dict[str, object]]:
    """What of a file was rejected: its place, the reason, and the row."""
    for broken in file.raw.rejected:
        yield {file.raw.place: broken.line, "reason": broken.reason, "row": broken.row}
    columns = file.raw.columns
    selected = ", ".join(f"CAST(raw.{column.sql} AS VARCHAR)" for column in columns)
    for first, last in _pages(file.engine):
        rows = file.engine.execute(
            f"SELECT raw.line, marks.reason, {selected} FROM {file.raw.relation} AS raw "
            f"JOIN marks ON marks.line = raw.line WHERE marks.fate = 'rejected' "
            f"AND raw.line BETWEEN {first} AND {last} ORDER BY raw.line"
        ).fetchall()
        for line, reason, *cells in rows:
            row = {column.name: cell for column, cell in zip(columns, cells, strict=True) if cell is not None}
            yield {file.raw.place: line, "reason": reason, "row": row}


def _pages(engine: "DuckDBPyConnection") -> Iterator[tuple[int, int]]:
    """Spans of lines that hold so many rejects at most, so that memory stays bounded."""
    yield from engine.execute(
        "SELECT min(line), max(line) FROM (SELECT line, (row_number() OVER (ORDER BY line) - 1) "
        f"// {_PAGE} AS page FROM marks WHERE fate = 'rejected') GROUP BY page ORDER BY page"
    ).fetchall()
