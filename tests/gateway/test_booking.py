"""Each call of the journals becomes one row, whatever happens to its worker, its booker or its bytes."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.core.identity import derived, task_id
from flatfare.gateway import rows
from flatfare.gateway.booking import Booked, Booker
from flatfare.gateway.folders import log_file, log_numbers, workers
from flatfare.gateway.frames import framed, salt_of
from flatfare.gateway.journal import Journal
from flatfare.gateway.records import Ended, Figures, Priced, Record, Told, Void
from flatfare.gateway.tap import unknown
from flatfare.service.tasks.recording import Teller, mature
from flatfare.service.tasks.recording import record as record_told
from flatfare.store import first_calls, journals, price_versions, sealing
from flatfare.store.book import Book, Value, open_book
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS
from flatfare.store.reading import opened
from tests.gateway.calls import NOON_US, call_id, intent, result, write_journal
from tests.promises.killing import kill_somewhere


class Place:
    """A book, a lake and a folder of journals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.path = str(folder / "flatfare.db")
        self.book: Book = open_book(self.path)
        self.lake = Lake(folder / "lake")

    def write(self, *records: Record, **settings: int) -> str:
        return write_journal(self.folder, records, **settings)

    def booker(self) -> Booker:
        return Booker(self.book, self.lake, self.folder)

    def book_all(self, booker: Booker | None = None) -> Booked:
        """Book to the end; returns the last turn."""
        booker = booker or self.booker()
        while not (booked := booker.book_once()).is_idle:
            pass
        return booked

    def rows(self, columns: str) -> list[tuple[Value, ...]]:
        return self.book.rows(f"SELECT {columns} FROM calls ORDER BY at_us, revision, n")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.book.close()


def test_an_intent_and_its_result_are_one_row(place: Place) -> None:
    place.write(intent(1, task_id=call_id(7), key_id="key_1", is_stream=True, session="s", turn=3), result(1))
    booked = place.book_all()
    assert (booked.calls, booked.unproven, booked.notes) == (1, 0, ())
    assert place.rows(
        "id, revision, n, at_us, duration_ms, source, task_id, session, turn, purpose, status, http_status, "
        "delivery, provider, endpoint, model, model_asked, is_stream, input, output, usage_state, cost_nano, "
        "cost_state, cost_reason, cost_basis, labels, key_id"
    ) == [
        (
            *(call_id(1), 0, 1, NOON_US + 1000, 500, "gateway", call_id(7), "s", 3, "work", "ok", 200),
            *("proven", "openai", "chat.completions", "gpt-5-2025-08-07", "gpt-5", 1, 2, 2, "measured", 11),
            *("measured", None, "computed", '{"team":"search"}', "key_1"),
        )
    ]


def test_usage_without_a_column_stands_beside(place: Place) -> None:
    seconds = Figures({"input": 5, "page": 2, "session_second": "1.5"}, "measured", 1, "measured")
    place.write(intent(1), result(1, figures=seconds))
    place.book_all()
    assert place.rows("input, other_usage") == [(5, '{"page":"2","session_second":"1.5"}')]


def test_traits_of_both_ends_are_one_object(place: Place) -> None:
    place.write(intent(1, traits='{"messages":7}'), result(1, traits='{"first_byte_ms":120}'))
    place.write(intent(2, traits='{"messages":7}'), result(2))
    place.write(intent(3), result(3, traits='{"first_byte_ms":120}'))
    place.book_all()
    assert [json.loads(str(traits)) for (traits,) in place.rows("traits")] == [
        {"messages": 7, "first_byte_ms": 120},
        {"messages": 7},
        {"first_byte_ms": 120},
    ]


