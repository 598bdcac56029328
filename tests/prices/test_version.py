"""Prices of one name are the same prices, and whoever is trusted for them stands in the name."""

import pytest

from flatfare.core.pricing import Rate
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.version import NAME_LENGTH_MAX, Named, joined, named, version_name
from tests.prices.books import at, book

SHIPPED = "{provider: p, models: {m: {prices: [{from: 2026-01-05, rates: {input: 2.50, output: 10}}]}}}"


def version(of: PriceBook, when: str = "2026-06-01", tier: str | None = None, **counts: int) -> str:
    found = of.find("p", "m", at(when), Circumstances(tier), counts)
    assert isinstance(found, Found)
    return found.version


def test_a_version_says_whose_prices_since_when_and_who_says_so() -> None:
    assert version(book(shipped=SHIPPED)) == "p/m@2026-01-05:shipped:ad2d2aa5155b"
    undated = "{provider: p, models: {m: {prices: [{rates: {input: 1}}]}}}"
    assert named(version(book(shipped=undated))) == Named("p", "m", "always", "shipped")


@pytest.mark.parametrize(
    "same",
    [
        SHIPPED.replace("10}", "10.00}"),
        SHIPPED.replace("output: 10", "output: 0.01 per 1000"),
        SHIPPED.replace("rates: {input: 2.50, output: 10}", "rates: {output: 4x input, input: 2.50}"),
        SHIPPED.replace("{from:", "{source: another release, checked: 2026-11-01, from:"),
    ],
)
def test_what_says_the_same_has_the_same_name(same: str) -> None:
    assert version(book(shipped=same)) == version(book(shipped=SHIPPED))


@pytest.mark.parametrize(
    "other",
    [
        SHIPPED.replace("2.50", "2.51"),
        SHIPPED.replace("{input", "{web_search: 10 per 1000, input"),
        SHIPPED.replace("{from", "{minimum: {input: 100}, from"),
        SHIPPED.replace("{from", "{currency: EUR, from"),
        SHIPPED.replace("2026-01-05", "2026-01-06"),
    ],
)
def test_what_says_something_else_has_another_name(other: str) -> None:
    assert version(book(shipped=other)) != version(book(shipped=SHIPPED))


def test_own_prices_are_told_apart_from_shipped_ones_of_the_same_amount() -> None:
    own = version(book(own=SHIPPED))
    assert own == version(book(shipped=SHIPPED)).replace("shipped", "own")


def test_a_discount_of_one_s_own_makes_prices_of_one_s_own() -> None:
    discount = "{provider: p, always: [{from: 2026-03-01, times: 0.85, name: contract}]}"
    agreed = named(version(book(shipped=SHIPPED, own=discount)))
    assert agreed == Named("p", "m", "2026-03-01", "own")
    before = version(book(shipped=SHIPPED, own=discount), "2026-02-28")
    assert before == version(book(shipped=SHIPPED))


def test_a_tier_and_a_size_of_prompt_have_names_of_their_own() -> None:
    priced = book(
        shipped="{provider: p, models: {m: {prices: [{rates: {input: 2}}, {when: {tier: batch}, times: 0.5}, "
        "{when: {context: over 1000}, times: 2}]}}}"
    )
    names = {version(priced), version(priced, tier="batch"), version(priced, input=1001)}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openrouter", f"od\0d, {'x' * 500}"), ("p" * 500, "m"), ("", "m"), ("a/b", "m@1:2")],
)
def test_a_name_from_outside_is_short_and_plain(provider: str, model: str) -> None:
    name = version_name(provider, model, None, 0, "USD", {"input": Rate(1)}, {})
    assert len(name) < 2 * NAME_LENGTH_MAX + 40
    assert named(name) is not None
    assert "," not in name
    assert name.isprintable()


def test_versions_of_several_models_stand_side_by_side_once() -> None:
    assert joined(["a", "b", "a"]) == "a,b"
    assert joined([]) is None


def test_the_book_tells_of_prices_at_their_first_use() -> None:
    told: list[str] = []
    priced = book(shipped=SHIPPED)
    priced.on_use = lambda found: told.append(found.version)
    found = priced.find("p", "m", at("2026-06-01"))
    assert told == []
    assert isinstance(found, Found)
    assert told == [found.version] == list(priced.used)
    assert version(priced, "2026-07-01") == found.version
    assert len(told) == 1
