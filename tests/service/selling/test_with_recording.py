"""Sales beside the recording of tasks: what is told and what is paid never overwrite each other."""

import uuid
from pathlib import Path

import pytest

from flatfare.core.action_price import parse_price
from flatfare.core.errors import Conflict, NotFound
from flatfare.core.identity import derived
from flatfare.service import selling
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import sealing_tasks
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.builders import OPENED_US
from tests.service.selling.shop import SECOND_US, USD, customer, top_up

TASK = str(derived("task", "import", "ticket-17"))


def tell(book: Book, lake: Lake, event: str, after_s: int, **fields: object) -> None:
    at_us = OPENED_US + after_s * SECOND_US
    said = {"event": event, "id": str(uuid.uuid4()), "task": "ticket-17", "at": at_us, **fields}
    done = record(book, lake, [said], Teller("test"), now_us=at_us)
    assert (done.recorded, done.refused) == (1, ())


def money_of(book: Book) -> tuple[object, ...]:
    return book.rows("SELECT outcome, settlement FROM tasks WHERE id = ?", (TASK,))[0]


def test_a_task_that_is_closed_and_sealed_is_not_held_for_and_it_is_said_why(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with open_book(str(tmp_path / "flatfare.db")) as book:
        customer(book, "acme")
        top_up(book, "acme", 20 * USD)
        tell(book, lake, "opened", 0, name="resolve-ticket")
        verdict = {"verifier": "tests", "version": "1", "kind": "code", "judgement": "pass", "evidence": "ok"}
        tell(book, lake, "judged", 5, **verdict)
        tell(book, lake, "closed", 7)
        assert sealing_tasks.seal_tasks(book, lake, before_us=10**18, now_us=10**18) == 1
        terms = {"action": "resolve-ticket", "action_version": "1", "price": parse_price("2.00")}
        quote = selling.quote(book, quote_id=uuid.uuid4(), customer="acme", at_us=OPENED_US, **terms)  # type: ignore[arg-type]
        with pytest.raises(Conflict, match="is closed for so long that it is sealed"):
            selling.hold(book, task_id=TASK, quote_id=quote.id, at_us=OPENED_US)
        tell(book, lake, "signalled", 9, name="csat", value="5")  # in the book again, its verdict is not
        with pytest.raises(Conflict, match="is closed for so long that it is sealed"):
            selling.hold(book, task_id=TASK, quote_id=quote.id, at_us=OPENED_US)
        with pytest.raises(NotFound, match="record that it is opened"):
            selling.hold(book, task_id=uuid.uuid4(), quote_id=quote.id, at_us=OPENED_US)


def test_a_task_that_is_told_of_is_sold_and_given_back_when_it_is_reopened(
    database: str, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake")
    with open_book(database) as book:
        customer(book, "acme")
        top_up(book, "acme", 20 * USD)
        tell(book, lake, "opened", 0, name="resolve-ticket")
        quote = selling.quote(
            book,
            quote_id=uuid.uuid4(),
            customer="acme",
            action="resolve-ticket",
            action_version="1",
            price=parse_price("2.00"),
            at_us=OPENED_US,
        )
        selling.hold(book, task_id=TASK, quote_id=quote.id, at_us=OPENED_US)
        assert money_of(book) == ("open", "held")
        verdict = {"verifier": "tests", "version": "1", "kind": "code", "judgement": "pass", "evidence": "ok"}
        tell(book, lake, "judged", 5, **verdict)
        assert money_of(book) == ("verified", "held")
        selling.settle(book, task_id=TASK, at_us=OPENED_US + 6 * SECOND_US)
        tell(book, lake, "closed", 7)
        tell(book, lake, "reworked", 8, minutes="3")
        assert money_of(book) == ("verified", "settled")
        tell(book, lake, "signalled", 9, name="reopened")
        assert money_of(book) == ("reversed", "settled")
        assert selling.follow(book, now_us=OPENED_US + 10 * SECOND_US).turned == 1
        assert money_of(book) == ("reversed", "reversed")
        tell(book, lake, "signalled", 11, name="csat", value="5")
        assert money_of(book) == ("reversed", "reversed")
        assert selling.balance(book, "acme", at_us=OPENED_US).wallet_nano == 20 * USD
        assert selling.verify(book) == []
