"""A lake that is kept open reads what one opened anew reads, whatever was written and sealed in between."""

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.service.reporting.document import document_of
from flatfare.service.reporting.report import report
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import adjustments, gathering, hot, reading, sealing, sealing_tasks, tasks
from flatfare.store.adjustments import Correction
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from flatfare.store.layout import FOLD_KEYS, FOLDED, KINDS, names
from flatfare.store.reading import OpenLake
from tests.store.rows import NOON_US, call, write

LATER = NOON_US + 10**13


@pytest.fixture
def book(database: str) -> Iterator[Book]:
    with open_book(database) as book:
        yield book


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[OpenLake]:
    lake = OpenLake(tmp_path / "lake")
    yield lake
    lake.close()


def held(book: Book, lake: Lake, *kinds: str) -> dict[str, list[object]]:
    """Every row of every kind; sums by their keys, since how many rows hold them is nobody's concern."""
    found: dict[str, list[object]] = {}
    with reading.opened(book, lake, *kinds) as engine:
        for kind in kinds or KINDS:
            query = f"SELECT {names(KINDS[kind])} FROM {kind} ORDER BY ALL"
            if kind == "folded":
                added = (f"SUM({c.name})" for c in FOLDED if c.name not in (*FOLD_KEYS, *_MOMENTS))
                moments = "MIN(first_at_us), MAX(last_at_us)"
                keys = ", ".join(FOLD_KEYS)
                query = f"SELECT {keys}, {', '.join(added)}, {moments} FROM folded GROUP BY ALL ORDER BY ALL"
            found[kind] = engine.execute(query).fetchall()
    return found


_MOMENTS = ("first_at_us", "last_at_us")


class Story:
    """What may happen to a book, one thing after another, drawn by dice."""

    def __init__(self, book: Book, lake: Lake, seed: int) -> None:
        self.book, self.lake, self.dice = book, lake, random.Random(seed)
        self.calls = 0
        self.tasks: list[str] = []

    def go_on(self) -> None:
        steps: list[Callable[[], object]] = [
            self.make_calls,
            self.make_calls,
            self.tell,
            self.tell,
            self.correct,
            self.settle,
            self.seal_calls,
            self.seal_newest,
            self.seal_tasks,
            self.gather,
        ]
        self.dice.choice(steps)()

    def make_calls(self) -> None:
        fresh = [call(self.calls + number) for number in range(self.dice.randint(1, 5))]
        self.calls += len(fresh)
        write(self.book, fresh)

    def tell(self) -> None:
        name = f"t{self.dice.randint(0, 9)}"
        said: dict[str, object] = {"id": str(uuid.UUID(int=self.dice.getrandbits(128))), "task": name}
        kinds: list[dict[str, object]] = [
            {"event": "opened", "name": "review", "path": "a", "labels": {"team": "x"}},
            {
                "event": "judged",
                "verifier": "tests",
                "version": "1",
                "judgement": self.dice.choice(["pass", "fail", "abstain"]),
                "evidence": 1,
            },
            {"event": "reworked", "minutes": "10", "rate": "30"},
        ]
        at_us = NOON_US + self.dice.randint(0, 10**6)
        record(
            self.book, self.lake, [said | self.dice.choice(kinds) | {"at": at_us}], Teller("x"), now_us=LATER
        )

    def correct(self) -> None:
        with reading.opened(self.book, Lake(self.lake.folder), "calls") as engine:
            query = "SELECT * FROM calls WHERE id NOT IN (SELECT id FROM calls WHERE n < 0)"
            cursor = engine.execute(query)
            columns = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        if rows:
            row = self.dice.choice(rows)
            row = {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in row.items()}
            with self.book.writing():
                adjustments.write(
                    self.book,
                    [Correction(row, {"cost_nano": self.dice.randint(1, 99)})],
                    kind="result",
                    reason="test",
                    by_whom="test",
                    at_us=LATER,
                )

    def settle(self) -> None:
        found = self.book.value("SELECT id FROM tasks ORDER BY id LIMIT 1")
        if found is not None:
            with self.book.writing():
                tasks.set_settlement(self.book, str(found), self.dice.choice(["held", "settled"]))

    def seal_calls(self) -> None:
        until = NOON_US + self.dice.randint(0, self.calls + 1) * 60_000_000
        sealing.seal_calls(self.book, self.lake, until, now_us=LATER)

    def seal_newest(self) -> None:
        """The row with the highest number leaves, and the next one written has that number again."""
        sealing.seal_calls(self.book, self.lake, LATER, now_us=LATER)
        self.make_calls()

    def gather(self) -> None:
        gathering.gather(self.book, self.lake, now_us=LATER)

    def seal_tasks(self) -> None:
        sealing_tasks.seal_tasks(self.book, self.lake, before_us=LATER + 10**13, now_us=LATER)


