"""Advice on a price: what an action's sales cost so far, what each price risks, and which ladder serves whom.

Drawn from runs as they went, or from a trial of every rung on sample inputs. Whether the work
is fit for a fixed price at all is said first, and why, in words that need no statistics.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flatfare.core import risk
from flatfare.core.action import Ending
from flatfare.core.money import dollar_text, estimate_text
from flatfare.core.risk import Chance, Sale, Spread
from flatfare.core.statistics import CostSums, Interval, Ratio, cost_per_success
from flatfare.store import runs
from flatfare.store.book import Book
from flatfare.store.runs import State

UNCLEAR = (Ending.UNDECIDED, Ending.AWAITED, Ending.LIMITED, Ending.ERROR, Ending.TIMEOUT)
"""Endings that say nothing of the work itself."""

FLOORS = (("low cost", 0.0), ("balanced", 0.8), ("high accuracy", 0.95))
"""Which share of the work each way of choosing a ladder wants to see verified, if any ladder does."""

UNCLEAR_MAX, SUCCESS_MIN, VARIATION_MAX, LOADING_MAX = 0.1, 0.6, 2.0, 3.0
"""Beyond these the work is not fit for a fixed price, or only with care: chosen, not derived."""

TAIL_MIN = 2.0
"""Costs whose tail index is below this have no deviation that would hold: one sale may cost any amount."""

FEW = 60
"""Of fewer runs, what happens once in twenty has likely not been seen (the rule of three)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One run or trial: what it cost, how it ended, and by which rungs."""

    cost_nano: int | None  # None where part of it is not known
    ending: str
    read: int = 0  # tokens, where they are known
    written: int = 0

    @property
    def sale(self) -> Sale | None:
        """As a sale; None where nobody knows what it cost."""
        return None if self.cost_nano is None else Sale(self.cost_nano, self.ending == Ending.VERIFIED)


@dataclass(frozen=True, slots=True)
class Tried:
    """One input on one rung by itself."""

    input: str
    rung: str
    cost_nano: int | None  # None where part of it is not known
    is_verified: bool


@dataclass(frozen=True, slots=True)
class AtPrice:
    """What one price does."""

    price_nano: int
    margin_nano: float  # of a sale, on average
    margin_interval: Interval
    margin_share: float  # of what is earned
    per_sale: Chance
    over_sales: Chance


@dataclass(frozen=True, slots=True)
class Ladder:
    """A ladder that could be used, and what it would have done with the inputs tried."""

    rungs: tuple[str, ...]
    success: float
    cost_per_verified_nano: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """What can be said of an action's price."""

    action: str
    seen: int
    verified: int
    verdict: str  # fit, with care, not fit, too few
    why: tuple[str, ...]
    costs: Spread | None = None
    per_verified: Ratio | None = None
    recommended_nano: int | None = None
    risk_price_nano: int | None = None
    prices: tuple[AtPrice, ...] = ()
    ladders: tuple[tuple[str, Ladder], ...] = ()
    sales: int = 100
    per_token_nano: int | None = None  # what so many sales would cost their customer where tokens are paid
    per_action_nano: int | None = None  # and at the recommended price


def history(book: Book, action: str, version: int | None = None, limit: int = 20_000) -> list[Seen]:
    """Runs of an action that are done, as they went; those that were given back are left out."""
    found = []
    for run in runs.listed(book, action=action, state=str(State.DONE), limit=limit):
        if run.ending == Ending.INTERRUPTED or version not in (None, run.action_version):
            continue
        attempts = [one for one in runs.attempts_of(book, run.id) if one.take == run.take]
        is_whole = all(one.cost_nano is not None and one.cost_reason is None for one in attempts)
        found.append(Seen(sum(one.cost_nano or 0 for one in attempts) if is_whole else None, str(run.ending)))
    return found


