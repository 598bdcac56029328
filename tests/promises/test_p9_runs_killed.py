"""P9: a run that is cut short at any moment is taken up or given back, and each is sold once."""

import random
import time
from pathlib import Path

import pytest

from flatfare.core.ledger import Kind
from flatfare.runner import recovering
from flatfare.runner.books import Shelf
from flatfare.service import selling
from flatfare.store import runs
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.promises.action_runs import ACTIONS, COUNT, handed_over
from tests.promises.killing import kill_somewhere, run_whole
from tests.runner.rig import DOLLAR, EXAMPLES, Model, provided, settings_for, stock

KEPT = (EXAMPLES / "names-and-dates.yaml").read_text().replace("names-and-dates", "kept-names") + (
    "privacy: {keep: 24h}\n"
)
PROGRAM = "import tests.promises.applied_fault; from tests.promises import action_runs; action_runs.main()"
LONGEST_S = 4.0
WALLET = 100_000


def killed_at_random(folder: Path, kills: int, seed: int) -> int:
    """Kill the runner again and again, let it end in peace at last, and hold its books against the facts."""
    dice = random.Random(seed)
    chances = {"quote": 0.2, "error": 0.2, "schema": 0.2}
    model = Model(seed=seed, chances=chances, only_models=("gpt-5-nano",), think_s=0.02)
    with provided(model) as port:
        settings = settings_for(folder, port)
        stock(settings, KEPT, wallet=WALLET)
        arguments = [str(folder), str(port)]
        killed, before, count = 0, set(), COUNT
        for _ in range(kills):
            killed += kill_somewhere(PROGRAM, [*arguments, str(count)], LONGEST_S, dice)
            handed = handed_over(folder / "handed.jsonl")
            assert len(handed) == len(set(handed)), "a run was handed over twice"
            assert before <= set(handed)
            before = set(handed)
            if len(before) > count * len(ACTIONS) // 2:
                count += COUNT  # there shall always be something to kill
        run_whole(PROGRAM, [*arguments, str(count)])
        _check(folder, count * len(ACTIONS), killed)
    return killed


def _check(folder: Path, wanted: int, killed: int) -> None:
    settings = settings_for(folder, 1)
    with open_book(settings.database) as book:
        left = recovering.recover(Shelf(book, Lake(settings.lake)), "test", time.time_ns() // 1000)
        assert (left.finished, left.given_back, left.to_resume, left.waiting) == ((), (), (), ())
        assert selling.verify(book) == []
        found = runs.listed(book, limit=10_000)
        assert len(found) == wanted
        assert {(run.state, run.is_delivered) for run in found} == {("done", 1)}
        assert {(run.take, run.ending) for run in found if run.action == "kept-names"} == {(1, "verified")}
        # handed over in the very moment of a kill, and so given back: free of charge, never billed twice
        free = [run for run in found if run.ending == "interrupted"]
        assert {run.action for run in free} <= {"names-and-dates"}
        assert len(free) <= killed
        for run in found:
            assert selling.sale_of(book, run.task_id).net_nano == (0 if run in free else DOLLAR)
        takes = sum(run.take for run in found)
        sales = book.rows("SELECT settlement, COUNT(*) FROM sales GROUP BY settlement ORDER BY settlement")
        counts = {str(settlement): int(str(count)) for settlement, count in sales}
        billed = len(found) - len(free)
        assert counts["settled"] == billed
        assert sum(counts.values()) == takes
        assert set(counts) <= {"settled", "voided", "reversed"}
        totals = selling.totals(book)
        assert totals[Kind.HOLD]["USD"] == 0
        given_back = totals.get(Kind.REFUNDS, {}).get("USD", 0)
        assert totals[Kind.REVENUE]["USD"] + given_back == billed * DOLLAR
        balance = selling.balance(book, "acme", at_us=time.time_ns() // 1000)
        assert balance.available_nano == (WALLET - billed) * DOLLAR


def test_runs_killed_at_random_moments_are_each_sold_once(tmp_path: Path) -> None:
    assert killed_at_random(tmp_path, 20, seed=11) >= 10


@pytest.mark.soak
def test_runs_killed_two_hundred_times_are_each_sold_once(tmp_path: Path) -> None:
    assert killed_at_random(tmp_path, 200, seed=12) >= 100
