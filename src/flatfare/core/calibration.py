"""Judging the judge: how often it errs, and what its figures say once that is allowed for.

A judge's pass rate is not a success rate. Where a share of the tasks has been labelled by
somebody better, the judge's error is measured on them and taken out of what it says of the
rest: the corrected figure is right on average whatever the judge is like, and the better
the judge, the narrower its interval. Labels of one kind of work say nothing of another:
each domain is corrected by labels of its own, or not at all.

Sources: Rogan and Gladen 1978; Angelopoulos, Duchi and Zrnic 2023 (PPI++, power tuning).
What the intervals hold on resampled real judges is printed by ``bench/judge_coverage.py``.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flatfare.core.distributions import chi_square_tail, normal_quantile, student_t_quantile
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement
from flatfare.core.statistics import Interval, wilson

MIN_LABELS = 20
"""Labelled tasks of a domain below which nothing is corrected."""

MIN_OF_EACH = 5
"""True successes, and true failures, among the labels below which nothing is corrected."""

MIN_CLUSTERS = 10
"""Clusters with a label of a domain below which nothing is corrected, where tasks come in clusters."""

MIN_INFORMED = 0.1
"""Sensitivity plus specificity less one, below which a judge says next to nothing."""

ALIKE = 0.001
"""Labels that could not be a draw from the tasks but by such a chance are refused as foreign."""

_ORDER = (Judgement.PASS, Judgement.FAIL, Judgement.ABSTAIN)
_SAID = {Judgement.PASS: 1.0, Judgement.FAIL: 0.0, Judgement.ABSTAIN: 0.5}


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of the tasks of which the judge said one word and the label another.

    In SQL: ``count(*)``, ``sum(cost)``, ``sum(cost::double * cost)`` by word and label.
    """

    count: int = 0
    cost: float = 0
    cost_squared: float = 0

    def __add__(self, other: "Cell") -> "Cell":
        return Cell(self.count + other.count, self.cost + other.cost, self.cost_squared + other.cost_squared)


