"""What the book and the lake already hold of what a file brings.

Only sealed files whose time span touches the file's are looked at.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flatfare.store import gathering, segments
from flatfare.store.book import Book
from flatfare.store.engine import load, quoted
from flatfare.store.folding import folding
from flatfare.store.lake import Lake
from flatfare.store.layout import AMOUNTS, CALLS, FOLDED, TASKS, VERDICTS, Column, names
from flatfare.store.segments import Segment, sealed_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def existing_calls(
    book: Book,
    lake: Lake,
    engine: "DuckDBPyConnection",
    source: str,
    first_us: int | None,
    last_us: int | None,
) -> str | None:
    """A relation of the calls that may be the file's own: each revision of each; None if there is none."""
    if first_us is None or last_us is None:
        return None
    parts = []
    hot = book.value("SELECT count(*) FROM calls WHERE source = ?", (source,))
    if hot:
        rows = book.stream(f"SELECT {names(CALLS)} FROM calls WHERE source = ? AND n = 1", (source,))
        load(engine, "hot_known", CALLS, rows)
        parts.append(f"SELECT {names(CALLS)} FROM hot_known")
    touching = segments.touching(book, "calls", [(first_us, last_us)])
    if touching:
        parts.append(
            f"SELECT {names(CALLS)} FROM {sealed_rows(touching, lake)} "
            f"WHERE source = {quoted(source)} AND n = 1"
        )
    if not parts:
        return None
    engine.execute(f"CREATE TEMP VIEW known_rows AS {' UNION ALL BY NAME '.join(parts)}")
    engine.execute(
        "CREATE TEMP VIEW newest_rows AS SELECT * FROM known_rows "
        "QUALIFY row_number() OVER (PARTITION BY id ORDER BY revision DESC) = 1"
    )
    return "known_rows"


def taken_back(kept: str, read: str) -> str:
    """The rows to write with each update's former revision taken back, and the new one numbered after it."""
    former = (
        f"(SELECT * FROM newest_rows WHERE id IN (SELECT id FROM {read} JOIN marks USING (line) "
        "WHERE marks.fate = 'update'))"
    )
    negated = ", ".join(
        "CAST(-1 AS BIGINT) AS n"
        if column.name == "n"
        else "revision + 1 AS revision"
        if column.name == "revision"
        else f"-{column.name} AS {column.name}"
        if column.name in AMOUNTS
        else column.name
        for column in CALLS
    )
    renewed = ", ".join(
        "coalesce(former.revision + 1, rows.revision) AS revision"
        if column.name == "revision"
        else f"rows.{column.name}"
        for column in CALLS
    )
    return (
        f"SELECT {renewed} FROM ({kept}) AS rows LEFT JOIN {former} AS former ON former.id = rows.id "
        f"UNION ALL BY NAME SELECT {negated} FROM {former}"
    )


def load_known_tasks(
    book: Book,
    lake: Lake,
    engine: "DuckDBPyConnection",
    read: str,
    task: str,
    verifier: str | None,
    placed: Sequence[Segment] = (),
) -> bool:
    """Make ``known_tasks`` and ``known_verdicts`` for the tasks a file speaks of; False if there are none.

    ``task`` is the column of ``read`` that holds their ids. A known task comes with
    ``is_stub``, where only a verdict made it, and ``said``, the verifier's last word. Files
    that this landing ``placed`` count as if they were listed.
    """
    tasks = _all_rows(book, lake, engine, "tasks", TASKS, placed)
    verdicts = _all_rows(book, lake, engine, "verdicts", VERDICTS)
    if tasks is None and verdicts is None:
        return False
    engine.execute(f"CREATE TEMP TABLE spoken_of AS SELECT DISTINCT {task} AS id FROM {read}")
    _make_known_verdicts(engine, verdicts)
    engine.execute("CREATE TEMP TABLE stub_imports (id UUID)")
    stubs = book.rows("SELECT id FROM imports WHERE kind = 'verdicts'")
    if stubs:
        with engine.appender("stub_imports") as appender:
            appender.append_rows(stubs)
    said = f"verifier = {quoted(verifier)}" if verifier else "false"
    columns = names(TASKS)
    source = tasks or f"SELECT {_nothing(TASKS)}"
    engine.execute(
        f"CREATE TEMP TABLE known_tasks AS SELECT {columns}, "
        "coalesce(import_id IN (SELECT id FROM stub_imports), false) AS is_stub, said FROM "
        f"(SELECT {columns} FROM ({source}) WHERE id IN (SELECT id FROM spoken_of) "
        "QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC) = 1) "
        "LEFT JOIN (SELECT task_id AS told, arg_max(judgement, position) AS said FROM known_verdicts "
        f"WHERE {said} GROUP BY task_id) ON told = id"
    )
    return True


