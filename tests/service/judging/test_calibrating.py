"""Calibrating a judge on a book: real judges against the verified outcome, domain by domain."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flatfare.core.calibration import Cell
from flatfare.core.errors import BadUsage, NotFound
from flatfare.core.outcome import Judgement
from flatfare.service.judging.calibrating import Seen, calibrated, document_of, of_book
from flatfare.store import tasks
from flatfare.store.book import Book
from tests.builders import OPENED_US, book_in, call, id_of, task, write_calls, write_tasks
from tests.service.importing.bringing import Place

PASS, FAIL = Judgement.PASS, Judgement.FAIL
TRUTH = "source:success"


def seen(domain: str, word: Judgement, label: bool | None, count: int, **more: Any) -> Seen:
    cost = 2.0e9 * count
    return Seen(
        domain,
        more.pop("month", "2026-10"),
        more.pop("producer", "gpt-5"),
        word,
        label,
        Cell(count, cost, cost * 2.0e9),
        **more,
    )


def labelled(domain: str, hits: int, misses: int, alarms: int, rejections: int, **more: Any) -> list[Seen]:
    return [
        seen(domain, PASS, True, hits, **more),
        seen(domain, FAIL, True, misses, **more),
        seen(domain, PASS, False, alarms, **more),
        seen(domain, FAIL, False, rejections, **more),
    ]


@pytest.fixture
def judged(tmp_path: Path, shared: Callable[..., Path]) -> Iterator[Place]:
    file = shared("data", "tau2_judge", "judged.csv")
    place = Place(tmp_path)
    place.bring(
        "tasks", file, source="j", maps={"task": "simulation_id", "label.domain": "domain"}, at_us=10**15
    )
    maps = {"task": "simulation_id", "verifier": "prompt", "result": "judge_pass"}
    place.bring("verdicts", file, source="j", maps=maps, at_us=1_764_700_000_000_000)
    yield place
    place.book.close()


@pytest.mark.parametrize(
    ("judge", "expected"),
    [
        # hits of successes, rejections of failures: counted from the file by hand, domain by domain
        (
            "quick_triage_v1",
            {"airline": (22, 23, 3, 27), "retail": (68, 68, 2, 46), "telecom": (26, 27, 78, 87)},
        ),
        (
            "customer_outcome_v1",
            {"airline": (14, 23, 6, 27), "retail": (61, 68, 12, 46), "telecom": (20, 27, 57, 87)},
        ),
    ],
)
def test_sensitivity_and_specificity_of_real_judges(
    judged: Place, judge: str, expected: dict[str, tuple[int, int, int, int]]
) -> None:
    found = of_book(judged.book, judged.lake, judge=judge, truth=TRUTH)
    counts = {
        part.domain: (
            part.errors.sensitivity.count,
            part.errors.sensitivity.n,
            part.errors.specificity.count,
            part.errors.specificity.n,
        )
        for part in found.parts
    }
    assert counts == expected
    assert found.transfer < 0.001
    assert found.whole.tasks == 278


def test_who_never_spoke_is_named_with_who_did(judged: Place) -> None:
    with pytest.raises(NotFound, match=r"no verdict of 'nobody'\. Verifiers that spoke: 'custom"):
        of_book(judged.book, judged.lake, judge="nobody", truth=TRUTH)
    with pytest.raises(BadUsage, match="as both judge and truth"):
        of_book(judged.book, judged.lake, judge=TRUTH, truth=TRUTH)
    with pytest.raises(BadUsage, match="cannot be parted by 'model'"):
        of_book(judged.book, judged.lake, judge="quick_triage_v1", truth=TRUTH, by="model")


def test_a_cost_is_corrected_with_the_rate() -> None:
    found = calibrated(
        [
            *labelled("a", 50, 0, 45, 5),
            seen("a", PASS, None, 950),
            seen("a", FAIL, None, 50),
        ],
        "judge",
        "truth",
    )
    document = document_of(found)
    (domain,) = document["domains"]  # type: ignore[misc]
    assert domain["judged_cost_per_success"] == "2.105263158"
    assert domain["cost_per_verified_outcome"] == "4.000000000"
    assert document["error_rates_transfer"] is None


def test_costs_known_in_part_are_corrected_and_at_least_so_much() -> None:
    known = calibrated(labelled("a", 30, 5, 10, 30), "judge", "truth")
    found = calibrated(labelled("a", 30, 5, 10, 30, unknown_costs=1), "judge", "truth")
    part, before = found.parts[0].corrected, known.parts[0].corrected
    assert (part.rate, part.cost_per_success) == (before.rate, before.cost_per_success)
    assert part.cost_interval is not None
    assert before.cost_interval is not None
    assert (part.cost_interval.low, part.cost_interval.high) == (before.cost_interval.low, None)
    assert (part.is_at_least, found.whole.is_at_least, before.is_at_least) == (True, True, False)
    assert found.unknown_costs == 4
    assert document_of(found)["total"]["cost_is_at_least"] is True  # type: ignore[index]


def test_costs_of_which_nothing_is_known_are_not_known() -> None:
    nothing = [
        replace(one, cell=Cell(one.cell.count), unknown_costs=one.cell.count)
        for one in labelled("a", 30, 5, 10, 30)
    ]
    found = calibrated(nothing, "judge", "truth").parts[0].corrected
    assert found.rate is not None
    assert (found.naive_cost, found.cost_per_success, found.cost_interval) == (None, None, None)


def test_what_is_known_of_a_task_counts_and_a_task_without_a_cost_is_named(tmp_path: Path) -> None:
    book, lake = book_in(tmp_path)
    with book:
        names = [f"t{number}" for number in range(60)]
        write_tasks(book, [task(name, labels={"domain": "a"}) for name in names])
        calls = [call(name, name, 2_000_000_000) for name in names[2:]]
        calls += [call("known", "t1", 1_000_000_000), call("unknown", "t1", None)]  # t0 has no call at all
        write_calls(book, calls)
        for number, name in enumerate(names):
            _spoken(book, name, "judge", "pass" if number % 3 else "fail")
            _spoken(book, name, "truth", "pass" if number % 4 else "fail")
        found = of_book(book, lake, judge="judge", truth="truth")
        document = document_of(found)
    (part,) = document["domains"]  # type: ignore[misc]
    assert (part["unknown_cost_tasks"], part["cost_is_at_least"]) == (2, True)
    assert part["judged_cost_per_success"] == "2.925000000"  # 58 × 2 and 1, over 40 that it passed
    assert part["cost_per_verified_outcome_interval"][1] is None


def _spoken(book: Book, name: str, verifier: str, judgement: str) -> None:
    before = tasks.verdicts_of(book, [id_of(name)]).get(id_of(name), [])
    verdict = {
        "id": id_of(f"{verifier} {name}"),
        "task_id": id_of(name),
        "verifier": verifier,
        "verifier_version": "1",
        "kind": "model",
        "judgement": judgement,
        "evidence_hash": "e" * 64,
        "at_us": OPENED_US,
        "source": "test",
    }
    with book.writing():
        tasks.insert_verdicts(book, [tasks.chained(verdict, before[-1] if before else None)])


def test_a_judge_that_changed_has_drifted() -> None:
    before = labelled("a", 40, 2, 5, 40, month="2026-09")
    after = labelled("a", 40, 2, 35, 10, month="2026-10")
    assert calibrated([*before, *after], "judge", "truth").has_drifted
    assert not calibrated([*before, *labelled("a", 39, 3, 6, 39)], "judge", "truth").has_drifted


def test_a_difference_that_chance_brings_in_one_of_many_domains_is_no_drift() -> None:
    def months(domain: str) -> list[Seen]:
        usual = labelled(domain, 20, 5, 5, 20, month="2026-09")
        return usual + labelled(domain, 20, 5, 14, 11, month="2026-10")

    alone = calibrated(months("a"), "judge", "people")
    assert (alone.drifted, alone.parts[0].drift < 0.05) == ((), True)
    clear = labelled("a", 40, 5, 5, 40, month="2026-09") + labelled("a", 40, 5, 22, 23, month="2026-10")
    (part,) = calibrated(clear, "judge", "people").parts
    assert calibrated(clear, "judge", "people").drifted == ("a",)
    others = [one for n in range(round(0.01 / part.drift) + 1) for one in steady(f"b{n}")]
    assert calibrated([*clear, *others], "judge", "people").drifted == ()


def test_within_one_month_nothing_drifts() -> None:
    found = calibrated(labelled("a", 40, 5, 22, 23), "judge", "people")
    assert (found.drifted, found.has_drifted) == ((), False)


def steady(domain: str) -> list[Seen]:
    return [one for month in ("2026-09", "2026-10") for one in labelled(domain, 20, 5, 5, 20, month=month)]


def test_self_preference_compares_failures_of_its_own_with_those_of_others() -> None:
    own = labelled("a", 40, 2, 30, 20, producer="azure/gpt-4o")
    others = labelled("a", 40, 2, 5, 45, producer="claude-sonnet-4-5")
    found = calibrated([*own, *others], "judge", "truth", judge_model="gpt-5-mini")
    assert found.own_family == "openai"
    assert found.self_preference is not None
    assert found.self_preference.low > 0.3
    assert calibrated(own, "judge", "truth").self_preference is None


def test_a_domain_without_labels_is_refused_and_with_it_the_whole() -> None:
    found = calibrated([*labelled("a", 30, 5, 10, 30), seen("b", PASS, None, 100)], "judge", "truth")
    assert found.parts[0].corrected.refused is None
    assert found.parts[1].corrected.refused is not None
    assert found.whole.refused is not None
    assert found.whole.refused.startswith("b: ")


def test_who_says_both_at_one_moment_has_said_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    rows = "".join(
        f"t{n},judge,pass,2026-01-01T00:00:00Z\nt{n},people,pass,2026-01-02T00:00:00Z\n" for n in range(9)
    )
    rows += "t0,people,fail,2026-01-02T00:00:00Z\n"  # the other of two labels
    rows += "t1,people,fail,2026-01-03T00:00:00Z\n"  # thought better of it
    place.text("verdicts", "task_id,verifier,result,at\n" + rows)
    found = of_book(place.book, place.lake, judge="judge", truth="people")
    assert found.contradicted == 1
    assert (found.whole.labels, found.parts[0].errors.specificity.n) == (8, 1)
    place.book.close()


def test_a_key_says_which_tasks_go_together(tmp_path: Path) -> None:
    place = Place(tmp_path)
    tasks, verdicts = "task_id,label.case,cost\n", "task_id,verifier,result,at\n"
    for case in range(40):
        for trial in range(3):
            name, done = f"{case}-{trial}", case % 2 == 0
            tasks += f"{name},{case},{1 + case % 5}\n"
            word = "pass" if done is (trial < 2) else "fail"
            verdicts += f"{name},judge,{word},2026-01-01\n"
            if case < 30:
                verdicts += f"{name},people,{'pass' if done else 'fail'},2026-01-02\n"
    place.text("tasks", tasks, "tasks.csv", at_us=10**15)
    place.text("verdicts", verdicts)
    alone, together = (
        of_book(place.book, place.lake, judge="judge", truth="people", cluster=key).whole
        for key in (None, "case")
    )
    assert (alone.rate, alone.labels) == (together.rate, together.labels)
    widths = [
        (one.rate_interval.high or 1) - one.rate_interval.low
        for one in (alone, together)
        if one.rate_interval
    ]
    assert widths[1] > 1.3 * widths[0]
    with pytest.raises(BadUsage, match="'model'"):
        of_book(place.book, place.lake, judge="judge", truth="people", cluster="model")
    place.book.close()
