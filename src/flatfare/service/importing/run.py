"""Import one file: look, read, mark, price, land. Whole or not at all, and twice is once."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.core.identity import time_ordered
from flatfare.service.costing.price_versions import keep_used
from flatfare.service.costing.pricing import open_price_book
from flatfare.service.importing import calls, costs, judged, leaderboard, tasks, verdicts
from flatfare.service.importing import landing as land
from flatfare.service.importing.columns import FileMapping, recognised
from flatfare.service.importing.existing import (
    existing_calls,
    load_known_calls,
    load_known_tasks,
    make_nothing_known,
    taken_back,
)
from flatfare.service.importing.marking import (
    NEVER,
    Tally,
    mark_known,
    mark_repeated_ids,
    mark_unreadable,
    mark_without_result,
    open_marks,
    tally,
    unmarked,
)
from flatfare.service.importing.order import Imported, Order
from flatfare.service.importing.parsing import fixed_problem
from flatfare.service.importing.reading import Readable, readable
from flatfare.service.importing.rejects import rejects_path, write_rejects
from flatfare.service.importing.sources import Source, opened, rows_of
from flatfare.service.importing.watching import OnProgress, unwatched, watched
from flatfare.service.tasks.defining import Register
from flatfare.store.book import Book
from flatfare.store.claiming import held
from flatfare.store.engine import open_engine, quoted, translated
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHECKS = {
    "calls": calls.check_columns,
    "tasks": tasks.check_columns,
    "verdicts": verdicts.check_columns,
    "leaderboard": leaderboard.check_columns,
}


@dataclass(frozen=True, slots=True)
class Stores:
    """Where an import goes, and how its costs count."""

    book: Book
    lake: Lake
    settings: Settings


def import_file(
    stores: Stores,
    name: str,
    order: Order,
    now_us: int,
    *,
    rejects: str | None = None,
    on_progress: OnProgress = unwatched,
    on_wait: Callable[[str], None] | None = None,
) -> Imported:
    """Import a file, or standard input for ``-``; returns what came of it.

    Raises ``BadInput`` where the file as a whole cannot be read, ``StoreFailure``
    where the book or the lake cannot be written; then nothing has changed.
    """
    with held(stores.book, stores.lake, on_wait), stores.lake.staging(str(uuid.uuid4())) as folder:
        source = opened(name, folder)
        source.start_hash()
        before = None
        if land.has_imports(stores.book, order.kind) and not order.update:
            before = land.imported_before(stores.book, order, source.sha256())
        if before:
            return Imported(source.name, order.kind, already_at_us=int(before[0] or 0))
        with translated(f"Importing {source.name}"), engine_in(folder) as engine:
            file = _opened_rows(engine, source, order, on_progress)
            with watched(engine, on_progress):
                return _import(stores, source, file, folder, now_us, rejects)


@contextmanager
def engine_in(folder: Path) -> Iterator["DuckDBPyConnection"]:
    """An engine whose tables and overflow lie in a folder that will be gone."""
    engine = open_engine(spill=folder / "spill")
    try:
        engine.execute(f"ATTACH {quoted(str(folder / 'rows.duckdb'))} AS stage")
        yield engine
    finally:
        engine.close()


def _opened_rows(
    engine: "DuckDBPyConnection", source: Source, order: Order, on_progress: OnProgress
) -> Readable:
    raw = rows_of(engine, source, order, on_progress)
    mapping = recognised(order, raw.columns)
    checked_fixed(mapping, order)
    return readable(engine, raw, mapping, order)


def checked_fixed(mapping: FileMapping, order: Order) -> None:
    """Raises ``BadUsage`` where a value given by ``--set`` cannot be one of its field."""
    for name, bound in mapping.fields.items():
        if problem := fixed_problem(bound, order):
            raise BadUsage(f"Found --set {name}={bound.fixed}: {problem}")


def _import(
    stores: Stores, source: Source, file: Readable, folder: Path, now_us: int, rejects: str | None
) -> Imported:
    import_id = str(time_ordered(now_us, os.urandom(10)))
    path = rejects_path(source.name, rejects)
    CHECKS[file.order.kind](file, source.name)
    version = source.sha256()[:12] if file.order.kind in ("tasks", "verdicts") else ""
    with land.landing(stores.book, stores.lake, folder, import_id) as landing:
        counts, more = landed(stores, file, landing, version, now_us)
        reasons: tuple[str, ...] = ()
        _, reasons = write_rejects(file, path)
        row = land.ImportRow(import_id, file.order, source.name, source.sha256(), counts)
        landing.list_all(row, now_us)
    return Imported(
        source.name,
        file.order.kind,
        counts.read,
        counts.new,
        counts.updated,
        counts.known,
        counts.rejected,
        rejects_file=str(path) if counts.rejected else None,
        first_reasons=reasons,
        notes=tuple(_notes(file)),
        more=more,
    )


def landed(
    stores: Stores, file: Readable, landing: land.Landing, version: str, now_us: int
) -> tuple[Tally, dict[str, int]]:
    """Read, mark and land the file's rows by their kind; the counts, and what came with them."""
    if file.order.kind == "calls":
        return _calls(stores, file, landing, now_us), {}
    if file.order.kind == "leaderboard":
        counts, said = leaderboard.land_leaderboard(file, landing, stores.book, now_us)
        file.notes += said
        return counts, {}
    if file.order.kind == "tasks":
        return _tasks(stores, file, landing, version, now_us)
    return _verdicts(stores, file, landing, version)


