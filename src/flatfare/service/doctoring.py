"""The doctor: does everything that is kept agree with itself, to the last nano-dollar?

Every check gives its findings as values; none stops at the first. Nothing is changed
unless a repair is asked for, and a repair only removes what a killed writer of this book left.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flatfare.service import selling
from flatfare.service.reporting.unknowns import NO_COST_SAID, NO_REWORK_RATE, TASKS_LACKING
from flatfare.store import chains, claiming, gathering, reading, segments, verdict_chains
from flatfare.store.book import Book
from flatfare.store.engine import open_engine, quoted
from flatfare.store.folding import FIGURES, folding
from flatfare.store.lake import Lake, checksum
from flatfare.store.layout import KINDS
from flatfare.store.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


LEDGER_FINDINGS_MAX = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at and is not as it should be."""

    severity: str  # error: figures cannot be trusted; warning: something waits to be done; note
    check: str
    what: str
    todo: str

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor found, and how much was looked at."""

    findings: tuple[Finding, ...]
    segments: int
    calls: int
    tasks: int
    verdicts: int

    @property
    def is_sound(self) -> bool:
        """No figure is in doubt."""
        return not any(finding.is_error for finding in self.findings)


def examine(book: Book, lake: Lake, *, quick: bool = False) -> Examination:
    """Look at everything; ``quick`` trusts the bytes of sealed files whose sizes are right."""
    sealed = segments.listed(book)
    findings = [
        *_book_findings(book),
        *_journal_findings(book),
        *_chain_findings(book),
        *_ledger_findings(book),
    ]
    broken = set()
    for segment in sealed:
        found = list(_file_findings(lake, segment, quick=quick))
        if found:
            broken.add(segment.id)
        findings += found
    findings += _lake_findings(book, lake)
    copies = list(_gathered_findings(book, lake, quick=quick))
    findings += copies
    if broken or any(finding.is_error for finding in copies):
        return Examination(tuple(findings), len(sealed), 0, 0, 0)
    with reading.opened(book, lake) as engine:
        findings += _fold_findings(engine, lake, sealed)
        findings += _sum_findings(engine)
        findings += _repeat_findings(engine)
        findings += _verdict_findings(engine)
        findings += _unknown_findings(engine)
        counts = [_count(engine, query) for query in _COUNTS]
    return Examination(tuple(findings), len(sealed), *counts)


_COUNTS = (
    "SELECT COALESCE(SUM(n), 0) FROM calls",
    "SELECT COUNT(*) FROM tasks",
    "SELECT COUNT(*) FROM verdicts",
)


def remove_leftovers(book: Book, lake: Lake) -> list[str]:
    """Remove what killed writers of this book left; returns the paths of files that were whole.

    Their rows are in the book, or in the source of an import that never happened. Copies that are
    not what was gathered go too. No other file is removed: who lists it cannot be known.
    """
    with claiming.held(book, lake):
        left = segments.remove_begun(book, lake)
    broken = [one for one, _ in gathering.problems(book, lake)]
    return left + (gathering.drop(book, lake, broken) if broken else [])


def set_aside(book: Book, lake: Lake) -> list[str]:
    """Move files that no record of this book knows out of the way; returns where they lie now.

    Another book may list them, a copy of this one, or this one from before it was restored:
    whoever misses one moves it back.
    """
    with claiming.held(book, lake):
        return [lake.set_aside(path) for path in _unlisted(book, lake)[1]]


def _unlisted(book: Book, lake: Lake) -> tuple[list[str], list[str]]:
    """Files that the book does not list: those that a writer of it began, and those of nobody it knows."""
    begun = segments.begun(book)
    listed = {segment.path for segment in segments.listed(book)}
    left = sorted(path for path in begun if lake.file(path).is_file())
    return left, [path for path in lake.unlisted(listed, tuple(KINDS)) if path not in begun]


def _book_findings(book: Book) -> Iterator[Finding]:
    answer = book.integrity()
    if answer != "ok":
        yield Finding(
            "error",
            "book",
            f"the book's own integrity check says: {answer}",
            "Restore the book from a backup; the lake's files are still there.",
        )


def _journal_findings(book: Book) -> Iterator[Finding]:
    """Places in the gateway's journals that could not be read, each noted once."""
    notes = "SELECT kind, said, COUNT(*) FROM journal_notes GROUP BY 1, 2 ORDER BY 3 DESC"
    for kind, said, count in book.rows(notes):
        what = f"{int(str(count))} times, {kind!s}: {said!s}"
        yield Finding("warning", "journal", what, "See docs/decisions/journal.md.")


