"""What a price risks is what months of such sales show."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput
from flatfare.core.risk import (
    Sale,
    loss_over,
    loss_per_sale,
    margin_of,
    price_for_risk,
    spread_of,
)

MONTHS = 10_000
Shared = Callable[..., Path]


def simulated(population: list[Sale], price: float, count: int, seed: int = 5) -> float:
    """The share of 10,000 months of so many sales that lose money."""
    dice = random.Random(seed)
    profits = [(price if sale.is_verified else 0.0) - sale.cost for sale in population]
    return sum(sum(dice.choices(profits, k=count)) < 0 for _ in range(MONTHS)) / MONTHS


def skewed(n: int, seed: int) -> list[Sale]:
    """Sales whose costs lie like those of agents: many cheap, few very dear."""
    dice = random.Random(seed)
    return [Sale(dice.lognormvariate(0, 1), dice.random() < 0.8) for _ in range(n)]


def test_a_sale_that_is_not_verified_loses_its_cost() -> None:
    found = loss_per_sale([Sale(1.0, True)] * 30 + [Sale(1.0, False)] * 10, 5.0)
    assert found.probability == 0.25
    assert found.interval.low < 0.25 < found.interval.high  # type: ignore[operator]


def test_a_price_above_every_cost_never_loses_where_all_is_verified() -> None:
    assert loss_over([Sale(1.0, True)] * 30, 1.01, 100).probability == 0.0
    assert loss_over([Sale(1.0, True)] * 30, 0.99, 100).probability == 1.0


@pytest.mark.parametrize("count", [1, 10, 29, 30, 100, 1000])
@pytest.mark.parametrize("factor", [0.9, 1.1, 1.3])
def test_the_chance_of_a_months_loss_is_what_simulated_months_show(count: int, factor: float) -> None:
    population = skewed(2000, seed=count)
    verified = sum(sale.is_verified for sale in population)
    price = factor * sum(sale.cost for sale in population) / verified
    stated = loss_over(population, price, count).probability
    assert stated == pytest.approx(simulated(population, price, count), abs=0.03)


def test_the_price_for_a_risk_keeps_to_it() -> None:
    population = skewed(5000, seed=3)
    sample = random.Random(9).choices(population, k=400)
    price = price_for_risk(sample, 0.05, 100)
    assert simulated(population, price, 100) <= 0.05
    assert price < 3 * sum(sale.cost for sale in population) / sum(sale.is_verified for sale in population)


def test_without_a_verified_sale_no_price_is_safe() -> None:
    assert math.isinf(price_for_risk([Sale(1.0, False)] * 30, 0.05, 10))


def test_too_few_sales_say_nothing() -> None:
    with pytest.raises(BadInput, match="Found 5 sales: at least 20"):
        loss_over([Sale(1.0, True)] * 5, 2.0, 100)


def test_the_margin_is_what_is_left_on_average() -> None:
    sales = [Sale(1.0, True), Sale(3.0, True), Sale(2.0, False)] * 10
    point, interval = margin_of(sales, 6.0)
    assert point == pytest.approx(2.0)
    assert interval.low < 2.0 < interval.high  # type: ignore[operator]


def test_how_costs_lie() -> None:
    found = spread_of([1.0] * 99 + [101.0])
    assert (found.mean, found.median, found.p90, found.most) == (2.0, 1.0, 1.0, 101.0)
    assert found.variation == pytest.approx(5.0)


def populations(shared: Shared) -> list[list[Sale]]:
    """Real tasks with their cost, by agent, model and benchmark, or by run."""
    duckdb = pytest.importorskip("duckdb")
    queries = (
        (
            shared("data", "openhands_index", "instances.parquet"),
            "agent || model || benchmark, cost_usd, resolved FROM '{}' WHERE cost_usd + resolved::int >= 0",
        ),
        (
            shared("data", "tau2_runs", "sims.parquet"),
            "run, agent_cost, success FROM '{}' WHERE agent_cost > 0 AND success IS NOT NULL",
        ),
    )
    groups: dict[str, list[Sale]] = {}
    for file, query in queries:
        for name, cost, verified in duckdb.sql(f"SELECT {query.format(file)} ORDER BY 1, 2, 3").fetchall():
            groups.setdefault(str(name), []).append(Sale(float(cost), bool(verified)))
    whole = [sales for _, sales in sorted(groups.items()) if len(sales) >= 200]
    return [sales for sales in whole if sum(sale.is_verified for sale in sales) >= 0.2 * len(sales)]


def test_on_real_costs_the_interval_holds_what_ten_thousand_months_show(shared: Shared) -> None:
    dice = random.Random(2026)
    cases = dice.sample(populations(shared), 30)
    held = 0
    for number, population in enumerate(cases):
        cost = sum(sale.cost for sale in population) / sum(sale.is_verified for sale in population)
        price = cost * (1.05, 1.25)[number % 2]
        stated = loss_over(dice.choices(population, k=200), price, 100).interval
        truth = simulated(population, price, 100)
        held += stated.low - 0.01 <= truth <= (stated.high or 1.0) + 0.01
    print(f"\n{held} of {len(cases)} intervals hold the chance that {MONTHS} months show")
    assert held >= 26  # of 30 at 95 %: fewer have a chance below 2 %


def test_no_failure_among_few_is_not_taken_for_none_ever() -> None:
    """A price that leaves 4 % loses where one of 20 fails: 30 runs without a failure leave that open."""
    sales = [Sale(1.0, True)] * 30
    found = loss_over(sales, 1.04, 100)
    assert found.probability == 0.0
    assert (found.interval.low, found.interval.high) == (0.0, pytest.approx(0.5, abs=0.5))
    assert (found.interval.high or 0) > 0.5
    assert (loss_over(sales * 100, 1.04, 100).interval.high or 0) < 0.05


STRANGE = {
    "rare and dear": (lambda dice: (20 if dice.random() < 0.05 else 1) * dice.uniform(0.8, 1.2), 0.95),
    "long tail": (lambda dice: dice.paretovariate(2.5), 0.9),
    "lognormal": (lambda dice: dice.lognormvariate(0, 1), 0.9),
    "nearly always done": (lambda dice: dice.uniform(0.8, 1.2), 0.98),
}


@pytest.mark.parametrize("name", STRANGE)
def test_on_costs_unlike_the_real_ones_the_interval_holds_what_months_show(name: str) -> None:
    """80 sales seen, 16 times: at most twice the truth lies above what was stated."""
    cost, success = STRANGE[name]
    dice = random.Random(11)
    many = [Sale(cost(dice), dice.random() < success) for _ in range(50_000)]
    price = 1.3 * sum(one.cost for one in many) / sum(one.is_verified for one in many)
    left = [(price if one.is_verified else 0.0) - one.cost for one in many]
    truth = sum(sum(dice.choices(left, k=100)) < 0 for _ in range(2000)) / 2000
    above = 0
    for _ in range(16):
        seen = [Sale(cost(dice), dice.random() < success) for _ in range(80)]
        above += (loss_over(seen, price, 100).interval.high or 0) + 0.01 < truth
    assert above <= 2
