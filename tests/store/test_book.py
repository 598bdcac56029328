"""The book keeps what is written whole, or not at all, and says clearly what is wrong."""

from pathlib import Path

import pytest

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.store.book import Book, open_book
from flatfare.store.home import KeyTaken
from flatfare.store.migrations import MIGRATIONS
from flatfare.store.sqlite import sqlite_path


def test_a_new_book_has_the_newest_schema(tmp_path: Path) -> None:
    with open_book(f"sqlite:///{tmp_path}/a/b.db") as book:
        assert book.value("SELECT MAX(number) FROM migrations") == len(MIGRATIONS)
        assert book.value("PRAGMA journal_mode") == "wal"
        assert book.value("PRAGMA synchronous") == 2  # FULL: synced at each commit
    with open_book(f"sqlite:///{tmp_path}/a/b.db") as book:
        assert book.value("SELECT COUNT(*) FROM migrations") == len(MIGRATIONS)


def test_every_table_is_strict(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "b.db")) as book:
        loose = book.rows(
            "SELECT name FROM pragma_table_list "
            "WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'"
        )
        assert [name for (name,) in loose] == ["migrations"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    insert = "INSERT INTO signals (id, task_id, at_us, name, source) VALUES ('a', 't', 1, 'csat', 's')"

    def write_and_fail(book: Book) -> None:
        with book.writing():
            book.execute(insert)
            book.execute("INSERT INTO nowhere VALUES (1)")

    with open_book(str(tmp_path / "b.db")) as book:
        with pytest.raises(StoreFailure, match="no such table"):
            write_and_fail(book)
        assert book.value("SELECT COUNT(*) FROM signals") == 0


def test_a_book_from_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "b.db")) as book:
        book.execute("INSERT INTO migrations (number) VALUES (999)")
    with pytest.raises(StoreFailure, match="newer flatfare"):
        open_book(str(tmp_path / "b.db"))


def test_a_book_that_is_not_there_names_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(StoreFailure, match="flatfare import"):
        open_book(str(tmp_path / "b.db"), create=False)
    assert not (tmp_path / "b.db").exists()


def test_a_file_that_is_no_book_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreFailure, match="not a database"):
        open_book(str(tmp_path / "b.db"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailure, match="cannot be made"):
        open_book(str(tmp_path / "file" / "below" / "b.db"))


def test_a_database_of_another_kind_is_a_usage_error() -> None:
    with pytest.raises(BadUsage, match="sqlite:///"):
        sqlite_path("mysql://localhost/x")


def test_readers_see_one_moment(tmp_path: Path) -> None:
    path = str(tmp_path / "b.db")
    insert = "INSERT INTO signals (id, task_id, at_us, name, source) VALUES (?, 't', 1, 'csat', 's')"
    with open_book(path) as reader, open_book(path) as writer:
        writer.execute(insert, ("a",))
        with reader.reading():
            assert reader.value("SELECT COUNT(*) FROM signals") == 1
            writer.execute(insert, ("b",))
            assert reader.value("SELECT COUNT(*) FROM signals") == 1
        assert reader.value("SELECT COUNT(*) FROM signals") == 2


def test_a_key_that_stands_is_an_integrity_error(tmp_path: Path) -> None:
    insert = "INSERT INTO signals (id, task_id, at_us, name, source) VALUES ('a', 't', 1, 'csat', 's')"
    with open_book(str(tmp_path / "b.db")) as book:
        book.execute(insert)
        with pytest.raises(KeyTaken):
            book.execute(insert)
