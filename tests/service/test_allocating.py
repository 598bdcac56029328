"""Fixed fees reach the calls they served: list, billed and allocated apart, idle shown, nothing lost."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from flatfare.core.commitment import AllocatedBy, Commitment, CommitmentKind, Every, Serves
from flatfare.core.errors import Conflict, NotFound
from flatfare.service import allocating, committing
from flatfare.service.allocating import Fee
from flatfare.store import commitments, reading, sealing
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.store.rows import NOON_US, call, place, write

DOLLAR = 10**9
TODAY = date(2026, 1, 31)
Charged = list[tuple[str, int, int, int]]


@pytest.fixture
def books(tmp_path: Path) -> tuple[Book, Lake]:
    return place(tmp_path)


def agree(book: Book, **terms: object) -> None:
    agreed: dict[str, object] = {
        "id": "",
        "name": "plan",
        "kind": CommitmentKind.SEAT,
        "amount_nano": 31 * DOLLAR,
        "every": Every.MONTH,
        "from_day": date(2026, 1, 1),
        **terms,
    }
    committing.add(book, Commitment(**agreed), recorded_at_us=1, by_whom="t")  # type: ignore[arg-type]


def charged(books: tuple[Book, Lake]) -> tuple[Charged, list[Fee]]:
    """Per model: billed, list and allocated cost; and the fees."""
    with reading.opened(*books, "folded") as engine:
        fees = allocating.charge(engine, books[0], TODAY)
        rows = engine.execute(
            "SELECT model, CAST(SUM(cost_nano) AS BIGINT), CAST(SUM(list_nano) AS BIGINT), "
            "CAST(SUM(allocated_nano) AS BIGINT) FROM charged GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return rows, fees


def test_without_fees_calls_are_charged_by_list(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, cost_nano=5), call(1, cost_nano=6)])
    assert charged(books) == ([("gpt-5", 11, 11, 0)], [])


def test_a_seat_replaces_list_cost_by_a_share_of_its_fee(books: tuple[Book, Lake]) -> None:
    tokens = {"input": 90, "output": 10}
    write(
        books[0],
        [call(0, model="claude-a", cost_nano=5, **tokens), call(1, model="claude-b", cost_nano=7, **tokens)],
    )
    write(books[0], [call(2, model="gpt-5", cost_nano=9, **tokens)])
    agree(books[0], serves=Serves(model="claude-*"))
    rows, (fee,) = charged(books)
    assert rows == [
        ("claude-a", 0, 5, 15_500_000_000),
        ("claude-b", 0, 7, 15_500_000_000),
        ("gpt-5", 9, 9, 0),
    ]
    assert (fee.fee_nano, fee.served_calls, fee.served_nano, fee.idle_nano) == (
        31 * DOLLAR,
        2,
        31 * DOLLAR,
        0,
    )


def test_a_fee_that_served_nobody_is_idle(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0)])
    agree(books[0], serves=Serves(provider="anthropic"))
    _, (fee,) = charged(books)
    assert (fee.served_calls, fee.served_nano, fee.idle_nano) == (0, 0, 31 * DOLLAR)


def test_capacity_that_was_not_used_up_is_idle_in_part(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, input=200, output=50)])
    agree(books[0], kind=CommitmentKind.CAPACITY, units=1_000)
    rows, (fee,) = charged(books)
    assert (rows[0][3], fee.idle_nano) == (7_750_000_000, 23_250_000_000)


def test_credits_draw_at_multipliers_and_beyond_them_each_has_its_price(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, model="big"), call(1, model="small")])
    agree(
        books[0],
        kind=CommitmentKind.CREDITS,
        allocated_by=AllocatedBy.CALLS,
        units=10,
        overage_nano=DOLLAR,
        multipliers={"big": Fraction(27), "small": Fraction(1, 2)},
    )
    rows, (fee,) = charged(books)
    assert fee.fee_nano == 31 * DOLLAR + 17_500_000_000  # 27.5 credits drawn, 10 included
    assert sum(row[3] for row in rows) == fee.served_nano == fee.fee_nano
    assert rows[0][3] == fee.fee_nano * 54 // 55


def test_time_is_shared_by_duration(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, model="a", duration_ms=3_000), call(1, model="b", duration_ms=1_000)])
    agree(books[0], kind=CommitmentKind.COMPUTE, allocated_by=AllocatedBy.TIME)
    rows, _ = charged(books)
    assert [row[3] for row in rows] == [23_250_000_000, 7_750_000_000]


def test_the_more_specific_fee_serves_a_call_and_one_fee_only(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, labels='{"team":"search"}'), call(1, labels='{"team":"ads"}')])
    agree(books[0], name="everybody")
    agree(books[0], name="search", serves=Serves(labels={"team": "search"}))
    _, fees = charged(books)
    assert {fee.commitment.name: fee.served_calls for fee in fees} == {"everybody": 1, "search": 1}


def test_an_unknown_list_cost_does_not_matter_where_a_fee_covers_it(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(0, cost_nano=None, cost_state="unknown", cost_reason="no price")])
    agree(books[0])
    with reading.opened(*books, "folded") as engine:
        allocating.charge(engine, books[0], TODAY)
        assert engine.execute("SELECT SUM(unknown_n), SUM(allocated_nano) FROM charged").fetchone() == (
            0,
            31 * DOLLAR,
        )


def test_sealing_changes_no_share(books: tuple[Book, Lake]) -> None:
    write(books[0], [call(number, model=f"m{number % 3}") for number in range(50)])
    agree(books[0])
    before = charged(books)
    sealing.seal_calls(*books, NOON_US + 20 * 60_000_000, now_us=1)
    after = charged(books)
    assert after[1] == before[1]
    assert sum(row[3] for row in after[0]) == sum(row[3] for row in before[0]) == 31 * DOLLAR
    assert all(abs(one[3] - other[3]) <= 50 for one, other in zip(after[0], before[0], strict=True))


def test_new_terms_end_the_old_ones_and_leave_the_past(books: tuple[Book, Lake]) -> None:
    agree(books[0], multipliers={"opus": Fraction(15, 2)})
    with pytest.raises(Conflict, match="--replace"):
        agree(books[0], from_day=date(2026, 1, 15))
    new = Commitment(
        id="",
        name="plan",
        kind=CommitmentKind.SEAT,
        amount_nano=31 * DOLLAR,
        every=Every.MONTH,
        from_day=date(2026, 1, 15),
        multipliers={"opus": Fraction(27)},
    )
    committing.add(books[0], new, recorded_at_us=2, by_whom="t", replaces=True)
    old, standing = commitments.all_of(books[0])
    assert (old.until_day, old.multiplier("opus")) == (date(2026, 1, 15), Fraction(15, 2))
    assert (standing.until_day, standing.multiplier("opus")) == (None, 27)


def test_adding_the_same_terms_twice_is_adding_them_once(books: tuple[Book, Lake]) -> None:
    agree(books[0])
    agree(books[0])
    assert len(commitments.all_of(books[0])) == 1
    with pytest.raises(Conflict, match="other terms"):
        agree(books[0], amount_nano=1)


def test_a_fee_is_ended_by_name(books: tuple[Book, Lake]) -> None:
    agree(books[0])
    committing.end(books[0], "plan", date(2026, 1, 16))
    _, (fee,) = charged(books)
    assert fee.fee_nano == 15 * DOLLAR
    with pytest.raises(NotFound, match="Owed for: none"):
        committing.end(books[0], "plan", date(2026, 2, 1))
