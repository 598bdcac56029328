"""P3: rates are dated and never overwritten; a price change leaves old calls as they were."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.usage import Usage
from flatfare.dialects.reading import Exchange, Part, Reading
from flatfare.prices.book import PriceBook
from flatfare.prices.log import FileLog
from flatfare.service.costing.price_updates import NewRates, add
from flatfare.service.costing.pricing import cost_reading
from tests.prices.books import MemoryLog, at

DAY_US = 86_400_000_000
NOW = at("2026-11-20T15:00:00Z")
READ = Reading(parts=(Part("gpt-4o", Usage(input=1_000_000, output=10_000)),))


def cost(book: PriceBook, moment: int) -> int | None:
    return cost_reading(book, READ, Exchange("openai", "chat.completions", at_us=moment)).amount_nano


def test_a_cheaper_rate_from_tomorrow_leaves_yesterday_and_today(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "prices.jsonl")
    before = {day: cost(PriceBook.standard(log), NOW + day * DAY_US) for day in (-900, -400, -1, 0)}
    add(log, NewRates("openai", "gpt-4o", {"input": "0.01", "output": "0.02"}, starts="2026-11-21"), NOW)
    after = PriceBook.standard(FileLog(tmp_path / "prices.jsonl"))
    assert {day: cost(after, NOW + day * DAY_US) for day in before} == before
    assert cost(after, NOW + DAY_US) == 10_200_000


def test_a_second_change_leaves_the_first_in_its_days(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "prices.jsonl")
    for day, price in (("2026-11-21", "1"), ("2026-11-23", "2")):
        add(log, NewRates("openai", "gpt-4o", {"input": price, "output": price}, starts=day), NOW)
    after = PriceBook.standard(FileLog(tmp_path / "prices.jsonl"))
    assert [cost(after, NOW + day * DAY_US) for day in (1, 2, 3)] == [
        10**9 + 10**7,
        10**9 + 10**7,
        2 * 10**9 + 2 * 10**7,
    ]


def test_without_a_day_a_new_rate_holds_from_now_on_only() -> None:
    log = MemoryLog()
    before = cost(PriceBook.standard(log), NOW - 1)
    add(log, NewRates("openai", "gpt-4o", {"input": "0.01", "output": "0.02"}), NOW)
    after = PriceBook.standard(log)
    assert cost(after, NOW - 1) == before
    assert cost(after, NOW) == 10_200_000


def test_adding_the_same_rate_again_changes_nothing() -> None:
    log = MemoryLog()
    new = NewRates("openai", "gpt-4o", {"input": "0.01"}, starts="2026-11-21")
    assert add(log, new, NOW).is_new
    assert not add(log, new, NOW + 5).is_new
    assert len(log.lines()) == 1


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10_000_000)), min_size=1, max_size=6))
def test_however_many_changes_follow_each_day_keeps_what_it_had(changes: list[tuple[int, int]]) -> None:
    log = MemoryLog()
    days = range(-5, 61)
    seen: dict[int, int | None] = {}
    for day, micro in sorted(changes):
        book = PriceBook.standard(log)
        seen.update({earlier: cost(book, NOW + earlier * DAY_US) for earlier in days if earlier < day})
        starts = at("2026-11-20T15:00:00Z") + day * DAY_US
        add(
            log,
            NewRates("openai", "gpt-4o", {"input": f"{micro / 1e6:.6f}"}, starts_us=starts),
            starts,
            may_jump=True,
        )
    book = PriceBook.standard(log)
    assert {day: cost(book, NOW + day * DAY_US) for day in seen} == seen
