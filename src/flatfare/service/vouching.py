"""Vouching: the heads of all chains are signed outside the book, and the book is held against them.

An edit, a drop, a swap or an insertion breaks a chain; a cut tail, a chain that is gone or
one that was hashed anew contradicts a head that was signed before. A chain that contradicts
its head is never signed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.config import Settings, user_folder
from flatfare.core.errors import FlatfareError
from flatfare.service import settled_terms
from flatfare.service.selling import verify as verify_ledger
from flatfare.service.tasks.defining import Register
from flatfare.service.tasks.folding import Known, folded
from flatfare.service.tasks.recording import known_of
from flatfare.store import chains, gathering, reading, segments, verdict_chains
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.heads import Heads, Statement
from flatfare.store.lake import Lake, checksum
from flatfare.store.sqlite import sqlite_path

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_MAX = 1000
"""Problems of one kind that are named one by one."""

_FOLDED_TOGETHER = 1000

_CHAINS = {
    "record": "SELECT chain, position + 1, hash FROM chained_records",
    "entry": "SELECT customer, number, hash FROM entries",
    "account": "SELECT account_id, position, hash FROM postings",
}
"""Chains in the book beside the verdicts': what each is called, how many records there are then, the hash."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was."""

    chain: str
    position: int | None  # from 0
    what: str

    def as_json(self) -> dict[str, object]:
        """The problem as a document."""
        return {"chain": self.chain, "position": self.position, "what": self.what}


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    problems: tuple[Problem, ...]
    verdicts: int
    records: int
    heads: int  # signed heads the book was held against
    statements: int
    digest: str | None  # of the last statement: write it down elsewhere
    signed: int = 0  # heads signed now

    @property
    def holds(self) -> bool:
        """Nothing was changed unnoticed."""
        return not self.problems


def heads_of(settings: Settings) -> Heads:
    """Where the settings keep heads: else beside a book that is a file, or beside the lake."""
    folder = settings.heads
    if folder is None:
        is_file = "://" not in settings.database or settings.database.startswith("sqlite")
        beside = sqlite_path(settings.database) if is_file else Path(settings.lake)
        folder = str(beside.with_name(f"{beside.name}-heads"))
    key = settings.heads_key or str(user_folder() / "heads.key")
    return Heads(Path(folder), Path(key))


def sign(book: Book, lake: Lake, heads: Heads, *, now_us: int) -> int:
    """Sign the heads of chains that have grown since; returns how many. Those that contradict stay out."""
    with heads.exclusive(), _opened(book, lake) as engine:
        former = heads.statements()
        heads.load(engine, former)
        statement = heads.add(engine, _grown(engine), former, now_us)
    return 0 if statement is None else statement.count


def verify(
    book: Book, lake: Lake, heads: Heads, *, now_us: int, signs: bool = True, digest: str | None = None
) -> Verified:
    """Hold everything that is chained against itself and against what was signed.

    ``digest`` is one that was written down: the statement it is of must still stand. Where all
    holds and ``signs``, what is new is signed too.
    """
    with heads.exclusive(), _opened(book, lake) as engine:
        statements = heads.statements()
        heads.load(engine, statements)
        problems = [
            *(Problem("heads", None, what) for what in heads.problems(statements)),
            *_missing_digest(statements, digest),
            *_file_problems(book, lake),
            *_verdict_problems(engine),
            *_record_problems(book),
            *(Problem(whose, None, what) for whose, what in settled_terms.problems(book)),
            *(Problem("ledger", None, what) for what in verify_ledger(book)),
            *_head_problems(engine),
            *_outcome_problems(book, lake, now_us),
        ]
        signed = None
        if signs and not problems:
            signed = heads.add(engine, _grown(engine), statements, now_us)
        last = signed or (statements[-1] if statements else None)
        return Verified(
            tuple(problems),
            verdicts=_count(engine, "verdicts"),
            records=_count(engine, "positions WHERE NOT starts_with(chain, 'verdicts/')"),
            heads=_count(engine, "heads_signed"),
            statements=len(statements) + (signed is not None),
            digest=None if last is None else last.digest,
            signed=0 if signed is None else signed.count,
        )


@contextmanager
def _opened(book: Book, lake: Lake) -> Iterator["DuckDBPyConnection"]:
    """The verdicts and tasks of one moment, and ``positions``: each record of each chain."""
    with reading.opened(book, lake, "verdicts", "tasks") as engine, translated("Reading chains"):
        engine.execute("CREATE TEMP TABLE book_positions (chain VARCHAR, records BIGINT, hash VARCHAR)")
        for kind, query in _CHAINS.items():
            with engine.appender("book_positions") as appender:
                for batch in book.stream(query):
                    appender.append_rows([(f"{kind}/{chain!s}", n, own) for chain, n, own in batch])
        engine.execute(
            "CREATE TEMP VIEW positions AS SELECT * FROM book_positions UNION ALL "
            "SELECT 'verdicts/' || CAST(task_id AS VARCHAR), position + 1, hash FROM verdicts"
        )
        yield engine


