"""Calibration: a judge's errors, what its figures say once they are taken out, and when they say nothing."""

import csv
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.calibration import (
    MIN_LABELS,
    Judged,
    Share,
    alike,
    corrected,
    corrected_over,
    differing,
    errors_of,
    gap,
    is_drawn,
    labels_needed,
    rogan_gladen,
)
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement
from flatfare.core.statistics import CostSums, cost_per_success

PASS, FAIL, ABSTAIN = Judgement.PASS, Judgement.FAIL, Judgement.ABSTAIN
Task = tuple[Judgement, bool | None, float]


def made(hits: int, misses: int, alarms: int, rejections: int, cost: float = 1.0) -> list[Task]:
    """Labelled tasks: passed and true, failed and true, passed and false, failed and false."""
    return [
        *[(PASS, True, cost)] * hits,
        *[(FAIL, True, cost)] * misses,
        *[(PASS, False, cost)] * alarms,
        *[(FAIL, False, cost)] * rejections,
    ]


def unlabelled(passes: int, fails: int, cost: float = 1.0) -> list[Task]:
    return [*[(PASS, None, cost)] * passes, *[(FAIL, None, cost)] * fails]


def test_the_errors_are_shares_of_what_is_true_and_of_what_is_not() -> None:
    errors = errors_of(Judged.of([*made(18, 2, 5, 15), (ABSTAIN, True, 1.0), (ABSTAIN, False, 1.0)]))
    assert (errors.sensitivity.count, errors.sensitivity.n) == (18, 21)
    assert (errors.specificity.count, errors.specificity.n) == (16, 21)  # what is not passed is not passed
    assert (errors.abstained.count, errors.abstained.n) == (2, 42)
    assert errors.agreement.count == 33
    assert errors.informed == pytest.approx(18 / 21 + 16 / 21 - 1)


def test_without_labels_nothing_is_said_of_the_errors() -> None:
    errors = errors_of(Judged.of(unlabelled(5, 5)))
    assert errors.sensitivity.point is errors.kappa is errors.informed is None


def test_a_perfect_judge_leaves_the_rate_as_it_is() -> None:
    found = corrected(Judged.of(made(30, 0, 0, 20) + unlabelled(600, 400)))
    assert found.rate == pytest.approx(0.6)
    assert found.rogan_gladen == pytest.approx(0.6)
    assert found.cost_per_success == pytest.approx(1 / 0.6)
    assert found.weight is not None
    assert found.weight > 0.8


def test_a_lenient_judge_is_brought_down_to_the_truth() -> None:
    """Passes 9 of 10 failures: a pass rate of 95 % stands for a success rate of half."""
    found = corrected(Judged.of(made(50, 0, 45, 5) + unlabelled(950, 50)))
    assert found.naive_rate == pytest.approx(0.95)
    assert found.rate == pytest.approx(0.5)
    assert found.naive_cost == pytest.approx(1 / 0.95)
    assert found.cost_per_success == pytest.approx(2.0)
    assert found.cost_interval is not None
    assert found.cost_interval.holds(2.0)


def test_a_judge_that_guesses_is_not_leant_on() -> None:
    labels = made(15, 15, 15, 15)
    found = corrected(Judged.of(labels + unlabelled(500, 500)))
    alone = corrected(Judged.of(labels))
    assert found.weight == pytest.approx(0, abs=1e-9)
    assert found.rogan_gladen is None
    assert found.rate_interval == alone.rate_interval
    assert any("hardly better than chance" in text for text in found.warnings)


def test_a_good_judge_is_worth_many_labels() -> None:
    labels = made(29, 1, 1, 29)
    wide = corrected(Judged.of(labels)).rate_interval
    narrow = corrected(Judged.of(labels + unlabelled(500, 500))).rate_interval
    assert wide is not None
    assert narrow is not None
    assert (narrow.high or 1) - narrow.low < ((wide.high or 1) - wide.low) * 0.6


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (unlabelled(70, 30), "No task of this kind of work has a label"),
        (made(5, 1, 1, 5) + unlabelled(50, 50), "Label 8 more"),
        (made(28, 0, 2, 2) + unlabelled(80, 20), "4 of 32 labels are failures"),
        (made(2, 1, 15, 15) + unlabelled(50, 50), "3 of 33 labels are successes"),
        (made(45, 5, 5, 5) + unlabelled(100, 200), "passes 83% of the labelled tasks and 33% of the others"),
    ],
)
def test_labels_that_cannot_carry_it_are_refused_with_what_to_do(tasks: list[Task], said: str) -> None:
    found = corrected(Judged.of(tasks))
    assert found.refused is not None
    assert said in found.refused
    assert found.rate is found.cost_per_success is found.cost_interval is None
    assert found.naive_rate is not None