def advise(
    action: str,
    seen: Sequence[Seen],
    *,
    current_nano: int | None = None,
    sales: int = 100,
    risk_max: float = 0.05,
    margin: float = 0.3,
    tried: Sequence[Tried] = (),
) -> Advice:
    """What can be said of the price of work that went so."""
    own = [sale for one in seen if (sale := one.sale) is not None]
    left_out = _left_out(len(seen) - len(own), len(seen))
    verified = sum(sale.is_verified for sale in own)
    ladders = tuple(best_ladders(tried)) if tried else ()
    if len(own) < risk.MIN_SALES or not verified:
        why = f"{len(own)} runs, {verified} of them verified: at least {risk.MIN_SALES} runs are needed."
        why += (
            "" if tried else f" Or try it on inputs of yours: flatfare actions price {action} --sample FILE"
        )
        return Advice(action, len(own), verified, "too few", (why, *left_out), ladders=ladders, sales=sales)
    spread = risk.spread_of([sale.cost for sale in own])
    ratio = cost_per_success(CostSums.of((sale.cost, sale.is_verified) for sale in own))
    safe = risk.price_for_risk(own, risk_max, sales)
    point = ratio.point or 0.0
    wanted = max(safe, point / (1 - margin))
    recommended = nice_nano(wanted) if math.isfinite(wanted) else None
    candidates = _candidates(point, recommended, current_nano)
    prices = tuple(at_price(own, price, sales) for price in candidates)
    known = [one for one in seen if one.cost_nano is not None]
    verdict, why_not = fitness(known, spread, point, safe, sales, risk_max)
    return Advice(
        action,
        len(own),
        verified,
        verdict,
        (*why_not, *left_out),
        spread,
        ratio,
        recommended,
        math.ceil(safe) if math.isfinite(safe) else None,
        prices,
        ladders,
        sales,
        round(spread.mean * sales),
        None if recommended is None else round(recommended * verified / len(own) * sales),
    )


def _left_out(count: int, runs: int) -> Iterable[str]:
    if count:
        yield (
            f"{count} of {runs} runs are left out: part of what they cost is not known. See why: "
            "flatfare doctor"
        )


def at_price(own: Sequence[Sale], price_nano: int, sales: int) -> AtPrice:
    """What a price does to sales that went so."""
    margin, interval = risk.margin_of(own, price_nano)
    earned = price_nano * sum(sale.is_verified for sale in own) / len(own)
    return AtPrice(
        price_nano,
        margin,
        interval,
        margin / earned if earned else -math.inf,
        risk.loss_per_sale(own, price_nano),
        risk.loss_over(own, price_nano, sales),
    )


def _candidates(point: float, recommended: int | None, current: int | None) -> list[int]:
    usual = [nice_nano(point * factor) for factor in (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)]
    return sorted({*usual, *([recommended] if recommended else []), *([current] if current else [])})


def nice_nano(amount: float) -> int:
    """The next amount from here up that a price list would hold: two digits, the second a 0 or 5.

    >>> [nice_nano(amount) for amount in (1_230_000_000, 5_000_000_000, 31_000_000)]
    [1500000000, 5000000000, 35000000]
    """
    if amount <= 0:
        return 0
    step: int = 5 * 10 ** max(0, math.floor(math.log10(amount)) - 1)
    return math.ceil(math.ceil(amount) / step) * step


def fitness(
    seen: Sequence[Seen], spread: Spread, point: float, safe: float, sales: int, risk_max: float
) -> tuple[str, tuple[str, ...]]:
    """Whether work that went so is fit for a fixed price, and why, for whoever owns the product."""
    count = len(seen)
    unclear = sum(one.ending in list(UNCLEAR) for one in seen) / count
    success = sum(one.ending == Ending.VERIFIED for one in seen) / count
    loading = safe / point if point and math.isfinite(safe) else math.inf
    against = [*_not_well_defined(unclear, success), *_varied(spread)]
    if loading > LOADING_MAX:
        against.append(
            f"To lose in at most {risk_max:.0%} of months of {sales} sales, the price has to be "
            f"{loading:.1f} times the cost per verified outcome."
        )
    against += _with_a_long_tail(seen)
    few = (
        f"Only {count} runs: what happens in fewer than one of {math.ceil(count / 3)} may not have been "
        "seen. Try it on more inputs before selling many."
    )
    if not against:
        fits = (
            f"{success:.0%} are verified; a sale costs {dollar_text(round(spread.mean))} on average and one "
            f"in a hundred {dollar_text(round(spread.p99))} or more: a fixed price fits."
        )
        return "fit", ((fits, few) if count < FEW else (fits,))
    verdict = "not fit" if unclear > UNCLEAR_MAX or len(against) > 1 else "with care"
    return verdict, (*against, *([few] if count < FEW else []))


def _not_well_defined(unclear: float, success: float) -> Iterable[str]:
    if unclear > UNCLEAR_MAX:
        yield (
            f"{unclear:.0%} of the runs ended without anybody being able to say whether the work was done: "
            "make it verifiable first."
        )
    if success < SUCCESS_MIN:
        yield (
            f"Only {success:.0%} of the runs are verified: the work is not well defined, or the ladder too "
            "weak. What is verified pays for what is not."
        )


def _varied(spread: Spread) -> Iterable[str]:
    if spread.variation > VARIATION_MAX:
        yield (
            f"Costs vary a lot: the usual sale costs {dollar_text(round(spread.median))}, the dearest one in "
            f"a hundred {dollar_text(round(spread.p99))} or more. Price by size, or limit the input."
        )


