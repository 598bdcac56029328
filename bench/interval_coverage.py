"""How often the printed interval of a cost per verified outcome holds the truth, and how wide it is.

Draws groups of tasks whose true cost per success is known, from lognormal costs and, where the
reference data lie beside the repository (``../shared/data``), from the costs of real agent runs;
prints coverage and width per size, success rate and shape, with other methods on the same draws.

    python bench/interval_coverage.py [--repetitions 10000] [--seed 1] [--processes 4]
"""

import argparse
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from flatfare.core.distributions import (  # noqa: E402  the source tree is measured, not what is installed
    normal_quantile,
    student_t_quantile,
)
from flatfare.core.statistics import (  # noqa: E402
    MIN_SUCCESSES,
    CostSums,
    are_tied,
    cost_per_success,
    cost_per_success_from_counts,
    difference,
    ratio_of,
)

DATA = Path(os.environ.get("FLATFARE_SHARED", ROOT.parent / "shared")) / "data"
SIZES, RATES = (20, 50, 500), (0.05, 0.50, 0.95)
CELL_SUCCESSES_MIN, CELL_FAILURES_MIN = 30, 12  # fewer costs than that are no distribution to draw from


@dataclass(frozen=True)
class Lognormal:
    """Costs of one outcome, lognormal with this mean."""

    mean: float
    sigma: float

    def draw(self, rng: random.Random, count: int) -> list[float]:
        mu = math.log(self.mean) - self.sigma**2 / 2
        return [rng.lognormvariate(mu, self.sigma) for _ in range(count)]


@dataclass(frozen=True)
class Gamma:
    """Costs of one outcome, gamma with this mean; exponential where the shape is 1."""

    mean: float
    shape: float

    def draw(self, rng: random.Random, count: int) -> list[float]:
        return [rng.gammavariate(self.shape, self.mean / self.shape) for _ in range(count)]


@dataclass(frozen=True)
class Runaways:
    """Costs of one outcome, of which every fifth runs away to five times the usual."""

    mean: float

    def draw(self, rng: random.Random, count: int) -> list[float]:
        usual = Lognormal(self.mean / 1.8, 0.5).draw(rng, count)
        return [cost * 5 if rng.random() < 0.2 else cost for cost in usual]


@dataclass(frozen=True)
class Seen:
    """Costs of one outcome, drawn with replacement from those that were seen."""

    costs: list[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.costs)

    def draw(self, rng: random.Random, count: int) -> list[float]:
        return rng.choices(self.costs, k=count)


Costs = Lognormal | Gamma | Runaways | Seen


@dataclass(frozen=True)
class Shape:
    """What tasks cost when they succeed and when they fail."""

    name: str
    success: Costs
    failure: Costs

    def truth(self, rate: float) -> float:
        return self.success.mean + self.failure.mean * (1 - rate) / rate

    @property
    def own_rate(self) -> float:
        assert isinstance(self.success, Seen)
        assert isinstance(self.failure, Seen)
        return len(self.success.costs) / (len(self.success.costs) + len(self.failure.costs))


def lognormals() -> list[Shape]:
    """Spread and dearness of failures around and beyond what the real cells show."""
    rows = [
        ("lognormal 0.05", 1.0, 0.05, 0.05),
        ("lognormal 0.4", 1.0, 0.4, 0.4),
        ("lognormal 0.7", 1.0, 0.7, 0.7),
        ("lognormal 1.0", 1.0, 1.0, 1.0),
        ("lognormal 1.25", 1.0, 1.25, 1.25),
        ("lognormal 1.5", 1.0, 1.5, 1.5),
        ("0.7, failures x2", 2.0, 0.7, 0.7),
        ("1.0, failures x2", 2.0, 1.0, 1.0),
        ("1.0, failures x0.5", 0.5, 1.0, 1.0),
        ("0.7/1.2, failures x3", 3.0, 0.7, 1.2),
        ("1.0, failures x10", 10.0, 1.0, 1.0),
    ]
    return [Shape(name, Lognormal(1.0, s), Lognormal(dearer, f)) for name, dearer, s, f in rows]


