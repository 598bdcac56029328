"""The process that keeps the book outlives a book that is locked or away, and one of it works at a time."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flatfare.config import Channel, Secret, Settings, WeeklyReport
from flatfare.core.errors import StoreFailure
from flatfare.core.identity import derived
from flatfare.gateway import bookkeeping
from flatfare.gateway.bookkeeping import (
    CROWDED_US,
    HOT_US,
    SEAL_ROWS_MIN,
    WAIT_US,
    Pace,
    run_booking,
    seal_old,
    seal_old_tasks,
)
from flatfare.gateway.folders import journal_folder, new_worker, workers
from flatfare.service.tasks.defining import define, of_document
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import calls, gathering, sealing, sqlite
from flatfare.store.alerts import Alert
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.store.reviews import listed
from tests.gateway.calls import intent, result, write_journal
from tests.store.rows import NOON_US, call

FAST = Pace(poll_s=0.01, retry_s=0.02, seal_every_s=0.05)


def settings_of(folder: Path) -> Settings:
    return Settings(database=str(folder / "flatfare.db"), lake=str(folder / "lake"))


@contextmanager
def keeping(settings: Settings, pace: Pace = FAST) -> Iterator[list[str]]:
    """The bookkeeping in a thread; gives what it says."""
    stop, said = threading.Event(), []
    thread = threading.Thread(target=run_booking, args=(settings, stop, said.append), kwargs={"pace": pace})
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], object], limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def booked(settings: Settings) -> int:
    path = Path(settings.database)
    if not path.exists():
        return 0
    with open_book(settings.database) as book:
        sealed = "SELECT COALESCE(SUM(rows), 0) FROM segments WHERE kind = 'calls'"
        with book.reading():  # calls this old are sealed at once
            return sum(int(str(book.value(query))) for query in ("SELECT COUNT(*) FROM calls", sealed))


def hot(settings: Settings) -> int:
    """The calls that are not sealed."""
    with open_book(settings.database) as book:
        return int(str(book.value("SELECT COUNT(*) FROM calls")))


def test_calls_are_booked_as_they_come(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with keeping(settings):
        for number in range(3):
            write_journal(journal_folder(settings), [intent(number), result(number)])
            wait_for(lambda number=number: booked(settings) == number + 1)


def test_the_weekly_report_is_sent_once_however_often_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def take(channel: Channel, batch: Sequence[Alert], *, page: object) -> None:
        told.extend(one.kind for one in batch)

    monkeypatch.setattr(bookkeeping, "send", take)
    channels = {"ops": Channel("ops", Secret("https://hooks.example/x"))}
    settings = replace(settings_of(tmp_path), alerts=channels, weekly_report=WeeklyReport(("ops",)))
    pace = replace(FAST, tell_every_s=0.02)
    write_journal(journal_folder(settings), [intent(1), result(1)])
    for _ in range(2):
        with keeping(settings, pace):
            wait_for(lambda: told)
            time.sleep(0.2)
    assert told == ["report.weekly"]


def test_what_is_there_at_the_stop_is_booked(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for number in range(5):
        write_journal(journal_folder(settings), [intent(number), result(number)])
    stop = threading.Event()
    stop.set()
    run_booking(settings, stop, lambda _: None, pace=FAST)
    assert booked(settings) == 5
    assert workers(journal_folder(settings)) == []


def test_a_locked_book_holds_the_calls_back_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    settings = settings_of(tmp_path)
    folder = journal_folder(settings)
    with open_book(settings.database) as other, keeping(settings) as said:
        with other.writing():
            for number in range(20):
                write_journal(folder, [intent(number), result(number)])
            wait_for(lambda: any("in use by another process" in line for line in said))
            time.sleep(0.3)
            assert len([line for line in said if "in use" in line]) == 1
        wait_for(lambda: booked(settings) == 20)
        wait_for(lambda: "Booking goes on." in said)


def test_a_book_that_goes_away_is_waited_for_and_not_made_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder, path = journal_folder(settings), Path(settings.database)
    with keeping(settings) as said:
        write_journal(folder, [intent(1), result(1)])
        wait_for(lambda: booked(settings) == 1 and not workers(folder))
        time.sleep(0.2)  # let the sealing come to rest too
        with open_book(settings.database) as book:
            book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.rename(tmp_path / "aside.db")
        write_journal(folder, [intent(2), result(2)])
        wait_for(lambda: said)
        time.sleep(0.1)
        assert not path.exists()
        assert len(workers(folder)) == 1
        for left in tmp_path.glob("flatfare.db-*"):
            left.unlink()
        (tmp_path / "aside.db").rename(path)

        def is_booked() -> bool:
            try:
                return booked(settings) == 2
            except StoreFailure:  # who still has the moved file open takes its companions away as it closes
                return False

        wait_for(is_booked)


def test_a_second_one_stands_by_until_the_first_is_killed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    script = (
        "import sys, threading\nfrom flatfare.config import Settings\n"
        "from flatfare.gateway.bookkeeping import run_booking\n"
        "run_booking(Settings(database=sys.argv[1], lake=sys.argv[2]), threading.Event(), print, "
        "on_booked=lambda _: print('works', flush=True))"
    )
    command = [sys.executable, "-c", script, settings.database, settings.lake]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "works\n"
        with keeping(settings) as said:
            wait_for(lambda: said)
            assert "stands by" in said[0]
            first.kill()
            write_journal(journal_folder(settings), [intent(1), result(1)])
            wait_for(lambda: booked(settings) == 1)


def test_what_could_not_be_read_and_what_is_unproven_is_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = journal_folder(settings)
    worker = folder / write_journal(folder, [intent(1), intent(2)])
    (log,) = worker.glob("*.log")
    log.write_bytes(log.read_bytes()[:-3])
    with keeping(settings) as said:
        wait_for(lambda: len(said) >= 2)
    assert "unfinished record" in said[0]
    assert "1 calls whose worker ended" in said[1]


def test_old_calls_are_sealed_once_there_are_enough_or_they_are_old_enough(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with open_book(str(tmp_path / "b.db")) as book:
        with book.writing():
            calls.insert(book, [call(0)])
        assert seal_old(book, lake, now_us=NOON_US + HOT_US) == 0
        assert seal_old(book, lake, now_us=NOON_US + WAIT_US - 1) == 0
        sealed_us = NOON_US + WAIT_US + 1
        assert seal_old(book, lake, now_us=sealed_us) == 1
        with book.writing():
            calls.insert(book, [call(1)])  # an old call, told late: it waits with others
        assert seal_old(book, lake, now_us=sealed_us + WAIT_US - 1) == 0
        assert seal_old(book, lake, now_us=sealed_us + WAIT_US) == 1
        with book.writing():
            calls.insert(book, ({**call(n), "at_us": NOON_US} for n in range(2, SEAL_ROWS_MIN + 2)))
        assert seal_old(book, lake, now_us=sealed_us + WAIT_US + 1) == SEAL_ROWS_MIN


def test_of_a_crowded_book_calls_leave_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "CROWDED_ROWS", 5)
    monkeypatch.setattr(bookkeeping, "SEAL_ROWS_MIN", 3)
    lake = Lake(tmp_path / "lake")
    with open_book(str(tmp_path / "b.db")) as book:
        with book.writing():  # one a minute, the last of them now
            calls.insert(book, map(call, range(5)))
        now_us = NOON_US + 14 * 60_000_000
        assert seal_old(book, lake, now_us=now_us) == 0
        with book.writing():
            calls.insert(book, map(call, range(5, 15)))
        assert seal_old(book, lake, now_us=now_us) == 4
        assert book.value("SELECT MIN(at_us) FROM calls") == now_us - CROWDED_US
        assert seal_old(book, lake, now_us=now_us) == 0


@pytest.mark.parametrize(("crowd", "left_after_a_day"), [(3, 0), (2, 3)])
def test_settled_tasks_leave_after_a_week_and_of_a_crowd_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crowd: int, left_after_a_day: int
) -> None:
    monkeypatch.setattr(bookkeeping, "SEAL_TASKS_MIN", 2)
    monkeypatch.setattr(bookkeeping, "CROWDED_TASKS", crowd)
    lake = Lake(tmp_path / "lake")
    with open_book(str(tmp_path / "b.db")) as book:
        for number in range(3):
            verdict = {"event": "judged", "verifier": "v", "version": "1", "judgement": "pass", "evidence": 1}
            word = {**verdict, "id": str(uuid.UUID(int=number)), "task": f"t{number}", "at": NOON_US}
            assert not record(book, lake, [word], Teller("x"), now_us=NOON_US).refused
        closed_us = int(book.value("SELECT MAX(matures_at_us) FROM tasks") or 0)
        day_us = 86_400_000_001
        assert seal_old_tasks(book, lake, now_us=closed_us + day_us) == left_after_a_day
        assert seal_old_tasks(book, lake, now_us=closed_us + 7 * day_us) == 3 - left_after_a_day


def test_the_process_seals_beside_its_booking(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with open_book(settings.database) as book, book.writing():
        calls.insert(book, [call(0)])
    with keeping(settings):
        wait_for(lambda: hot(settings) == 0)
    assert len(list((tmp_path / "lake" / "calls").iterdir())) == 1


def test_two_books_in_one_folder_have_journals_of_their_own(tmp_path: Path) -> None:
    one, other = Settings(database=str(tmp_path / "a.db")), Settings(database=f"sqlite:///{tmp_path}/b.db")
    assert journal_folder(one) != journal_folder(other)
    assert journal_folder(one).parent == tmp_path / "journal"


def test_a_node_keeps_its_journals_where_it_is_told_to(tmp_path: Path) -> None:
    settings = Settings(database="postgresql://db/book", journal=str(tmp_path / "own"))
    assert journal_folder(settings) == tmp_path / "own"


def test_a_worker_that_died_while_it_was_made_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / ".new-x").mkdir()
    new_worker(tmp_path, "y")
    assert [worker.name for worker in workers(tmp_path)] == ["y"]


def test_what_a_definition_has_drawn_for_people_is_put_before_them(tmp_path: Path) -> None:
    settings, now_us = settings_of(tmp_path), time.time_ns() // 1000
    rule = {"action": "qa", "verifiers": ["human-review"], "sampling": {"link": "https://desk/{external_id}"}}
    opened = {"event": "opened", "id": str(derived("o")), "task": "T-1", "name": "qa"}
    closed = {"event": "closed", "id": str(derived("c")), "task": "T-1"}
    with open_book(settings.database) as book:
        define(book, of_document(rule), by_whom="test", at_us=now_us - 1)
        record(book, Lake(settings.lake), [opened, closed], Teller("test"), now_us=now_us)
        pace = Pace(poll_s=0.01, sample_every_s=0.05)
        with keeping(settings, pace) as said:
            wait_for(lambda: listed(book))
    assert said == []
    with open_book(settings.database) as book:
        (review,) = listed(book)
    assert (review.link, review.plan, review.asked_by) == ("https://desk/T-1", "qa@1", "the plan 'qa@1'")


def test_a_lake_of_another_book_is_told_of_at_the_start(tmp_path: Path) -> None:
    """Not a week later, when the first calls are to be sealed."""
    settings = settings_of(tmp_path)
    with open_book(str(tmp_path / "other.db")) as other:
        with other.writing():
            calls.insert(other, [call(1)])
        sealing.seal_calls(other, Lake(settings.lake), NOON_US * 2, now_us=1)
    with keeping(settings) as said:
        wait_for(lambda: said)
    assert said[0].startswith("Calls stay in the book: The lake")
    assert "other.db" in said[0]


def test_small_files_of_the_lake_are_gathered_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    monkeypatch.setattr(gathering, "FILES_MIN", 3)
    lake = Lake(settings.lake)
    with open_book(settings.database) as book:
        for number in range(3):
            with book.writing():
                calls.insert(book, [call(number)])
            sealing.seal_calls(book, lake, NOON_US * 2, now_us=number)
        with keeping(settings, replace(FAST, gather_every_s=0.05)):
            wait_for(lambda: {one.kind for one in gathering.listed(book)} == {"calls", "folded"})
