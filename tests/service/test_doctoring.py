"""The doctor finds whatever was changed behind the book's back, and says what is unknown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flatfare.service import doctoring
from flatfare.store import chains, sealing, segments
from flatfare.store.book import Book
from flatfare.store.lake import Lake
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


def test_strays_are_named_and_removed_on_request(sealed: tuple[Book, Lake]) -> None:
    book, lake = sealed
    (lake.folder / "calls" / "stray.parquet").write_bytes(b"half a file")
    examination = doctoring.examine(book, lake)
    assert examination.is_sound
    assert "stray.parquet" in examination.findings[0].what
    assert doctoring.remove_strays(book, lake) == ["calls/stray.parquet"]
    assert doctoring.examine(book, lake).findings == ()


def test_the_examination_counts_what_it_looked_at(sealed: tuple[Book, Lake]) -> None:
    examination = doctoring.examine(*sealed)
    assert (examination.segments, examination.calls, examination.tasks) == (2, 17, 0)
