"""Import what another tool wrote of its work: tasks, calls and verdicts of one file, in one step.

The tool's own reader rewrites the file into rows; from there on every row takes the way of any
import, so that what is known stays known and what cannot be read is rejected with its reason. An
item whose task is rejected brings no calls and no verdicts either.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.identity import time_ordered
from flatfare.service.importing import inspect_logs, junit_reports, simulations, swe_reports
from flatfare.service.importing import landing as land
from flatfare.service.importing.columns import recognised
from flatfare.service.importing.fields import KINDS
from flatfare.service.importing.found import Cells, Found, Reader, Reading, Unread
from flatfare.service.importing.marking import Tally
from flatfare.service.importing.order import Imported, Order
from flatfare.service.importing.reading import Readable, readable
from flatfare.service.importing.rejects import records_of, rejects_path, write_records
from flatfare.service.importing.run import Stores, checked_fixed, engine_in, landed
from flatfare.service.importing.sources import Raw, Source, opened_whole
from flatfare.service.importing.textual import TABLE, TextTable
from flatfare.service.importing.watching import OnProgress, unwatched
from flatfare.store.book import Book
from flatfare.store.claiming import held
from flatfare.store.engine import quoted, translated
from flatfare.store.home import Value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool whose results can be imported."""

    read: Reader
    pattern: str  # how its files are called
    item: str  # what it calls one piece of work
    is_together: bool = False  # its files are small and many: several come in as one import
    is_correcting: bool = False  # what it says of a task that is here is newer


TOOLS: Mapping[str, Tool] = {
    "inspect": Tool(inspect_logs.read, "*.eval", "sample"),
    "tau": Tool(simulations.read, "*.json", "simulation"),
    "swe-bench": Tool(swe_reports.read, "*.json", "instance", is_together=True),
    "junit": Tool(junit_reports.read, "*.xml", "test", is_together=True),
}
"""By the name of their import."""

_PARTS = ("tasks", "calls", "verdicts")


def import_results(
    stores: Stores,
    names: Sequence[str],
    order: Order,
    now_us: int,
    *,
    rejects: str | None = None,
    tool: Tool | None = None,
    on_progress: OnProgress = unwatched,
    on_wait: Callable[[str], None] | None = None,
) -> Imported:
    """Import the results in these files as one; returns what came of it, counted in pieces of work.

    ``tool`` reads them, the one of the order's kind if none is given.

    Raises ``BadInput`` where a file as a whole cannot be read, ``StoreFailure`` where the book or
    the lake cannot be written; then nothing has changed.
    """
    check_fixed(order)
    tool = tool or TOOLS[order.kind]
    with held(stores.book, stores.lake, on_wait), stores.lake.staging(str(uuid.uuid4())) as folder:
        files = [opened_whole(name, folder, tool.pattern) for name in names]
        whole = _Whole(files)
        before = None
        if land.has_imports(stores.book, order.kind) and not order.update:
            before = land.imported_before(stores.book, order, whole.sha256())
        if before:
            return Imported(whole.name, order.kind, already_at_us=int(before[0] or 0))
        with translated(f"Importing {whole.name}"), ExitStack() as engines:
            part = {kind: _Part(engines, folder / kind) for kind in _PARTS}
            progress = _Progress(on_progress, files)
            bringing = _Bringing(stores, order, tool, whole, part, folder, now_us)
            bringing.fill(progress)
            return bringing.land(rejects)


def check_fixed(order: Order) -> None:
    """Raises ``BadUsage`` where a value given by ``--set`` is one of no field."""
    known = {name for kind in {*_PARTS, order.kind} & KINDS.keys() for name in KINDS[kind]}
    for name in order.fixed:
        if name not in known and not name.startswith("label."):
            raise BadUsage(
                f"Found --set {name}: for {order.kind} it is a field such as path, name or provider, or "
                "label.<key>."
            )