def real_cells() -> list[Shape]:
    """One shape for each agent, model and benchmark with enough of both outcomes; empty without the data."""
    runs, sims = DATA / "openhands_index" / "instances.parquet", DATA / "tau2_runs" / "sims.parquet"
    if not (runs.exists() and sims.exists()):
        return []
    import duckdb

    rows = duckdb.execute(
        """
        with tasks as (
            select concat_ws(' ', agent, model, benchmark) as cell,
                   cost_usd::double as cost, resolved as verified
            from read_parquet(?) where cost_usd > 0 and resolved is not null
            union all
            select concat_ws(' ', run, domain), agent_cost::double, success
            from read_parquet(?) where agent_cost > 0 and success is not null)
        select cell, list(cost order by cost) filter (where verified),
               list(cost order by cost) filter (where not verified)
        from tasks group by cell
        having count(*) filter (where verified) >= ? and count(*) filter (where not verified) >= ?
        order by cell
        """,
        [str(runs), str(sims), CELL_SUCCESSES_MIN, CELL_FAILURES_MIN],
    ).fetchall()
    return [Shape(cell, Seen(verified), Seen(failed)) for cell, verified, failed in rows]


def gammas() -> list[Shape]:
    """Another family of costs."""
    return [
        Shape("gamma 0.5", Gamma(1.0, 0.5), Gamma(1.4, 0.5)),
        Shape("exponential", Gamma(1.0, 1.0), Gamma(1.4, 1.0)),
    ]


def held_out() -> list[Shape]:
    """Costs first drawn when the method and its constants stood: two kinds of task, and single answers."""
    shapes = [Shape("runaways", Runaways(1.0), Runaways(1.4))]
    answers = DATA / "routerarena" / "responses.csv"
    if not answers.exists():
        return shapes
    import duckdb

    rows = duckdb.execute(
        """
        select model, list(inference_cost order by inference_cost) filter (where score >= 1),
               list(inference_cost order by inference_cost) filter (where score < 1)
        from read_csv(?) where inference_cost > 0 group by model
        having count(*) filter (where score >= 1) >= ? and count(*) filter (where score < 1) >= ?
        order by model
        """,
        [str(answers), CELL_SUCCESSES_MIN, CELL_FAILURES_MIN],
    ).fetchall()
    return shapes + [Shape(model, Seen(verified), Seen(failed)) for model, verified, failed in rows]


def pooled(cells: list[Shape], name: str) -> Shape:
    """All the real cells thrown together: far more skewed than any one path."""
    verified = [c for cell in cells if isinstance(cell.success, Seen) for c in cell.success.costs]
    failed = [c for cell in cells if isinstance(cell.failure, Seen) for c in cell.failure.costs]
    return Shape(name, Seen(verified), Seen(failed))


def count_chances(n: int, rate: float) -> list[float]:
    """Chance of each count of successes in n tasks."""
    whole = math.lgamma(n + 1)
    return [
        math.exp(
            whole
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(rate)
            + (n - k) * math.log1p(-rate)
        )
        for k in range(n + 1)
    ]


def printed_chance(n: int, rate: float) -> float:
    return sum(count_chances(n, rate)[MIN_SUCCESSES:])


Sample = tuple[list[float], list[float]]


def samples(shape: Shape, n: int, rate: float, repetitions: int, rng: random.Random) -> Iterator[Sample]:
    """Costs of successes and of failures, only of groups whose interval is printed."""
    chances = count_chances(n, rate)[MIN_SUCCESSES:]
    for successes in rng.choices(range(MIN_SUCCESSES, n + 1), chances, k=repetitions):
        yield shape.success.draw(rng, successes), shape.failure.draw(rng, n - successes)


def sums_of(sample: Sample) -> CostSums:
    verified, failed = sample
    return CostSums(
        *(len(verified), sum(verified), sum(c * c for c in verified)),
        *(len(failed), sum(failed), sum(c * c for c in failed)),
    )


def chosen(sums: CostSums) -> tuple[float, float]:
    interval = cost_per_success(sums).interval
    assert interval is not None
    return interval.low, math.inf if interval.high is None else interval.high


def _linearised(sums: CostSums) -> tuple[float, float]:
    """The ratio, and the standard error of its linearisation."""
    point = sums.cost / sums.successes
    squares = sums.success_cost_squared + sums.failure_cost_squared
    squares += point * (point * sums.successes - 2 * sums.success_cost)
    return point, math.sqrt(max(0.0, squares) * sums.n / (sums.n - 1)) / sums.successes