def _chain_findings(book: Book) -> Iterator[Finding]:
    """Every chain of changes to keys and settings holds."""
    for (chain,) in book.rows("SELECT DISTINCT chain FROM chained_records ORDER BY 1"):
        position = chains.broken_at(book, str(chain))
        if position is not None:
            yield Finding(
                "error",
                "chains",
                f"the chain {chain!r} of changes breaks at record {position}: edited, dropped or inserted",
                "Compare the book with a backup from before.",
            )


def _ledger_findings(book: Book) -> Iterator[Finding]:
    """Every entry sums to zero, and every balance and sale is what the entries add up to."""
    for problem in selling.verify(book)[:LEDGER_FINDINGS_MAX]:
        todo = "See flatfare ledger verify; compare the book with a backup from before."
        yield Finding("error", "ledger", problem, todo)


def _file_findings(lake: Lake, segment: Segment, *, quick: bool) -> Iterator[Finding]:
    """A sealed file is there, has the bytes it had, and holds the rows and sums the book lists."""
    file = lake.file(segment.path)
    restore = "Restore the file from a backup, or import its source again."
    if not file.is_file():
        yield Finding("error", "files", f"{segment.path} is listed and is not there", restore)
        return
    size = os.stat(file).st_size
    if size != segment.size_bytes:
        yield Finding("error", "files", f"{segment.path} has {size} bytes, not {segment.size_bytes}", restore)
        return
    if quick:
        return
    if checksum(file) != segment.sha256:
        yield Finding("error", "files", f"{segment.path} has other content than was sealed", restore)
        return
    engine = open_engine()
    try:
        found = segments.control_sums(engine, segment.kind, f"read_parquet({quoted(str(file))})")
    finally:
        engine.close()
    rows = found.pop("rows")
    listed = {name: segment.sums.get(name, value) for name, value in found.items()}
    if rows != segment.rows or found != listed:
        yield Finding(
            "error", "sums", f"{segment.path} holds {rows} rows and {found}, listed otherwise", restore
        )


def _lake_findings(book: Book, lake: Lake) -> Iterator[Finding]:
    """The lake is of this book, and holds nothing that the book does not list."""
    if (problem := claiming.is_of(book, lake)) is not None:
        yield Finding("warning", "lake", str(problem), "Until then nothing is sealed or imported.")
        return
    left, strange = _unlisted(book, lake)
    if left:
        yield Finding(
            "warning",
            "files",
            f"{len(left)} files in the lake were begun and are not listed, such as {left[0]}: a writer was "
            "killed, or is at work",
            "They are not read. Remove what killed writers left: flatfare doctor --repair",
        )
    if strange:
        yield Finding(
            "warning",
            "files",
            f"{len(strange)} files in the lake are not listed, and this book does not know of them, such as "
            f"{strange[0]}: another book or a copy of this one lists them, or this one did before it was "
            "restored",
            "They are not read, and no repair removes them. If nobody misses them, move them away: "
            "flatfare doctor --set-aside",
        )


def _gathered_findings(book: Book, lake: Lake, *, quick: bool) -> Iterator[Finding]:
    """Each gathered file holds the rows of the sealed files that it stands for, and no other."""
    for one, what in gathering.problems(book, lake, quick=quick):
        is_read = one.id in gathering.usable(book, lake)
        yield Finding(
            "error" if is_read else "warning",
            "files",
            f"{one.path} {what}",
            "The files it was made of are there: take this copy away with flatfare doctor --repair",
        )


def _fold_findings(engine: "DuckDBPyConnection", lake: Lake, sealed: list[Segment]) -> Iterator[Finding]:
    """Each folded file says the same as the calls it was folded from."""
    calls = {segment.id: segment for segment in sealed if segment.kind == "calls"}
    folds = {segment.calls_segment_id: segment for segment in sealed if segment.kind == "folded"}
    for segment_id, segment in calls.items():
        folded = folds.get(segment_id)
        if folded is None:
            yield Finding(
                "error",
                "folds",
                f"{segment.path} has no folded file: its calls are in no report",
                "Restore the book from a backup.",
            )
        elif folded.sums != segment.sums:
            yield Finding(
                "error",
                "folds",
                f"{folded.path} sums to {folded.sums}, its calls to {segment.sums}",
                "Restore both files from a backup.",
            )