@dataclass(slots=True)
class _Whole:
    """The files of one import, as one."""

    files: list[Source]

    @property
    def name(self) -> str:
        more = len(self.files) - 1
        return f"{self.files[0].name} and {more} more" if more else self.files[0].name

    def sha256(self) -> str:
        """The file's fingerprint, or that of all their fingerprints."""
        if len(self.files) == 1:
            return self.files[0].sha256()
        return hashlib.sha256("".join(sorted(file.sha256() for file in self.files)).encode()).hexdigest()


@dataclass(slots=True)
class _Progress:
    """How many bytes of the files have been read."""

    tell: OnProgress
    files: list[Source]
    done: int = 0

    def passed(self, file: Source) -> None:
        self.done += file.size
        self.tell(self.done, sum(file.size for file in self.files))


class _Part:
    """The rows of one kind, in an engine of their own."""

    def __init__(self, engines: ExitStack, folder: Path) -> None:
        folder.mkdir()
        self.engine: DuckDBPyConnection = engines.enter_context(engine_in(folder))
        self.table = TextTable(self.engine, lambda: None, None)
        self.table.place = "row"
        self._line = 0

    def add(self, cells: Cells) -> None:
        """Take a row; a cell without a value makes no column."""
        self._line += 1
        named: Cells = {name: value for name, value in cells.items() if value is not None}
        self.table.add(self._line, self.table.in_places(named))

    @property
    def is_empty(self) -> bool:
        return not self._line

    def without(self, tasks: Iterable[str]) -> None:
        """Drop the rows of these tasks."""
        column = next((column for column in self.table.columns if column.name == "task"), None)
        keys = ", ".join(quoted(task) for task in tasks)
        if keys and column:
            self.engine.execute(f"DELETE FROM {TABLE} WHERE {column.sql} IN ({keys})")

    def readable(self, order: Order) -> Readable:
        """The rows with each field bound to the column of its own name."""
        raw = Raw("raw", self.table.columns, [], "row", rows=self.table.rows)
        bound = recognised(order, raw.columns)
        checked_fixed(bound, order)
        return readable(self.engine, raw, bound, order)