def test_labels_of_one_domain_do_not_carry_to_another() -> None:
    airline = Judged.of(made(30, 5, 20, 25) + unlabelled(300, 200))
    telecom = Judged.of(unlabelled(300, 700))
    found = corrected_over({"airline": airline, "telecom": telecom})
    assert found.refused is not None
    assert found.refused.startswith("telecom: No task of this kind of work has a label")
    assert found.rate is None


def test_domains_are_added_up_by_their_tasks() -> None:
    easy = made(36, 4, 4, 6) + unlabelled(800, 200)
    hard = made(8, 2, 8, 32) + unlabelled(300 // 3, 200)
    found = corrected_over({"easy": Judged.of(easy), "hard": Judged.of(hard)})
    parts = [corrected(Judged.of(tasks)) for tasks in (easy, hard)]
    successes = sum((part.rate or 0) * part.tasks for part in parts)
    assert found.rate == pytest.approx(successes / found.tasks)
    assert found.cost_per_success == pytest.approx(found.tasks / successes)
    assert (found.tasks, found.labels) == (1400, 100)


def test_one_domain_alone_is_all_domains_together() -> None:
    judged = Judged.of(made(30, 5, 20, 25) + unlabelled(300, 200))
    assert corrected_over({"airline": judged}) == corrected_with_prefix(judged, "airline")


def corrected_with_prefix(judged: Judged, name: str) -> object:
    from dataclasses import replace

    found = corrected(judged)
    return replace(found, warnings=tuple(f"{name}: {text}" for text in found.warnings))


def test_domains_whose_error_rates_differ_are_told_apart() -> None:
    telecom, airline = Judged.of(made(25, 1, 8, 72)), Judged.of(made(20, 3, 21, 6))
    assert differing([telecom, airline]) < 1e-6
    assert differing([telecom, telecom]) == 1.0
    assert differing([Judged(), telecom]) == 1.0


def test_alike_is_one_where_nothing_is_unlabelled() -> None:
    assert alike(Judged.of(made(1, 2, 3, 4))) == 1.0
    assert alike(Judged.of(made(10, 0, 0, 10) + unlabelled(100, 100))) == pytest.approx(1.0)


def test_self_preference_is_a_gap_with_an_interval() -> None:
    others, own = Share.of(80, 100), Share.of(50, 100)
    found = gap(others, own)
    assert found is not None
    assert found.low > 0.15
    assert gap(others, Share.of(0, 0)) is None


def test_more_labels_are_needed_for_a_narrower_interval() -> None:
    judged = Judged.of(made(29, 3, 3, 29) + unlabelled(5000, 5000))
    needed = [labels_needed(judged, width) for width in (0.2, 0.1, 0.05)]
    assert all(count is not None for count in needed)
    assert needed == sorted(needed, key=lambda count: count or 0)
    assert labels_needed(Judged.of(unlabelled(500, 500)), 0.1) == MIN_LABELS
    assert labels_needed(judged, 0.001) is None
    with pytest.raises(BadInput, match="half width"):
        labels_needed(judged, 0)


def test_a_share_is_drawn_that_nothing_about_a_task_sways() -> None:
    drawn = {str(number) for number in range(20_000) if is_drawn(str(number), 0.25, "plan")}
    assert 0.24 < len(drawn) / 20_000 < 0.26
    assert drawn < {str(number) for number in range(20_000) if is_drawn(str(number), 0.5, "plan")}
    assert not is_drawn("1", 0.0, "plan")
    assert is_drawn("1", 1.0, "plan")


def test_a_cost_is_never_negative() -> None:
    with pytest.raises(BadInput, match="never negative"):
        Judged.of([(PASS, True, -1.0)])


words = st.sampled_from([PASS, FAIL, ABSTAIN])
tasks = st.lists(st.tuples(words, st.sampled_from([True, False, None]), st.floats(0, 1e6)), max_size=120)


@given(tasks, st.randoms(use_true_random=False))
def test_the_order_and_the_grouping_never_matter(given_tasks: list[Task], dice: random.Random) -> None:
    shuffled = dice.sample(given_tasks, len(given_tasks))
    at = len(given_tasks) // 3
    found, other = (
        corrected(Judged.of(given_tasks)),
        corrected(Judged.of(shuffled[:at]) + Judged.of(shuffled[at:])),
    )
    assert (found.refused is None) == (other.refused is None)
    assert found.rate == pytest.approx(other.rate)


@given(tasks)
def test_whatever_is_given_the_figures_are_sound(given_tasks: list[Task]) -> None:
    found = corrected(Judged.of(given_tasks))
    if found.refused is None:
        assert found.rate is not None
        assert found.rate_interval is not None
        assert 0 <= found.rate_interval.low <= found.rate <= (found.rate_interval.high or 1) <= 1
        assert found.cost_interval is not None
        assert found.cost_per_success is not None
        assert found.cost_interval.low <= found.cost_per_success * (1 + 1e-9)
        assert (
            found.cost_interval.high is None
            or found.cost_interval.high * (1 + 1e-9) >= found.cost_per_success
        )


def real(shared: Callable[..., Path]) -> Iterator[tuple[str, list[tuple[Judgement, bool, float]]]]:
    """The judged conversations by domain and judge, with a made cost: theirs is not on record."""
    dice = random.Random(7)
    found: dict[str, list[tuple[Judgement, bool, float]]] = {}
    with shared("data", "tau2_judge", "judged.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            good = row["success"] == "True"
            word = PASS if row["judge_pass"] == "True" else FAIL
            task = (word, good, dice.lognormvariate(0 if good else 0.4, 0.7))
            found.setdefault(f"{row['domain']} {row['prompt']}", []).append(task)
    yield from found.items()


def test_real_judges_are_corrected_within_the_stated_interval(shared: Callable[..., Path]) -> None:
    """Twelve real judges, 60 labels of 300 tasks, 60 draws each: coverage, and width against labels alone."""
    dice = random.Random(11)
    held = drawn = 0
    widths: list[float] = []
    for _, population in real(shared):
        price = sum(cost for *_, cost in population) / sum(good for _, good, _ in population)
        for _ in range(60):
            sample = dice.choices(population, k=300)
            found = corrected(
                Judged.of(
                    (word, good if at < 60 else None, cost) for at, (word, good, cost) in enumerate(sample)
                )
            )
            alone = cost_per_success(CostSums.of((cost, good) for _, good, cost in sample[:60])).interval
            if found.cost_interval is None or alone is None:
                continue
            drawn += 1
            held += found.cost_interval.holds(price)
            ends = [math.log((one.high or math.inf) / one.low) for one in (found.cost_interval, alone)]
            widths.append(ends[0] / ends[1])
    assert drawn > 700
    assert 0.93 < held / drawn < 0.985
    assert max(widths) < 1.5


def test_real_judges_do_not_carry_from_domain_to_domain(shared: Callable[..., Path]) -> None:
    """Labels of one domain, tasks of another: refused, since the judge speaks otherwise there."""
    judges = dict(real(shared))
    telecom = [(word, good, cost) for word, good, cost in judges["telecom quick_triage_v1"]]
    airline = [(word, None, cost) for word, _, cost in judges["airline quick_triage_v1"]]
    found = corrected(Judged.of([*telecom, *airline * 3]))
    assert found.refused is not None
    assert "do not carry" in found.refused
    labelled = Judged.of(judges["airline quick_triage_v1"])
    assert differing([Judged.of(telecom), labelled]) < 1e-6


def test_rogan_gladen_on_a_case_worked_by_hand() -> None:
    """0.9 and 0.8: a pass rate of 0.55 is (0.55 + 0.8 - 1) / 0.7 = 0.5."""
    judged = Judged.of(made(45, 5, 10, 40) + unlabelled(495, 405))
    assert rogan_gladen(judged) == pytest.approx(0.5)


def trials(rng: random.Random, cases: int = 60, each: int = 4, labelled: int = 30) -> list[Judged]:
    """Cases tried several times each; most end alike each time, and cost alike."""
    found = []
    for case in range(cases):
        is_easy, size = rng.random() < 0.5, rng.lognormvariate(0, 0.7)
        tries: list[tuple[Judgement, bool | None, float]] = []
        for _ in range(each):
            done = rng.random() < (0.95 if is_easy else 0.05)
            word = Judgement.PASS if rng.random() < (0.9 if done else 0.2) else Judgement.FAIL
            tries.append((word, done if case < labelled else None, size * rng.lognormvariate(0, 0.3)))
        found.append(Judged.of(tries))
    return found


def test_trials_of_one_case_are_one_draw() -> None:
    rng, held = random.Random(3), [0, 0]
    for _ in range(150):
        cases = trials(rng)
        whole = sum(cases, Judged())
        for at, found in enumerate((corrected(whole), corrected(whole, clusters=cases))):
            assert at == 0 or found.refused is None
            held[at] += found.rate_interval is not None and found.rate_interval.holds(0.5)
    assert held[0] < 0.85 * 150  # taken as independent they promise too much
    assert held[1] > 0.9 * 150


def test_tasks_that_are_clusters_of_their_own_change_next_to_nothing() -> None:
    rng = random.Random(4)
    tasks = [one for _ in range(4) for one in trials(rng, 100, 1, 40)]
    whole = sum(tasks, Judged())
    plain_found, found = corrected(whole), corrected(whole, clusters=tasks)
    assert plain_found.rate == found.rate
    assert plain_found.rate_interval is not None
    assert found.rate_interval is not None
    assert found.rate_interval.low == pytest.approx(plain_found.rate_interval.low, abs=0.01)
    over = corrected_over({"a": whole}, clusters={"a": tasks})
    assert over.rate_interval == found.rate_interval


def test_labels_of_few_cases_are_refused() -> None:
    cases = trials(random.Random(5), 30, 8, 6)
    refused = corrected(sum(cases, Judged()), clusters=cases).refused
    assert refused == "The labels are of 6 clusters: at least 10 are needed. Label tasks of others."