def _tasks(
    stores: Stores, file: Readable, landing: land.Landing, version: str, now_us: int
) -> tuple[Tally, dict[str, int]]:
    engine = file.engine
    register = Register(stores.book)
    read = tasks.read_tasks(file, landing.import_id, version, now_us, tasks.windows_of(register))
    rows = _open(file, read, "task")
    verifier = tasks.verifier_of(file)
    has_known = load_known_tasks(stores.book, stores.lake, engine, read, "id", verifier)
    if not has_known and register.has_any:  # an outcome that a source gives is one verdict among those needed
        make_nothing_known(engine, read, "id")
        has_known = True
    elif has_known:
        taken = "true" if file.order.update else "theirs.is_stub"
        changed = f"theirs.is_stub OR {tasks.differs(file)}"
        mark_known(engine, read, "known_tasks", changed, taken, "task")
    counts = tally(engine, rows, len(file.raw.rejected))
    said = 0
    if counts.new or counts.updated:
        kept = unmarked(engine, read)
        said = judged.land_tasks(file, landing, kept, register, has_known=has_known, now_us=now_us)
    return counts, {"verdicts": said}


def _verdicts(
    stores: Stores, file: Readable, landing: land.Landing, version: str
) -> tuple[Tally, dict[str, int]]:
    engine = file.engine
    read = verdicts.read_verdicts(file, landing.import_id, version)
    rows = _open(file, read, "id")
    silent = mark_without_result(engine, read)
    verdicts.check_results(file, silent, rows)
    if not load_known_tasks(stores.book, stores.lake, engine, read, "task_id", None, landing.placed):
        make_nothing_known(engine, read, "task_id")
    mark_known(engine, read, "known_verdicts", verdicts.differs(file), NEVER, "verdict")
    counts = tally(engine, rows, len(file.raw.rejected))
    made = 0
    if counts.new:
        load_known_calls(stores.book, stores.lake, engine)
        made = judged.land_verdicts(
            file, landing, unmarked(engine, read), landing.import_id, Register(stores.book)
        )
    return counts, {"tasks_made": made, "without_result": silent}


def _open(file: Readable, read: str, what: str) -> int:
    """Mark what cannot be read and what the file itself holds twice; returns how many rows it has."""
    engine = file.engine
    open_marks(engine)
    checked = engine.execute(f"SELECT count(*), count(reason) FROM {read}").fetchone() or (0, 0)
    mark_unreadable(engine, read, bool(checked[1]))
    mark_repeated_ids(engine, "external_id", read, what, file.raw.place)
    return int(checked[0])


def _calls(stores: Stores, file: Readable, landing: land.Landing, now_us: int) -> Tally:
    engine = file.engine
    read = calls.read_calls(file, landing.import_id)
    open_marks(engine)
    checked = engine.execute(
        f"SELECT count(*), count(reason), min(at_us), max(at_us) FROM {read}"
    ).fetchone() or (0, 0, None, None)
    mark_unreadable(engine, read, bool(checked[1]))
    mark_repeated_ids(engine, "external_id", read, "id", file.raw.place)
    existing = existing_calls(stores.book, stores.lake, engine, file.order.source, checked[2], checked[3])
    if existing:
        mark_known(engine, read, existing, calls.differs(file), str(file.order.update).lower(), "call")
    counts = tally(engine, int(checked[0]), len(file.raw.rejected))
    if not counts.new and not counts.updated:
        return counts
    prices = open_price_book(stores.settings)
    kept = calls.priced_calls(file, unmarked(engine, read), prices, stores.settings.cost_that_counts)
    if counts.updated:
        kept = taken_back(kept, read)
    landing.take(engine, "calls", kept)
    landing.writes.append(lambda book: keep_used(book, prices, now_us))
    return counts


def _notes(file: Readable) -> Iterator[str]:
    """What a person should know of how the file was read, once."""
    yield from file.notes
    if file.order.kind == "calls":
        yield from calls.notes(file)
    if file.order.kind == "tasks" and (said := tasks.time_note(file)):
        yield said
    if file.order.kind in ("calls", "tasks") and (said := costs.small_note(file)):
        yield said
    unused = file.mapping.unused
    if unused:
        shown = ", ".join(unused[:12]) + (f" and {len(unused) - 12} more" if len(unused) > 12 else "")
        yield (
            f"Not read: {shown}. Map one with --map FIELD={unused[0]}, keep all as labels with "
            "--keep-unknown."
        )
    unzoned = file.unzoned()
    if unzoned and file.engine.execute(f"SELECT 1 FROM {file.base} WHERE {unzoned} LIMIT 1").fetchone():
        yield "Times without a zone were taken as UTC."
