"""By which prices a call was costed is kept, and told after the price book has changed."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from flatfare.core.errors import BadUsage, NotFound
from flatfare.core.money import NANO
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.service.costing import price_versions
from flatfare.service.costing.bulk_pricing import priced_sql
from flatfare.service.costing.price_versions import keep_used, rates_in, told
from flatfare.store.book import Book, open_book
from tests.prices.books import MemoryLog, at, book
from tests.service import lakes

PRICED = """
provider: p
windows: {peak: {hours: ["01:00-04:00"]}}
always: [{when: {region: eu-*}, times: 1.1}]
models:
  m:
    prices:
      - {until: 2026-01-01, rates: {input: 3}}
      - {from: 2026-01-01, rates: {input: 2, output: 8}, minimum: {input: 10}}
      - {when: {tier: batch}, times: 0.5}
      - {when: {context: over 1000}, times: 1.5}
      - {when: {during: peak}, times: 3}
      - {when: {size: 1024x1024}, rates: {output_image: 0.04}}
"""


def found_in(of: PriceBook, when: str = "2026-06-01T12:00:00Z", size: int = 1, **more: object) -> Found:
    found = of.find("p", "m", at(when), Circumstances(**more), {"input": size})  # type: ignore[arg-type]
    assert isinstance(found, Found)
    return found


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path) -> Book:
    return open_book(f"sqlite:///{tmp_path}/flatfare.db")


def test_what_is_kept_is_told_after_the_price_book_has_forgotten_it(kept: Book) -> None:
    before, after = book(PRICED), book(PRICED.replace("input: 2", "input: 4"))
    version = found_in(before).version
    with kept.writing():
        keep_used(kept, before, at("2026-06-02"))
    (terms,) = told(kept, after, version)
    assert (terms["version"], terms["provider"], terms["model"]) == (version, "p", "m")
    assert (terms["since"], terms["layer"], terms["currency"]) == ("2026-01-01T00:00:00Z", "reviewed", "USD")
    assert {row["unit"]: (row["rate"], row["per"]) for row in rates_in(terms)} == {
        "input": ("2.00", 1_000_000),
        "output": ("8.00", 1_000_000),
    }
    assert terms["minimums"] == {"input": "10"}
    assert terms["kept_at"] == "2026-06-02T00:00:00Z"


def test_what_is_kept_first_stays(kept: Book) -> None:
    prices = book(PRICED)
    version = found_in(prices).version
    for moment in ("2026-06-02", "2026-06-03"):
        with kept.writing():
            keep_used(kept, prices, at(moment))
    assert told(kept, prices, version)[0]["kept_at"] == "2026-06-02T00:00:00Z"


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"when": "2025-06-01T12:00:00Z"},
        {"tier": "batch"},
        {"region": "eu-west-1"},
        {"size": 2000},
        {"when": "2026-06-01T02:00:00Z"},
        {"details": {"size": "1024x1024"}},
        {"tier": "batch", "region": "eu-west-1", "size": 2000, "when": "2026-06-01T02:00:00Z"},
    ],
)
def test_what_is_not_kept_is_found_in_a_price_book_that_says_the_same(conditions: dict[str, object]) -> None:
    wanted = found_in(book(PRICED), **conditions)  # type: ignore[arg-type]
    (terms,) = told(None, book(PRICED), wanted.version)
    assert rates_in(terms) == rates_in(price_versions.terms_of(wanted))
    assert terms["kept_at"] is None


def test_the_prices_of_an_organisation_are_found_too() -> None:
    lines = [{"provider": "p", "model": "m", "organisation": "acme", "rates": {"input": "1"}}]
    prices = PriceBook.standard(MemoryLog(lines))
    wanted = found_in(prices, organisation="acme").version
    assert told(None, PriceBook.standard(MemoryLog(lines)), wanted)[0]["layer"] == "own"


def test_prices_that_nobody_here_has_are_said_plainly_to_be_missing(kept: Book) -> None:
    version = found_in(book(PRICED)).version
    other = book(PRICED.replace("input: 2", "input: 4"))
    with pytest.raises(NotFound, match=r"does not have the prices p/m@2026-01-01:reviewed:\w+.* prices show"):
        told(kept, other, version)


def test_a_call_that_two_models_served_has_the_prices_of_both(kept: Book) -> None:
    prices = book(PRICED)
    one, other = found_in(prices).version, found_in(prices, tier="batch").version
    assert [terms["version"] for terms in told(kept, prices, f"{one},{other}")] == [one, other]


@pytest.mark.parametrize("text", ["", "openai/gpt-4o", "p/m@2026-01-01:mine:0123456789ab", "x" * 9999])
def test_what_is_no_version_is_refused_with_one_to_compare(text: str) -> None:
    with pytest.raises(BadUsage, match="such as openai/gpt-4o@2026-01-05:own:0123456789ab"):
        told(None, book(PRICED), text)


def test_what_is_kept_of_prices_is_exact(connection: duckdb.DuckDBPyConnection) -> None:
    """Of twenty kinds of calls, with tiers, regions, hours, another currency: no digit of a rate is lost."""
    lakes.fill(connection, "calls", 2_000)
    prices = lakes.own_book()
    connection.execute(priced_sql(connection, "calls", prices)).fetchall()
    assert len(prices.used) > 20
    for found in prices.used.values():
        for row in rates_in(price_versions.terms_of(found)):
            kept = Fraction(Decimal(str(row["rate"]))) * NANO / int(str(row["per"]))
            rate = found.rates[str(row["unit"])]
            assert kept == Fraction(rate.amount_nano, rate.per), (found.version, row)


def test_a_kept_version_is_enough_to_compute_a_call_again() -> None:
    """The receipt's own arithmetic: counts times rates over what they are per, rounded once."""
    found = found_in(book(PRICED))
    rates = {str(row["unit"]): row for row in rates_in(price_versions.terms_of(found))}
    total = sum(
        count * Fraction(str(rates[unit]["rate"])) / int(str(rates[unit]["per"]))
        for unit, count in {"input": 1234, "output": 567}.items()
    )
    assert found.cost_nano({"input": 1234, "output": 567}) == total * NANO == 1234 * 2_000 + 567 * 8_000