def _grown(engine: "DuckDBPyConnection") -> str:
    """The relation of heads to sign: chains longer than what was signed of them, and true to it."""
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE contradicted AS SELECT DISTINCT chain FROM ({_CONTRADICTED})"
    )
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE grown AS SELECT now.chain, now.records, now.hash FROM "
        "(SELECT chain, max(records) AS records, arg_max(hash, records) AS hash FROM positions "
        "GROUP BY chain) AS now LEFT JOIN "
        "(SELECT chain, max(records) AS records FROM heads_signed GROUP BY chain) AS was "
        "USING (chain) WHERE (was.records IS NULL OR now.records > was.records) "
        "AND now.chain NOT IN (SELECT chain FROM contradicted)"
    )
    return "grown"


_CONTRADICTED = (
    "SELECT signed.chain, signed.records, positions.hash IS NULL AS is_cut FROM heads_signed AS signed "
    "LEFT JOIN positions ON positions.chain = signed.chain AND positions.records = signed.records "
    "WHERE positions.hash IS DISTINCT FROM signed.hash"
)


def _head_problems(engine: "DuckDBPyConnection") -> Iterator[Problem]:
    for chain, records, is_cut in engine.execute(
        f"{_CONTRADICTED} ORDER BY 1, 2 LIMIT {SHOWN_MAX}"
    ).fetchall():
        what = (
            f"had {records} records when its head was signed, and does not have as many now: its end was cut"
            if is_cut
            else f"record {records - 1} is not the one that was signed: the chain was hashed anew"
        )
        yield Problem(str(chain), int(records) - 1, what)


def _verdict_problems(engine: "DuckDBPyConnection") -> Iterator[Problem]:
    broken = engine.execute(f"{verdict_chains.breaks()} ORDER BY 1, 2 LIMIT {SHOWN_MAX}").fetchall()
    for task, position, verifier in broken:
        what = f"the verdict of {verifier} does not follow: edited, dropped, reordered or inserted"
        yield Problem(f"verdicts/{task}", int(position), what)
    for (task,) in engine.execute(f"{verdict_chains.UNFOUNDED} LIMIT {SHOWN_MAX}").fetchall():
        yield Problem(f"verdicts/{task}", None, "is verified, and no verdict makes it so")


def _record_problems(book: Book) -> Iterator[Problem]:
    for (chain,) in book.rows("SELECT DISTINCT chain FROM chained_records ORDER BY 1"):
        position = chains.broken_at(book, str(chain))
        if position is not None:
            yield Problem(
                f"record/{chain!s}", position, "does not follow: edited, dropped, reordered or inserted"
            )


def _file_problems(book: Book, lake: Lake) -> Iterator[Problem]:
    """Sealed files are what was sealed, and as many."""
    for path, what in segments.contradicted(book):
        yield Problem(f"file/{path}", None, what)
    for segment in segments.listed(book):
        file = lake.file(segment.path)
        if not file.is_file():
            yield Problem(f"file/{segment.path}", None, "is listed and is not there")
        elif checksum(file) != segment.sha256:
            yield Problem(f"file/{segment.path}", None, "has other content than was sealed")
    for path, what in gathering.contradicted(book):
        yield Problem(f"file/{path}", None, what)
    for one in gathering.listed(book):
        file = lake.file(one.path)
        if file.is_file() and checksum(file) != one.sha256:  # where it is not, what was sealed is read
            yield Problem(f"file/{one.path}", None, "has other content than was gathered")


def _outcome_problems(book: Book, lake: Lake, now_us: int) -> Iterator[Problem]:
    """Each task that was told of stands where its verdicts put it."""
    register = Register(book)
    for batch in book.stream("SELECT DISTINCT task_id FROM task_events ORDER BY 1", size=_FOLDED_TOGETHER):
        ids = [str(task) for (task,) in batch]
        for one in known_of(book, lake, ids).values():
            yield from _problems_of(one, register, now_us)


def _problems_of(one: Known, register: Register, now_us: int) -> Iterator[Problem]:
    if one.present is None:
        yield Problem(f"task/{one.task_id}", None, "was told of, and its row is gone")
        return
    kept = {str(said["id"]) for said in one.verdicts}
    told = {event.id for event in one.told if event.kind in ("judged", "signalled")}
    for lost in sorted(told - kept)[:3]:
        yield Problem(f"verdicts/{one.task_id}", None, f"the verdict {lost} was told and is gone")
    try:
        outcome = folded(one, register, now_us).row["outcome"]
    except (ValueError, FlatfareError) as problem:
        yield Problem(f"task/{one.task_id}", None, f"its records cannot be read: {problem}")
        return
    written = one.present["outcome"]
    if written not in (outcome, "open"):
        what = f"is written down as {written!s}, and its verdicts make it {outcome!s}"
        yield Problem(f"task/{one.task_id}", None, what)


def _missing_digest(statements: list[Statement], digest: str | None) -> Iterator[Problem]:
    if digest is not None and all(statement.digest != digest for statement in statements):
        yield Problem("heads", None, f"no statement has the digest {digest}: the statements were replaced")


def _count(engine: "DuckDBPyConnection", relation: str) -> int:
    row = engine.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0