def _sum_findings(engine: "DuckDBPyConnection") -> Iterator[Finding]:
    """What reports read equals the sum of the rows, live and sealed."""
    names = list(FIGURES)
    folded = engine.execute(f"SELECT {', '.join(f'SUM({name})' for name in names)} FROM folded").fetchone()
    sums = f"SELECT {', '.join(f'SUM({name})' for name in names)} FROM ({folding('calls')})"
    calls = engine.execute(sums).fetchone()
    if folded != calls:
        differing = [
            name for name, one, other in zip(names, folded or (), calls or (), strict=True) if one != other
        ]
        yield Finding(
            "error",
            "sums",
            f"folded calls and calls differ in {', '.join(differing)}",
            "Restore the lake from a backup.",
        )


def _repeat_findings(engine: "DuckDBPyConnection") -> Iterator[Finding]:
    """No call and no verdict stands twice, and no call is taken back more often than it was written."""
    doubled = _count(
        engine, "SELECT COUNT(*) FROM (SELECT id FROM calls GROUP BY id, revision, n HAVING COUNT(*) > 1)"
    )
    odd = _count(
        engine, "SELECT COUNT(*) FROM (SELECT id FROM calls GROUP BY id HAVING SUM(n) NOT IN (0, 1))"
    )
    verdicts = _count(
        engine, "SELECT COUNT(*) FROM (SELECT id FROM verdicts GROUP BY id HAVING COUNT(*) > 1)"
    )
    for count, what in (
        (doubled, "calls stand twice"),
        (odd, "calls count more than once"),
        (verdicts, "verdicts stand twice"),
    ):
        if count:
            yield Finding("error", "repeats", f"{count} {what}", "Report this: it must not happen.")


def _verdict_findings(engine: "DuckDBPyConnection") -> Iterator[Finding]:
    """Each chain of verdicts holds, and no task is verified without one that passed."""
    broken = _count(engine, f"SELECT COUNT(*) FROM ({verdict_chains.breaks()})")
    if broken:
        yield Finding(
            "error",
            "verdicts",
            f"{broken} verdicts break their task's chain: edited, dropped or inserted",
            "See flatfare audit verify.",
        )
    unfounded = _count(engine, f"SELECT COUNT(*) FROM ({verdict_chains.UNFOUNDED})")
    if unfounded:
        yield Finding(
            "error",
            "verdicts",
            f"{unfounded} tasks are verified without a verdict that passed",
            "Import their verdicts.",
        )


def _unknown_findings(engine: "DuckDBPyConnection") -> Iterator[Finding]:
    """Costs that are not known, with why, the most frequent first: unknown is counted, never zero."""
    rows = engine.execute(
        "SELECT cost_reason, SUM(n), 'call' FROM calls WHERE cost_state = 'unknown' GROUP BY 1 "
        f"HAVING SUM(n) > 0 UNION ALL SELECT reason, COUNT(*), 'task' FROM ({TASKS_LACKING}) GROUP BY 1 "
        "ORDER BY 2 DESC, 1 LIMIT 20"
    ).fetchall()
    for reason, count, what in rows:
        many = f"the cost of {count:,} {what}{'' if count == 1 else 's'} is not known: {reason}"
        yield Finding("note", "unknown", many, _REMEDIES.get(str(reason), "It counts as unknown, not as 0."))


_REMEDIES = {
    NO_COST_SAID: (
        "Have its calls name it (the header flatfare-task; --map task=COLUMN in an import), or import the "
        "task again with what it cost (--map cost=COLUMN --update). An action's commands say it by 'cost' in "
        "their steps."
    ),
    NO_REWORK_RATE: "Import the tasks again with --rework-rate 60 --update, or define a rework_rate.",
}


def _count(engine: "DuckDBPyConnection", query: str) -> int:
    row = engine.execute(query).fetchone()
    return int(row[0]) if row else 0