@pytest.mark.parametrize("seed", range(4))
def test_it_holds_what_a_lake_opened_anew_holds(
    book: Book, kept: OpenLake, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "REFOLD_ROWS", 3)
    monkeypatch.setattr(gathering, "FILES_MIN", 2)
    story = Story(book, kept, seed)
    for _ in range(30):
        story.go_on()
        if story.dice.random() < 0.6:
            kinds = story.dice.choice([(), ("tasks",), ("calls",), ("folded", "verdicts")])
            assert held(book, kept, *kinds) == held(book, Lake(kept.folder), *kinds)
    assert held(book, kept) == held(book, Lake(kept.folder))
    with monkeypatch.context() as patched:
        patched.setattr(gathering, "usable", lambda *_: ())
        file_by_file = held(book, Lake(kept.folder))
    assert held(book, kept) == file_by_file
    assert document_of(report(book, kept, now_us=LATER, by=("team",))) == document_of(
        report(book, Lake(kept.folder), now_us=LATER, by=("team",))
    )


def test_it_loads_only_what_came_since(book: Book, kept: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    write(book, [call(number) for number in range(50)])
    held(book, kept)
    loaded: list[int] = []
    plain = hot.append

    def counted(*given: object) -> int:
        loaded.append(plain(*given))  # type: ignore[arg-type]
        return loaded[-1]

    monkeypatch.setattr(hot, "append", counted)
    held(book, kept)
    assert loaded == []
    write(book, [call(50), call(51)])
    held(book, kept, "calls")
    assert list(filter(None, loaded)) == [2, 2]  # two calls, and the sums of two tasks


def test_who_reads_sees_one_moment_whatever_is_written_and_sealed(book: Book, kept: OpenLake) -> None:
    write(book, [call(number) for number in range(9)])
    with reading.opened(book, kept, "calls", "folded") as first:
        write(book, [call(9)])
        with reading.opened(book, kept, "calls", "folded") as second:
            sealing.seal_calls(book, kept, LATER, now_us=LATER)
            held(book, kept)
            write(book, [call(10)])
            held(book, kept)
            seen = [
                engine.execute("SELECT COUNT(*), (SELECT SUM(n) FROM folded) FROM calls").fetchall()
                for engine in (first, second)
            ]
    assert seen == [[(9, 9)], [(10, 10)]]


def test_what_one_reading_makes_no_other_sees(book: Book, kept: OpenLake) -> None:
    write(book, [call(1)])
    with reading.opened(book, kept, "calls") as first, reading.opened(book, kept, "calls") as second:
        for number, engine in enumerate((first, second)):
            engine.execute(f"CREATE TEMP TABLE own AS SELECT {number} AS number")
        assert first.execute("SELECT number FROM own").fetchall() == [(0,)]


def test_after_a_failure_the_next_reading_begins_anew(
    book: Book, kept: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(book, [call(number) for number in range(5)])
    held(book, kept)
    write(book, [call(5)])

    def broken(*_: object) -> int:
        raise StoreFailure("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(hot, "append", broken)
        with pytest.raises(StoreFailure, match="disk is full"):
            held(book, kept)
    assert held(book, kept) == held(book, Lake(kept.folder))


def test_a_question_that_fails_harms_no_other(book: Book, kept: OpenLake) -> None:
    write(book, [call(1)])
    with pytest.raises(Exception, match="nowhere"), reading.opened(book, kept, "calls") as engine:
        engine.execute("SELECT * FROM nowhere")
    assert len(held(book, kept)["calls"]) == 1


def test_many_threads_read_while_one_writes_and_seals(database: str, book: Book, kept: OpenLake) -> None:
    over = threading.Event()
    problems: list[object] = []

    def read() -> None:
        with open_book(database) as own:
            while not over.is_set():
                with reading.opened(own, kept, "calls", "folded") as engine:
                    query = "SELECT COUNT(*), MAX(input) - 99, (SELECT SUM(n) FROM folded) FROM calls"
                    row = engine.execute(query).fetchone() or ()
                    if len(set(row)) != 1 and row != (0, None, None):
                        problems.append(row)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(60):
            write(book, [call(number)])
            if number % 7 == 0:
                before_us = NOON_US + (number - 3) * 60_000_000
                sealing.seal_calls(book, Lake(kept.folder), before_us, now_us=LATER)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert problems == []


@pytest.mark.parametrize("is_kept", [True, False])
def test_more_hot_rows_than_memory_holds_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    monkeypatch.setenv("FLATFARE_MEMORY_MB", "100")
    lake = (OpenLake if is_kept else Lake)(tmp_path / "lake")
    with open_book(str(tmp_path / "b.db")) as book:
        text = '{"messages":3,"prompt_hash":"%032x"}'
        write(book, (call(number, traits=text % number) for number in range(60_000)))
        with reading.opened(book, lake, "calls", "folded") as engine:
            assert engine.execute("SELECT COUNT(*), SUM(n) FROM calls").fetchall() == [(60_000, 60_000)]
