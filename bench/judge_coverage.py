"""How often a judge's corrected figures hold the truth, on real judges, beside labels alone.

Draws tasks from judged conversations whose true outcome is known (``../shared/data/tau2_judge``),
hides the outcome of all but a few, and corrects. Prints, per domain and judge: coverage of the rate
and of the cost per success, the median width against labels alone, how often it was refused, and by
how much the judge alone understates the cost.

    python bench/judge_coverage.py [--repetitions 400] [--seed 1]
"""

import argparse
import csv
import math
import os
import platform
import random
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from flatfare.core.calibration import Judged, corrected, errors_of  # noqa: E402  the tree is measured
from flatfare.core.outcome import Judgement  # noqa: E402
from flatfare.core.statistics import CostSums, cost_per_success  # noqa: E402

FILE = Path(os.environ.get("FLATFARE_SHARED", ROOT.parent / "shared")) / "data/tau2_judge/judged.csv"
SIZES = ((30, 100), (30, 1000), (60, 300), (100, 1000))
Task = tuple[Judgement, bool, float]


def populations(rng: random.Random) -> dict[tuple[str, str], list[Task]]:
    """Judged conversations by domain and judge. Their cost is drawn: it is not on record."""
    found: dict[tuple[str, str], list[Task]] = {}
    costs: dict[str, float] = {}
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            good = row["success"] == "True"
            if row["simulation_id"] not in costs:
                costs[row["simulation_id"]] = rng.lognormvariate(0.0 if good else 0.4, 0.7)
            word = Judgement.PASS if row["judge_pass"] == "True" else Judgement.FAIL
            key = (row["domain"], row["prompt"])
            found.setdefault(key, []).append((word, good, costs[row["simulation_id"]]))
    return found


def measured(tasks: list[Task], labels: int, size: int, repetitions: int, rng: random.Random) -> str:
    """One cell of the table."""
    rate = sum(good for _, good, _ in tasks) / len(tasks)
    price = sum(cost for *_, cost in tasks) / sum(good for _, good, _ in tasks)
    held_rate = held_cost = refused = 0
    widths = []
    for _ in range(repetitions):
        drawn = rng.choices(tasks, k=size)
        found = corrected(
            Judged.of(
                (word, good if at < labels else None, cost) for at, (word, good, cost) in enumerate(drawn)
            )
        )
        alone = cost_per_success(CostSums.of((cost, good) for _, good, cost in drawn[:labels])).interval
        if found.rate_interval is None or found.cost_interval is None or alone is None:
            refused += 1
            continue
        held_rate += found.rate_interval.holds(rate)
        held_cost += found.cost_interval.holds(price)
        ends = [(one.high or math.inf) / one.low for one in (found.cost_interval, alone)]
        widths.append(math.log(ends[0]) / math.log(ends[1]))
    n = repetitions - refused
    if not n:
        return f"{'refused':>26}"
    width = statistics.median(widths)
    return f"{held_rate / n:6.1%} {held_cost / n:6.1%} {width:5.2f} {refused / repetitions:4.0%}  "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if not FILE.exists():
        print(f"needs the reference data {FILE.parent.name}/{FILE.name}, which is not on this machine")
        return
    rng = random.Random(asked.seed)
    print(f"Python {platform.python_version()}, {asked.repetitions} draws a cell, intervals of 95 %")
    print("each cell: coverage of the rate, of the cost per success, width against labels alone, refused")
    cells = "".join(f"{f'{labels} labels of {size}':>26}" for labels, size in SIZES)
    print(f"{'domain':8} {'judge':28} {'true':>5} {'said':>5} {'sens':>5} {'spec':>5} {'cost':>6}{cells}")
    for (domain, judge), tasks in sorted(populations(rng).items()):
        everything = Judged.of(tasks)
        errors = errors_of(everything)
        rate, said = everything.successes / len(tasks), everything.passes / len(tasks)
        sensitivity, specificity = errors.sensitivity.point or 0, errors.specificity.point or 0
        line = f"{domain:8} {judge[:28]:28} {rate:5.0%} {said:5.0%} {sensitivity:5.0%} {specificity:5.0%}"
        row = " ".join(measured(tasks, *size, asked.repetitions, rng) for size in SIZES)
        print(f"{line} {rate / said - 1:+6.0%} {row}", flush=True)


if __name__ == "__main__":
    main()
