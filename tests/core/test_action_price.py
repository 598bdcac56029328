"""The price of an action: what is due, what is held, and what cannot be a price."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.action_price import due, most, parse_price, price_document, verified_nano
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Outcome

CASES = 10_000


def _rated_again(price: dict, size: int | None, outcome: str, attempts: int, signals: dict) -> Fraction:
    """A second rater, written from the guide's words alone: unit by unit, in exact fractions of a dollar."""
    total = Fraction(0)
    for _ in range(attempts):
        total += Fraction(price.get("per_attempt", "0"))
    is_billed = outcome == "verified" or (outcome == "assumed" and price.get("assumed") == "billable")
    if not is_billed:
        return total
    tiers = price.get("tiers")
    if not tiers:
        work = Fraction(price["per_verified"])
    elif price.get("tiers_are") == "graduated":
        work, entered = Fraction(tiers[0].get("per_verified", "0")), {0}
        for unit in range(1, size + 1):
            number = next(n for n, tier in enumerate(tiers) if "up_to" not in tier or unit <= tier["up_to"])
            if number not in entered:
                entered.add(number)
                work += Fraction(tiers[number].get("per_verified", "0"))
            work += Fraction(tiers[number].get("each", "0"))
    else:
        tier = next(t for t in tiers if "up_to" not in t or size <= t["up_to"])
        work = Fraction(tier.get("per_verified", "0")) + size * Fraction(tier.get("each", "0"))
    shares = []
    for condition in price.get("when", ()):
        value = signals.get(condition["signal"])
        if value is None:
            continue
        if "below" in condition and not Fraction(value) < condition["below"]:
            continue
        if "at_least" in condition and not Fraction(value) >= condition["at_least"]:
            continue
        shares.append(0 if condition.get("then") == "free" else condition["percent"])
    if shares:
        work = work * min(shares) / 100
        nano = work * 10**9
        floor, rest = divmod(nano.numerator, nano.denominator)
        if 2 * rest > nano.denominator or (2 * rest == nano.denominator and floor % 2):
            floor += 1
        work = Fraction(floor, 10**9)
        if min(shares) == 0:
            return total
    return total + max(work, Fraction(price.get("minimum", "0")))


def _amount(dice: random.Random) -> str:
    return f"{dice.randrange(0, 50)}.{dice.randrange(10**9):09d}"


def _price(dice: random.Random) -> dict:
    price: dict = {}
    if dice.random() < 0.7:
        ends = sorted(dice.sample(range(1, 60), dice.randrange(0, 5)))
        tiers = [{"up_to": end, "per_verified": _amount(dice), "each": _amount(dice)} for end in ends]
        if not tiers or dice.random() < 0.5:
            tiers.append({"per_verified": _amount(dice), "each": _amount(dice)})
        price |= {"size": "pages", "tiers": tiers, "tiers_are": dice.choice(["whole", "graduated"])}
    else:
        price["per_verified"] = _amount(dice)
    for name in ("per_attempt", "minimum"):
        if dice.random() < 0.4:
            price[name] = _amount(dice)
    if dice.random() < 0.3:
        price["assumed"] = "billable"
    if dice.random() < 0.5:
        bounds = [{"below": dice.randrange(1, 6)}, {"at_least": dice.randrange(1, 6)}, {}]
        shares = [{"then": "free"}, {"percent": dice.randrange(0, 200)}]
        price["when"] = [
            {"signal": dice.choice(["csat", "accepted"]), **dice.choice(bounds), **dice.choice(shares)}
            for _ in range(dice.randrange(1, 4))
        ]
    return price


def test_two_raters_that_know_nothing_of_each_other_never_differ() -> None:
    dice = random.Random(20261121)
    for case in range(CASES):
        given_price = _price(dice)
        price = parse_price(given_price)
        top = price.tiers[-1].up_to if price.tiers else None
        size = dice.randrange(0, (top or 80) + 1) if price.tiers else None
        outcome = dice.choice(["verified", "failed", "assumed", "reversed"])
        attempts = dice.randrange(0, 5)
        signals = {n: str(dice.randrange(1, 6)) for n in ("csat", "accepted") if dice.random() < 0.5}
        found = due(price, outcome=Outcome(outcome), attempts=attempts, size=size, signals=signals)
        expected = _rated_again(given_price, size, outcome, attempts, signals) * 10**9
        assert Fraction(found.amount_nano) == expected, (case, given_price, size, outcome, signals)
        assert sum(line.amount_nano for line in found.lines) == found.amount_nano
        assert found.amount_nano <= most(price, attempts_max=max(attempts, 1), size=size)