def test_a_call_without_an_end_is_booked_at_its_bound_once_its_worker_is_dead(place: Place) -> None:
    place.write(intent(1), intent(2, bound_nano=None, bound_reason="the model has no price"))
    booked = place.book_all()
    assert (booked.calls, booked.unproven) == (0, 2)
    assert place.rows("status, delivery, usage_state, cost_nano, cost_state, cost_basis, computed_nano") == [
        ("failed", "unproven", "unknown", 1000, "estimated", "computed", 1000),
        ("failed", "unproven", "unknown", None, "unknown", None, None),
    ]
    reasons = [str(reason) for (reason,) in place.rows("cost_reason")]
    assert "at most" in reasons[0]
    assert "the model has no price" in reasons[1]


def test_an_open_call_of_a_living_worker_waits_even_for_another_booker(place: Place) -> None:
    async def run() -> None:
        journal = Journal(place.folder)
        await journal.append(intent(1))
        booked = place.book_all()
        assert (booked.open, place.rows("id")) == (1, [])
        booker = place.booker()  # as after a restart: what is open was kept in the book
        await journal.append(result(1))
        assert place.book_all(booker).calls == 1
        assert place.rows("delivery, cost_nano") == [("proven", 11)]
        assert journals.open_calls(place.book) == []
        await journal.close()

    asyncio.run(run())


def test_what_is_booked_and_dead_is_removed_and_booking_again_changes_nothing(place: Place) -> None:
    place.write(*(record for number in range(50) for record in (intent(number), result(number))))
    place.book_all()
    assert workers(place.folder) == []
    assert journals.positions(place.book) == {}
    assert place.book_all().calls == 0
    assert len(place.rows("id")) == 50


def test_booked_files_of_a_living_worker_are_removed_whole(place: Place) -> None:
    async def run() -> None:
        journal = Journal(place.folder, file_bytes_max=2000)
        for number in range(100):
            await journal.append(intent(number))
            await journal.append(result(number))
        assert len(log_numbers(journal.worker)) > 5
        booker = place.booker()
        place.book_all(booker)
        assert len(log_numbers(journal.worker)) == 1
        await journal.append(intent(100))
        await journal.append(result(100))
        place.book_all(booker)
        await journal.close()
        place.book_all(booker)

    asyncio.run(run())
    assert [number for (number,) in place.rows("COUNT(*)")] == [101]


