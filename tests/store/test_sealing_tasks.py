"""Tasks that are sealed read as before, and come back as newer versions when they are told of again."""

import random
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flatfare.core.identity import derived
from flatfare.service import vouching
from flatfare.service.doctoring import examine
from flatfare.service.reporting.document import document_of
from flatfare.service.reporting.listing import listed
from flatfare.service.reporting.report import report
from flatfare.service.tasks import recording
from flatfare.service.tasks.in_lake import in_lake
from flatfare.service.tasks.recording import Teller, known_of, record
from flatfare.store import sealing_tasks, segments, tasks
from flatfare.store.book import Book, open_book
from flatfare.store.heads import Heads
from flatfare.store.lake import Lake
from tests.promises.killing import kill_somewhere, run_whole

NOW = 1_800_000_000_000_000
LATER = NOW + 10**12


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    with open_book(str(tmp_path / "flatfare.db")) as book:
        yield book, Lake(tmp_path / "lake")


def told(place: tuple[Book, Lake], n: int) -> None:
    events: list[dict[str, object]] = []
    for number in range(n):
        said: list[dict[str, object]] = [
            {"event": "opened", "name": "review", "path": "ab"[number % 2], "labels": {"team": "x"}},
            {
                "event": "judged",
                "verifier": "tests",
                "version": "1",
                "judgement": "pass" if number % 3 else "fail",
                "evidence": number,
            },
            {"event": "reworked", "minutes": "10", "rate": "30"},
        ]
        events += [
            {
                **one,
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {one['event']}")),
                "task": f"t{number}",
                "at": NOW,
            }
            for one in said
        ]
    for start in range(0, len(events), 9000):
        assert not record(*place, events[start : start + 9000], Teller("x"), now_us=NOW).refused


def seen(place: tuple[Book, Lake]) -> tuple[object, object]:
    found = report(*place, now_us=LATER, by=("path", "team"))
    rows = [task.as_json() for task in listed(*place, now_us=LATER, limit=10_000)]
    return document_of(found), rows


def test_reports_and_lists_say_the_same_before_and_after(place: tuple[Book, Lake]) -> None:
    told(place, 50)
    before = seen(place)
    assert sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER) == 50
    assert place[0].value("SELECT COUNT(*) FROM tasks") == 0
    assert place[0].value("SELECT COUNT(*) FROM verdicts") == 0
    assert seen(place) == before
    assert sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER) == 0
    assert examine(*place).is_sound


def test_a_sealed_task_that_is_told_of_again_comes_back_with_its_whole_past(place: tuple[Book, Lake]) -> None:
    told(place, 4)
    sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER)
    late = {"event": "signalled", "id": str(uuid.uuid4()), "task": "t1", "at": NOW + 9, "name": "reopened"}
    record(*place, [late], Teller("x"), now_us=LATER)
    task_id = str(derived("task", "import", "t1"))
    known = known_of(*place, [task_id])[task_id]
    assert [said["position"] for said in known.verdicts] == [0, 1]
    row = tasks.rows_of(place[0], [task_id])[task_id]
    assert (row["outcome"], row["version"], row["rework_nano"]) == ("reversed", 1, 5_000_000_000)
    again = {"event": "judged", "id": str(uuid.uuid4()), "task": "t1", "at": NOW + 20, "evidence": "x"}
    verdict = {"verifier": "tests", "version": "2", "judgement": "pass"}
    record(*place, [{**again, **verdict}], Teller("x"), now_us=LATER)
    assert tasks.rows_of(place[0], [task_id])[task_id]["outcome"] == "verified"
    total = report(*place, now_us=LATER).total
    assert (total.n, total.verified) == (4, 2)
    assert sealing_tasks.seal_tasks(*place, before_us=LATER + 10**12, now_us=LATER) == 1
    assert sorted(one.replaces_rows for one in segments.listed(place[0], "tasks")) == [0, 1]
    assert report(*place, now_us=LATER).total == total
    assert examine(*place).is_sound


def test_a_verdict_that_is_sealed_while_it_is_read_is_known_once(
    place: tuple[Book, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(place, 2)
    sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER)
    late = {"event": "signalled", "id": str(uuid.uuid4()), "task": "t1", "at": NOW + 9, "name": "reopened"}
    record(*place, [late], Teller("x"), now_us=LATER)  # in the book again, with the new verdict alone
    task_id = str(derived("task", "import", "t1"))
    before = known_of(*place, [task_id])[task_id]

    def just_sealed(*asked: Any) -> Any:
        assert sealing_tasks.seal_tasks(*place, before_us=LATER + 10**12, now_us=LATER) == 1
        return in_lake(*asked)

    monkeypatch.setattr(recording, "in_lake", just_sealed)
    assert known_of(*place, [task_id])[task_id] == before


def test_what_was_sealed_is_vouched_for(place: tuple[Book, Lake], tmp_path: Path) -> None:
    told(place, 6)
    heads = Heads(tmp_path / "heads", tmp_path / "key")
    assert vouching.verify(*place, heads, now_us=LATER).holds
    sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER)
    assert vouching.verify(*place, heads, now_us=LATER).holds


def test_open_disputed_and_fresh_tasks_stay(place: tuple[Book, Lake]) -> None:
    told(place, 3)
    record(*place, [{"event": "opened", "id": str(uuid.uuid4()), "task": "open"}], Teller("x"), now_us=NOW)
    disputed = {"event": "disputed", "id": str(uuid.uuid4()), "task": "t0", "at": NOW}
    record(*place, [disputed], Teller("x"), now_us=NOW)
    assert sealing_tasks.seal_tasks(*place, before_us=NOW, now_us=LATER) == 0
    assert sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER) == 2


SEAL = """
import sys
from flatfare.store import sealing_tasks
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
sealing_tasks.BATCH_TASKS = 300
sealing_tasks.seal_tasks(open_book(sys.argv[1]), Lake(sys.argv[2]), before_us=10**18, now_us=1)
"""


def test_a_seal_that_is_killed_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "full" / "flatfare.db")) as book:
        told((book, Lake(tmp_path / "full" / "lake")), 2_000)
    dice = random.Random(5)
    longest_s = 0.0
    kills = 0
    for number in range(14):
        folder = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "full", folder)
        where = [str(folder / "flatfare.db"), str(folder / "lake")]
        if not number:
            longest_s = run_whole(SEAL, where)
        else:
            was_killed = kill_somewhere(SEAL, where, longest_s, dice)
            kills += was_killed
            longest_s *= 1 if was_killed else 0.7  # it was measured while the machine had more to do
        with open_book(where[0]) as book:
            total = report(book, Lake(folder / "lake"), now_us=LATER).total
            assert (total.n, total.verified) == (2_000, 1_333)
            lake = Lake(folder / "lake")
            sealing_tasks.seal_tasks(book, lake, before_us=10**18, now_us=1)
            assert report(book, lake, now_us=LATER).total == total
            assert examine(book, lake).is_sound
        shutil.rmtree(folder)
    assert kills > 5
