"""A lake is of one book: another neither writes to it nor takes anything away, whatever is killed when."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from flatfare.core.errors import Conflict, StoreFailure
from flatfare.service import doctoring
from flatfare.store import book as books
from flatfare.store import claiming, reading, sealing, sealing_tasks, segments
from flatfare.store.book import Book, open_book
from flatfare.store.lake import MARK, Lake
from flatfare.store.migrations import MIGRATIONS, _lakes_of_books
from tests.promises.killing import files_below
from tests.store.rows import NOON_US, call, place, write

EVER_US = NOON_US * 2


def filled(folder: Path, name: str = "flatfare.db") -> Book:
    """A book with three hot calls."""
    folder.mkdir(parents=True, exist_ok=True)
    book = open_book(str(folder / name))
    write(book, [call(number) for number in range(3)])
    return book


def seal(book: Book, lake: Lake) -> int:
    return sealing.seal_calls(book, lake, EVER_US, now_us=1)


def cost(book: Book, lake: Lake) -> object:
    """What a reader sees: 33 nano-dollars as long as nothing is lost or doubled."""
    with reading.opened(book, lake, "folded") as engine:
        return engine.execute("SELECT CAST(SUM(cost_nano) AS BIGINT) FROM folded").fetchall()[0][0]


def hot(book: Book) -> object:
    return book.value("SELECT COUNT(*) FROM calls")


def test_the_first_book_that_writes_has_the_lake_for_good(tmp_path: Path) -> None:
    one, lake = filled(tmp_path, "one.db"), Lake(tmp_path / "lake")
    assert seal(one, lake) == 3
    mark = lake.mark()
    assert mark is not None
    assert mark.kept_at == str(tmp_path / "one.db")
    write(one, [call(7)])
    assert seal(one, lake) == 1
    assert lake.mark() == mark


@pytest.mark.parametrize(
    "writes",
    [
        seal,
        lambda book, lake: sealing_tasks.seal_tasks(book, lake, EVER_US, now_us=1),
        doctoring.remove_leftovers,
        doctoring.set_aside,
    ],
)
def test_another_book_changes_nothing_in_it(tmp_path: Path, writes: Callable[[Book, Lake], object]) -> None:
    lake = Lake(tmp_path / "lake")
    one, other = filled(tmp_path, "one.db"), filled(tmp_path, "other.db")
    seal(one, lake)
    files = files_below(lake.folder)
    with pytest.raises(Conflict, match=r"one\.db.*other\.db.*lists no file in it.*--lake"):
        writes(other, lake)
    assert files_below(lake.folder) == files
    assert hot(other) == 3


def test_reading_asks_nobody_and_writes_nothing(tmp_path: Path) -> None:
    lake, unmarked = Lake(tmp_path / "lake"), Lake(tmp_path / "unmarked")
    seal(filled(tmp_path, "one.db"), lake)
    other = filled(tmp_path, "other.db")
    assert cost(other, lake) == 33
    assert cost(other, unmarked) == 33
    assert not unmarked.folder.exists()


def test_a_lake_without_a_mark_goes_to_the_book_that_lists_its_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    one, other = filled(tmp_path, "one.db"), filled(tmp_path, "other.db")
    seal(one, lake)
    (lake.folder / MARK).unlink()
    with pytest.raises(Conflict, match=r"holds 2 sealed files, and the book .*other\.db lists none"):
        seal(other, lake)
    assert lake.mark() is None
    assert seal(one, lake) == 0
    assert lake.mark() is not None


def test_a_lake_that_two_books_have_used_goes_to_the_first_that_writes_and_says_so_to_the_other(
    tmp_path: Path,
) -> None:
    """As two books that were set up with the same folder left it before a lake said whose it is."""
    lake = Lake(tmp_path / "lake")
    one, other = filled(tmp_path, "one.db"), filled(tmp_path, "other.db")
    for number, book in enumerate((one, other)):
        own = Lake(tmp_path / str(number))
        seal(book, own)
        (own.folder / MARK).unlink()
        shutil.copytree(own.folder, lake.folder, dirs_exist_ok=True)
    assert doctoring.remove_leftovers(one, lake) == []
    with pytest.raises(Conflict, match=r"lists 2 files in it.*copy the folder, delete book\.json"):
        doctoring.remove_leftovers(other, lake)
    assert len(files_below(lake.folder)) == 4
    shutil.copytree(lake.folder, tmp_path / "copy")
    own = Lake(tmp_path / "copy")
    (own.folder / MARK).unlink()
    assert len(doctoring.set_aside(other, own)) == 2
    assert doctoring.examine(other, own).findings == ()


def test_an_empty_lake_goes_to_whoever_writes_first(tmp_path: Path) -> None:
    """A book that was thrown away before it sealed anything keeps no lake from the next."""
    lake = Lake(tmp_path / "lake")
    with open_book(":memory:") as tried:
        assert seal(tried, lake) == 0
    assert seal(filled(tmp_path), lake) == 3


def test_an_empty_folder_is_not_the_lake_of_a_book_that_has_one(tmp_path: Path) -> None:
    """The disk is not mounted: what was written there would be gone when it is."""
    book, lake = filled(tmp_path), Lake(tmp_path / "lake")
    seal(book, lake)
    write(book, [call(7)])
    lake.folder.rename(tmp_path / "unmounted")
    with pytest.raises(Conflict, match=r"is empty, and the book .* lists 2 files"):
        seal(book, lake)
    assert hot(book) == 1
    assert doctoring.examine(book, lake).findings[-1].check == "lake"
    shutil.rmtree(lake.folder)
    (tmp_path / "unmounted").rename(lake.folder)
    assert seal(book, lake) == 1


def test_of_two_books_that_come_at_once_one_has_the_lake(tmp_path: Path) -> None:
    names, begin = ("one.db", "other.db"), threading.Barrier(2)
    for name in names:
        filled(tmp_path, name).close()

    def sealed(name: str) -> bool:
        with open_book(str(tmp_path / name)) as book:
            begin.wait()
            try:
                return seal(book, Lake(tmp_path / "lake")) == 3
            except Conflict:
                return False

    with ThreadPoolExecutor() as both:
        assert sorted(both.map(sealed, names)) == [False, True]
    assert len(files_below(tmp_path / "lake")) == 2


def test_nodes_that_share_a_book_share_its_lake(database: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with open_book(database) as one, open_book(database) as other:
        for number, node in enumerate((one, other, one)):
            write(node, [call(number)])
            assert seal(node, lake) == 1
        assert len(files_below(lake.folder)) == 6
        assert doctoring.remove_leftovers(other, lake) == []


def test_a_book_is_the_same_wherever_it_is_moved_and_each_new_one_another(
    database: str, tmp_path: Path
) -> None:
    ids = set()
    for _ in range(2):
        with open_book(database) as book:
            ids.add(book.value("SELECT id FROM book_identity"))
    assert len(ids) == 1
    with open_book(str(tmp_path / "another.db")) as another:
        assert another.value("SELECT id FROM book_identity") not in ids


def test_a_book_moved_with_its_lake_goes_on(tmp_path: Path) -> None:
    with filled(tmp_path / "here") as book:
        seal(book, Lake(tmp_path / "here" / "lake"))
    (tmp_path / "here").rename(tmp_path / "there")
    with open_book(str(tmp_path / "there" / "flatfare.db")) as book:
        write(book, [call(5)])
        assert seal(book, Lake(tmp_path / "there" / "lake")) == 1


def test_backups_from_before_books_had_an_identity_are_the_same_book(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored after the lake has taken the book's name, it is not another book."""
    lake, before = Lake(tmp_path / "lake"), MIGRATIONS[: MIGRATIONS.index(_lakes_of_books)]
    monkeypatch.setattr(books, "MIGRATIONS", before)
    with open_book(database) as book:
        for number, path in enumerate(["calls/b.parquet", "calls/a.parquet"]):
            book.execute(
                "INSERT INTO segments (id, kind, path, rows, bytes, sha256, sums, replaces_rows, "
                "sealed_at_us) VALUES (?, 'calls', ?, 1, 1, '', '{}', 0, ?)",
                (path, path, number),
            )
    monkeypatch.undo()
    (lake.folder / "calls").mkdir(parents=True)
    (lake.folder / "calls" / "a.parquet").touch()
    with open_book(database) as book:
        assert book.value("SELECT id FROM book_identity") == "calls/b.parquet"
        with claiming.held(book, lake):
            pass
    mark = lake.mark()
    assert mark is not None
    assert mark.book_id == "calls/b.parquet"
    assert "password" not in mark.kept_at


