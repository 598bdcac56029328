"""Gathered files: each row is read once, from a copy or as it was sealed, whatever breaks or is killed."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import Conflict, StoreFailure
from flatfare.service import doctoring, vouching
from flatfare.service.vouching import Heads
from flatfare.store import gathering, reading, sealing, segments
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from flatfare.store.reading import OpenLake
from tests.promises.killing import kill_somewhere, run_whole
from tests.store.rows import NOON_US, call, place, write

EVER_US = NOON_US * 2
FILES = 5


@pytest.fixture(autouse=True)
def _small_gatherings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "FILES_MIN", FILES)


def fill(book: Book, lake: Lake, files: int = FILES, first: int = 0) -> None:
    """So many sealed files of two calls each."""
    for number in range(first, first + files):
        write(book, [call(2 * number), call(2 * number + 1)])
        sealing.seal_calls(book, lake, EVER_US, now_us=number)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    book, lake = place(tmp_path)
    fill(book, lake)
    yield book, lake
    book.close()


def files_read(book: Book, lake: Lake) -> int:
    """How many files a reading of everything opens."""
    return len(gathering.to_read(book, segments.listed(book), gathering.usable(book, lake)))


def sums(book: Book, lake: Lake) -> object:
    """Calls, distinct calls and their cost, by the calls and by their sums."""
    with reading.opened(book, lake, "calls", "folded") as engine:
        query = (
            "SELECT (SELECT SUM(n) FROM folded), (SELECT SUM(cost_nano) FROM folded), COUNT(*), "
            "COUNT(DISTINCT id), SUM(cost_nano), SUM(input) FROM calls"
        )
        return engine.execute(query).fetchall()


def a_copy(book: Book, lake: Lake, kind: str = "folded") -> Path:
    (one,) = [one for one in gathering.listed(book) if one.kind == kind]
    return lake.file(one.path)


def test_a_few_small_files_of_each_kind_are_read_as_one(small: tuple[Book, Lake]) -> None:
    book, lake = small
    before = sums(book, lake)
    assert files_read(book, lake) == 2 * FILES
    assert gathering.gather(book, lake, now_us=9) == 2 * FILES
    assert files_read(book, lake) == 2
    assert sums(book, lake) == before
    assert doctoring.examine(book, lake).findings == ()


def test_too_few_wait_and_then_come_together_with_more(small: tuple[Book, Lake]) -> None:
    book, lake = small
    gathering.gather(book, lake, now_us=9)
    fill(book, lake, FILES - 1, first=FILES)
    assert gathering.gather(book, lake, now_us=10) == 0
    fill(book, lake, 1, first=2 * FILES - 1)
    assert gathering.gather(book, lake, now_us=11) == 2 * FILES
    assert gathering.gather(book, lake, now_us=12) == 0
    assert files_read(book, lake) == 4
    assert doctoring.examine(book, lake).findings == ()


def test_what_was_sealed_stays_and_who_reads_the_folders_of_the_lake_reads_no_row_twice(
    small: tuple[Book, Lake],
) -> None:
    book, lake = small
    folders = {kind: sorted((lake.folder / kind).iterdir()) for kind in ("calls", "folded")}
    gathering.gather(book, lake, now_us=9)
    assert {kind: sorted((lake.folder / kind).iterdir()) for kind in ("calls", "folded")} == folders
    assert segments.count(book) == 2 * FILES


@pytest.mark.parametrize(
    "bound",
    [("SMALL_ROWS", 1), ("SMALL_BYTES", 10), ("ROWS_MAX", 4)],
    ids=lambda one: str(one[0]),
)
def test_what_is_not_small_stays_apart(
    small: tuple[Book, Lake], bound: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, *bound)
    assert gathering.gather(*small, now_us=9) == 0


def test_many_come_into_several(small: tuple[Book, Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    book, lake = small
    fill(book, lake, FILES + 2, first=FILES)
    monkeypatch.setattr(gathering, "ROWS_MAX", 2 * FILES)
    before = sums(book, lake)
    assert gathering.gather(book, lake, now_us=9) >= 4 * FILES
    assert len(gathering.listed(book)) == 4
    assert sums(book, lake) == before


def lose(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize("harm", [lose, cut])
def test_without_its_copy_what_was_sealed_is_read(
    small: tuple[Book, Lake], harm: Callable[[Path], None]
) -> None:
    book, lake = small
    before = sums(book, lake)
    gathering.gather(book, lake, now_us=9)
    kept = OpenLake(lake.folder)
    assert sums(book, kept) == before
    harm(a_copy(book, lake))
    assert sums(book, lake) == sums(book, kept) == before
    kept.close()
    examination = doctoring.examine(book, lake)
    assert examination.is_sound
    assert "are read instead" in examination.findings[0].what
    doctoring.remove_leftovers(book, lake)
    assert doctoring.examine(book, lake).findings == ()
    assert gathering.gather(book, lake, now_us=10) == FILES
    assert sums(book, lake) == before


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_copy_that_was_changed_is_found_and_taken_away_on_request(
    small: tuple[Book, Lake], tmp_path: Path
) -> None:
    book, lake = small
    before = sums(book, lake)
    gathering.gather(book, lake, now_us=9)
    heads = Heads(tmp_path / "heads", tmp_path / "key")
    assert vouching.verify(book, lake, heads, now_us=1).holds
    flip(a_copy(book, lake))
    (problem,) = vouching.verify(book, lake, heads, now_us=2).problems
    assert problem.what == "has other content than was gathered"
    examination = doctoring.examine(book, lake)
    assert not examination.is_sound
    assert examination.findings[0].what.endswith("has other content than was gathered")
    assert len(doctoring.remove_leftovers(book, lake)) == 1
    assert doctoring.examine(book, lake).findings == ()
    assert vouching.verify(book, lake, heads, now_us=3).holds
    assert sums(book, lake) == before


def test_of_a_broken_file_no_copy_is_made_and_one_that_was_made_stays(small: tuple[Book, Lake]) -> None:
    book, lake = small
    fill(book, lake, 1, first=FILES)
    broken = lake.file(segments.listed(book, "calls")[0].path)
    whole = broken.read_bytes()
    flip(broken)
    assert gathering.gather(book, lake, now_us=9) == 2 * FILES + 1
    broken.write_bytes(whole)
    assert doctoring.examine(book, lake).findings == ()
    flip(lake.file(segments.listed(book, "calls")[1].path))
    doctoring.remove_leftovers(book, lake)
    assert len(gathering.listed(book)) == 2


def test_a_copy_that_says_it_holds_what_it_does_not_is_not_read(small: tuple[Book, Lake]) -> None:
    """Edited in the book: rows would be left out, or count twice."""
    book, lake = small
    before = sums(book, lake)
    fill(book, lake, 1, first=FILES)
    after = sums(book, lake)
    assert before != after
    gathering.gather(book, lake, now_us=9)
    more = segments.listed(book, "calls")[0].id
    book.execute("UPDATE gathered_files SET members = REPLACE(members, ']', ?)", (f', "{more}"]',))
    assert sums(book, lake) == after
    assert {what for _, what in gathering.contradicted(book)} == {"is listed otherwise than it was gathered"}
    assert "cannot hold" in doctoring.examine(book, lake).findings[0].what


def test_rows_that_do_not_come_over_stop_it(
    small: tuple[Book, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    book, lake = small
    writing = gathering.write_parquet
    monkeypatch.setattr(
        gathering,
        "write_parquet",
        lambda engine, query, file: writing(
            engine, f"SELECT * REPLACE (lower(model) || 'x' AS model) FROM ({query})", file
        ),
    )
    with pytest.raises(StoreFailure, match="gave other rows"):
        gathering.gather(book, lake, now_us=9)
    assert gathering.listed(book) == []
    assert list((lake.folder / "staging").iterdir()) == []


def test_another_book_s_lake_is_not_gathered(small: tuple[Book, Lake], tmp_path: Path) -> None:
    _, lake = small
    with open_book(str(tmp_path / "other.db")) as other:
        fill(other, Lake(tmp_path / "own"))
        with pytest.raises(Conflict, match="is of the book"):
            gathering.gather(other, lake, now_us=9)


def test_while_a_lake_is_kept_open_its_next_reading_takes_the_copy(small: tuple[Book, Lake]) -> None:
    book, lake = small
    kept = OpenLake(lake.folder)
    before = sums(book, kept)
    with reading.opened(book, kept, "calls") as engine:
        gathering.gather(book, lake, now_us=9)
        assert sums(book, kept) == before
        assert engine.execute("SELECT COUNT(*) FROM calls").fetchall() == [(2 * FILES,)]
    for segment in segments.listed(book):
        lake.file(segment.path).rename(lake.file(segment.path).with_suffix(".away"))
    assert sums(book, kept) == before
    kept.close()


GATHER = """
import os, signal, sys
from flatfare.store import gathering, lake as lakes, segments
from flatfare.store.book import open_book

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_killed(work):
    def both(*given):
        work(*given)
        killed()
    return both

