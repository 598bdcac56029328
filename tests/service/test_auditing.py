"""The audit names what cannot be right in a ledger, and leaves what can be alone."""

from pathlib import Path

import pytest

from flatfare.prices.book import PriceBook
from flatfare.service import auditing
from flatfare.service.auditing import Suspicion
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from tests.store.rows import NOON_US, call, place, write

NOW_US = NOON_US + 30 * 86_400_000_000


@pytest.fixture
def books(tmp_path: Path) -> tuple[Book, Lake]:
    return place(tmp_path)


def found(books: tuple[Book, Lake]) -> list[Suspicion]:
    return auditing.audit(*books, PriceBook.standard(), NOW_US)


def charge(number: int, nano: int, **columns: Value) -> dict[str, Value]:
    """A call of GPT-4o with 1,000 tokens in and 100 out, for which the source wants so much."""
    given: dict[str, Value] = {
        "model": "gpt-4o-2024-08-06",
        "input": 1_000,
        "output": 100,
        "reported_nano": nano,
        "cost_nano": nano,
        "cost_basis": "reported",
        "task_id": None,
    }
    return call(number, **(given | columns))


def add_task(book: Book, number: int, **columns: Value) -> None:
    row: dict[str, Value] = {
        "id": f"00000000-0000-0000-0000-{number:012d}",
        "version": 0,
        "name": "support",
        "labels": "{}",
        "opened_at_us": NOON_US,
        "outcome": "failed",
        "is_disputed": 0,
        "settlement": "none",
        "source": "import",
        **columns,
    }
    marks = ", ".join("?" * len(row))
    book.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def add_result(book: Book, path: str, n: int, successes: int, nano: int | None, **columns: Value) -> None:
    row: dict[str, Value] = {
        "id": path,
        "benchmark": "tau2",
        "domain": "retail",
        "path": path,
        "labels": "{}",
        "n": n,
        "successes": successes,
        "cost_nano": nano,
        "source": "board",
        **columns,
    }
    marks = ", ".join("?" * len(row))
    book.execute(f"INSERT INTO aggregates ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def test_an_honest_ledger_raises_no_suspicion(books: tuple[Book, Lake]) -> None:
    write(books[0], [charge(number, 2_500_000 + 1_000_000) for number in range(5)])
    assert found(books) == []


def test_zero_beside_tokens_is_found(books: tuple[Book, Lake]) -> None:
    reason = f"{auditing.ZERO_REASON} beside tokens"
    write(
        books[0], [charge(n, 0, cost_nano=None, cost_state="unknown", cost_reason=reason) for n in range(3)]
    )
    add_task(books[0], 1, path="codex", given_reason=reason)
    kinds = {(one.check, one.subject, one.count) for one in found(books)}
    assert kinds == {("zero cost", "gpt-4o-2024-08-06", 3), ("zero cost", "codex", 1)}


@pytest.mark.parametrize(
    ("nano", "is_suspicious"),
    [
        (3_500_000, False),  # $2.50 and $10 per million (OpenAI, 2024-08-06)
        (1_750_000, False),  # the batch price: half
        (2_250_000, False),  # the prompt read from the cache at $1.25
        (3_520_000, False),  # printed to the cent of a cent
        (35_000_000, True),  # ten times too much
        (350_000, True),  # ten times too little
    ],
)
def test_a_charge_is_held_against_every_published_price(
    books: tuple[Book, Lake], nano: int, is_suspicious: bool
) -> None:
    write(books[0], [charge(0, nano)])
    assert [one.check for one in found(books)] == (["price"] if is_suspicious else [])


def test_stated_cache_reads_leave_no_room(books: tuple[Book, Lake]) -> None:
    write(books[0], [charge(0, 2_250_000, cache_read=0)])
    (suspicion,) = found(books)
    assert suspicion.check == "price"
    assert "$0.0022" in suspicion.examples[0]


def test_a_model_that_nobody_prices_is_not_judged(books: tuple[Book, Lake]) -> None:
    write(books[0], [charge(0, 999_000_000_000, model="own-model-7b", provider="local")])
    assert found(books) == []


def test_a_total_that_is_not_the_sum_of_its_calls(books: tuple[Book, Lake]) -> None:
    task = "00000000-0000-0000-0000-000000000001"
    write(books[0], [charge(number, 3_500_000, task_id=task) for number in range(2)])
    add_task(books[0], 1, given_nano=9_000_000, external_id="ticket 7", path="agent")
    (suspicion,) = found(books)
    assert (suspicion.check, suspicion.subject, suspicion.count) == ("total", "agent", 1)
    assert suspicion.examples == ("ticket 7: $0.0090 given, its calls sum to $0.0070",)


def test_a_total_that_agrees_is_left_alone(books: tuple[Book, Lake]) -> None:
    task = "00000000-0000-0000-0000-000000000001"
    write(books[0], [charge(number, 3_500_000, task_id=task) for number in range(2)])
    add_task(books[0], 1, given_nano=7_000_010)
    assert found(books) == []


def test_the_same_call_twice(books: tuple[Book, Lake]) -> None:
    same = charge(0, 3_500_000)
    write(books[0], [same, {**same, "id": "00000000-0000-0000-0000-0000000000ff"}, charge(1, 3_500_000)])
    (suspicion,) = found(books)
    assert (suspicion.check, suspicion.count) == ("repeat", 1)


def test_one_run_under_two_names(books: tuple[Book, Lake]) -> None:
    add_result(books[0], "tool_calling", 50, 28, 1_697_625_800)
    add_result(books[0], "tool_calling_with_shortlisting", 50, 28, 1_697_625_800)
    add_result(books[0], "other", 50, 28, 1_697_625_801)
    (suspicion,) = found(books)
    assert suspicion.subject == "tool_calling = tool_calling_with_shortlisting"
    assert suspicion.what == "published twice: 28 of 50 done for $1.70 under each name (tau2 retail)"


def test_a_rate_that_contradicts_its_counts(books: tuple[Book, Lake]) -> None:
    add_result(books[0], "a", 100, 64, 1, rate_digits="0.51")
    add_result(books[0], "b", 225, 80, 2, rate_digits="35.6")
    add_result(books[0], "c", 100, 64, 3, rate_digits="0.64")
    (suspicion,) = found(books)
    assert (suspicion.subject, suspicion.what) == ("a", "a rate of 0.51 beside 64 of 100 (tau2 retail)")


def test_times_that_cannot_be(books: tuple[Book, Lake]) -> None:
    add_task(books[0], 1, closed_at_us=NOON_US - 1)
    add_task(books[0], 2, opened_at_us=NOW_US * 2)
    assert {one.what for one in found(books)} == {
        "tasks that ended before they began",
        "tasks from the future",
    }
