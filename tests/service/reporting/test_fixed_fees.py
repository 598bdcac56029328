"""A report carries fixed fees: shares in the cost, list cost beside it, idle apart, nothing lost."""

from datetime import date
from pathlib import Path

from flatfare.core.commitment import Commitment, CommitmentKind, Every, Serves
from flatfare.service import committing
from flatfare.service.reporting import Report, report
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.store.rows import NOON_US, call, place, write

DOLLAR = 10**9
NOW_US = NOON_US + 30 * 86_400_000_000


def agree(book: Book, serves: Serves) -> None:
    fee = Commitment(
        "", "plan", CommitmentKind.SEAT, 31 * DOLLAR, Every.MONTH, date(2026, 1, 1), serves=serves
    )
    committing.add(book, fee, recorded_at_us=1, by_whom="t")


def add_task(book: Book, number: int, outcome: str, path: str) -> str:
    task_id = f"00000000-0000-0000-0000-{number:012d}"
    book.execute(
        "INSERT INTO tasks (id, version, name, path, labels, opened_at_us, matures_at_us, outcome, "
        "is_disputed, settlement, source) VALUES (?, 0, 'x', ?, '{}', ?, ?, ?, 0, 'none', 'import')",
        (task_id, path, NOON_US, NOON_US, outcome),
    )
    return task_id


def asked(book: Book, lake: Lake, **question: object) -> Report:
    return report(book, lake, now_us=NOW_US, **question)  # type: ignore[arg-type]


def filled(folder: Path) -> tuple[Book, Lake]:
    """Two tasks of one path on a model that a seat may cover, one task on another model."""
    book, lake = place(folder)
    tokens = {"input": 90, "output": 10}
    for number, (model, path) in enumerate([("claude-a", "seat"), ("claude-a", "seat"), ("gpt-5", "list")]):
        task = add_task(book, number + 1, "verified" if number else "failed", path)
        write(book, [call(number, task_id=task, model=model, cost_nano=1_000, **tokens)])
    return book, lake


def test_shares_take_the_place_of_list_cost(tmp_path: Path) -> None:
    book, lake = filled(tmp_path)
    agree(book, Serves(model="claude-*"))
    rows = {row.keys: row.figures for row in asked(book, lake).rows}
    assert (rows[("seat",)].cost_nano, rows[("seat",)].fixed_nano) == (31 * DOLLAR, 31 * DOLLAR)
    assert (rows[("list",)].cost_nano, rows[("list",)].fixed_nano) == (1_000, 0)


def test_rows_and_idle_are_all_that_was_paid(tmp_path: Path) -> None:
    book, lake = filled(tmp_path)
    write(book, [call(7, task_id=None, model="claude-a", input=50, output=50)])
    write(book, [call(8, model="claude-a", purpose="simulation", input=50, output=50)])
    agree(book, Serves(model="claude-*"))
    for by in (("path",), ("model",), ("day",), ()):
        answer = asked(book, lake, by=by)
        total = answer.total.figures
        spent = (
            total.cost_nano + total.open_nano + total.outside_nano + total.simulation_nano + total.test_nano
        )
        assert spent + answer.idle_nano == 31 * DOLLAR + 1_000


def test_a_fee_that_served_nobody_stands_in_no_row(tmp_path: Path) -> None:
    book, lake = filled(tmp_path)
    agree(book, Serves(provider="nobody"))
    answer = asked(book, lake)
    assert (answer.idle_nano, answer.total.figures.cost_nano) == (31 * DOLLAR, 3_000)


def test_one_kind_of_cost_alone_knows_no_fees(tmp_path: Path) -> None:
    book, lake = filled(tmp_path)
    agree(book, Serves(model="claude-*"))
    answer = asked(book, lake, cost="computed")
    assert (answer.total.figures.fixed_nano, answer.idle_nano) == (0, 0)
