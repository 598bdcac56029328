"""A journal is read from where it was left, and what cannot be read is named with its place."""

from pathlib import Path

import pytest

from flatfare.gateway import reading_back
from flatfare.gateway.folders import log_file, log_numbers
from flatfare.gateway.reading_back import Place, Portion, read_portion
from flatfare.gateway.records import decode
from tests.gateway.calls import intent, write_journal


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """One file of a hundred intents."""
    return tmp_path / write_journal(tmp_path, map(intent, range(100)))


START = Place()


def read(worker: Path, start: Place = START, *, is_alive: bool = False, size: int = 1 << 20) -> Portion:
    return read_portion(worker, start, is_alive=is_alive, size_bytes=size)


def numbers(portion: Portion) -> list[int]:
    ids = {intent(number).call_id: number for number in range(200)}
    return [ids[decode(record).call_id] for record in portion.records]


@pytest.mark.parametrize("size", [20, 100, 1000, 1 << 20])
def test_portions_of_any_size_give_every_record_once(worker: Path, size: int) -> None:
    place, found, is_end = Place(), [], False
    while not is_end:
        portion = read(worker, place, size=size)
        found += numbers(portion)
        place, is_end = portion.place, portion.is_end
        assert portion.notes == []
    assert found == list(range(100))


def test_an_unfinished_end_waits_while_the_worker_lives(worker: Path) -> None:
    file = log_file(worker, 1)
    data = file.read_bytes()
    file.write_bytes(data[:-5])
    living = read(worker, is_alive=True)
    assert numbers(living) == list(range(99))
    assert (living.notes, living.is_end) == ([], True)
    file.write_bytes(data)
    assert numbers(read(worker, living.place, is_alive=True)) == [99]


def test_an_unfinished_end_is_torn_once_the_worker_is_dead(worker: Path) -> None:
    file = log_file(worker, 1)
    file.write_bytes(file.read_bytes()[:-5])
    portion = read(worker)
    assert numbers(portion) == list(range(99))
    assert [(note.kind, note.size_bytes > 0) for note in portion.notes] == [("torn", True)]
    again = read(worker, portion.place)
    assert (again.records, again.notes, again.is_end) == ([], [], True)


def test_damage_in_the_middle_is_named_and_costs_what_it_hit(worker: Path) -> None:
    file = log_file(worker, 1)
    data = bytearray(file.read_bytes())
    size = len(data) // 100
    data[size * 50 : size * 50 + 4] = b"\0\0\0\0"
    file.write_bytes(bytes(data))
    portion = read(worker)
    missing = set(range(100)) - set(numbers(portion))
    assert 1 <= len(missing) <= 2
    (note,) = portion.notes
    assert note.kind == "damaged"
    assert str(note.place.offset) in note.said
    assert str(file) in note.said


def test_damage_larger_than_a_portion_is_crossed(worker: Path) -> None:
    file = log_file(worker, 1)
    data = bytearray(file.read_bytes())
    data[500:5000] = bytes(4500)
    file.write_bytes(bytes(data))
    place, found, notes, is_end = Place(), [], [], False
    while not is_end:
        portion = read(worker, place, size=300)
        found, notes = found + numbers(portion), notes + portion.notes
        place, is_end = portion.place, portion.is_end
    assert found[-1] == 99
    assert found == sorted(set(found))
    assert [note.kind for note in notes] == ["damaged"]


def test_damage_seen_only_while_a_write_was_cut_back_is_none(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader may see the middle of a write that is taken back and written over."""
    file = log_file(worker, 1)
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + b"\0" * 300 + whole[500:])
    monkeypatch.setattr(reading_back.time, "sleep", lambda _: file.write_bytes(whole))
    portion = read(worker, is_alive=True)
    assert numbers(portion) == list(range(100))
    assert portion.notes == []


def test_a_lost_file_is_named_and_the_next_one_read(tmp_path: Path) -> None:
    worker = tmp_path / write_journal(tmp_path, map(intent, range(100)), file_bytes_max=5000)
    assert len(log_numbers(worker)) > 2
    log_file(worker, 1).unlink()
    portion = read(worker)
    assert [note.kind for note in portion.notes] == ["missing"]
    assert portion.place == Place(2, 0)
    assert numbers(read(worker, portion.place))


def test_a_file_that_lost_its_end_to_a_power_cut_is_named(worker: Path) -> None:
    end = read(worker).place
    file = log_file(worker, 1)
    file.write_bytes(file.read_bytes()[:1000])
    portion = read(worker, end)
    assert [note.kind for note in portion.notes] == ["shorter"]
    assert (portion.records, portion.is_end) == ([], True)


def test_a_worker_without_a_file_has_nothing_yet(tmp_path: Path) -> None:
    worker = tmp_path / write_journal(tmp_path, [])
    portion = read(worker, is_alive=True)
    assert (portion.records, portion.place, portion.is_end) == ([], Place(), True)
