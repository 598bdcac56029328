"""Whether what a stored call keeps is all that its price goes by, so that it can be computed anew.

A row keeps model, tier, region and what was used in all. A price may go by more: a picture's size, the
upstream of a router, what each of several models used. Where that may matter the call is left as it is:
never is one thing priced as another.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, product

from flatfare.core.usage import Count
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.names import forms_of, provider_of
from flatfare.prices.schedule import Schedule, counted
from flatfare.prices.version import BETWEEN, named, version_name
from flatfare.service.costing.price_telling import statements

COMBINATIONS_MAX = 512

SEVERAL = "several models served them, and a call keeps what all of them used together"
OTHERWISE = "they were priced as another model than the one a call keeps"
SIZED = "their price goes by the size of each request, and a call keeps what all it made used together"
Stated = tuple[tuple[str, tuple[str, ...]], ...]
"""Details that prices go by, each with the values that are stated."""

_OF_MODEL = re.compile(r"model '([^']+)'")


@dataclass(frozen=True, slots=True)
class Left:
    """A call that cannot be priced anew, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class AsItStands:
    """The prices of a call are still the same, by conditions that it does not keep."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row says of a call."""

    provider: str
    model: str
    at_us: int
    tier: str | None
    region: str | None
    counts: Mapping[str, Count]
    version: str | None  # of the prices it was costed with
    reason: str | None = None  # why it has no cost, or is estimated
    is_by_size: bool = False  # those prices are known to have been those of a large request

    @property
    def circumstances(self) -> Circumstances:
        """What chooses among the rates, as far as it is kept."""
        return Circumstances(self.tier, self.region)

    def found_by(self, prices: PriceBook) -> Found | Missing:
        """The rates by what is kept alone."""
        return prices.find(self.provider, self.model, self.at_us, self.circumstances, self.counts)


def rates_now(kept: Kept, prices: PriceBook) -> Found | Missing | Left | AsItStands:
    """The rates that the price book now gives for a call, where what is kept of it says which."""
    found = kept.found_by(prices)
    if kept.version is None:
        if isinstance(found, Found) and not _is_reason_of(kept, found):
            return Left(SEVERAL)
        return _undoubted(kept, prices, found)
    version, was = kept.version, named(kept.version)
    if was is None or BETWEEN in version:
        return Left(SEVERAL)
    if isinstance(found, Found) and _version(found) == version:
        return found
    if not isinstance(found, Found) or found.provider != was.provider:  # such as an upstream of its router
        kept = replace(kept, provider=was.provider)
        found = kept.found_by(prices)
    is_other = was.model.lower() not in _names(kept, prices)
    if version in _versions(replace(kept, model=was.model) if is_other else kept, prices):
        return AsItStands()
    return Left(OTHERWISE) if is_other else _undoubted(kept, prices, found)


def _names(kept: Kept, prices: PriceBook) -> set[str]:
    """What the layers of the price book call the model."""
    return {listed.name.lower() for _, _, listed in prices.listings(kept.provider, kept.model)}


def _undoubted(kept: Kept, prices: PriceBook, found: Found | Missing) -> Found | Missing | Left:
    """The rates, where nothing that is not kept makes the call cost anything else."""
    stated = _stated(prices, kept.provider, kept.model)
    alone = [one for one in stated if len(_amounts(kept, prices, (one,))) > 1]
    if alone or len(_amounts(kept, prices, stated)) > 1:
        keys = ", ".join(sorted(key for key, _ in alone or stated))
        return Left(f"their price goes by {keys} too, which a call does not keep")
    if isinstance(found, Found) and not kept.is_by_size and _goes_by_size(kept, prices):
        return Left(SIZED)
    return found


def _amounts(kept: Kept, prices: PriceBook, stated: Stated) -> set[tuple[str, int | None] | None]:
    """What the call costs under each of these conditions, in the currency of the rates."""
    schedules = _schedules(prices, kept.provider, kept.model, kept.tier, kept.region, stated)
    found = [one.at(kept.at_us, kept.counts) for one in schedules]
    different = {_version(one): one for one in found if isinstance(one, Found)}
    amounts = {(one.currency, one.cost_nano(kept.counts)) for one in different.values()}
    return amounts | ({None} if any(isinstance(one, Missing) for one in found) else set())


def _goes_by_size(kept: Kept, prices: PriceBook) -> bool:
    """What was used passes a size from which rates are others: several requests may have used it."""
    schedule = prices.schedule(kept.provider, kept.model, kept.circumstances)
    return any(counted(kind, kept.counts) >= sizes[0] for kind, sizes in schedule.thresholds.items())


def _versions(kept: Kept, prices: PriceBook) -> Iterator[str]:
    """Every prices that the book has of the model at the moment, whatever the conditions and the size."""
    stated = _stated(prices, kept.provider, kept.model)
    for schedule in _schedules(prices, kept.provider, kept.model, kept.tier, kept.region, stated):
        windows = product((False, True), repeat=len(schedule.windows))
        sizes = product(*(range(len(bounds) + 1) for bounds in schedule.thresholds.values()))
        for is_open, passed in product(list(windows), list(sizes)):
            found = schedule.state(kept.at_us, is_open, passed)
            if isinstance(found, Found):
                yield _version(found)


@lru_cache(maxsize=256)
def _schedules(
    prices: PriceBook, provider: str, model: str, tier: str | None, region: str | None, stated: Stated
) -> tuple[Schedule, ...]:
    """The model's prices under these details in every combination, with none of them first."""
    combinations = product(*((None, *values) for _, values in stated))
    found = []
    for values in islice(combinations, COMBINATIONS_MAX):
        named_values = zip((key for key, _ in stated), values, strict=True)
        details = {key: value for key, value in named_values if value is not None}
        found.append(prices.schedule(provider, model, Circumstances(tier, region, details)))
    return tuple(found)


@lru_cache(maxsize=256)
def _stated(prices: PriceBook, provider: str, model: str) -> Stated:
    """What prices of the model go by besides what is kept and what its name says, with a value for each."""
    by_name = forms_of(provider_of(provider), model).details
    stated: dict[str, dict[str, None]] = {}
    for _, statement in statements(prices, provider, model):
        for key, patterns in statement.when.details:
            if key not in by_name:
                stated.setdefault(key, {}).update(dict.fromkeys(map(_like, patterns)))
    return tuple((key, tuple(values)) for key, values in stated.items())


def _like(pattern: str) -> str:
    """A text that the pattern covers."""
    return "elsewhere" if pattern.startswith("!") else pattern.replace("*", "").replace("?", "x")


@lru_cache(maxsize=4096)
def _version(found: Found) -> str:
    """What prices are called, without counting them as used."""
    return version_name(
        found.provider,
        found.model,
        found.since_us,
        found.trust,
        found.currency,
        found.rates,
        found.minimums,
    )


def _is_reason_of(kept: Kept, found: Found) -> bool:
    """Why there was no cost is said of this model, and of no other that served beside it."""
    told = {name.lower() for name in _OF_MODEL.findall(kept.reason or "")}
    return told <= {kept.model.lower(), found.model.lower()}
