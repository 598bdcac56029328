"""Advice on a price says whether a fixed price fits, what each price risks, and which ladder serves whom."""

import random
from pathlib import Path

from flatfare.service.actions.advising import (
    Seen,
    Tried,
    advise,
    best_ladders,
    document_of,
    history,
    possible_ladders,
)
from flatfare.store import runs
from flatfare.store.book import open_book
from flatfare.store.runs import Attempt, Run, State

CENT = 10_000_000


def steady(n: int, success: float = 0.95, seed: int = 1) -> list[Seen]:
    """Work whose sales cost about ten cents each."""
    dice = random.Random(seed)
    return [
        Seen(round(dice.uniform(8, 12) * CENT), "verified" if dice.random() < success else "failed")
        for _ in range(n)
    ]


def test_steady_work_is_fit_for_a_fixed_price() -> None:
    advice = advise("steady", steady(300), current_nano=50 * CENT)
    assert advice.verdict == "fit"
    assert advice.recommended_nano == 20 * CENT
    document = document_of(advice)
    prices = {one["price"]: one for one in document["prices"]}  # type: ignore[attr-defined]
    assert prices["0.500000000"]["loss_over_sales"]["probability"] == 0.0
    assert prices["0.500000000"]["margin_share"] > 0.7
    assert document["per_token"] == f"{advice.per_token_nano / 1e9:.9f}"  # type: ignore[operator]


def test_the_recommended_price_keeps_margin_and_risk() -> None:
    advice = advise("steady", steady(300), risk_max=0.05, margin=0.3)
    found = next(one for one in advice.prices if one.price_nano == advice.recommended_nano)
    assert found.margin_share >= 0.29
    assert found.over_sales.interval.high is not None
    assert found.over_sales.interval.high <= 0.05


def test_work_that_mostly_fails_and_varies_is_not_fit_and_the_reasons_are_plain() -> None:
    dice = random.Random(4)
    wild = [
        Seen(round(dice.lognormvariate(0, 2) * CENT), "verified" if dice.random() < 0.4 else "failed")
        for _ in range(300)
    ]
    advice = advise("wild", wild)
    assert advice.verdict == "not fit"
    assert advice.why[0].startswith("Only 39% of the runs are verified")
    assert "Price by size, or limit the input." in advice.why[1]


def test_work_that_nobody_can_judge_is_not_fit() -> None:
    advice = advise("unclear", steady(200) + [Seen(10 * CENT, "undecided")] * 100)
    assert advice.verdict == "not fit"
    assert "make it verifiable first" in advice.why[0]


def test_too_few_runs_are_said_to_be_too_few() -> None:
    advice = advise("new", steady(5))
    assert (advice.verdict, advice.recommended_nano, advice.prices) == ("too few", None, ())


def trial(n: int) -> list[Tried]:
    """A cheap rung that does 60 % of the inputs, and a dear one that does 96 %."""
    tried = []
    for number in range(n):
        tried.append(Tried(str(number), "cheap", 1 * CENT, number % 10 < 6))
        tried.append(Tried(str(number), "dear", 10 * CENT, number % 25 != 9))
    return tried


def test_each_way_of_choosing_has_its_ladder() -> None:
    found = dict(best_ladders(trial(100)))
    assert found["low cost"].rungs == ("cheap",)
    assert found["balanced"].rungs == ("cheap", "dear")
    assert found["high accuracy"].rungs == ("cheap", "dear")
    assert found["balanced"].success == 0.96 + 0.02


def test_a_ladder_costs_what_its_rungs_cost_until_one_is_verified() -> None:
    ladders = {ladder.rungs: ladder for ladder in possible_ladders(trial(100))}
    assert set(ladders) == {("cheap",), ("dear",), ("cheap", "dear"), ("dear", "cheap")}
    assert ladders["cheap",].cost_per_verified_nano == 100 * CENT / 60
    assert ladders["cheap", "dear"].cost_per_verified_nano == (100 * CENT + 40 * 10 * CENT) / 98


def test_runs_of_unknown_cost_are_left_out_and_it_is_said() -> None:
    known = steady(300)
    advice = advise("part", [*known, *[Seen(None, "verified")] * 30])
    assert advice.costs == advise("whole", known).costs
    assert advice.recommended_nano == advise("whole", known).recommended_nano
    assert advice.why[-1].startswith("30 of 330 runs are left out: part of what they cost is not known.")
    assert advise("none", [Seen(None, "verified")] * 30).verdict == "too few"


def test_an_input_of_unknown_cost_on_one_rung_says_nothing_of_ladders() -> None:
    unknown = [Tried("x", "cheap", None, True), Tried("x", "dear", 10 * CENT, True)]
    assert [*possible_ladders([*trial(100), *unknown])] == [*possible_ladders(trial(100))]


def test_a_run_costs_what_is_known_only_where_all_of_it_is(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "flatfare.db")) as book:
        for name, costs in {
            "known": [(5, None), (7, None)],
            "partly": [(5, None), (7, "its cost is not known")],
            "unsaid": [(5, None), (None, None)],
        }.items():
            runs.insert(book, Run(name, "count", 1, name, State.DONE, "", 0, ending="verified"))
            for number, (cost, reason) in enumerate(costs):
                attempt = Attempt(name, number, 1, "r", "", 0, cost_nano=cost, cost_reason=reason)
                runs.write_attempt(book, attempt)
        assert sorted(one.cost_nano or -1 for one in history(book, "count")) == [-1, -1, 12]


def test_a_few_runs_that_went_well_are_no_proof() -> None:
    advice = advise("new", steady(25, success=1.0))
    assert advice.verdict == "fit"
    assert "fewer than one of 9 may not have been seen" in advice.why[1]
    cautious = next(one for one in advice.prices if one.price_nano == advice.recommended_nano)
    assert cautious.price_nano > 1.1 * (advice.costs.mean if advice.costs else 0)
    assert len(advise("old", steady(60, success=1.0)).why) == 1


def test_costs_without_a_bound_in_sight_are_not_fit() -> None:
    dice = random.Random(2)
    wild = [Seen(round(dice.paretovariate(1.2) * CENT), "verified") for _ in range(300)]
    advice = advise("wild", wild)
    assert advice.verdict in ("with care", "not fit")
    assert any("tail index 1." in why and "limits: cost" in why for why in advice.why)
