"""Bring outcome records into a book: whole files, each task once, ids and chains as they were.

A record that fails its check, or says something else of a task that is here, is rejected with its
line, path, found and expected; the rest comes in, in one transaction.
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import BadInput
from flatfare.core.identity import time_ordered
from flatfare.service.importing import landing as land
from flatfare.service.importing.marking import Tally
from flatfare.service.importing.order import LINE_BYTES_MAX, Imported, Order
from flatfare.service.importing.rejects import rejects_path, write_records
from flatfare.service.importing.run import Stores
from flatfare.service.importing.sources import opened_whole
from flatfare.service.importing.textual import lines, opened_text
from flatfare.service.outcomes.exporting import Wanted, exported
from flatfare.service.outcomes.rows import RowsOf, rows_of
from flatfare.service.outcomes.schema import Problem, shown
from flatfare.service.outcomes.validating import Line, checked
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.claiming import held
from flatfare.store.engine import translated
from flatfare.store.layout import CALLS, TASKS, VERDICTS, Column, lake_table, names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KIND = "outcomes"
_BATCH = 5_000
_AMOUNT = re.compile(r"-?\d+\.\d+")
_COLUMNS: Mapping[str, tuple[Column, ...]] = {"tasks": TASKS, "calls": CALLS, "verdicts": VERDICTS}


def lines_of(path: Path) -> Iterator[Line]:
    """The records of a file, each line checked; empty lines are none."""
    with opened_text(path) as stream:
        for line in lines(stream, "utf-8", LINE_BYTES_MAX):
            if line.problem:
                yield Line(line.number, None, (Problem("", shown(line.text), f"a record: {line.problem}"),))
            elif line.text.strip():
                yield checked(line.number, line.text)


def import_records(
    stores: Stores,
    name: str,
    now_us: int,
    *,
    rejects: str | None = None,
) -> Imported:
    """Import the records of a file; returns what came of it, counted in records.

    Raises ``BadInput`` where the file cannot be read, ``StoreFailure`` where the book or the lake
    cannot be written; then nothing has changed.
    """
    with held(stores.book, stores.lake), stores.lake.staging(str(uuid.uuid4())) as folder:
        source = opened_whole(name, folder, "*.jsonl")
        order = Order(KIND)
        before = land.imported_before(stores.book, order, source.sha256())
        if before and not before[2]:
            return Imported(source.name, KIND, already_at_us=int(before[0] or 0))
        import_id = str(time_ordered(now_us, os.urandom(10)))
        with (
            reading.opened(stores.book, stores.lake, "calls") as engine,
            translated(f"Importing {source.name}"),
            land.landing(stores.book, stores.lake, folder, import_id) as landing,
        ):
            bringing = _Bringing(stores, engine, import_id)
            bringing.take(lines_of(source.path))
            if not bringing.read:
                raise BadInput(f"{source.name} holds no records: nothing was imported.")
            return bringing.land(landing, order, source.name, source.sha256(), now_us, rejects)


@dataclass(slots=True)
class _Bringing:
    """One import under way."""

    stores: Stores
    engine: "DuckDBPyConnection"
    import_id: str
    read: int = 0
    new: int = 0
    known: int = 0
    rejected: list[dict[str, object]] = field(default_factory=list)
    brought: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, bytes] = field(default_factory=dict)  # fingerprints of the records of this file, by task
    _beside: list[RowsOf] = field(default_factory=list)  # attempts, rework, signals: rows of the book

    def take(self, found: Iterable[Line]) -> None:
        """Set the rows of each new record aside."""
        for kind, columns in _COLUMNS.items():
            self.engine.execute(lake_table(f"new_{kind}", columns))
        page: list[Line] = []
        for line in found:
            self.read += 1
            page.append(line)
            if len(page) >= _BATCH:
                self._take_page(page)
                page = []
        self._take_page(page)

    def _take_page(self, page: Sequence[Line]) -> None:
        asked = [_task_id(line.record) for line in page if line.record is not None]
        here = {
            _task_id(record): record
            for record in exported(self.stores.book, self.stores.lake, Wanted(ids=asked))
        }
        rows: list[RowsOf] = []
        for line in page:
            if line.record is None:
                self._reject(line.number, "; ".join(map(str, line.problems[:5])), None)
            elif self._is_new(line, here):
                rows.append(rows_of(line.record, self.import_id))
        self._write(rows)

    def _is_new(self, line: Line, here: Mapping[str, Mapping[str, object]]) -> bool:
        record = line.record
        assert record is not None
        task, print_ = _task_id(record), _fingerprint(record)
        other = here.get(task)
        former = self._seen.get(task) or (None if other is None else _fingerprint(other))
        if former is None:
            self._seen[task] = print_
            return True
        if former == print_:
            self.known += 1
        else:
            where = (
                _difference(_main(other), _main(record))
                if other is not None
                else "an earlier line of this file"
            )
            self._reject(line.number, f"This task is here already, and differs in {where}.", task)
        return False

    def _reject(self, number: int, reason: str, row: object) -> None:
        self.rejected.append({"line": number, "reason": reason, "row": row})

    def _write(self, rows: Sequence[RowsOf]) -> None:
        self.new += len(rows)
        for kind in _COLUMNS:
            every = [row for one in rows for row in one.lake[kind]]
            if every:
                with self.engine.appender(f"new_{kind}") as appender:
                    appender.append_rows(every)
        self._beside += [one for one in rows if one.has_beside]

    def land(
        self, landing: land.Landing, order: Order, name: str, sha256: str, now_us: int, rejects: str | None
    ) -> Imported:
        """Make it all true in one transaction."""
        path = rejects_path(name, rejects)
        _, reasons = write_records(iter(self.rejected), path)
        fresh = "NOT EXISTS (SELECT 1 FROM calls AS theirs WHERE theirs.id = new_calls.id)"
        for kind, columns in _COLUMNS.items():
            only = f" WHERE {fresh}" if kind == "calls" else ""
            query = f"SELECT {names(columns)} FROM new_{kind}{only}"
            self.brought[kind] = landing.take(self.engine, kind, query)
        landing.writes.append(self._write_beside)
        tally = Tally(self.read, self.new, self.known, 0, len(self.rejected))
        landing.list_all(land.ImportRow(self.import_id, order, name, sha256, tally), now_us)
        return Imported(
            name,
            KIND,
            self.read,
            self.new,
            0,
            self.known,
            len(self.rejected),
            rejects_file=str(path) if self.rejected else None,
            first_reasons=reasons,
            more={kind: self.brought[kind] for kind in ("calls", "verdicts")},
        )

    def _write_beside(self, book: Book) -> None:
        for one in self._beside:
            for statement, rows in one.book.items():
                book.execute_many(statement, rows)


def _task_id(record: Mapping[str, object]) -> str:
    task = record["task"]
    assert isinstance(task, dict)
    return str(task["id"])


def _fingerprint(record: Mapping[str, object]) -> bytes:
    """Of what a record says in the main, however it writes it."""
    said = json.dumps(_main(record), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).digest()


def _main(record: Mapping[str, object]) -> object:
    """What two records of one task must have in common: what it is, what it cost, who judged, how it stands.

    Single calls may be left out of one of them, and what follows from others may be written or not.
    """
    costs, attempts = _part(record, "costs"), _part(record, "attempts")
    return _plain(
        {
            **{name: record.get(name) for name in ("task", "path", "chain", "outcome", "settlement")},
            "attempts": attempts.get("count", 1),
            "costs": {name: {"amount": _part(costs, name).get("amount")} for name in costs},
        }
    )


def _part(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _plain(value: object) -> object:
    """A value without empty parts, amounts without trailing zeros."""
    if isinstance(value, dict):
        inner = {name: _plain(part) for name, part in value.items()}
        return {name: part for name, part in inner.items() if part not in (None, {}, False)}
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return value.rstrip("0").rstrip(".")
    return value


def _difference(here: object, there: object, path: str = "") -> str:
    """The first path at which two records differ."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted({*here, *there}):
            if here.get(name) != there.get(name):
                return _difference(here.get(name), there.get(name), f"{path}.{name}" if path else name)
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for number, (mine, theirs) in enumerate(zip(here, there, strict=True)):
            if mine != theirs:
                return _difference(mine, theirs, f"{path}[{number}]")
    return path