gathering.FILES_MIN = 5
moment = sys.argv[3]
if moment == "begun":
    lakes.Lake.place = killed
elif moment == "placed":
    lakes.Lake.place = then_killed(lakes.Lake.place)
elif moment == "listing":
    gathering._list = then_killed(gathering._list)
elif moment == "listed":
    gathering._gather = then_killed(gathering._gather)
gathering.gather(open_book(sys.argv[1]), lakes.Lake(sys.argv[2]), 9)
"""


def goes_on(folder: Path) -> object:
    """What a reader sees, after which the next gathering and a repair leave nothing over."""
    with open_book(str(folder / "flatfare.db")) as book:
        lake = Lake(folder / "lake")
        seen = sums(book, lake)
        doctoring.remove_leftovers(book, lake)
        gathering.gather(book, lake, now_us=10)
        assert files_read(book, lake) == 2
        assert doctoring.examine(book, lake).findings == ()
        there = {str(file.relative_to(lake.folder)) for file in (lake.folder / "gathered").rglob("*.parquet")}
        assert there == {one.path for one in gathering.listed(book)}
        assert sums(book, lake) == seen
    return seen


@pytest.mark.parametrize("moment", ["begun", "placed", "listing", "listed"])
def test_killed_at_any_step_every_row_is_read_once(tmp_path: Path, moment: str) -> None:
    book, lake = place(tmp_path)
    fill(book, lake)
    before = sums(book, lake)
    book.close()
    arguments = [str(tmp_path / "flatfare.db"), str(lake.folder), moment]
    assert subprocess.run([sys.executable, "-c", GATHER, *arguments], check=False).returncode == -9
    assert goes_on(tmp_path) == before


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_killed_at_any_moment_every_row_is_read_once(tmp_path: Path, kills: int) -> None:
    book, lake = place(tmp_path / "full")
    fill(book, lake)
    before = sums(book, lake)
    book.close()
    dice = random.Random(3)

    def copied(number: int) -> list[str]:
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "full", folder)
        return [str(folder / "flatfare.db"), str(folder / "lake"), "never"]

    whole_s = run_whole(GATHER, copied(0))
    for number in range(1, kills + 1):
        kill_somewhere(GATHER, copied(number), longest_s=whole_s * 1.1, dice=dice)
        assert goes_on(tmp_path / str(number)) == before
        shutil.rmtree(tmp_path / str(number))
