"""P9: any history of sales leaves the ledger as a simple oracle says, and replays to the last byte."""

import random
import zoneinfo
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.promises.ledger_oracle import BUYERS, DAY_US, START_US, Driver

AMOUNTS = st.one_of(st.sampled_from([1, 999_999_999, 10**9, 5 * 10**9]), st.integers(1, 50 * 10**9))
WHO = st.sampled_from(sorted(BUYERS))
ACTION = st.sampled_from(["review", "blog"])
DAYS = st.sampled_from([None, 1, 2, 40])
PAID = st.sampled_from(["cash", "promotion"])


class Histories(RuleBasedStateMachine):
    """Every verb in any order, retried at will, beside the oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver()

    def teardown(self) -> None:
        try:
            self.driver.check_all()
        finally:
            self.driver.close()

    @rule(who=WHO, nano=AMOUNTS)
    def pay_in(self, who: str, nano: int) -> None:
        self.driver.pay_in(who, nano)

    @rule(
        who=WHO,
        nano=AMOUNTS,
        paid=PAID,
        priority=st.sampled_from([1, 100]),
        days=DAYS,
        only=st.sampled_from([None, "blog"]),
    )
    def grant(self, **terms: object) -> None:
        self.driver.grant(**terms)

    @rule(
        who=WHO,
        price=st.integers(10**9, 30 * 10**9),
        units=st.integers(1, 4),
        only=ACTION,
        paid=st.sampled_from(["cash", "invoice", "promotion"]),
        days=DAYS,
    )
    def buy(self, **terms: object) -> None:
        self.driver.buy(**terms)

    @rule(
        who=WHO,
        action=ACTION,
        work=AMOUNTS,
        each=st.sampled_from([0, 1, 10**8]),
        attempts_max=st.integers(1, 3),
    )
    def hold(self, **terms: object) -> None:
        self.driver.hold(**terms)

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5), outcome=st.sampled_from(["verified", "verified", "failed"]))
    def judge(self, back: int, outcome: str) -> None:
        self.driver.judge(self._task(back), outcome)

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5), attempts=st.integers(0, 4))
    def settle(self, back: int, attempts: int) -> None:
        self.driver.settle(self._task(back), attempts)

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5))
    def sell(self, back: int) -> None:
        self.driver.judge(self._task(back), "verified")
        self.driver.settle(self._task(back), 1)

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5))
    def void(self, back: int) -> None:
        self.driver.void(self._task(back))

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5), nano=st.one_of(st.none(), st.integers(1, 10 * 10**9)))
    def reverse(self, back: int, nano: int | None) -> None:
        self.driver.reverse(self._task(back), nano)

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5), fifths=st.integers(1, 4))
    def reverse_in_parts(self, back: int, fifths: int) -> None:
        self.sell(back)
        paid = self.driver.oracle.sales.get(self._task(back), {}).get("paid", 0)
        for _ in range(2):  # of more than half, the second is refused
            self.driver.reverse(self._task(back), max(1, paid * fifths // 5))

    @precondition(lambda self: self.driver.tasks)
    @rule(back=st.integers(0, 5), work=st.integers(0, 10**9), checks=st.sampled_from([0, 10**6]))
    def costs(self, back: int, work: int, checks: int) -> None:
        self.driver.costs(self._task(back), work, checks)

    @rule(number=st.integers(0, 1000))
    def again(self, number: int) -> None:
        self.driver.again(number)

    @rule(days=st.sampled_from([1, 2, 31]))
    def wait(self, days: int) -> None:
        self.driver.wait(days * DAY_US)

    @rule()
    def expire(self) -> None:
        self.driver.expire()

    @rule(who=st.sampled_from(["ann", "bea"]))
    def issue(self, who: str) -> None:
        self.driver.issue(who)

    @invariant()
    def all_money_is_somewhere(self) -> None:
        found = self.driver.book.value("SELECT COALESCE(SUM(amount_nano), 0) FROM postings")
        assert found == 0

    def _task(self, back: int) -> str:
        return f"task {max(1, self.driver.tasks - back)}"


def histories(count: int, steps: int) -> None:
    """So many histories of so many steps."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_every_history_ends_as_the_oracle_says() -> None:
    histories(40, 40)