def textbook(sums: CostSums) -> tuple[float, float]:
    point, error = _linearised(sums)
    return point - normal_quantile(0.975) * error, point + normal_quantile(0.975) * error


def log_delta(sums: CostSums) -> tuple[float, float]:
    point, error = _linearised(sums)
    factor = math.exp(student_t_quantile(0.975, sums.n - 1) * error / point)
    return point / factor, point * factor


def fieller(sums: CostSums) -> tuple[float, float]:
    """All ratios whose mean of cost − ratio · success is within t standard errors of zero."""
    n, t2 = sums.n, student_t_quantile(0.975, sums.n - 1) ** 2
    cost, rate = sums.cost / n, sums.successes / n
    scale = t2 / n / (n - 1)
    a = rate**2 - scale * n * rate * (1 - rate)
    b = cost * rate - scale * (sums.success_cost - n * cost * rate)
    c = cost**2 - scale * (sums.success_cost_squared + sums.failure_cost_squared - n * cost**2)
    root = math.sqrt(max(0.0, b * b - a * c))
    return (0.0, math.inf) if a <= 0 else ((b - root) / a, (b + root) / a)


def bootstrap(sample: Sample, rng: random.Random, resamples: int = 399) -> tuple[float, float]:
    """The percentile bootstrap."""
    tasks = [(c, 1) for c in sample[0]] + [(c, 0) for c in sample[1]]
    ratios = []
    for _ in range(resamples):
        drawn = rng.choices(tasks, k=len(tasks))
        successes = sum(s for _, s in drawn)
        ratios.append(sum(c for c, _ in drawn) / successes if successes else math.inf)
    ratios.sort()
    return ratios[9], ratios[-10]


METHODS: dict[str, Callable[[CostSums], tuple[float, float]]] = {
    "chosen": chosen,
    "textbook": textbook,
    "log delta": log_delta,
    "Fieller": fieller,
}


@dataclass
class Tally:
    """How one method did: where the truth lay, and how wide the intervals were against it."""

    held: int = 0
    too_high: int = 0
    too_low: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, truth: float, ends: tuple[float, float]) -> None:
        low, high = ends
        self.held += low <= truth <= high
        self.too_high += truth < low
        self.too_low += truth > high
        self.widths.append((high - low) / truth)

    @property
    def coverage(self) -> float:
        return self.held / len(self.widths)

    def merged(self, other: "Tally") -> "Tally":
        return Tally(
            self.held + other.held,
            self.too_high + other.too_high,
            self.too_low + other.too_low,
            self.widths + other.widths,
        )

    def row(self) -> str:
        count, half = len(self.widths), statistics.median(self.widths)
        return (
            f"{self.coverage:6.1%} {self.too_high / count:6.1%} {self.too_low / count:6.1%}"
            f" {half:7.2f} {statistics.fmean(self.widths):8.2f}"
        )


Cell = tuple[Shape, int, float, int, str]


def measure(cell: Cell) -> dict[str, Tally]:
    shape, n, rate, repetitions, seed = cell
    rng, tallies = random.Random(seed), {name: Tally() for name in METHODS}
    truth = shape.truth(rate)
    for sample in samples(shape, n, rate, repetitions, rng):
        sums = sums_of(sample)
        for name, method in METHODS.items():
            tallies[name].add(truth, method(sums))
    return tallies


def measure_bootstrap(cell: Cell) -> Tally:
    shape, n, rate, repetitions, seed = cell
    rng, tally = random.Random(seed), Tally()
    for sample in samples(shape, n, rate, repetitions, rng):
        tally.add(shape.truth(rate), bootstrap(sample, rng))
    return tally


def measure_handoff(cell: Cell) -> Tally:
    """A what-if of failures that a person finishes for ten times the mean cost."""
    shape, n, rate, repetitions, seed = cell
    rng, tally = random.Random(seed), Tally()
    handoff = 10 * shape.success.mean
    truth = shape.truth(rate) + handoff * (1 - rate) / rate
    for sample in samples(shape, n, rate, repetitions, rng):
        tally.add(truth, chosen(sums_of(sample).with_handoff(handoff)))
    return tally


