"""How often a difference is seen where there is none, by who looks again and again.

Two paths of the same costs and success rate are compared after every so many tasks; whoever
looks stops at the first interval without zero. Beside each other: the interval made for
one look, and the one that holds at every look.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from flatfare.core.sequential import cheaper_at_any_look
from flatfare.core.statistics import Comparison, CostSums, Ratio, cost_per_success, ratio_of

KINDS = ((0.4, 0.6), (0.8, 1.2), (0.15, 0.9))


def looks(
    rng: random.Random, rate: float, sigma: float, tasks: int, every: int
) -> Iterator[tuple[Ratio, Ratio]]:
    """The two ratios at each look."""
    sums = [CostSums(), CostSums()]
    for _ in range(tasks // every):
        for which in (0, 1):
            new = [(math.exp(rng.gauss(0, sigma)), rng.random() < rate) for _ in range(every)]
            sums[which] += CostSums.of((cost * (1 if good else 1.5), good) for cost, good in new)
        yield cost_per_success(sums[0]), cost_per_success(sums[1])


def is_fooled(found: Comparison) -> bool:
    """A difference is seen where there is none."""
    return found.interval is not None and not found.interval.holds(0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--every", type=int, default=20)
    asked = parser.parse_args()
    print(f"{asked.runs} pairs of equal paths, {asked.tasks} tasks each, a look every {asked.every}; 95 %")
    print(
        f"{'success rate':>12} {'spread':>7} {'for one, last':>15} {'for one, any':>14} {'for all, any':>16}"
    )
    for rate, sigma in KINDS:
        rng = random.Random(20261121)
        last = once = always = 0
        for _ in range(asked.runs):
            fooled_once = fooled_always = fooled_last = False
            for a, b in looks(rng, rate, sigma, asked.tasks, asked.every):
                fooled_last = is_fooled(ratio_of(a, b))
                fooled_once = fooled_once or fooled_last
                fooled_always = fooled_always or is_fooled(cheaper_at_any_look(a, b))
            last += fooled_last
            once += fooled_once
            always += fooled_always
        shares = [count / asked.runs for count in (last, once, always)]
        print(f"{rate:>12.0%} {sigma:>7} {shares[0]:>15.1%} {shares[1]:>14.1%} {shares[2]:>16.1%}")


if __name__ == "__main__":
    main()
