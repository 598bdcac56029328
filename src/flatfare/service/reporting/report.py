"""The report: tasks and calls of a book in groups, each with what a verified outcome costs.

Every figure is a sum over single tasks and calls, whether they are sealed or hot, so
that the rows add up to the total to the last nano-dollar.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flatfare.service.reporting import aggregation, holdings, keys, ordering, outside, split, whole
from flatfare.service.reporting.facts import Sources
from flatfare.service.reporting.figures import Figures, Percentiles, Row
from flatfare.service.reporting.keys import Key, Kind
from flatfare.service.reporting.published import published_rows
from flatfare.service.reporting.question import COUNTS, Question, checked_zone, period_text
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.folding import DAY_US
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked, and its answer."""

    by: tuple[str, ...]
    since_us: int | None
    until_us: int | None
    as_of_us: int
    handoff_nano: int
    cost: str
    rows: tuple[Row, ...]
    total: Row
    published_total: Row | None  # of the published aggregates among the rows
    groups: int  # how many rows there are without a limit
    is_empty: bool  # the book holds nothing at all
    splits: tuple[str, ...]  # keys by whose calls a task may count in several rows
    left_out: int  # published aggregates that do not have the keys asked for


def report(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    by: Sequence[str] = ("path",),
    since_us: int | None = None,
    until_us: int | None = None,
    filters: Iterable[tuple[str, str]] = (),
    handoff_nano: int = 0,
    cost: str = COUNTS,
    time_zone: str = "UTC",
    sort: str | None = None,
    limit: int | None = None,
    threads: int | None = None,
) -> Report:
    """Group the tasks of a book, matured before ``now_us``, and sum each group.

    ``by`` and ``filters`` name keys: see ``keys``. Values of one key are alternatives,
    keys hold together. ``cost`` is the cost that counts, or ``reported`` or
    ``computed`` to look at that one alone. Raises ``BadUsage`` for a key, a time zone
    or an order that is not there.
    """
    asked = tuple(keys.asked(by))
    chosen = [(name.strip(), value) for name, value in filters]
    order = ordering.order(sort, asked, handoff_nano)
    with reading.opened(
        book, lake, *_views(book, asked, since_us, until_us, time_zone), threads=threads
    ) as engine:
        question = _question(engine, book, asked, chosen, now_us, since_us, until_us, cost, time_zone)
        with translated("Reporting"):
            answer = _answered(engine, book, question, order, limit)
    published, left_out = published_rows(book, question)
    shown = [replace(row, handoff_nano=handoff_nano) for row in (*answer.rows, *published)]
    if published:
        shown = ordering.sorted_rows(shown, order)[:limit]
    return Report(
        by=asked,
        since_us=since_us,
        until_us=until_us,
        as_of_us=now_us,
        handoff_nano=handoff_nano,
        cost=cost,
        rows=tuple(shown),
        total=replace(answer.total, handoff_nano=handoff_nano),
        published_total=_published_total(published, handoff_nano),
        groups=answer.groups + len(published),
        is_empty=answer.is_empty and not published and not left_out,
        splits=tuple(key.name for key in question.by if key.kind is Kind.CALL),
        left_out=left_out,
    )


