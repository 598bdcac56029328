"""Both homes of a book mean the same: what is written reads back, whole or not at all, by one writer."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.service.reporting.holdings import label_keys
from flatfare.store import arrivals, calls, chains, reading, sealing
from flatfare.store import book as books
from flatfare.store.book import Book, Value, open_book
from flatfare.store.home import KeyTaken
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, names
from flatfare.store.migrations import MIGRATIONS, _numbers_for_good
from tests.store.rows import NOON_US, call, write
from tests.store.servers import Server

SIGNAL = "INSERT INTO signals (id, task_id, at_us, name, source) VALUES (?, 't', 1, 'csat', 's')"
COUNT = "SELECT COUNT(*) FROM signals"


def write_all(book: Book, *statements: tuple[str, Sequence[Value]]) -> None:
    with book.writing():
        for statement, parameters in statements:
            book.execute(statement, parameters)


def test_a_new_book_has_the_newest_schema_and_keeps_it(database: str) -> None:
    for _ in range(2):
        with open_book(database) as book:
            assert book.value("SELECT MAX(number) FROM migrations") == len(MIGRATIONS)
            assert book.value("SELECT COUNT(*) FROM migrations") == len(MIGRATIONS)
            assert book.integrity() == "ok"


def test_a_book_that_is_not_there_names_the_next_command(database: str) -> None:
    with pytest.raises(StoreFailure, match="flatfare import"):
        open_book(database, create=False)


def test_a_book_of_a_newer_version_is_not_touched(database: str) -> None:
    with open_book(database) as book:
        book.execute("INSERT INTO migrations (number) VALUES (999)")
    with pytest.raises(StoreFailure, match="newer flatfare"):
        open_book(database)


def test_a_failed_write_leaves_nothing_behind(database: str) -> None:
    with open_book(database) as book:
        with pytest.raises(StoreFailure, match="nowhere"):
            write_all(book, (SIGNAL, ("a",)), ("INSERT INTO nowhere VALUES (1)", ()))
        assert book.value(COUNT) == 0
        book.execute(SIGNAL, ("b",))
        assert book.value(COUNT) == 1


def test_a_key_that_stands_is_said_and_undoes_its_transaction(database: str) -> None:
    with open_book(database) as book:
        book.execute(SIGNAL, ("a",))
        with pytest.raises(KeyTaken):
            write_all(book, (SIGNAL, ("b",)), (SIGNAL, ("a",)))
        assert book.value(COUNT) == 1


def test_readers_see_one_moment(database: str) -> None:
    with open_book(database) as reader, open_book(database) as writer:
        writer.execute(SIGNAL, ("a",))
        with reader.reading():
            assert reader.value(COUNT) == 1
            writer.execute(SIGNAL, ("b",))
            assert reader.value(COUNT) == 1
        assert reader.value(COUNT) == 2


@pytest.mark.parametrize("text", ["?", "100 %", "%s", "it's", 'a "name"', "?%s'", "😀"])
def test_texts_read_back_as_they_were_written(database: str, text: str) -> None:
    with open_book(database) as book:
        book.execute(SIGNAL, (text,))
        assert book.rows("SELECT id, '?', '%', 'it''s ?' FROM signals WHERE id = ?", (text,)) == [
            (text, "?", "%", "it's ?")
        ]


def test_values_are_of_the_same_types(database: str) -> None:
    with open_book(database) as book:
        write(book, [call(1, is_stream=True, labels='{"b":1}'), call(2, is_stream=False)])
        found = book.rows(
            "SELECT SUM(cost_nano), COUNT(*), MAX(labels), SUM(is_stream), MIN(task_id) FROM calls"
        )[0]
        assert found[:4] == (32, 2, "{}", 1)
        assert [type(value) for value in found] == [int, int, str, int, str]


def test_texts_stand_in_the_order_of_their_bytes(database: str) -> None:
    with open_book(database) as book:
        book.execute_many(SIGNAL, [("b",), ("a",), ("B",), ("_",), ("é",), ("Z",)])
        assert "".join(str(text) for (text,) in book.rows("SELECT id FROM signals ORDER BY id")) == "BZ_abé"


def test_writers_take_turns_so_that_what_one_has_read_stays_true(database: str) -> None:
    """Eight threads append to one chain; without the lock two would take the same position."""
    open_book(database).close()

    def append(_: int) -> None:
        with open_book(database) as book:
            for number in range(10):
                with book.writing():
                    chains.append(book, "c", kind="k", subject="s", by_whom="me", at_us=number, content="{}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(append, range(8)))
    with open_book(database) as book:
        assert book.value("SELECT COUNT(*) FROM chained_records") == 80
        assert chains.broken_at(book, "c") is None


def test_a_statement_alone_waits_for_the_writer_too(database: str) -> None:
    with open_book(database) as one, open_book(database) as other:
        done = threading.Event()

        def write_alone() -> None:
            with open_book(database) as third:
                third.execute(SIGNAL, ("late",))
            done.set()

        with one.writing():
            thread = threading.Thread(target=write_alone)
            thread.start()
            assert not done.wait(0.5)
            assert other.value(COUNT) == 0
        thread.join(30)
        assert other.value(COUNT) == 1


def test_books_made_by_many_at_once_are_made_once(database: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: open_book(database).close(), range(6)))
    with open_book(database, create=False) as book:
        assert book.value("SELECT COUNT(*) FROM migrations") == len(MIGRATIONS)


def totals(book: Book, lake: Lake) -> object:
    with reading.opened(book, lake) as engine:
        return engine.execute(
            "SELECT COUNT(*), SUM(n), SUM(cost_nano), SUM(input_tokens), MIN(day), MAX(task_id) FROM folded"
        ).fetchall()


def test_reports_read_the_same_hot_and_sealed_on_either_database(database: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with open_book(database) as book, open_book(f"sqlite:///{tmp_path}/other.db") as other:
        for each in (book, other):
            write(each, [call(number) for number in range(30)])
        expected = totals(other, Lake(tmp_path / "none"))
        assert totals(book, lake) == expected
        assert sealing.seal_calls(book, lake, NOON_US * 2, now_us=1) == 30
        assert book.value("SELECT COUNT(*) FROM calls") == 0
        assert totals(book, lake) == expected


def test_calls_come_to_a_watcher_in_the_order_they_were_booked(database: str) -> None:
    with open_book(database) as book:
        with book.writing():
            calls.insert(book, [call(5)])
        seen = arrivals.newest(book)
        with book.writing():
            calls.insert(book, [call(9), call(3), call(5)])
        found = arrivals.since(book, seen, 10)
        assert [row["id"] for row in found.rows] == [call(9)["id"], call(3)["id"]]
        assert arrivals.since(book, found.cursor, 10).rows == []


def test_calls_that_come_after_all_were_sealed_are_seen_by_who_watched_before(
    database: str, tmp_path: Path
) -> None:
    with open_book(database) as book:
        write(book, [call(number) for number in range(5)])
        cursor = arrivals.newest(book)
        sealing.seal_calls(book, Lake(tmp_path / "lake"), NOON_US * 2, now_us=1)
        write(book, [call(7), call(6)])
        found = arrivals.since(book, cursor, 10)
        assert [row["id"] for row in found.rows] == [call(7)["id"], call(6)["id"]]


def test_calls_keep_their_numbers_in_a_book_of_an_earlier_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "flatfare.db")
    with monkeypatch.context() as patched:
        patched.setattr(books, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(_numbers_for_good)])
        with open_book(address) as book:
            write(book, [call(3), call(1), call(2)])
            before = book.rows(f"SELECT rowid, {names(CALLS)} FROM calls ORDER BY rowid")
            assert [number for number, *_ in before] == [1, 2, 3]
    with open_book(address) as book:
        assert book.rows(f"SELECT rowid, {names(CALLS)} FROM calls ORDER BY rowid") == before
        assert write(book, [call(3), call(4)]) == 1  # one that is there stays as it is
        assert arrivals.newest(book) > 3
        assert book.integrity() == "ok"


def test_only_one_is_alone_at_a_purpose(postgres: Server) -> None:
    database = postgres.new_database()
    waited: list[str] = []
    with open_book(database) as one, open_book(database) as other:
        with one.alone("lake"):
            thread = threading.Thread(target=lambda: other.alone("lake", waited.append).__enter__())
            thread.start()
            thread.join(0.5)
            assert thread.is_alive()
        thread.join(30)
        assert not thread.is_alive()
    assert waited == ["a process of another node"]


def test_a_report_knows_the_labels_of_what_was_published_on_either_database(
    database: str, tmp_path: Path
) -> None:
    row = ("a", "b", "d", "p", '{"team":"x","tier":"1"}', 10, 5, "s")
    with open_book(database) as book:
        book.execute(
            "INSERT INTO aggregates (id, benchmark, domain, path, labels, n, successes, source) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        with reading.opened(book, Lake(tmp_path / "lake")) as engine:
            assert label_keys(engine, book) == {"team", "tier", "benchmark", "domain"}
