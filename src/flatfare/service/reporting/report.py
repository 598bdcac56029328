"""The report: tasks and calls of a book in groups, each with what a verified outcome costs.

Every figure is a sum over single tasks and calls, whether they are sealed or hot, so
that the rows add up to the total to the last nano-dollar.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flatfare.core.moments import DAY_US, datetime_of
from flatfare.core.money import half_even
from flatfare.service import allocating
from flatfare.service.allocating import Fee
from flatfare.service.reporting import aggregation, holdings, keys, ordering, outside, split, whole
from flatfare.service.reporting.facts import Sources
from flatfare.service.reporting.figures import Figures, Percentiles, Row
from flatfare.service.reporting.keys import Key, Kind
from flatfare.service.reporting.published import published_rows
from flatfare.service.reporting.question import COUNTS, Question, period_text
from flatfare.service.reporting.resolving import question_of
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import append, translated
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


SESSION = "session"
_SPEND = "cost_nano + open_nano + outside_nano + simulation_nano + test_nano"


@dataclass(frozen=True, slots=True)
class Conversations:
    """All sessions of a report by session: how many, and what they cost each."""

    n: int
    spend_nano: int
    spend: Percentiles

    @staticmethod
    def sql(session: list[str]) -> str:
        """Three columns over all groups that have a session."""
        if not session:
            return "NULL, NULL, NULL"
        which = f"FILTER (WHERE NOT is_total AND {session[0]} IS NOT NULL) OVER ()"
        return f"COUNT(*) {which}, SUM({_SPEND}) {which}, quantile_disc({_SPEND}, [0.5, 0.9, 0.99]) {which}"

    @classmethod
    def of(cls, found: Sequence[object]) -> "Conversations":
        """From these three columns."""
        ranks = found[2] if isinstance(found[2], list) else (None, None, None)
        return cls(int(str(found[0])), int(str(found[1] or 0)), Percentiles(*ranks))

    @property
    def mean_nano(self) -> int | None:
        """What a conversation costs on average."""
        return half_even(self.spend_nano, self.n) if self.n else None


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
    conversations: Conversations | None  # of a report by session
    idle_nano: int = 0  # fixed fees of the period that served nobody


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
        question = question_of(
            engine,
            book,
            now_us=now_us,
            by=asked,
            filters=chosen,
            since_us=since_us,
            until_us=until_us,
            cost=cost,
            time_zone=time_zone,
        )
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
        conversations=answer.conversations,
        idle_nano=answer.idle_nano,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: list[Row]
    total: Row
    groups: int
    is_empty: bool
    conversations: Conversations | None
    idle_nano: int


@dataclass(frozen=True, slots=True)
class _Groups:
    rows: list[Row]
    total: Row | None  # of whole tasks; where tasks are split, it takes another look
    groups: int  # how many rows there are without a limit
    conversations: Conversations | None
    strays: int  # calls beside the work of tasks that have no row, where they were not expected


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


def _found(
    engine: "DuckDBPyConnection", sources: Sources, order: ordering.Order, limit: int | None
) -> tuple["_Groups", bool]:
    """The groups that answer a question, and whether they are of whole tasks."""
    question = sources.question
    if not any(key.kind is Kind.CALL or _is_split(engine, key) for key in question.keys):
        return _of_whole_tasks(engine, sources, order, limit), True
    is_plain = split.is_plain(sources) and not _any_without_row(engine)
    facts = split.plain_facts(sources) if is_plain else split.split_facts(sources)
    return _grouped(engine, sources, facts, order, limit, is_whole=False), False


def _of_whole_tasks(
    engine: "DuckDBPyConnection", sources: Sources, order: ordering.Order, limit: int | None
) -> "_Groups":
    raw = whole.make_codes(engine, sources.question)
    if whole.may_stand_apart(sources):
        facts = whole.whole_facts(sources, raw, is_apart=True)
        found = _grouped(engine, sources, facts, order, limit, is_whole=True, has_strays=True)
        if not found.strays:
            return found
    facts = whole.whole_facts(sources, raw, is_apart=False)
    return _grouped(engine, sources, facts, order, limit, is_whole=True)


def _any_without_row(engine: "DuckDBPyConnection") -> bool:
    """Some task is known by its calls alone."""
    found = engine.execute(
        "SELECT 1 FROM folded WHERE task_id IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = folded.task_id) LIMIT 1"
    )
    return bool(found.fetchall())


def _of_tasks_alone(engine: "DuckDBPyConnection", question: Question) -> Question:
    """The question with each key that no call has a value of taken for a key of tasks."""

    def settled(key: Key) -> Key:
        is_tasks = key.kind is Kind.BOTH and not _is_split(engine, key)
        return replace(key, kind=Kind.TASK) if is_tasks else key

    return replace(
        question,
        by=tuple(map(settled, question.by)),
        filters=tuple((settled(key), values) for key, values in question.filters),
    )


def _answered(
    engine: "DuckDBPyConnection", book: Book, question: Question, order: ordering.Order, limit: int | None
) -> _Answer:
    question = _of_tasks_alone(engine, question)
    fees = _charged(engine, book, question)
    sources = sources_of(engine, book, question, has_fixed=bool(fees))
    found, is_whole = _found(engine, sources, order, limit)
    total = found.total if is_whole else _whole_total(engine, sources)
    return _Answer(
        found.rows,
        total or Row((), Figures()),
        found.groups,
        sources.holdings.is_empty,
        found.conversations,
        sum(_idle_within(fee, question) for fee in fees),
    )


def _charged(engine: "DuckDBPyConnection", book: Book, question: Question) -> list[Fee]:
    """Fixed fees shared out to the calls they served, where there are any and all costs count."""
    if question.cost != COUNTS or not allocating.has_fees(book):
        return []
    return allocating.charge(engine, book, datetime_of(question.now_us).date())


def _idle_within(fee: Fee, question: Question) -> int:
    """What was idle of a fee, by the days of its period that the question is about."""
    first, last = fee.from_day, fee.until_day
    if question.since_us is not None:
        first = max(first, datetime_of(question.since_us).date())
    if question.until_us is not None:
        last = min(last, datetime_of(question.until_us).date())
    days = max(0, (last - first).days)
    return half_even(fee.idle_nano * days, (fee.until_day - fee.from_day).days)


def sources_of(
    engine: "DuckDBPyConnection", book: Book, question: Question, *, has_fixed: bool = False
) -> Sources:
    """Where the facts of a question are read, with what is loaded for it alone."""
    held = holdings.holdings(engine, book, has_fixed=has_fixed)
    sources = Sources(question, held, "charged" if has_fixed else "folded")
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
    """How many attempts tasks took that took more than one; any other took one."""
    engine.execute("CREATE TEMP TABLE tries (task_id UUID, n BIGINT)")
    several = "SELECT task_id, COUNT(*) FROM attempts GROUP BY task_id HAVING COUNT(*) > 1"
    append(engine, "tries", book.stream(several))


def _grouped(
    engine: "DuckDBPyConnection",
    sources: Sources,
    facts: str,
    order: ordering.Order,
    limit: int | None,
    *,
    is_whole: bool,
    has_strays: bool = False,
) -> _Groups:
    by = sources.question.by
    late = [at for at, key in enumerate(by) if not is_whole or key.kind in (Kind.PERIOD, Kind.OUTCOME)]
    columns = [*(["code"] if is_whole and by else []), *(f"k{at}" for at in late)]
    with_outside = _with_outside(sources, facts, is_whole=is_whole)
    groups = aggregation.make_groups(engine, with_outside, columns, has_strays=has_strays)
    texts = [f"{_key_text(key, f'k{at}')} AS key{at}" for at, key in enumerate(by)]
    shown = ", ".join([*texts, "is_total", "percentiles", *aggregation.FIGURES, "strays"])
    join = " LEFT JOIN code_texts USING (code)" if is_whole and by else ""
    conversations = Conversations.sql([f"key{at}" for at, key in enumerate(by) if key.name == SESSION])
    statement = (
        f"SELECT *, COUNT(*) FILTER (WHERE NOT is_total) OVER (), {conversations} "
        f"FROM (SELECT {shown} FROM ({groups}){join}) "
        f"WHERE is_total OR {_is_there()} "
        f"ORDER BY is_total DESC, {order.sql(f'key{at}' for at in range(len(by)))}"
        + (f" LIMIT {limit + 1}" if limit is not None else "")
    )
    rows = engine.execute(statement).fetchall()
    found = [(_row(row, len(by)), bool(row[len(by)])) for row in rows]
    return _Groups(
        rows=[row for row, is_total in found if not is_total],
        total=next((replace(row, keys=()) for row, is_total in found if is_total), None),
        groups=int(str(rows[0][-4])) if rows else 0,
        strays=sum(int(str(row[-5])) for row in rows),
        conversations=Conversations.of(rows[0][-3:])
        if rows and SESSION in (key.name for key in by)
        else None,
    )


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
    figures = Figures(*(int(str(value)) for value in row[keys_n + 2 : -5]))
    return Row(texts, figures, percentiles)


def _whole_total(engine: "DuckDBPyConnection", sources: Sources) -> Row | None:
    """Each task once, whatever groups it counts in."""
    question = replace(sources.question, by=())
    total = replace(sources, question=question)
    return _found(engine, total, ordering.Order(None, True), None)[0].total


def _published_total(published: list[Row], handoff_nano: int) -> Row | None:
    if not published:
        return None
    figures = sum((row.figures for row in published), Figures())
    return Row((), figures, is_published=True, handoff_nano=handoff_nano)