def _question(
    engine: "DuckDBPyConnection",
    book: Book,
    asked: tuple[str, ...],
    chosen: list[tuple[str, str]],
    now_us: int,
    since_us: int | None,
    until_us: int | None,
    cost: str,
    time_zone: str,
) -> Question:
    names = (*asked, *(name for name, _ in chosen))
    labels = holdings.label_keys(engine, book) if any(map(keys.is_label, names)) else set()
    values: dict[Key, tuple[str, ...]] = {}
    for (_, value), key in zip(chosen, keys.resolved([name for name, _ in chosen], labels), strict=True):
        values[key] = (*values.get(key, ()), value)
    return Question(
        by=tuple(keys.resolved(asked, labels)),
        now_us=now_us,
        filters=tuple(values.items()),
        since_us=since_us,
        until_us=until_us,
        cost=cost,
        time_zone=checked_zone(time_zone),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: list[Row]
    total: Row
    groups: int
    is_empty: bool


def _views(
    book: Book, asked: tuple[str, ...], since_us: int | None, until_us: int | None, time_zone: str
) -> tuple[str, ...]:
    """What has to be read; single calls only where whole days do not do, or corrections moved some."""
    has_period = bool({*asked} & {*keys.PERIODS}) or since_us is not None or until_us is not None
    single = (
        time_zone != "UTC"
        or any(at_us is not None and at_us % DAY_US for at_us in (since_us, until_us))
        or book.value("SELECT 1 FROM adjustments LIMIT 1") is not None
    )
    return ("folded", "tasks", "verdicts", *(["calls"] if has_period and single else []))


def _answered(
    engine: "DuckDBPyConnection", book: Book, question: Question, order: ordering.Order, limit: int | None
) -> _Answer:
    sources = _sources(engine, book, question)
    if any(_is_split(engine, key) for key in question.keys):
        rows, groups, _ = _grouped(engine, sources, split.split_facts(sources), order, limit, is_whole=False)
        total = _whole_total(engine, sources)
        return _Answer(rows, total, groups, sources.holdings.is_empty)
    whole.make_codes(engine, question)
    raw = whole.raw_columns([key for key in question.keys if key.kind in (Kind.TASK, Kind.BOTH)])
    facts = whole.whole_facts(sources, raw)
    rows, groups, found = _grouped(engine, sources, facts, order, limit, is_whole=True)
    return _Answer(rows, found or Row((), Figures()), groups, sources.holdings.is_empty)


def _sources(engine: "DuckDBPyConnection", book: Book, question: Question) -> Sources:
    held = holdings.holdings(engine, book)
    sources = Sources(question, held)
    if held.has_attempts:
        _load_attempts(engine, book)
    if held.has_moved and question.needs_moment:
        engine.execute(_MOVED)
    if held.has_outside and outside.has_loose(sources):
        outside.load_loose(engine, sources)
    return sources


def _is_split(engine: "DuckDBPyConnection", key: Key) -> bool:
    """Calls say what a task's value of this key is: always, or because some calls have one."""
    if key.kind is Kind.CALL or key.name == "source":
        return True
    if key.kind is not Kind.BOTH:
        return False
    column = "labels" if key.label else key.of_call
    found = engine.execute(
        f"SELECT 1 FROM (SELECT DISTINCT {column} FROM folded) WHERE {key.of_call} IS NOT NULL LIMIT 1"
    )
    return bool(found.fetchall())


_MOVED = """CREATE TEMP TABLE moved AS
    SELECT task_id, MIN(at_us) AS first_at_us FROM (
        SELECT id, task_id, at_us FROM calls
        WHERE task_id IN (SELECT task_id FROM calls WHERE n < 0)
        GROUP BY id, task_id, at_us HAVING SUM(n) > 0)
    GROUP BY task_id"""


def _load_attempts(engine: "DuckDBPyConnection", book: Book) -> None:
    engine.execute("CREATE TEMP TABLE tries (task_id UUID, n BIGINT)")
    with engine.appender("tries") as appender:
        for batch in book.stream("SELECT task_id, COUNT(*) FROM attempts GROUP BY task_id"):
            appender.append_rows(batch)


def _grouped(
    engine: "DuckDBPyConnection",
    sources: Sources,
    facts: str,
    order: ordering.Order,
    limit: int | None,
    *,
    is_whole: bool,
) -> tuple[list[Row], int, Row | None]:
    """The rows, how many there are without the limit, and for whole tasks the total."""
    by = sources.question.by
    late = [at for at, key in enumerate(by) if not is_whole or key.kind in (Kind.PERIOD, Kind.OUTCOME)]
    columns = [*(["code"] if is_whole else []), *(f"k{at}" for at in late)]
    listed = ", ".join(columns)
    sets = f"GROUP BY GROUPING SETS (({listed}), ())" if is_whole else f"GROUP BY {listed}"
    is_total = "GROUPING(code) = 1" if is_whole else "FALSE"
    named = ", ".join(f"{sql} AS {name}" for name, sql in aggregation.FIGURES.items())
    outer = ", ".join(f"COALESCE({name}, 0) AS {name}" for name in aggregation.FIGURES)
    texts = [f"{_key_text(key, f'k{at}')} AS key{at}" for at, key in enumerate(by)]
    join = " LEFT JOIN code_texts USING (code)" if is_whole else ""
    statement = (
        f"WITH groups AS MATERIALIZED (SELECT {listed}, {is_total} AS is_total, {named}, "
        f"{aggregation.PERCENTILES} AS percentiles "
        f"FROM ({aggregation.COSTED} FROM ({_with_outside(sources, facts, is_whole=is_whole)})) {sets}), "
        f"shown AS (SELECT {', '.join([*texts, 'is_total', 'percentiles', outer])} FROM groups{join}) "
        f"SELECT *, COUNT(*) FILTER (WHERE NOT is_total) OVER () FROM shown "
        f"WHERE is_total OR {_is_there()} "
        f"ORDER BY is_total DESC, {order.sql(f'key{at}' for at in range(len(by)))}"
        + (f" LIMIT {limit + is_whole}" if limit is not None else "")
    )
    rows = engine.execute(statement).fetchall()
    found = [_row(row, len(by)) for row in rows]
    total = next((row for row, raw in zip(found, rows, strict=True) if raw[len(by)]), None)
    groups = int(rows[0][-1]) if rows else 0
    shown = [row for row, raw in zip(found, rows, strict=True) if not raw[len(by)]]
    return shown, groups, replace(total, keys=()) if total else None


def _is_there() -> str:
    """Something was counted: a group whose calls were all corrected away is none."""
    return "(" + " OR ".join(f"{name} <> 0" for name in ("tasks", "open", "outside_calls", *_BESIDE)) + ")"


_BESIDE = ("simulation_nano", "unknown_simulation_calls", "test_nano", "unknown_test_calls")


def _with_outside(sources: Sources, facts: str, *, is_whole: bool) -> str:
    if not sources.holdings.has_outside:
        nothing = ", ".join(f"CAST(NULL AS BIGINT) AS {name}" for name in aggregation.OUTSIDE)
        return f"SELECT *, {nothing} FROM ({facts})"
    outside_sql = outside.outside_facts(sources, is_whole=is_whole)
    return f"SELECT * FROM ({facts}) UNION ALL BY NAME ({outside_sql})"


def _key_text(key: Key, column: str) -> str:
    return period_text(key.name, column) if key.kind is Kind.PERIOD else column


def _row(row: tuple[object, ...], keys_n: int) -> Row:
    ranks = row[keys_n + 1]
    percentiles = Percentiles(*ranks) if isinstance(ranks, list) else Percentiles()
    texts = tuple(None if key is None else str(key) for key in row[:keys_n])
    figures = Figures(*(int(str(value)) for value in row[keys_n + 2 : -1]))
    return Row(texts, figures, percentiles)


def _whole_total(engine: "DuckDBPyConnection", sources: Sources) -> Row:
    """Each task once, whatever groups it counts in."""
    question = replace(sources.question, by=())
    total = replace(sources, question=question)
    order = ordering.Order(None, True)
    if not any(_is_split(engine, key) for key in question.keys):
        whole.make_codes(engine, question)
        raw = whole.raw_columns([key for key in question.keys if key.kind in (Kind.TASK, Kind.BOTH)])
        return _grouped(engine, total, whole.whole_facts(total, raw), order, None, is_whole=True)[2] or Row(
            (), Figures()
        )
    rows, _, _ = _grouped(engine, total, split.split_facts(total), order, None, is_whole=False)
    return rows[0] if rows else Row((), Figures())


def _published_total(published: list[Row], handoff_nano: int) -> Row | None:
    if not published:
        return None
    figures = sum((row.figures for row in published), Figures())
    return Row((), figures, is_published=True, handoff_nano=handoff_nano)
