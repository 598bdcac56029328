"""Outcomes attributed to parts: the rule moves credit, and never what was spent."""

import uuid
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from flatfare.core.attribution import Rule
from flatfare.core.errors import BadUsage
from flatfare.core.identity import derived
from flatfare.service.reporting.attributing import HUMAN, attributed, weights_of
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import calls
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

NOW = 1_800_000_000_000_000
CENT = 10_000_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    with open_book(str(tmp_path / "book.db")) as book:
        yield book, Lake(tmp_path / "lake")


def call(book: Book, task: str, part: str, at: int, cost_nano: int) -> None:
    row = {
        "id": str(uuid.uuid4()),
        "revision": 0,
        "n": 1,
        "at_us": NOW + at,
        "source": "gateway",
        "task_id": str(derived("task", "import", task)),
        "purpose": "work",
        "status": "ok",
        "usage_state": "measured",
        "cost_nano": cost_nano,
        "cost_state": "measured",
        "labels": f'{{"part":"{part}"}}',
    }
    with book.writing():
        calls.insert(book, [row])


def told(place: tuple[Book, Lake], task: str, judgement: str, rework: str | None = None) -> None:
    said: list[dict[str, object]] = [
        {"event": "opened", "name": "chat", "at": NOW},
        {
            "event": "judged",
            "verifier": "csat",
            "version": "1",
            "judgement": judgement,
            "evidence": "seen",
            "at": NOW + 50,
        },
    ]
    if rework:
        said.append({"event": "reworked", "minutes": "60", "rate": rework, "at": NOW + 60})
    events = [{**one, "id": str(uuid.uuid4()), "task": task} for one in said]
    assert not record(*place, events, Teller("test"), now_us=NOW + 99).refused


def test_spend_is_what_was_called_whatever_the_rule(place: tuple[Book, Lake]) -> None:
    book, _ = place
    for task, judgement, rework in (("1", "pass", None), ("2", "pass", "30"), ("3", "fail", None)):
        call(book, task, "bot", 1, CENT)
        call(book, task, "router", 2, 2 * CENT)
        told(place, task, judgement, rework)
    verified = {}
    for rule in Rule:
        shares = {"bot": Fraction(1), "router": Fraction(1), HUMAN: Fraction(2)}
        found = attributed(*place, now_us=NOW + 99, rule=rule, shares=shares)
        assert {one.part: (one.tasks, one.spend_nano) for one in found} == {
            "bot": (3, 3 * CENT),
            "router": (3, 6 * CENT),
            HUMAN: (1, 30 * 10**9),
        }
        verified[rule] = {one.part: float(one.verified) for one in found}
        assert sum(verified[rule].values()) == pytest.approx(2)
    assert verified[Rule.FIRST] == {"bot": 2, "router": 0, HUMAN: 0}
    assert verified[Rule.RESOLVER]["router"] + verified[Rule.RESOLVER][HUMAN] == 2
    assert verified[Rule.SHARES] == {"bot": 0.75, "router": 0.75, HUMAN: 0.5}


def test_what_tells_no_parts_apart_is_refused(place: tuple[Book, Lake]) -> None:
    with pytest.raises(BadUsage, match="key of calls"):
        attributed(*place, now_us=NOW, rule=Rule.LAST, by="path")


def test_calls_that_name_no_part_are_said_with_how_to_name_it(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "flatfare.db")) as book, pytest.raises(BadUsage, match="part=router"):
        attributed(book, Lake(tmp_path / "lake"), now_us=NOW, rule=Rule.LAST)


@pytest.mark.parametrize("text", ["bot", "bot=much", "bot=-1", "bot=1/0"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadUsage, match="PART=WEIGHT"):
        weights_of([text])