@dataclass(slots=True)
class _Bringing:
    """One import under way."""

    stores: Stores
    order: Order
    tool: Tool
    whole: _Whole
    parts: Mapping[str, _Part]
    folder: Path
    now_us: int
    unread: list[Unread] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    merged: dict[str, Cells] = field(default_factory=dict)  # tasks by key, where files speak of the same
    writes: dict[str, list[tuple[Value, ...]]] = field(default_factory=dict)  # rows of the book
    has_times: bool = False

    def fill(self, progress: _Progress) -> None:
        """Have the files rewritten into rows.

        Raises ``BadInput`` where there is nothing in them.
        """
        for file in self.whole.files:
            reading = Reading(file.path, file.name, self.order, file.sha256, self.stores.book)
            self._take(self.tool.read(reading))
            self.notes += reading.told()
            for statement, rows in reading.writes.items():
                self.writes.setdefault(statement, []).extend(rows)
            progress.passed(file)
        for cells in self.merged.values():
            self.parts["tasks"].add(cells)
        for part in self.parts.values():
            part.table.finish()
        if self.parts["tasks"].is_empty and not self.unread:
            raise BadInput(f"{self.whole.name} holds no results: nothing was imported.")

    def _take(self, found: Found) -> None:
        for item in found:
            if isinstance(item, Unread):
                self.unread.append(item)
                continue
            cells: Cells = {name: cell for name, cell in item.task.items() if cell is not None}
            key = str(cells["task"])
            self.has_times |= "opened_at" in cells or "closed_at" in cells
            if self.tool.is_together:  # a report and what it cost may stand in two files
                self.merged[key] = cells | self.merged.get(key, {})
            else:
                self.parts["tasks"].add(cells)
            for kind, rows in (("calls", item.calls), ("verdicts", item.verdicts)):
                for row in rows:
                    self.parts[kind].add({"task": key, **row})

    def land(self, rejects: str | None) -> Imported:
        """Read, mark and land every kind, and make it all true in one transaction."""
        import_id = str(time_ordered(self.now_us, os.urandom(10)))
        version = self.whole.sha256()[:12]
        path = rejects_path(self.whole.files[0].name, rejects)
        files: dict[str, Readable] = {}
        tallies = dict.fromkeys(_PARTS, Tally(0, 0, 0, 0, 0))
        with land.landing(self.stores.book, self.stores.lake, self.folder, import_id) as landing:
            for kind in _PARTS:
                part = self.parts[kind]
                if part.is_empty:
                    continue
                if kind != "tasks":
                    part.without(_rejected_tasks(files.get("tasks")))
                files[kind] = part.readable(self._order_of(kind))
                tallies[kind], _ = landed(self.stores, files[kind], landing, version, self.now_us)
            _, reasons = write_records(self._rejected(files), path)
            counts = self._counts(tallies)
            landing.writes.append(self._write)
            row = land.ImportRow(import_id, self.order, self.whole.name, self.whole.sha256(), counts)
            landing.list_all(row, self.now_us)
        return Imported(
            self.whole.name,
            self.order.kind,
            counts.read,
            counts.new,
            counts.updated,
            counts.known,
            counts.rejected,
            rejects_file=str(path) if counts.rejected else None,
            first_reasons=reasons,
            notes=tuple(self._notes()),
            more={kind: tallies[kind].new for kind in ("calls", "verdicts")},
        )

    def _write(self, book: Book) -> None:
        """What does not live in the lake, in the landing's own transaction."""
        for statement, rows in self.writes.items():
            book.execute_many(statement, rows)

    def _order_of(self, kind: str) -> Order:
        """The order for the rows of one kind: what was asked, as far as it is a matter of this kind."""
        fixed = {
            name: value
            for name, value in self.order.fixed.items()
            if name in KINDS[kind] or name.startswith("label.")
        }
        if kind == "calls":
            fixed |= {"cached": "inside", "reasoning": "inside"}
        is_at_now = self.order.at_us is None and not self.has_times
        return replace(
            self.order,
            kind=kind,
            fixed=fixed,
            maps={},
            values={ours: words for ours, words in self.order.values.items() if ours in KINDS[kind]},
            choices={},
            at_us=self.order.at_us if kind == "tasks" else self.order.at_us or self.now_us,
            is_at_now=is_at_now,
            update=self.order.update or self.tool.is_correcting,
        )

    def _counts(self, tallies: Mapping[str, Tally]) -> Tally:
        """Counted in pieces of work; rejected calls and verdicts are rejects too."""
        tasks = tallies["tasks"]
        more = sum(tallies[kind].rejected for kind in ("calls", "verdicts"))
        unread = len(self.unread)
        return replace(tasks, read=tasks.read + unread, rejected=tasks.rejected + unread + more)

    def _rejected(self, files: Mapping[str, Readable]) -> Iterator[dict[str, object]]:
        for item in self.unread:
            yield {"place": item.place, "reason": item.reason, "row": item.row}
        for kind, file in files.items():
            for record in records_of(file):
                yield {"kind": kind, **record}

    def _notes(self) -> Iterator[str]:
        yield from dict.fromkeys(self.notes)
        if not self.has_times and self.order.at_us is None:
            yield "Nothing says when this was: the moment of this import was taken; --at TIME gives another."


def _rejected_tasks(file: Readable | None) -> list[str]:
    """The keys of the tasks that were rejected."""
    if file is None:
        return []
    rows = file.engine.execute(
        "SELECT DISTINCT external_id FROM read JOIN marks USING (line) WHERE marks.fate = 'rejected' "
        "AND external_id IS NOT NULL"
    ).fetchall()
    return [str(key) for (key,) in rows]