def make_nothing_known(engine: "DuckDBPyConnection", read: str, task: str) -> None:
    """The same tables, empty: nothing was imported before."""
    engine.execute(f"CREATE TEMP TABLE spoken_of AS SELECT DISTINCT {task} AS id FROM {read}")
    _make_known_verdicts(engine, None)
    engine.execute(
        "CREATE TEMP TABLE known_tasks AS SELECT *, false AS is_stub, '' AS said FROM (SELECT "
        f"{_nothing(TASKS)})"
    )


def _make_known_verdicts(engine: "DuckDBPyConnection", verdicts: str | None) -> None:
    """The verdicts of the tasks in question, and the head of each one's chain."""
    source = verdicts or f"SELECT {_nothing(VERDICTS)}"
    engine.execute(
        f"CREATE TEMP TABLE known_verdicts AS SELECT {names(VERDICTS)} FROM ({source}) "
        "WHERE task_id IN (SELECT id FROM spoken_of)"
    )
    engine.execute(
        "CREATE TEMP TABLE heads AS SELECT task_id, max(position) + 1 AS next_position, "
        "arg_max(hash, position) AS hash FROM known_verdicts GROUP BY task_id"
    )


def _nothing(columns: tuple[Column, ...]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {column.lake_type}) AS {column.name}" for column in columns)
    return f"{nulls} WHERE false"


def _all_rows(
    book: Book,
    lake: Lake,
    engine: "DuckDBPyConnection",
    kind: str,
    columns: tuple[Column, ...],
    placed: Sequence[Segment] = (),
) -> str | None:
    """Hot and sealed rows of a kind, every version; None where there are none."""
    parts = []
    if book.value(f"SELECT count(*) FROM {kind}"):
        load(engine, f"hot_{kind}", columns, book.stream(f"SELECT {names(columns)} FROM {kind}"))
        parts.append(f"SELECT {names(columns)} FROM hot_{kind}")
    sealed = [*gathering.files_of(book, lake, kind), *(segment for segment in placed if segment.kind == kind)]
    if sealed:
        parts.append(f"SELECT {names(columns)} FROM {sealed_rows(sealed, lake)}")
    return " UNION ALL BY NAME ".join(parts) or None


def load_known_calls(book: Book, lake: Lake, engine: "DuckDBPyConnection") -> None:
    """Make ``call_tasks``: when the calls of the tasks in ``spoken_of`` ran, and by which model."""
    parts = []
    if book.value("SELECT count(*) FROM calls"):
        rows = book.stream(f"SELECT {names(CALLS)} FROM calls WHERE task_id IS NOT NULL")
        load(engine, "hot_of_tasks", CALLS, rows)
        parts.append(f"SELECT {names(FOLDED)} FROM ({folding('hot_of_tasks')})")
    sealed = gathering.files_of(book, lake, "folded")
    if sealed:
        parts.append(f"SELECT {names(FOLDED)} FROM {sealed_rows(sealed, lake)}")
    source = " UNION ALL BY NAME ".join(parts) or f"SELECT {_nothing(FOLDED)}"
    engine.execute(
        "CREATE TEMP TABLE call_tasks AS SELECT task_id, min(first_at_us) AS first_at_us, "
        "max(last_at_us) AS last_at_us, any_value(session) AS session, "
        "arg_max(model, output_tokens) FILTER (WHERE purpose = 'work') AS model "
        f"FROM ({source}) WHERE task_id IN (SELECT id FROM spoken_of) GROUP BY task_id"
    )