def measure_counts_only(cell: Cell) -> Tally:
    """What the count alone leaves open: the spread of costs is not seen."""
    shape, n, rate, repetitions, seed = cell
    rng, tally = random.Random(seed), Tally()
    for sample in samples(shape, n, rate, repetitions, rng):
        interval = cost_per_success_from_counts(n, len(sample[0]), sum(sample[0]) + sum(sample[1])).interval
        assert interval is not None
        assert interval.high is not None
        tally.add(shape.truth(rate), (interval.low, interval.high))
    return tally


Pair = tuple[Shape, int, float, Shape, int, float, int, str]


def measure_pair(pair: Pair) -> tuple[float, float, float]:
    """Coverage of difference and of saving, and how often the two are called tied."""
    a_shape, a_n, a_rate, b_shape, b_n, b_rate, repetitions, seed = pair
    rng, held, held_saving, tied = random.Random(seed), 0, 0, 0
    a_truth, b_truth = a_shape.truth(a_rate), b_shape.truth(b_rate)
    many = zip(
        samples(a_shape, a_n, a_rate, repetitions, rng),
        samples(b_shape, b_n, b_rate, repetitions, rng),
        strict=True,
    )
    for a_sample, b_sample in many:
        a, b = cost_per_success(sums_of(a_sample)), cost_per_success(sums_of(b_sample))
        found, saving = difference(a, b).interval, ratio_of(a, b).interval
        assert found is not None
        assert saving is not None
        held += found.holds(a_truth - b_truth)
        held_saving += saving.holds(1 - b_truth / a_truth)
        tied += are_tied(a, b)
    return held / repetitions, held_saving / repetitions, tied / repetitions


def cells_of(shapes: list[Shape], repetitions: int, seed: int) -> list[Cell]:
    return [
        (shape, n, rate, repetitions, f"{seed} {shape.name} {n} {rate}")
        for shape in shapes
        for n in SIZES
        for rate in RATES
    ]


def print_head(title: str) -> None:
    print(f"\n## {title}\n")
    print(f"{'':24} {'':4} {'':5} {'':8} |{'when printed':>20}{'width':>18} | of all |")
    print(
        f"{'shape':24} {'n':>4} {'rate':>5} {'printed':>8} |   held  above  below  median     mean | true   |"
        + "".join(f" {name:>16}" for name in list(METHODS)[1:])
    )


def print_row(name: str, n: int, rate: float, tallies: dict[str, Tally]) -> None:
    """``true``: of all groups, printed or not, those about which nothing false was said."""
    printed = printed_chance(n, rate)
    others = "".join(
        f" {tally.coverage:6.1%} ({statistics.median(tally.widths):6.2f})"
        for method, tally in tallies.items()
        if method != "chosen"
    )
    true = 1 - printed * (1 - tallies["chosen"].coverage)
    print(f"{name:24} {n:4} {rate:5.0%} {printed:8.2%} | {tallies['chosen'].row()} | {true:6.1%} |{others}")


def print_shapes(shapes: list[Shape], repetitions: int, seed: int, pool: ProcessPoolExecutor) -> None:
    cells = cells_of(shapes, repetitions, seed)
    for (shape, n, rate, _, _), tallies in zip(cells, pool.map(measure, cells), strict=True):
        print_row(shape.name, n, rate, tallies)


