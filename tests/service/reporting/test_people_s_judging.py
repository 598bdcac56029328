"""What people's judging cost stands beside what models' judging cost: neither hides the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.identity import derived, task_id
from flatfare.service.reporting import report
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.store.rows import NOON_US, call, place, write

DOLLAR = 1_000_000_000
"""In nano-dollars."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    book, lake = place(tmp_path)
    yield book, lake
    book.close()


def judged(task: str, verifier: str, kind: str, cost: str | None) -> dict[str, object]:
    event: dict[str, object] = {
        "event": "judged",
        "id": str(derived("v", task, verifier)),
        "task": task,
        "at": NOON_US + 1000,
        "verifier": verifier,
        "version": "1",
        "kind": kind,
        "judgement": "pass",
        "evidence": {},
    }
    return event if cost is None else {**event, "cost": cost}


def fill(book: Book, lake: Lake) -> None:
    """Four tasks: judged by calls and people, by calls, by people, and by what verdicts say alone."""
    said = {
        "both": [judged("both", "human-review", "human", "2.00"), judged("both", "judge", "model", None)],
        "calls": [judged("calls", "judge", "model", None)],
        "people": [judged("people", "human-review", "human", "3.00")],
        "told": [judged("told", "judge", "model", "0.25"), judged("told", "ann", "human", "1.00")],
    }
    events: list[dict[str, object]] = []
    for number, (task, verdicts) in enumerate(said.items()):
        shared = {"task": task, "at": NOON_US}
        events.append({"event": "opened", "id": str(derived("o", task)), "name": "qa", **shared})
        events += [*verdicts, {"event": "closed", "id": str(derived("c", task)), **shared}]
        own = str(task_id(None, task))
        rows = [call(10 * number, task_id=own, cost_nano=DOLLAR, purpose="work", model="worker")]
        if task in ("both", "calls"):
            given = {"purpose": "verification", "model": "judge", "cost_nano": DOLLAR // 2}
            rows.append(call(10 * number + 1, task_id=own, **given))  # type: ignore[arg-type]
        write(book, rows)
    assert not record(book, lake, events, Teller("test"), now_us=NOON_US + 2000).refused


def shown(home: tuple[Book, Lake], *by: str, cost: str = "counts") -> dict[object, tuple[int, int]]:
    """Cost and cost of verification of each row, in cents, by its values; the total under ()."""
    book, lake = home
    answer = report(book, lake, by=by, now_us=NOON_US + 10**9, cost=cost)
    cents = DOLLAR // 100
    rows = {row.keys: row.figures for row in answer.rows} | {(): answer.total.figures}
    return {key: (one.cost_nano // cents, one.verification_nano // cents) for key, one in rows.items()}


def test_neither_hides_the_other(home: tuple[Book, Lake]) -> None:
    fill(*home)
    assert shown(home, "action") == {
        ("qa",): (100 * 4 + 250 + 50 + 300 + 125, 725),
        (): (1125, 725),
    }


def test_people_s_judging_is_of_no_model_and_the_rows_add_up(home: tuple[Book, Lake]) -> None:
    fill(*home)
    found = shown(home, "purpose")
    assert found[("verification",)] == (725, 725)
    assert found[("work",)] == (400, 0)
    by_model = shown(home, "model")
    assert by_model[("judge",)] == (100, 100)
    rows = [value for key, value in by_model.items() if key != ()]
    assert (sum(cost for cost, _ in rows), sum(judging for _, judging in rows)) == by_model[()] == (1125, 725)


def test_what_was_reported_does_not_count_where_computed_costs_are_asked_for(home: tuple[Book, Lake]) -> None:
    fill(*home)
    assert shown(home, "action", cost="computed")[()][1] < 725