@pytest.mark.soak
def test_two_thousand_histories_end_as_the_oracle_says() -> None:
    histories(2_000, 50)


# a clock that jumps: late, skewed, over ends of months and changes of the clock


def simulate(seed: int, steps: int) -> None:
    """One simulated year in so many steps, by seed: the same seed is the same history."""
    dice = random.Random(seed)
    driver = Driver()
    try:
        for step in range(steps):
            _wait(driver, dice)
            _one_step(driver, dice)
            if step % 100 == 99:
                driver.expire()
        driver.check_all()
    except AssertionError as problem:
        raise AssertionError(f"seed {seed}: {problem}") from problem
    finally:
        driver.close()


def _wait(driver: Driver, dice: random.Random) -> None:
    """A moment later, or just before, at or after a lot expires, a month ends or clocks change."""
    ends = [lot["until"] for lot in driver.oracle.lots if lot["until"] and lot["until"] > driver.now_us]
    kind = dice.random()
    if kind < 0.5:
        driver.wait(dice.randrange(0, 60_000_000))
    elif kind < 0.8 and ends:
        driver.wait(max(0, min(ends) - driver.now_us + dice.choice([-1, 0, 1, DAY_US])))
    elif kind < 0.9:
        driver.wait(max(0, _month_end(driver.now_us) - driver.now_us + dice.randrange(-1, 2)))
    else:
        driver.wait(dice.randrange(0, 5 * DAY_US))


def _month_end(at_us: int) -> int:
    """When the month ends in Berlin, where clocks change on the way."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    now = datetime.fromtimestamp(at_us / 1_000_000, zone)
    first = (now.replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    return int(first.timestamp()) * 1_000_000


def _one_step(driver: Driver, dice: random.Random) -> None:
    who, action = dice.choice(sorted(BUYERS)), dice.choice(["review", "blog"])
    task = f"task {max(1, driver.tasks - dice.randrange(0, 9))}"
    nano = dice.choice([1, 10**9, dice.randrange(1, 20 * 10**9)])
    # a node's clock is up to two hours off
    skew_us = dice.choice([0, 0, dice.randrange(-7200, 7200) * 1_000_000])
    kind = dice.randrange(20)
    if kind < 2:
        driver.pay_in(who, nano)
    elif kind == 2 or kind > 17:
        days = dice.choice([None, 1, 1, 2, 31])
        driver.grant(who, nano, dice.choice(["cash", "promotion"]), dice.choice([1, 100]), days, None)
    elif kind == 3:
        driver.buy(who, 10**9 + nano, dice.randrange(1, 5), action, dice.choice(["cash", "invoice"]), 2)
    elif kind < 7:
        driver.hold(who, action, nano, dice.choice([0, 10**8]), dice.randrange(1, 4))
    elif kind < 10 and driver.tasks:
        driver.judge(task, dice.choice(["verified", "verified", "failed"]))
        driver.settle(task, dice.randrange(0, 4), skew_us)
    elif kind in (10, 16) and driver.tasks:
        driver.void(task, skew_us)
    elif kind in (11, 17) and driver.tasks:
        driver.reverse(task, dice.choice([None, nano]), skew_us)
    elif kind == 12 and driver.tasks:
        driver.costs(task, dice.randrange(10**9), dice.randrange(10**6))
    elif kind == 13:
        driver.issue(dice.choice(["ann", "bea"]))
    else:
        driver.again(dice.randrange(1000))


@pytest.mark.parametrize("seed", range(4))
def test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole(seed: int) -> None:
    simulate(seed, 200)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000))
def test_a_thousand_years_by_clocks_that_jump(seed: int) -> None:
    simulate(seed, 500)


def test_the_simulated_clock_begins_where_clocks_change() -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    start, later = (datetime.fromtimestamp(us / 1e6, zone) for us in (START_US, START_US + 2 * DAY_US))
    assert start.utcoffset() != later.utcoffset()