def test_a_mark_that_cannot_be_read_stops_writing(tmp_path: Path) -> None:
    book, lake = filled(tmp_path), Lake(tmp_path / "lake")
    lake.folder.mkdir()
    (lake.folder / MARK).write_text("{")
    with pytest.raises(StoreFailure, match="cannot be read"):
        seal(book, lake)
    assert hot(book) == 3


KILLED = """
import os, signal, sys
from flatfare.store import lake as lakes, sealing, segments
from flatfare.store.book import open_book

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_killed(work):
    def both(*given):
        work(*given)
        killed()
    return both

moment = sys.argv[3]
if moment == "marking":
    lakes.write_over = killed
elif moment == "marked":
    lakes.Lake.write_mark = then_killed(lakes.Lake.write_mark)
elif moment == "begun":
    lakes.Lake.place = killed
elif moment == "placed":
    lakes.Lake.place = then_killed(lakes.Lake.place)
elif moment == "listing":
    segments.list_segment = then_killed(segments.list_segment)
elif moment == "listed":
    sealing._close = then_killed(sealing._close)
sealing.seal_calls(open_book(sys.argv[1]), lakes.Lake(sys.argv[2]), before_us=10**18, now_us=1)
"""


@pytest.mark.parametrize("moment", ["marking", "marked", "begun", "placed", "listing", "listed"])
def test_killed_at_any_step_the_next_goes_on_and_a_repair_removes_what_is_over_alone(
    tmp_path: Path, moment: str
) -> None:
    filled(tmp_path).close()
    lake = Lake(tmp_path / "lake")
    arguments = [str(tmp_path / "flatfare.db"), str(lake.folder), moment]
    assert subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode == -9
    with open_book(arguments[0]) as book:
        assert cost(book, lake) == 33
        doctoring.remove_leftovers(book, lake)
        assert files_below(lake.folder) == {segment.path for segment in segments.listed(book)}
        assert seal(book, lake) == (0 if moment == "listed" else 3)
        assert doctoring.examine(book, lake).findings == ()
        assert cost(book, lake) == 33
        assert segments.begun(book) == set()


def test_files_that_were_listed_stay_whatever_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is interrupted once its transaction is through has sealed: the rows are only here."""
    book, lake = filled(tmp_path), Lake(tmp_path / "lake")
    writing = Book.writing

    @contextmanager
    def interrupted(self: Book) -> Iterator[None]:
        with writing(self):
            yield
        if segments.listed(book):
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(Book, "writing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        seal(book, lake)
    assert hot(book) == 0
    assert doctoring.examine(book, lake).findings == ()
    assert cost(book, lake) == 33


def test_a_writer_that_was_taken_for_dead_lists_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection was lost, another node held the lake meanwhile and repaired it."""
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(3)])
    listing = segments.list_segment

    def repaired_before(book: Book, segment: segments.Segment, at_us: int) -> None:
        book.execute("DELETE FROM begun_files")
        lake.remove(segment.path)
        listing(book, segment, at_us)

    monkeypatch.setattr(segments, "list_segment", repaired_before)
    with pytest.raises(StoreFailure, match="taken for dead"):
        seal(book, lake)
    assert (hot(book), segments.count(book)) == (3, 0)