@given(st.randoms(use_true_random=False))
def test_a_price_is_read_as_it_was_written(dice: random.Random) -> None:
    price = parse_price(_price(dice))
    assert parse_price(price_document(price)) == price


@pytest.mark.parametrize(
    ("price", "says"),
    [
        ({}, "say what verified work costs"),
        ({"per_verified": 5.5}, r"price\.per_verified: write the amount as text.*a fraction that a computer"),
        ({"per_verified": True}, "no amount"),
        ({"per_verified": "-1"}, "a price is from 0"),
        ({"per_verified": "1e12"}, "a price is from 0"),
        ({"per_verified": "five"}, r"price\.per_verified: Found 'five'"),
        ({"per_verified": "€5", "currency": "USD"}, "an amount in EUR in a price in USD"),
        ({"per_verified": "5", "currency": "usd"}, r"price\.currency: .* ISO 4217"),
        ({"per_verified": "5", "currency": 5}, r"price\.currency"),
        ({"per_veryfied": "5"}, r"price\.per_veryfied: no such field"),
        ({"per_verified": "5", "size": "pages"}, "only tiers go by size"),
        ({"tiers": [{"per_verified": "5"}]}, r"price\.size: say what the tiers go by"),
        ({"tiers": [{"per_verified": "5"}], "size": "pages", "per_verified": "1"}, "not both"),
        ({"tiers": [{}, {"up_to": 5}], "size": "p"}, r"price\.tiers\[0\]\.up_to: only the last"),
        ({"tiers": [{"up_to": 5}, {"up_to": 5}], "size": "p"}, r"tiers\[1\]\.up_to: .* above 5, found 5"),
        ({"tiers": [{"up_to": "5"}], "size": "p"}, r"tiers\[0\]\.up_to: expected a whole number"),
        ({"tiers": "x", "size": "p"}, r"price\.tiers: expected a list"),
        ({"per_verified": "5", "assumed": "yes"}, r"price\.assumed: found 'yes', expected free or billable"),
        ({"per_verified": "5", "when": [{"below": 3, "then": "free"}]}, r"price\.when\[0\]\.signal"),
        ({"per_verified": "5", "when": [{"signal": "csat"}]}, "say either then: free or percent"),
        ({"per_verified": "5", "when": [{"signal": "csat", "percent": -1}]}, "whole number from 0 to 1000"),
        ({"per_verified": "5", "when": [{"signal": "c", "then": "paid"}]}, "expected free"),
        ({"per_verified": "5", "when": [{"signal": "c", "then": "free", "below": "x"}]}, "expected a number"),
        (None, "expected an amount or fields"),
        (["5"], "expected an amount or fields"),
    ],
)
def test_what_cannot_be_a_price_is_named_with_its_field(price: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_price(price)


def test_a_text_is_a_price_in_its_own_currency() -> None:
    price = parse_price("€5.00")
    assert (price.currency, price.per_verified_nano) == ("EUR", 5_000_000_000)


def test_a_size_that_is_missing_or_too_large_is_said() -> None:
    price = parse_price({"size": "pages", "tiers": [{"up_to": 50, "per_verified": "3.00"}]})
    with pytest.raises(BadInput, match="The price goes by pages"):
        verified_nano(price, None)
    with pytest.raises(BadInput, match="an input of 51 pages: this action is priced up to 50"):
        verified_nano(price, 51)


def test_a_signal_of_an_odd_value_holds_no_condition() -> None:
    price = parse_price({"per_verified": "5", "when": [{"signal": "csat", "below": 3, "then": "free"}]})
    for value in (None, "", "good", "NaN", "-Infinity"):
        found = due(price, outcome=Outcome.VERIFIED, attempts=1, size=None, signals={"csat": value})
        assert found.amount_nano == 5_000_000_000