@dataclass(frozen=True, slots=True)
class Judged:
    """The tasks of one domain, by what the judge said and what a label says; None where there is none.

    >>> some = Judged.of([(Judgement.PASS, True, 2.0), (Judgement.FAIL, None, 3.0)])
    >>> some.labelled, some.unlabelled, some.cost
    (1, 1, 5.0)
    """

    cells: Mapping[tuple[Judgement, bool | None], Cell] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, tasks: Iterable[tuple[Judgement, bool | None, float]]) -> "Judged":
        """From tasks given one by one: the judge's word, the label, the cost in any unit of money."""
        cells: dict[tuple[Judgement, bool | None], Cell] = {}
        for word, label, cost in tasks:
            if not 0 <= cost < math.inf:
                raise BadInput(f"Found a task that cost {cost}: a cost is finite and never negative.")
            cells[word, label] = cells.get((word, label), Cell()) + Cell(1, cost, cost * cost)
        return cls(cells)

    def __add__(self, other: "Judged") -> "Judged":
        cells = dict(self.cells)
        for key, cell in other.cells.items():
            cells[key] = cells.get(key, Cell()) + cell
        return Judged(cells)

    def cell(self, word: Judgement, label: bool | None) -> Cell:
        """The sums of one word and one label."""
        return self.cells.get((word, label), Cell())

    def counted(self, word: Judgement, *labels: bool | None) -> int:
        """Tasks of one word and any of these labels."""
        return sum(self.cell(word, label).count for label in labels)

    @property
    def labelled(self) -> int:
        """Tasks with a label."""
        return sum(self.counted(word, True, False) for word in _ORDER)

    @property
    def successes(self) -> int:
        """Labelled tasks that succeeded."""
        return sum(self.counted(word, True) for word in _ORDER)

    @property
    def unlabelled(self) -> int:
        """Tasks of which only the judge spoke."""
        return sum(self.counted(word, None) for word in _ORDER)

    @property
    def tasks(self) -> int:
        """All of them."""
        return self.labelled + self.unlabelled

    @property
    def passes(self) -> int:
        """Tasks that the judge passed."""
        return self.counted(Judgement.PASS, True, False, None)

    @property
    def cost(self) -> float:
        """What all of them cost."""
        return sum(cell.cost for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Share:
    """A count among others, with Wilson's interval; None of both where there are no others."""

    count: int
    n: int
    point: float | None
    interval: Interval | None

    @classmethod
    def of(cls, count: int, n: int, confidence: float = 0.95) -> "Share":
        """The share with its interval."""
        if not n:
            return cls(0, 0, None, None)
        return cls(count, n, count / n, wilson(count, n, confidence))


@dataclass(frozen=True, slots=True)
class Errors:
    """How a judge did on labelled tasks. An abstention is no pass; it is counted apart too."""

    sensitivity: Share  # passed, of those that succeeded
    specificity: Share  # not passed, of those that failed
    abstained: Share
    agreement: Share  # said what the label says
    kappa: float | None  # agreement beyond chance (Cohen 1960); None where one word alone was said

    @property
    def informed(self) -> float | None:
        """Youden's index: 1 for a judge that never errs, 0 for one that guesses."""
        if self.sensitivity.point is None or self.specificity.point is None:
            return None
        return self.sensitivity.point + self.specificity.point - 1


def errors_of(judged: Judged, confidence: float = 0.95) -> Errors:
    """Sensitivity and specificity of the judge on the labelled tasks.

    >>> said = [(Judgement.PASS, True, 0.0)] * 9 + [(Judgement.FAIL, True, 0.0)]
    >>> said += [(Judgement.FAIL, False, 0.0)] * 6 + [(Judgement.PASS, False, 0.0)] * 4
    >>> errors = errors_of(Judged.of(said))
    >>> errors.sensitivity.point, errors.specificity.point, errors.kappa
    (0.9, 0.6, 0.5)
    """
    n, true = judged.labelled, judged.successes
    hits, alarms = judged.counted(Judgement.PASS, True), judged.counted(Judgement.PASS, False)
    agreed = hits + judged.counted(Judgement.FAIL, False)
    return Errors(
        Share.of(hits, true, confidence),
        Share.of(n - true - alarms, n - true, confidence),
        Share.of(judged.counted(Judgement.ABSTAIN, True, False), n, confidence),
        Share.of(agreed, n, confidence),
        _kappa(n, true, hits + alarms, agreed),
    )


def _kappa(n: int, true: int, passed: int, agreed: int) -> float | None:
    if not n:
        return None
    by_chance = (true * passed + (n - true) * (n - passed)) / (n * n)
    return None if by_chance == 1 else (agreed / n - by_chance) / (1 - by_chance)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A judge's figures with its measured error taken out; or why they cannot be.

    Where ``refused`` says why, nothing corrected is given. ``cost_per_success`` is in the
    unit of the costs. ``weight`` is how far the judge is leant on: 0 is labels alone. Where the costs
    are known in part, those here are at least what they say, and their interval has no upper end.
    """

    tasks: int
    labels: int
    naive_rate: float | None  # the judge's own pass rate
    naive_cost: float | None  # the cost per task that it passed
    rate: float | None = None
    rate_interval: Interval | None = None
    cost_per_success: float | None = None
    cost_interval: Interval | None = None
    weight: float | None = None
    rogan_gladen: float | None = None  # the rate by sensitivity and specificity, beside it
    refused: str | None = None
    warnings: tuple[str, ...] = ()
    is_at_least: bool = False  # part of the cost is not known

    def known_in_part(self) -> "Corrected":
        """The same where part of the cost is not known: lower ends stand, upper ends do not.

        More cost can only add to a cost per success; what is known of none is not known at all.
        """
        found = replace(self, is_at_least=True)
        if not self.naive_cost and not self.cost_per_success:
            return replace(found, naive_cost=None, cost_per_success=None, cost_interval=None)
        if self.cost_interval is None:
            return found
        return replace(found, cost_interval=replace(self.cost_interval, high=None))


def corrected(judged: Judged, confidence: float = 0.95, clusters: Sequence[Judged] = ()) -> Corrected:
    """The success rate and the cost per success of one domain, corrected by labels of the same domain.

    The labelled tasks must be a draw at random from all of them. It is refused where the
    labels are too few, all of one kind, or visibly no draw from these tasks. ``clusters`` are the
    same tasks parted by what goes together, such as the trials of one case: then a cluster is one draw.
    """
    n, passes = judged.tasks, judged.passes
    naive = (passes / n if n else None, judged.cost / passes if passes else None)
    refused = why_not(judged, clusters) or _too_few(clusters)
    if refused is not None:
        return Corrected(n, judged.labelled, *naive, refused=refused)
    estimate = _clustered(_estimate(judged), judged, clusters)
    degrees = _draws(judged, clusters) - 2
    return _told(estimate, judged, naive, degrees, confidence, tuple(_warnings(judged, clusters)))


def corrected_over(
    domains: Mapping[str, Judged],
    confidence: float = 0.95,
    clusters: Mapping[str, Sequence[Judged]] = MappingProxyType({}),
) -> Corrected:
    """All domains together, each corrected by labels of its own and then added up by their tasks.

    Refused where any domain with tasks cannot be corrected: labels of the others do not stand in for it.
    """
    present = {name: judged for name, judged in domains.items() if judged.tasks}
    whole = sum(present.values(), Judged())
    naive = (
        whole.passes / whole.tasks if whole.tasks else None,
        whole.cost / whole.passes if whole.passes else None,
    )
    reasons = [
        f"{name}: {reason}"
        for name, judged in present.items()
        if (reason := why_not(judged, own := clusters.get(name, ())) or _too_few(own))
    ]
    if reasons or not present:
        refused = " ".join(reasons) or "There are no tasks that were judged."
        return Corrected(whole.tasks, whole.labelled, *naive, refused=refused)
    estimate = _together(
        [
            (judged.tasks, _clustered(_estimate(judged), judged, clusters.get(name, ())))
            for name, judged in present.items()
        ]
    )
    degrees = sum(_draws(judged, clusters.get(name, ())) - 2 for name, judged in present.items())
    warnings = [
        f"{name}: {text}"
        for name, judged in present.items()
        for text in _warnings(judged, clusters.get(name, ()))
    ]
    return _told(estimate, whole, naive, degrees, confidence, tuple(warnings))


def _told(
    estimate: "_Estimate",
    judged: Judged,
    naive: tuple[float | None, float | None],
    degrees: int,
    confidence: float,
    warnings: tuple[str, ...],
) -> Corrected:
    t = student_t_quantile((1 + confidence) / 2, degrees)
    low, high = _rate_limits(estimate, t)
    down, up = _log_arms(estimate, low, high, t)
    point = estimate.mean_cost / estimate.rate
    end = None if up == math.inf else point * math.exp(up)
    return Corrected(
        judged.tasks,
        judged.labelled,
        *naive,
        rate=estimate.rate,
        rate_interval=Interval(low, high, confidence),
        cost_per_success=point,
        cost_interval=Interval(point * math.exp(-down), end, confidence),
        weight=estimate.weight,
        rogan_gladen=rogan_gladen(judged),
        warnings=warnings,
    )


def _together(parts: "Sequence[tuple[int, _Estimate]]") -> "_Estimate":
    """Estimates of domains as one, each with the weight of its tasks."""
    tasks = sum(count for count, _ in parts)
    shares = [(count / tasks, one) for count, one in parts]
    return _Estimate(
        math.fsum(share * one.rate for share, one in shares),
        math.fsum(share * share * one.rate_variance for share, one in shares),
        math.fsum(share * one.mean_cost for share, one in shares),
        math.fsum(share * share * one.cost_variance for share, one in shares),
        math.fsum(share * share * one.covariance for share, one in shares),
        math.fsum(share * one.weight for share, one in shares),
    )


def why_not(judged: Judged, clusters: Sequence[Judged] = ()) -> str | None:
    """Why these labels cannot carry a correction; None where they can."""
    n, true = judged.labelled, judged.successes
    if n == 0:
        return "No task of this kind of work has a label: the error of a judge elsewhere says nothing here."
    if n < MIN_LABELS:
        return f"{n} tasks have a label: at least {MIN_LABELS} are needed. Label {MIN_LABELS - n} more."
    if min(true, n - true) < MIN_OF_EACH:
        kind, count = ("successes", true) if true < n - true else ("failures", n - true)
        return (
            f"{count} of {n} labels are {kind}: at least {MIN_OF_EACH} are needed to see how the judge errs "
            "on them. Label more tasks."
        )
    chance = alike(judged, clusters)
    if chance < ALIKE:
        labelled = judged.counted(Judgement.PASS, True, False) / n
        rest = judged.counted(Judgement.PASS, None) / judged.unlabelled
        return (
            f"The judge passes {labelled:.0%} of the labelled tasks and {rest:.0%} of the others: the labels "
            "are no draw from these tasks, and error rates do not carry from one kind of work to another. "
            "Label a random share of these."
        )
    return None


def _warnings(judged: Judged, clusters: Sequence[Judged] = ()) -> Iterable[str]:
    informed = errors_of(judged).informed
    if informed is not None and informed < MIN_INFORMED:
        yield (
            "The judge tells success from failure hardly better than chance: the figure rests on the labels "
            "alone."
        )
    chance = alike(judged, clusters)
    if chance < 0.05:
        yield (
            "The judge speaks otherwise of the labelled tasks than of the rest: was the share drawn at "
            "random?"
        )


def alike(judged: Judged, clusters: Sequence[Judged] = ()) -> float:
    """The chance of words as different as these on labelled and other tasks, were the labels a draw.

    A chi-square test over pass, fail and abstain; 1 where nothing is unlabelled. Where tasks come in
    clusters, words that go together within them say less (Rao and Scott 1981).
    """
    n, rest = judged.labelled, judged.unlabelled
    if not n or not rest:
        return 1.0
    statistic, kinds = 0.0, 0
    for word in _ORDER:
        seen = (judged.counted(word, True, False), judged.counted(word, None))
        if sum(seen):
            kinds += 1
            for count, size in zip(seen, (n, rest), strict=True):
                expected = sum(seen) * size / (n + rest)
                statistic += (count - expected) ** 2 / expected
    return chi_square_tail(statistic / _togetherness(judged, clusters), kinds - 1)


def _togetherness(judged: Judged, clusters: Sequence[Judged]) -> float:
    """How many times as much the judge's passes vary as they would if tasks were draws; 1 at least."""
    share = judged.passes / judged.tasks
    if not clusters or not 0 < share < 1:
        return 1.0
    spread = math.fsum((one.passes - one.tasks * share) ** 2 for one in clusters)
    return max(1.0, spread / (judged.tasks * share * (1 - share)))


def rogan_gladen(judged: Judged) -> float | None:
    """The success rate by the judge's sensitivity and specificity, between 0 and 1.

    None where the judge says next to nothing. It leans on the error rates alone, so that
    it stands beside the corrected figure as a second opinion.
    """
    errors = errors_of(judged)
    sensitivity, specificity = errors.sensitivity.point, errors.specificity.point
    if sensitivity is None or specificity is None or sensitivity + specificity - 1 < MIN_INFORMED:
        return None
    rate = (judged.passes / judged.tasks + specificity - 1) / (sensitivity + specificity - 1)
    return min(1.0, max(0.0, rate))


def differing(parts: Sequence[Judged]) -> float:
    """The chance of error rates as different as these, did the judge err alike on all parts.

    Parts are domains, periods or families of producers. A chi-square test of sensitivity
    and specificity together; 1 where there is nothing to compare. A small one says that what was
    measured on one part does not hold for another.

    >>> good = Judged.of([(Judgement.PASS, True, 0.0)] * 30 + [(Judgement.FAIL, False, 0.0)] * 30)
    >>> poor = Judged.of([(Judgement.PASS, True, 0.0)] * 30 + [(Judgement.PASS, False, 0.0)] * 30)
    >>> differing([good, good]), differing([good, poor]) < 1e-9
    (1.0, True)
    """
    statistic, degrees = 0.0, 0
    for label in (True, False):
        sizes = [sum(part.counted(word, label) for word in _ORDER) for part in parts]
        passed = [part.counted(Judgement.PASS, label) for part in parts]
        share = sum(passed) / sum(sizes) if sum(sizes) else 0.0
        if 0 < share < 1:
            degrees += sum(1 for size in sizes if size) - 1
            statistic += sum(
                (count - size * share) ** 2 / (size * share * (1 - share))
                for count, size in zip(passed, sizes, strict=True)
                if size
            )
    return chi_square_tail(statistic, degrees)


def gap(one: Share, other: Share) -> Interval | None:
    """How far one share may lie above another (Newcombe 1998, method 10); None where either is empty.

    For self-preference: specificity on work of other families, and on work of the judge's own.

    >>> found = gap(Share.of(56, 70), Share.of(48, 80))
    >>> round(found.low, 4), round(found.high, 4)
    (0.0524, 0.3339)
    """
    if one.point is None or other.point is None or one.interval is None or other.interval is None:
        return None
    apart = one.point - other.point
    one_high, other_high = one.interval.high or 1.0, other.interval.high or 1.0
    return Interval(
        apart - math.hypot(one.point - one.interval.low, other_high - other.point),
        apart + math.hypot(one_high - one.point, other.point - other.interval.low),
        one.interval.confidence,
    )


def labels_needed(judged: Judged, half_width: float, confidence: float = 0.95) -> int | None:
    """How many of these tasks must have a label for the rate to be known to so much, as a share of it.

    From what the labels so far show of the judge; None where not even all of them would do.
    """
    if not 0 < half_width < 1:
        raise BadInput(f"Found a half width of {half_width}: expected a share between 0 and 1, such as 0.1.")
    if why_not(judged) is not None:
        return max(MIN_LABELS, judged.labelled + 1) if judged.tasks >= MIN_LABELS else None
    seen = _moments(judged + _DOUBT, True, False)
    rate = _estimate(judged).rate
    z = normal_quantile((1 + confidence) / 2)
    explained = seen.yf * seen.yf / (seen.yy * seen.ff)
    target = (half_width * rate / z) ** 2
    # The variance of a tuned estimate from n labels of m tasks: (1 - explained x (1 - n/m)) x spread / n.
    floor = explained * seen.yy / judged.tasks
    if target <= floor:
        return None
    needed = math.ceil((1 - explained) * seen.yy / (target - floor))
    return max(MIN_LABELS, needed) if needed <= judged.tasks else None


def is_drawn(task_id: str, share: float, plan: str) -> bool:
    """Whether a task is among the share that a stronger verifier sees.

    By a hash of the plan and the id alone: nobody can tell before, nothing about the task
    matters, and asking twice gives the same answer.

    >>> sum(is_drawn(str(number), 0.1, "plan-1") for number in range(10_000))
    971
    """
    digest = hashlib.sha256(f"{len(plan)}:{plan}{task_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Success rate and mean cost, with their variances and how they go together."""

    rate: float
    rate_variance: float
    mean_cost: float
    cost_variance: float
    covariance: float
    weight: float


@dataclass(frozen=True, slots=True)
class _Moments:
    """Means, variances and covariances of label (y), word (f) and cost (c) over some tasks."""

    n: int
    y: float
    f: float
    c: float
    yy: float
    ff: float
    cc: float
    yf: float
    yc: float
    fc: float


_DOUBT = Judged(
    {(word, label): Cell(1) for word in (Judgement.PASS, Judgement.FAIL) for label in (True, False)}
)
"""One more task of each kind, when the judge's error is weighed: a few labels without an error do not
show that there is none (as Agresti and Coull 1998 do for a share)."""


def _moments(judged: Judged, *labels: bool | None) -> _Moments:
    cells = [(_SAID[word], label, judged.cell(word, label)) for word in _ORDER for label in labels]
    n = sum(cell.count for _, _, cell in cells)
    if not n:
        return _Moments(0, *(0.0,) * 9)
    y = math.fsum(cell.count for _, label, cell in cells if label) / n
    f = math.fsum(said * cell.count for said, _, cell in cells) / n
    c = math.fsum(cell.cost for _, _, cell in cells) / n

    def spread(total: float, product: float) -> float:
        return (total - n * product) / (n - 1) if n > 1 else 0.0

    return _Moments(
        n,
        y,
        f,
        c,
        spread(n * y, y * y),
        spread(math.fsum(said * said * cell.count for said, _, cell in cells), f * f),
        max(0.0, spread(math.fsum(cell.cost_squared for _, _, cell in cells), c * c)),
        spread(math.fsum(said * cell.count for said, label, cell in cells if label), y * f),
        spread(math.fsum(cell.cost for _, label, cell in cells if label), y * c),
        spread(math.fsum(said * cell.cost for said, _, cell in cells), f * c),
    )


def _estimate(judged: Judged) -> _Estimate:
    """Prediction-powered: labels say the rate, and the judge's words on the rest steady it."""
    seen, rest = _moments(judged, True, False), _moments(judged, None)
    doubted = _moments(judged + _DOUBT, True, False)
    n, others = seen.n, rest.n
    all_tasks = n + others
    weight = 0.0
    if others:
        weight = min(1.0, max(0.0, doubted.yf / doubted.ff / (1 + n / others)))
    rate = seen.y - weight * (seen.f - rest.f)
    rate = min(1 - 0.5 / all_tasks, max(0.5 / all_tasks, rate))
    variance = (doubted.yy - 2 * weight * doubted.yf + weight * weight * doubted.ff) / n
    covariance = (seen.yc - weight * seen.fc) / all_tasks
    cost_variance = seen.cc * n / all_tasks**2
    if others:
        variance += weight * weight * rest.ff / others
        covariance += weight * rest.fc / all_tasks
        cost_variance += rest.cc * others / all_tasks**2
    mean_cost = (seen.c * n + rest.c * others) / all_tasks
    return _Estimate(rate, variance, mean_cost, cost_variance, covariance, weight)


def _draws(judged: Judged, clusters: Sequence[Judged]) -> int:
    """How many labelled draws there were: tasks, or the clusters that they came in."""
    return sum(1 for one in clusters if one.labelled) if clusters else judged.labelled


def _too_few(clusters: Sequence[Judged]) -> str | None:
    n = sum(1 for one in clusters if one.labelled)
    if not clusters or n >= MIN_CLUSTERS:
        return None
    return f"The labels are of {n} clusters: at least {MIN_CLUSTERS} are needed. Label tasks of others."


def _clustered(estimate: _Estimate, judged: Judged, clusters: Sequence[Judged]) -> _Estimate:
    """The estimate with the variance that it has where tasks of one cluster go together (Kish 1965).

    What each cluster contributes to the estimate, squared, against what its tasks would by themselves.
    """
    if not clusters:
        return estimate
    seen, rest, weight = _moments(judged, True, False), _moments(judged, None), estimate.weight
    mean_cost, tasks = judged.cost / judged.tasks, judged.tasks

    def share(one: Judged) -> float:
        n, others = one.labelled, one.unlabelled
        said = _sum_said(one, True, False) - n * seen.f
        found = (one.successes - n * seen.y - weight * said) / seen.n
        return found + (weight * (_sum_said(one, None) - others * rest.f) / rest.n if rest.n else 0.0)

    draws = _draws(judged, clusters)
    rates = math.fsum(share(one) ** 2 for one in clusters) * draws / (draws - 1)
    costs = math.fsum(((one.cost - one.tasks * mean_cost) / tasks) ** 2 for one in clusters)
    alone = (seen.yy - 2 * weight * seen.yf + weight * weight * seen.ff) / seen.n
    alone += weight * weight * rest.ff / rest.n if rest.n else 0.0
    on_rate = max(1.0, rates / alone) if alone > 0 else 1.0
    on_cost = max(1.0, costs / estimate.cost_variance) if estimate.cost_variance > 0 else 1.0
    return replace(
        estimate,
        rate_variance=estimate.rate_variance * on_rate,
        cost_variance=estimate.cost_variance * on_cost,
        covariance=estimate.covariance * math.sqrt(on_rate * on_cost),
    )


def _sum_said(judged: Judged, *labels: bool | None) -> float:
    return math.fsum(_SAID[word] * judged.counted(word, *labels) for word in _ORDER)


def _rate_limits(estimate: _Estimate, t: float) -> tuple[float, float]:
    """Wilson's limits for as many tasks as would give this variance: they never leave 0 to 1."""
    p = estimate.rate
    if estimate.rate_variance <= 0:
        return p, p
    n = p * (1 - p) / estimate.rate_variance
    middle = p + t * t / (2 * n)
    half = t * math.sqrt(p * (1 - p) / n + t * t / (4 * n * n))
    return max(0.0, (middle - half) / (1 + t * t / n)), min(1.0, (middle + half) / (1 + t * t / n))


def _log_arms(estimate: _Estimate, low: float, high: float, t: float) -> tuple[float, float]:
    """Log distances of the ends of the cost per success, rate and cost put together as they go together."""
    if estimate.mean_cost == 0:
        return 0.0, 0.0
    spread = t * math.sqrt(estimate.cost_variance) / estimate.mean_cost
    both = math.sqrt(estimate.rate_variance * estimate.cost_variance)
    together = max(-1.0, min(1.0, estimate.covariance / both)) if both else 0.0
    down, up = math.log(high / estimate.rate), math.log(estimate.rate / low) if low else math.inf
    wide = spread + min(spread, spread * spread)  # skewed costs: see statistics.cost_per_success
    return math.sqrt(_joined(down, spread, together)), math.sqrt(_joined(up, wide, together))


def _joined(one: float, other: float, together: float) -> float:
    """The square of the distance of a quotient whose parts go together."""
    return math.inf if one == math.inf else max(0.0, one * one + other * other - 2 * together * one * other)
