"""Agreement between those who judged the same work: how far it goes beyond chance.

Agreement is about what was said without sight of what others said; who judges because two
disagreed saw a selection of the work, and is left out of it. Nobody's word is the truth here.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TypeAlias

from flatfare.core.distributions import normal_quantile
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement
from flatfare.core.statistics import Interval

Pair: TypeAlias = tuple[Hashable, Hashable]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two who judged: 1 is full agreement, 0 what chance would give.

    ``kappa`` is None where both said one word of everything: chance would agree as well.
    """

    n: int
    agreed: int
    kappa: float | None
    interval: Interval | None


def cohens_kappa(pairs: Iterable[Pair], confidence: float = 0.95) -> Kappa:
    """Agreement beyond chance of two who judged the same units, a pair of words for each unit.

    The interval is the large-sample one of the same paper (Cohen 1960, eq. 7 and 8).

    >>> found = cohens_kappa([("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10
    ...     + [("no", "no")] * 15)
    >>> found.n, found.agreed, round(found.kappa, 3)
    (50, 35, 0.4)
    """
    seen = list(pairs)
    n = len(seen)
    agreed = sum(one == other for one, other in seen)
    if not n:
        return Kappa(0, 0, None, None)
    first, second = Counter(one for one, _ in seen), Counter(other for _, other in seen)
    by_chance = sum(count * second[word] for word, count in first.items())
    if by_chance == n * n:
        return Kappa(n, agreed, None, None)
    observed, expected = agreed / n, by_chance / (n * n)
    kappa = (observed - expected) / (1 - expected)
    spread = math.sqrt(observed * (1 - observed) / n) / (1 - expected)
    half = normal_quantile((1 + confidence) / 2) * spread
    return Kappa(n, agreed, kappa, _interval(kappa, half, confidence))


def _interval(kappa: float, half: float, confidence: float) -> Interval:
    return Interval(max(-1.0, kappa - half), min(1.0, kappa + half), confidence)


@dataclass(frozen=True, slots=True)
class Alpha:
    """Krippendorff's alpha of any number who judged, each unit by some of them."""

    units: int  # judged by two or more
    values: int  # words on these units
    alpha: float | None


def krippendorffs_alpha(units: Iterable[Sequence[Hashable]]) -> Alpha:
    """Agreement beyond chance on words without an order; a unit is the words that were said of it.

    Who said which word does not matter, and a unit of which fewer than two spoke says nothing
    (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, C and D, nominal data).

    >>> krippendorffs_alpha([["a", "a"], ["b", "b"], ["a", "b"], ["b"]]).units
    3
    """
    coincidences: dict[tuple[Hashable, Hashable], float] = {}
    total = counted = 0
    for words in units:
        if len(words) < 2:
            continue
        counted += 1
        total += len(words)
        share = 1 / (len(words) - 1)
        for pair, count in Counter(permutations(words, 2)).items():
            coincidences[pair] = coincidences.get(pair, 0.0) + count * share
    of_each: dict[Hashable, float] = {}
    for (word, _), weight in coincidences.items():
        of_each[word] = of_each.get(word, 0.0) + weight
    apart = sum(weight for (one, other), weight in coincidences.items() if one != other)
    by_chance = sum(of_each[one] * of_each[other] for one, other in permutations(of_each, 2))
    if not by_chance:
        return Alpha(counted, total, None)
    return Alpha(counted, total, 1 - (total - 1) * apart / by_chance)


def pairwise(units: Iterable[Mapping[str, Hashable]]) -> dict[tuple[str, str], list[Pair]]:
    """The words of each two who judged the same units; a unit is words by who said them."""
    found: dict[tuple[str, str], list[Pair]] = {}
    for words in units:
        for one, other in combinations(sorted(words), 2):
            found.setdefault((one, other), []).append((words[one], words[other]))
    return found


def settled(words: Sequence[Judgement], wanted: int) -> Judgement | None:
    """What reviewers add up to: None while another one is needed.

    All of the first ``wanted`` must say the same, pass or fail; else one more is asked, and
    what more of them said than the contrary holds. Undecided even then is an abstention.

    >>> settled([Judgement.PASS, Judgement.FAIL], 2) is None
    True
    >>> settled([Judgement.PASS, Judgement.FAIL, Judgement.PASS], 2)
    <Judgement.PASS: 'pass'>
    """
    if wanted < 1:
        raise BadInput(f"Found {wanted} reviewers wanted: expected one or more.")
    if len(words) < wanted:
        return None
    said = set(words)
    if len(said) == 1 and Judgement.ABSTAIN not in said:
        return words[0]
    if len(words) == wanted:
        return None
    passes, fails = words.count(Judgement.PASS), words.count(Judgement.FAIL)
    if passes == fails:
        return Judgement.ABSTAIN
    return Judgement.PASS if passes > fails else Judgement.FAIL