def test_a_turn_takes_a_bounded_part(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flatfare.gateway.booking.RECORDS_MAX", 10)
    for worker in range(4):
        place.write(
            *(record for n in range(8) for record in (intent(worker * 8 + n), result(worker * 8 + n)))
        )
    booker = place.booker()
    assert booker.book_once().calls == 8
    place.book_all(booker)
    assert len(place.rows("id")) == 32


def test_a_void_intent_leaves_no_row(place: Place) -> None:
    place.write(intent(1), Void(call_id(1)), intent(2), result(2))
    place.book_all()
    assert place.rows("id") == [(call_id(2),)]


def test_a_void_intent_that_was_open_in_the_book_leaves_no_row(place: Place) -> None:
    async def run() -> None:
        journal = Journal(place.folder)
        booker = place.booker()
        await journal.append(intent(1))
        place.book_all(booker)
        await journal.append(Void(call_id(1)))
        assert place.book_all(booker).open == 0
        await journal.close()
        place.book_all(booker)

    asyncio.run(run())
    assert place.rows("id") == []


def test_a_result_written_twice_counts_once(place: Place) -> None:
    """As after a sync that failed: the worker cannot know that the first stands."""
    place.write(intent(1), result(1), result(1), intent(2))
    place.write(result(1))
    booked = place.book_all()
    assert booked.repeated == 2
    assert place.rows("id, n, cost_nano") == [(call_id(1), 1, 11), (call_id(2), 1, 1000)]


def test_a_result_written_twice_counts_once_where_the_first_is_sealed(place: Place) -> None:
    place.write(intent(1), result(1))
    place.book_all()
    sealing.seal_calls(place.book, place.lake, before_us=10**18, now_us=1)
    place.write(result(1))
    assert place.book_all().repeated == 1
    assert place.rows("id") == []


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_result_after_its_call_was_given_up_is_a_correction(place: Place, is_sealed: bool) -> None:
    place.write(intent(1, traits='{"messages":7}'))
    place.book_all()
    if is_sealed:
        sealing.seal_calls(place.book, place.lake, before_us=10**18, now_us=1)
    for _ in range(2):  # the second time it is there already
        place.write(result(1, traits='{"first_byte_ms":120}'))
        place.book_all()
    with opened(place.book, place.lake, "calls") as engine:
        assert engine.execute("SELECT SUM(n), SUM(cost_nano), SUM(input) FROM calls").fetchone() == (1, 11, 2)
        newest = engine.execute(
            "SELECT delivery, status, cost_state, labels, traits FROM calls "
            "ORDER BY revision DESC, n DESC LIMIT 1"
        ).fetchone()
    traits = '{"messages":7,"first_byte_ms":120}'
    assert newest == ("proven", "ok", "measured", '{"team":"search"}', traits)
    assert place.book.value("SELECT COUNT(*) FROM adjustments WHERE kind = 'result'") == 1


def test_a_result_whose_intent_was_damaged_is_booked_from_what_it_says(place: Place) -> None:
    worker = place.folder / place.write(intent(1), intent(2), result(1), result(2))
    file = log_file(worker, 1)
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(bytes(data))
    booked = place.book_all()
    assert [note.kind for note in booked.notes] == ["damaged"]
    assert place.rows("id, at_us, cost_nano, labels") == [
        (call_id(1), NOON_US + 1000, 11, "{}"),
        (call_id(2), NOON_US + 2000, 21, '{"team":"search"}'),
    ]
    assert "damaged" in str(place.rows("cost_reason")[0][0])
    assert place.book.rows("SELECT worker_id, kind, file_number FROM journal_notes") == [
        (worker.name, "damaged", 1)
    ]


def test_a_record_of_a_later_version_is_named_and_passed_over(place: Place) -> None:
    worker = place.folder / place.write(intent(1))
    with log_file(worker, 1).open("ab") as file:
        file.write(framed(b"\x92\xa5other\x01", salt_of(worker.name)))
    booked = place.book_all()
    assert [note.kind for note in booked.notes] == ["unreadable"]
    assert booked.unproven == 1


def test_a_number_that_no_column_holds_stops_nothing(place: Place) -> None:
    place.write(intent(1, bound_nano=2**63), intent(2), result(2))
    booked = place.book_all()
    assert [note.kind for note in booked.notes] == ["unreadable"]
    assert place.rows("id") == [(call_id(2),)]


def test_a_call_told_in_one_record_is_one_row(place: Place) -> None:
    place.write(Ended(intent(1), result(1, status="refused")), intent(2), Ended(intent(2), result(2)))
    booked = place.book_all()
    assert (booked.calls, booked.unproven) == (2, 0)
    assert place.rows("status, labels, cost_nano") == [
        ("refused", '{"team":"search"}', 11),
        ("ok", '{"team":"search"}', 21),
    ]


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_call_told_again_in_one_record_counts_once(place: Place, is_sealed: bool) -> None:
    place.write(Ended(intent(1), result(1)))
    place.book_all()
    if is_sealed:
        sealing.seal_calls(place.book, place.lake, before_us=10**18, now_us=1)
    place.write(Ended(intent(1), result(1), is_again=True), Ended(intent(2), result(2), is_again=True))
    booked = place.book_all()
    assert (booked.calls, booked.repeated) == (1, 1)
    assert place.rows("id, labels")[-1] == (call_id(2), '{"team":"search"}')


def test_whatever_names_a_task_can_be_sealed(place: Place) -> None:
    names = ["ticket-17", "", "é\x1f", "0" * 36, call_id(9).upper(), call_id(9)]
    for number, name in enumerate(names):
        place.write(intent(number, task_id=name, attempt_id=name), result(number))
    place.book_all()
    assert sealing.seal_calls(place.book, place.lake, before_us=10**18, now_us=1) == len(names)
    with opened(place.book, place.lake, "calls") as engine:
        tasks = engine.execute("SELECT CAST(task_id AS VARCHAR) FROM calls ORDER BY at_us").fetchall()
    assert tasks[0] == (str(derived("task", "import", "ticket-17")),)
    assert tasks[-1] == (call_id(9),)


def test_the_calls_of_a_folder_that_is_gone_are_given_up(place: Place) -> None:
    async def run() -> None:
        journal = Journal(place.folder)
        await journal.append(intent(1))
        booker = place.booker()
        place.book_all(booker)
        journal.worker.rename(place.folder.parent / "moved")
        assert place.book_all(booker).unproven == 1
        await journal.close()

    asyncio.run(run())
    assert place.rows("delivery") == [("unproven",)]


def test_a_turn_that_fails_books_nothing_and_the_next_booker_all(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(intent(1), result(1), intent(2))
    real = journals.set_position

    def fail(*_: object) -> None:
        raise StoreFailure("the book is away")

    monkeypatch.setattr(journals, "set_position", fail)
    with pytest.raises(StoreFailure):
        place.book_all()
    assert place.rows("id") == []
    monkeypatch.setattr(journals, "set_position", real)
    place.book_all()
    assert len(place.rows("id")) == 2


def judged(place: Place, task: str, at_us: int) -> None:
    said = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen"}
    told: dict[str, object] = {"event": "judged", "id": call_id(900_000), "task": task, "at": at_us, **said}
    assert not record_told(place.book, place.lake, [told], Teller("x"), now_us=at_us).refused


@pytest.mark.parametrize("is_booked_first", [True, False])
def test_a_task_that_a_header_names_opens_at_its_first_call(place: Place, is_booked_first: bool) -> None:
    task = str(task_id(None, "ticket-7"))
    place.write(intent(1), result(1), *(intent(n, task_id=task) for n in (5, 3, 4)), *map(result, (3, 4, 5)))
    if is_booked_first:
        place.book_all()
    judged(place, "ticket-7", NOON_US + 10**9)
    place.book_all()
    mature(place.book, place.lake, now_us=NOON_US + 10**10)
    assert place.book.rows("SELECT id, opened_at_us FROM tasks") == [(task, NOON_US + 3_000)]


def test_a_turn_that_fails_notes_no_first_call_and_the_next_booker_does(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(place, "ticket-7", NOON_US + 10**9)
    place.write(intent(1, task_id=str(task_id(None, "ticket-7"))), result(1))

    def fail(*_: object) -> None:
        raise StoreFailure("the book is away")

    monkeypatch.setattr(journals, "set_position", fail)
    with pytest.raises(StoreFailure):
        place.book_all()
    assert first_calls.due(place.book, 10) == []
    monkeypatch.undo()
    place.book_all()
    assert first_calls.due(place.book, 10) == [str(task_id(None, "ticket-7"))]


_BOOKER = """
import sys
from pathlib import Path
from flatfare.gateway import booking
from flatfare.store import sealing
from flatfare.store.book import open_book
from flatfare.store.lake import Lake

booking.RECORDS_MAX = 1
folder = Path(sys.argv[1])
book, lake = open_book(str(folder / "flatfare.db")), Lake(folder / "lake")
booker = booking.Booker(book, lake, folder / "journal")
while not booker.book_once().is_idle:
    sealing.seal_calls(book, lake, before_us=10**18, now_us=1_767_268_900_000_000)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_no_first_call_is_lost_where_the_booker_is_killed(place: Place, seed: int) -> None:
    """Half of the tasks are judged before their calls are booked, half after; every call names a task."""
    for worker in range(20):
        numbers = range(worker * 15, worker * 15 + 15)
        named = (intent(n, task_id=str(task_id(None, f"t{n // 3}"))) for n in numbers)
        place.write(*(record for one in zip(named, map(result, numbers), strict=True) for record in one))
    for is_odd in (False, True):
        said = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen"}
        told: list[dict[str, object]] = [
            {"event": "judged", "id": call_id(n), "task": f"t{n}", "at": NOON_US + 10**12, **said}
            for n in range(is_odd, 100, 2)
        ]
        record_told(place.book, place.lake, told, Teller("x"), now_us=NOON_US + 10**12)
        dice = random.Random(seed)
        while not is_odd and kill_somewhere(_BOOKER, [str(place.folder.parent)], 1.0, dice):
            pass
    place.book_all()
    mature(place.book, place.lake, now_us=NOON_US + 10**13)
    opened_us = place.book.rows("SELECT external_id, opened_at_us FROM tasks")
    assert dict(opened_us) == {f"t{n}": NOON_US + 3_000 * n for n in range(100)}
    assert first_calls.due(place.book, 1) == []


def test_a_booker_that_dies_before_it_removes_what_it_booked_doubles_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = place.folder / place.write(intent(1), result(1), intent(2), file_bytes_max=100)
    monkeypatch.setattr(Booker, "_tidy", lambda *_: None)
    place.book_all()
    monkeypatch.undo()
    assert worker.is_dir()
    booked = place.book_all()
    assert (booked.calls, booked.unproven) == (0, 0)
    assert not worker.exists()
    assert len(place.rows("id")) == 2


def test_a_book_that_was_replaced_under_the_booker_keeps_the_journals(place: Place) -> None:
    booker = place.booker()
    place.write(intent(1), result(1))
    Path(place.path).rename(place.path + ".old")
    with pytest.raises(StoreFailure, match="moved or replaced"):
        place.book_all(booker)
    with open_book(place.path) as restored:
        assert Booker(restored, place.lake, place.folder).book_once().calls == 1


def test_an_unreadable_journal_holds_up_no_other(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = place.folder / place.write(intent(1), result(1))
    log_file(bad, 1).rename(bad / "aside")
    log_file(bad, 1).mkdir()
    place.write(intent(2), result(2))
    booked = place.book_all()
    assert len(booked.problems) == 1
    assert str(bad) in booked.problems[0]
    assert place.rows("id") == [(call_id(2),)]


def test_every_column_of_a_row_exists() -> None:
    known = {column.name for column in CALLS}
    for row in (
        rows.row_of(intent(1), result(1)),
        rows.unproven_row(intent(1)),
        rows.lone_row(result(1)),
        rows.change_of({}, result(1)),
    ):
        assert set(row) <= known


def test_prices_that_calls_were_priced_with_are_kept_once(place: Place) -> None:
    name = "openai/gpt-5@always:shipped:0123456789ab"
    priced = Figures({"input": 5}, "measured", 1, "measured", price_version=name)
    place.write(Priced(name, '{"rates":[]}'), intent(1), result(1, figures=priced))
    place.write(Priced(name, '{"rates":["of another worker"]}'))  # the same by another's word
    booked = place.book_all()
    assert (booked.calls, booked.notes) == (1, ())
    assert place.rows("price_version") == [(name,)]
    kept = price_versions.terms_of(place.book, name)
    assert kept is not None
    assert place.book.value("SELECT COUNT(*) FROM price_versions") == 1


def test_a_cost_told_late_brings_its_prices_and_one_that_is_gone_takes_them_away(place: Place) -> None:
    name = "openai/gpt-5@always:shipped:0123456789ab"
    place.write(intent(1), result(1, figures=unknown("its answers are not here yet")))
    place.book_all()
    later = Figures({"input": 5}, "measured", 1, "measured", None, "computed", 1, price_version=name)
    place.write(Told(call_id(1), later))
    place.book_all()
    assert place.rows("revision, n, price_version") == [(0, 1, None), (1, -1, None), (1, 1, name)]


def test_the_most_that_a_call_may_have_cost_is_of_no_one_set_of_prices(place: Place) -> None:
    place.write(intent(1))
    place.book_all()
    assert place.rows("cost_nano, cost_state, price_version") == [(1000, "estimated", None)]