def print_real(shapes: list[Shape], repetitions: int, seed: int, pool: ProcessPoolExecutor) -> None:
    """The real cells together, and how they scatter: chance alone scatters them too."""
    each = max(200, repetitions // 10)
    cells = cells_of(shapes, each, seed)
    results: dict[tuple[int, float], list[dict[str, Tally]]] = {}
    for (_, n, rate, _, _), tallies in zip(cells, pool.map(measure, cells, chunksize=8), strict=True):
        results.setdefault((n, rate), []).append(tallies)
    for (n, rate), many in results.items():
        total = {name: Tally() for name in METHODS}
        for tallies in many:
            total = {name: total[name].merged(tallies[name]) for name in METHODS}
        print_row(f"{len(shapes)} real cells", n, rate, total)
    print(
        f"\nCoverage of single real cells, {each:,} intervals each: 5th percentile, median, 95th percentile"
    )
    for (n, rate), many in results.items():
        found = sorted(tallies["chosen"].coverage for tallies in many)
        at = [found[round(q * (len(found) - 1))] for q in (0.05, 0.5, 0.95)]
        print(f"{n:4} {rate:5.0%}  " + "  ".join(f"{share:6.1%}" for share in at))
    print("\nReal cells at their own success rate")
    for n in SIZES:
        own = [(s, n, s.own_rate, each, f"{seed} own {s.name} {n}") for s in shapes]
        tally = Tally()
        for tallies in pool.map(measure, own, chunksize=8):
            tally = tally.merged(tallies["chosen"])
        print(f"{n:4}   own  | {tally.row()}")


def print_others(shape: Shape, repetitions: int, seed: int, pool: ProcessPoolExecutor) -> None:
    few = max(100, repetitions // 20)
    print(f"\n## Percentile bootstrap of 399 resamples, {shape.name}, {few:,} intervals\n")
    cells = cells_of([shape], few, seed)
    for (_, n, rate, _, _), tally in zip(cells, pool.map(measure_bootstrap, cells), strict=True):
        print(f"{n:4} {rate:5.0%} | {tally.row()}")
    print(f"\n## What-if: a person finishes each failure for ten times the mean cost, {shape.name}\n")
    cells = cells_of([shape], repetitions, seed)
    for (_, n, rate, _, _), tally in zip(cells, pool.map(measure_handoff, cells), strict=True):
        print(f"{n:4} {rate:5.0%} | {tally.row()}")
    print(f"\n## Counts only, {shape.name}\n")
    for (_, n, rate, _, _), tally in zip(cells, pool.map(measure_counts_only, cells), strict=True):
        print(f"{n:4} {rate:5.0%} | {tally.row()}")


def print_pairs(repetitions: int, seed: int, pool: ProcessPoolExecutor) -> None:
    print("\n## Two groups: coverage of the difference and of the saving, and how often called tied\n")
    mild, usual, dear = (
        Shape("0.7", Lognormal(1.0, 0.7), Lognormal(1.4, 0.7)),
        Shape("1.0", Lognormal(1.0, 1.0), Lognormal(1.4, 1.0)),
        Shape("1.0 x1.5", Lognormal(1.5, 1.0), Lognormal(2.1, 1.0)),
    )
    rows = [
        (usual, 20, 0.50, usual, 20, 0.50),
        (usual, 20, 0.95, usual, 20, 0.95),
        (usual, 20, 0.50, mild, 500, 0.95),
        (usual, 50, 0.50, dear, 50, 0.50),
        (usual, 50, 0.95, dear, 50, 0.50),
        (usual, 500, 0.05, usual, 500, 0.05),
        (usual, 500, 0.50, dear, 500, 0.50),
        (usual, 500, 0.95, dear, 500, 0.95),
    ]
    pairs = [(*row, repetitions, f"{seed} pair {at}") for at, row in enumerate(rows)]
    for row, (held, saving, tied) in zip(rows, pool.map(measure_pair, pairs), strict=True):
        a, a_n, a_rate, b, b_n, b_rate = row
        print(
            f"{a.name:>9} {a_n:4} {a_rate:4.0%}  against {b.name:>9} {b_n:4} {b_rate:4.0%}"
            f"  difference {held:6.1%}  saving {saving:6.1%}  tied {tied:6.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print(f"Python {platform.python_version()} on {platform.machine()}, {options.processes} processes")
    print(f"{options.repetitions:,} printed intervals of 95 % a row, seed {options.seed}")
    print("above, below: the whole interval lies there. Widths and those in brackets: medians, of the truth")
    started = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        print_head(
            "Lognormal costs: sigma of successes/failures, mean cost of a failure in that of a success"
        )
        print_shapes(lognormals(), options.repetitions, options.seed, pool)
        if cells := real_cells():
            print_head("Real costs, reweighted to each success rate")
            print_real(cells, options.repetitions, options.seed, pool)
            print_head("Real costs, all cells thrown together")
            print_shapes([pooled(cells, "pooled")], options.repetitions, options.seed, pool)
        else:
            print(f"\nNo real costs: {DATA} is not on this machine.")
        print_head("Gamma costs")
        print_shapes(gammas(), options.repetitions, options.seed, pool)
        print_head("Held out while the method was chosen")
        print_shapes(held_out(), options.repetitions, options.seed, pool)
        usual = Shape("1.0, failures x1.4", Lognormal(1.0, 1.0), Lognormal(1.4, 1.0))
        print_others(usual, options.repetitions, options.seed, pool)
        print_pairs(options.repetitions, options.seed, pool)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
