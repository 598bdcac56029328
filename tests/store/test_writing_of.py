"""Writers of one subject wait for each other, others run beside; who writes the whole book waits for all."""

import threading
import time
from pathlib import Path

import pytest

from flatfare.store.book import Book, open_book

HELD_S = 0.4


def waited_s(address: str, first, second) -> float:
    """How long a second writer waits for a first one that holds its place for a while."""
    is_held, took_s = threading.Event(), []

    def hold() -> None:
        with open_book(address) as book, first(book):
            is_held.set()
            time.sleep(HELD_S)

    def wait() -> None:
        with open_book(address) as book:
            is_held.wait()
            started = time.monotonic()
            with second(book):
                took_s.append(time.monotonic() - started)

    threads = [threading.Thread(target=hold), threading.Thread(target=wait)]
    with open_book(address):
        pass
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took_s[0]


def of(subject: str):
    return lambda book: book.writing_of(subject)


def whole(book: Book):
    return book.writing()


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (of("customer a"), of("customer a"), True),
        (of("customer a"), of("customer b"), False),
        (of("customer a"), whole, True),
        (whole, of("customer a"), True),
        (whole, whole, True),
    ],
    ids=["the same", "another", "the whole after one", "one after the whole", "the whole twice"],
)
def test_on_postgresql_only_other_subjects_are_written_beside(postgres, first, second, waits: bool) -> None:
    took_s = waited_s(postgres.new_database(), first, second)
    assert (took_s > HELD_S / 2) is waits


def test_on_sqlite_every_writer_waits(tmp_path: Path) -> None:
    assert waited_s(f"sqlite:///{tmp_path}/book.db", of("customer a"), of("customer b")) > HELD_S / 2


def test_what_fails_inside_is_undone(database: str) -> None:
    with open_book(database) as book:

        def fail() -> None:
            with book.writing_of("customer a"):
                book.execute("UPDATE key_changes SET number = number + 1")
                raise ValueError

        before = book.value("SELECT number FROM key_changes")
        with pytest.raises(ValueError):
            fail()
        assert book.value("SELECT number FROM key_changes") == before
        with book.writing_of("customer a"):
            book.execute("UPDATE key_changes SET number = number + 1")
        assert book.value("SELECT number FROM key_changes") == int(str(before)) + 1
