"""The doctor finds whatever was changed behind the book's back, and says what is unknown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flatfare.core.errors import Conflict
from flatfare.service import doctoring
from flatfare.store import chains, sealing, segments
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.promises.killing import files_below
from tests.store.rows import NOON_US, call, place, write

TASK, OTHER, THIRD = (f"00000000-0000-0000-0000-{number:012}" for number in (1, 2, 3))


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Book, Lake]:
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(12)])
    sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    write(book, [call(number) for number in range(20, 25)])
    return book, lake


def path_of(book: Book, lake: Lake, kind: str) -> Path:
    return lake.file(segments.listed(book, kind)[0].path)


def flip_a_byte(book: Book, lake: Lake) -> None:
    file = path_of(book, lake, "calls")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_a_file(book: Book, lake: Lake) -> None:
    file = path_of(book, lake, "folded")
    file.write_bytes(file.read_bytes()[:-20])


def lose_a_file(book: Book, lake: Lake) -> None:
    path_of(book, lake, "calls").unlink()


def list_other_sums(book: Book, lake: Lake) -> None:
    book.execute("UPDATE segments SET sums = REPLACE(sums, '\"n\": 12', '\"n\": 13') WHERE kind = 'calls'")


def list_other_rows(book: Book, lake: Lake) -> None:
    book.execute("UPDATE segments SET rows = rows + 1 WHERE kind = 'calls'")


def forget_a_fold(book: Book, lake: Lake) -> None:
    book.execute("DELETE FROM segments WHERE kind = 'folded'")


def write_a_sealed_call_again(book: Book, lake: Lake) -> None:
    write(book, [call(3)])


def edit_a_chained_record(book: Book, lake: Lake) -> None:
    chains.append(book, "organisation", kind="key", subject="a", by_whom="ann", at_us=1, content="{}")
    chains.append(book, "organisation", kind="key", subject="b", by_whom="ann", at_us=2, content="{}")
    book.execute("UPDATE chained_records SET by_whom = 'bob' WHERE position = 0")


def verify_without_a_verdict(book: Book, lake: Lake) -> None:
    book.execute(
        "INSERT INTO tasks (id, version, name, labels, opened_at_us, outcome, is_disputed, settlement, "
        "source) VALUES ('00000000-0000-0000-0000-000000000001', 0, 'x', '{}', 1, 'verified', 0, 'none', 's')"
    )


@pytest.mark.parametrize(
    ("tamper", "check"),
    [
        (flip_a_byte, "files"),
        (cut_a_file, "files"),
        (lose_a_file, "files"),
        (list_other_sums, "sums"),
        (list_other_rows, "sums"),
        (forget_a_fold, "folds"),
        (write_a_sealed_call_again, "repeats"),
        (edit_a_chained_record, "chains"),
        (verify_without_a_verdict, "verdicts"),
    ],
)
def test_what_was_changed_is_found(
    sealed: tuple[Book, Lake], tamper: Callable[[Book, Lake], None], check: str
) -> None:
    book, lake = sealed
    assert doctoring.examine(book, lake).is_sound
    tamper(book, lake)
    examination = doctoring.examine(book, lake)
    assert not examination.is_sound
    assert check in {finding.check for finding in examination.findings if finding.is_error}


def test_unknown_costs_are_listed_with_their_reason(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    write(book, [call(0), call(1, cost_nano=None, cost_state="unknown", cost_reason="no price for 'x'")])
    (finding,) = doctoring.examine(book, lake).findings
    assert (finding.severity, finding.what) == (
        "note",
        "the cost of 1 call is not known: no price for 'x'",
    )


def test_tasks_that_nobody_gave_a_cost_are_counted_with_what_to_do(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    write(book, [call(0, task_id=TASK)])
    for id_, given, rework_ms in ((TASK, None, None), (OTHER, None, None), (THIRD, 7, 60_000)):
        book.execute(
            "INSERT INTO tasks (id, version, name, labels, opened_at_us, outcome, is_disputed, settlement, "
            "source, given_nano, rework_ms) VALUES (?, 0, 'x', '{}', 1, 'failed', 0, 'none', 's', ?, ?)",
            (id_, given, rework_ms),
        )
    found = {finding.what: finding.todo for finding in doctoring.examine(book, lake).findings}
    what = "the cost of 1 task is not known: no call names the task, and its source gives no cost"
    assert "--map task=COLUMN" in found.pop(what)
    assert "--rework-rate" in found.pop(
        "the cost of 1 task is not known: minutes of rework without a rate for an hour"
    )
    assert found == {}


def test_what_a_killed_writer_left_is_named_and_removed_on_request(sealed: tuple[Book, Lake]) -> None:
    book, lake = sealed
    book.execute("INSERT INTO begun_files (path) VALUES ('calls/begun.parquet'), ('calls/never.parquet')")
    (lake.folder / "calls" / "begun.parquet").write_bytes(b"half a file")
    examination = doctoring.examine(book, lake)
    assert examination.is_sound
    (found,) = examination.findings
    assert "begun.parquet" in found.what
    assert "--repair" in found.todo
    assert doctoring.remove_leftovers(book, lake) == ["calls/begun.parquet"]
    assert doctoring.examine(book, lake).findings == ()
    assert segments.begun(book) == set()


def test_a_file_that_nobody_here_began_is_never_removed_and_moved_aside_on_request(
    sealed: tuple[Book, Lake],
) -> None:
    book, lake = sealed
    (lake.folder / "calls" / "strange.parquet").write_bytes(b"somebody's")
    (found,) = doctoring.examine(book, lake).findings
    assert "strange.parquet" in found.what
    assert "--set-aside" in found.todo
    assert doctoring.remove_leftovers(book, lake) == []
    (moved,) = doctoring.set_aside(book, lake)
    assert (lake.folder / moved).read_bytes() == b"somebody's"
    assert doctoring.examine(book, lake).findings == ()


def test_a_book_that_was_restored_keeps_the_files_it_no_longer_lists(tmp_path: Path) -> None:
    """The files of the days that the backup did not have: their rows are nowhere else."""
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(3)])
    book.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    files = files_below(lake.folder)
    with open_book(str(tmp_path / "backup.db")) as restored:
        assert [finding.check for finding in doctoring.examine(restored, lake).findings] == ["files"]
        assert doctoring.remove_leftovers(restored, lake) == []
    assert files_below(lake.folder) == files
    assert doctoring.examine(book, lake).findings == ()


def test_a_lake_of_another_book_is_named_and_left_alone(sealed: tuple[Book, Lake], tmp_path: Path) -> None:
    _, lake = sealed
    files = files_below(lake.folder)
    with open_book(str(tmp_path / "other.db")) as other:
        (found,) = doctoring.examine(other, lake).findings
        assert (found.severity, found.check) == ("warning", "lake")
        assert "flatfare.db" in found.what
        for asked in (doctoring.remove_leftovers, doctoring.set_aside):
            with pytest.raises(Conflict, match="lists no file in it"):
                asked(other, lake)
    assert files_below(lake.folder) == files


def test_the_examination_counts_what_it_looked_at(sealed: tuple[Book, Lake]) -> None:
    examination = doctoring.examine(*sealed)
    assert (examination.segments, examination.calls, examination.tasks) == (2, 17, 0)