def _with_a_long_tail(seen: Sequence[Seen]) -> Iterable[str]:
    index = risk.tail_index([one.cost_nano for one in seen if one.cost_nano is not None])
    if index < TAIL_MIN and len(seen) >= FEW:
        yield (
            f"The dearest sales thin out slowly (tail index {index:.1f}): one that is still to come may cost "
            "many times the dearest so far. Set limits: cost, so that no sale costs more."
        )


def best_ladders(tried: Sequence[Tried]) -> Iterable[tuple[str, Ladder]]:
    """For each way of choosing, the cheapest ladder that sees its share of the work verified.

    Every order of every choice of rungs is put together from what each rung did by itself;
    where no ladder reaches a share, the one that verifies most.
    """
    ladders = list(possible_ladders(tried))
    for name, floor in FLOORS:
        fits = [one for one in ladders if one.success >= floor and one.cost_per_verified_nano is not None]
        if fits:
            yield name, min(fits, key=_by_cost)
        elif ladders:
            yield name, max(ladders, key=_by_success)


def possible_ladders(tried: Sequence[Tried]) -> Iterable[Ladder]:
    """Every ladder that can be put together from the rungs tried."""
    rungs = list(dict.fromkeys(one.rung for one in tried))
    by_input: dict[str, dict[str, tuple[int, bool]]] = {}
    for one in tried:
        if one.cost_nano is not None:
            by_input.setdefault(one.input, {})[one.rung] = one.cost_nano, one.is_verified
    whole = [row for row in by_input.values() if len(row) == len(rungs)]
    for length in range(1, len(rungs) + 1):
        for order in itertools.permutations(rungs, length):
            cost = verified = 0
            for row in whole:
                for name in order:
                    spent_nano, is_verified = row[name]
                    cost += spent_nano
                    if is_verified:
                        verified += 1
                        break
            success = verified / len(whole) if whole else 0.0
            yield Ladder(order, success, cost / verified if verified else None)


def _by_cost(ladder: Ladder) -> tuple[float, int]:
    return ladder.cost_per_verified_nano or math.inf, len(ladder.rungs)


def _by_success(ladder: Ladder) -> tuple[float, float]:
    return ladder.success, -(ladder.cost_per_verified_nano or math.inf)


def document_of(advice: Advice) -> dict[str, object]:
    """The advice as command line and API show it; money as decimal text in dollars."""
    ratio, spread = advice.per_verified, advice.costs
    return {
        "action": advice.action,
        "runs": advice.seen,
        "verified": advice.verified,
        "fit": advice.verdict,
        "why": list(advice.why),
        "cost_per_verified_outcome": None if ratio is None else estimate_text(ratio.point),
        "cost_per_verified_outcome_interval": None
        if ratio is None or ratio.interval is None
        else _range(ratio.interval),
        "cost_per_sale": None
        if spread is None
        else {
            "mean": estimate_text(spread.mean),
            "deviation": estimate_text(spread.deviation),
            "median": estimate_text(spread.median),
            "p90": estimate_text(spread.p90),
            "p99": estimate_text(spread.p99),
            "most": estimate_text(spread.most),
        },
        "recommended_price": estimate_text(advice.recommended_nano),
        "lowest_price_for_the_risk": estimate_text(advice.risk_price_nano),
        "sales": advice.sales,
        "per_token": estimate_text(advice.per_token_nano),
        "per_action": estimate_text(advice.per_action_nano),
        "prices": [_price(one) for one in advice.prices],
        "ladders": [
            {
                "choice": name,
                "rungs": list(one.rungs),
                "success_rate": round(one.success, 4),
                "cost_per_verified_outcome": estimate_text(one.cost_per_verified_nano),
            }
            for name, one in advice.ladders
        ],
    }


def _price(one: AtPrice) -> dict[str, object]:
    return {
        "price": estimate_text(one.price_nano),
        "margin": estimate_text(one.margin_nano),
        "margin_interval": _range(one.margin_interval),
        "margin_share": None if math.isinf(one.margin_share) else round(one.margin_share, 4),
        "loss_per_sale": _chance(one.per_sale),
        "loss_over_sales": _chance(one.over_sales),
    }


def _chance(chance: Chance) -> dict[str, object]:
    high = chance.interval.high
    return {
        "probability": round(chance.probability, 4),
        "interval": [round(chance.interval.low, 4), None if high is None else round(high, 4)],
    }


def _range(interval: Interval) -> list[str | None]:
    return [estimate_text(interval.low), estimate_text(interval.high)]
