"""The price book: from provider, model, moment and circumstances to the rates, or why there are none.

Whoever asks twice gets the same answer: layers never change under a book that is open, and
what a statement said of a past day stays said.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from flatfare.core.moments import iso
from flatfare.core.units import UNITS
from flatfare.core.usage import Count
from flatfare.prices.catalogue import Catalogue, Listed, Trust
from flatfare.prices.exchange import ExchangeRates
from flatfare.prices.layers import (
    EVERY_PROVIDER,
    Layer,
    ReviewedLayer,
    ShippedLayer,
    StatedLayer,
    exchange_rows,
)
from flatfare.prices.log import NO_LINES, PriceLog, exchange_lines, lines_of
from flatfare.prices.names import PASSES_ON, RATES_OF, ROUTERS, Named, forms_of, provider_of, vendor_of
from flatfare.prices.schedule import Found, Missing, Placed, Provenance, Schedule
from flatfare.prices.statement import STANDARD, Statement, amount_of
from flatfare.prices.statement import When as _When

__all__ = ["Circumstances", "Found", "Missing", "PriceBook", "Provenance", "Schedule"]

SCHEDULES_MAX = 50_000  # names come from outside: the memory they may take is bounded
SAME_AS_DEPTH_MAX = 5

STANDARD_TIERS = frozenset(
    ("", "standard", "default", "auto", "on_demand", "ondemand", "on-demand", "standard_only", "none", "null")
)
TIERS: Mapping[str, str] = {
    "scale": "provisioned",
    "provisioned_throughput": "provisioned",
    "ptu": "provisioned",
    "reserved": "provisioned",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
    "batches": "batch",
}
"""Other words of providers for the same tier."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What chooses among the rates of a model, besides time and size."""

    tier: str | None = None
    region: str | None = None
    details: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    organisation: str | None = None  # whose terms; the book's own organisation's, if None; nobody's, if ""


NO_CIRCUMSTANCES = Circumstances()


@cache
def _reviewed() -> ReviewedLayer:
    """Read once a process, whoever opens a book: what was shipped does not change."""
    return ReviewedLayer()


@cache
def _shipped() -> ShippedLayer:
    return ShippedLayer()


class PriceBook:
    """Layers of statements, the most trusted winning, and the schedules worked out of them so far."""

    def __init__(
        self, layers: Sequence[Layer], exchange: ExchangeRates | None = None, organisation: str | None = None
    ) -> None:
        self.layers = tuple(layers)
        self.exchange = exchange or ExchangeRates()
        self.organisation = organisation
        """Whose calls are priced: terms for it hold, those for others do not."""
        self._schedules: dict[object, Schedule] = {}
        self._plain: dict[tuple[str, str, str | None, str | None], Schedule] = {}
        self.used: dict[str, Found] = {}
        """Each of its prices that something was priced with, by its version."""
        self.on_use: Callable[[Found], None] | None = None
        """Told of each of these at its first use."""

    @classmethod
    def standard(
        cls,
        log: PriceLog = NO_LINES,
        deployments: Mapping[str, str] = MappingProxyType({}),
        organisation: str | None = None,
    ) -> "PriceBook":
        """The book as shipped, under the rates and terms of the log. Reads a provider at its first use.

        ``deployments`` are an Azure user's own names of models: deployment → model.
        ``organisation`` is whose calls are priced, where terms of the log are for one organisation alone.
        """
        lines = [*log.lines(), *map(_deployment, deployments, deployments.values())]
        return cls(
            (
                StatedLayer(lines_of(lines, Trust.OWN), Trust.OWN),
                _reviewed(),
                StatedLayer(lines_of(lines, Trust.IMPORTED), Trust.IMPORTED),
                _shipped(),
            ),
            ExchangeRates([*exchange_rows(), *exchange_lines(lines)]),
            organisation,
        )

    def find(
        self,
        provider: str,
        model: str,
        at_us: int,
        circumstances: Circumstances = NO_CIRCUMSTANCES,
        counts: Mapping[str, Count] = MappingProxyType({}),
    ) -> Found | Missing:
        """The rates that applied to a call of these counts at the moment, with who says so."""
        if circumstances.details or circumstances.organisation is not None:
            return self.schedule(provider, model, circumstances).at(at_us, counts)
        return self.find_plain(provider, model, circumstances.tier, circumstances.region, at_us, counts)

    def find_plain(
        self,
        provider: str,
        model: str,
        tier: str | None,
        region: str | None,
        at_us: int,
        counts: Mapping[str, Count],
    ) -> Found | Missing:
        """``find`` without details, as the hot path asks."""
        key = (provider, model, tier, region)
        schedule = self._plain.get(key)
        if schedule is None:
            schedule = self.schedule(provider, model, Circumstances(tier, region))
            if len(self._plain) >= SCHEDULES_MAX:
                self._plain.clear()
            self._plain[key] = schedule
        return schedule.at(at_us, counts)

    def schedule(
        self, provider: str, model: str, circumstances: Circumstances = NO_CIRCUMSTANCES
    ) -> Schedule:
        """Every statement that may hold for the model under these circumstances, over all time."""
        key = (
            provider,
            model,
            circumstances.tier,
            circumstances.region,
            tuple(sorted(circumstances.details.items())),
            circumstances.organisation,
        )
        schedule = self._schedules.get(key)
        if schedule is None:
            schedule = self._worked_out(provider_of(provider), model, circumstances)
            if len(self._schedules) >= SCHEDULES_MAX:
                self._schedules.clear()
            self._schedules[key] = schedule
        return schedule

    def listings(self, provider: str, model: str, depth: int = 0) -> list[tuple[Trust, str, Listed]]:
        """What each layer lists under that name: (trust, provider, listed), the most trusted first."""
        provider = provider_of(provider)
        named = forms_of(provider, model)
        own = self._listed(provider, named)
        found = own + self._targets(own, provider, depth)
        if any(trust is not Trust.OWN for trust, _, _ in found) or named.is_free:
            return found
        for other, other_named in self._elsewhere(provider, model):
            if more := self._listed(other, other_named):
                return found + more + self._targets(more, other, depth)
        return found

    def providers(self) -> list[str]:
        """Every provider of every layer."""
        return sorted({name for layer in self.layers for name in layer.providers()} - {EVERY_PROVIDER})

    def catalogues(self, provider: str) -> list[Catalogue]:
        """What each layer says about a provider, the most trusted first."""
        found = [layer.catalogue(provider) for layer in self.layers]
        return [catalogue for catalogue in found if catalogue is not None]

    def _worked_out(self, provider: str, model: str, circumstances: Circumstances) -> Schedule:
        provider = self._sold_by(provider, circumstances.details.get("upstream", "").lower())
        named = forms_of(provider, model)
        tier = tier_of(circumstances.tier)
        region = (circumstances.region or named.region or "").lower() or None
        details = {**named.details, **circumstances.details} if named.details else circumstances.details
        listings = self.listings(provider, model)
        asking = circumstances.organisation
        organisation = self.organisation if asking is None else asking
        placed = [
            item
            for item in (*self._always(provider), *_of_models(listings), *_free(named, listings))
            if item.statement.when.holds_for(tier, region, details)
            and item.statement.organisation in (None, organisation)
        ]
        name = listings[0][2].name if listings else model

        def explain(at_us: int) -> str:
            return self._why_missing(provider, model, at_us, placed)

        exchange = self.exchange
        return Schedule(provider, name, tier, placed, explain, exchange.convert, exchange.days, self._use)

    def _use(self, found: Found) -> None:
        if found.version in self.used:
            return
        if len(self.used) >= SCHEDULES_MAX:
            self.used.clear()
        self.used[found.version] = found
        if self.on_use is not None:
            self.on_use(found)

    def _sold_by(self, provider: str, upstream: str) -> str:
        """The router with its upstream, where it bills by it: huggingface_together."""
        sold_by = f"{provider}_{upstream}"
        is_passed_on = provider == PASSES_ON and self.catalogues(provider_of(upstream))
        return sold_by if upstream and (is_passed_on or self.catalogues(sold_by)) else provider

    def _listed(self, provider: str, named: Named) -> list[tuple[Trust, str, Listed]]:
        """At most one model per layer, and of own terms every one that covers the name.

        Where one layer tells a snapshot from the undated name, no other takes the one for the other.
        """
        catalogues = self.catalogues(provider)
        dated = [catalogue.find_dated(named) for catalogue in catalogues]
        undated = [catalogue.find_undated(named) for catalogue in catalogues]
        is_told_apart = any(
            one and other and one is not other for one, other in zip(dated, undated, strict=True)
        )
        found: list[tuple[Trust, str, Listed]] = []
        for position, catalogue in enumerate(catalogues):
            listed = dated[position] or (None if is_told_apart else undated[position])
            models = [listed] if listed else []
            if catalogue.trust is Trust.OWN:
                models += [model for model in catalogue.covering(named) if model is not listed]
            found += [(catalogue.trust, provider, model) for model in models]
        return found

    def _targets(
        self, listings: list[tuple[Trust, str, Listed]], provider: str, depth: int
    ) -> list[tuple[Trust, str, Listed]]:
        """The listings that these say they are the same as."""
        if depth >= SAME_AS_DEPTH_MAX:
            return []
        found: list[tuple[Trust, str, Listed]] = []
        for _, _, listed in listings:
            for target in listed.same_as:
                other, _, name = target.partition("/")
                if not name or not self.catalogues(provider_of(other)):
                    other, name = provider, target
                found += self.listings(other, name, depth + 1)
        return found

    def _elsewhere(self, provider: str, model: str) -> Iterable[tuple[str, Named]]:
        """Where else the rates may stand: with the maker behind a slug, or those a provider sells for."""
        if provider in ROUTERS and (vendor := vendor_of(model)):
            yield vendor[0], forms_of(*vendor)
        router, _, upstream = provider.partition("_")
        if router == PASSES_ON and upstream:
            yield provider_of(upstream), forms_of(provider_of(upstream), model)
        others = [name for catalogue in self.catalogues(provider) for name in catalogue.rates_of]
        for other in dict.fromkeys(others or RATES_OF.get(provider, ())):
            yield provider_of(other), forms_of(provider_of(other), model)

    def _always(self, provider: str) -> list[Placed]:
        found = []
        for name in (provider, EVERY_PROVIDER):
            for catalogue in self.catalogues(name):
                for position, statement in enumerate(catalogue.always):
                    found.append(Placed(statement, int(catalogue.trust), False, position))
        return found

    def _why_missing(self, provider: str, model: str, at_us: int, placed: Sequence[Placed]) -> str:
        day = iso(at_us)[:10]
        own = [item.statement for item in placed if item.is_own_model and item.statement.rates]
        reason = f"No price for model {model!r} at {provider} on {day}."
        starts = [item.from_us for item in own]
        if own and None not in starts:
            first = min(start for start in starts if start is not None)
            if at_us < first:
                reason += f" The first known one is from {iso(first)[:10]}."
        reason += f" Add one: flatfare prices add {provider}/{model} --input … --output …"
        reason += _named_by_its_user(provider, model)
        near = [] if own else self._near(provider, model)
        return f"{reason} Did you mean {' or '.join(map(repr, near))}?" if near else reason

    def _near(self, provider: str, model: str) -> list[str]:
        """Names like this one, at the provider or at one whose name for it is the same."""
        forms = forms_of(provider, model).forms
        if not forms:
            return []
        bare = forms[-1]
        sellers = dict.fromkeys((provider, *(other for other, _ in self._elsewhere(provider, model))))
        catalogues = [catalogue for seller in sellers for catalogue in self.catalogues(seller)]
        names = sorted({name for one in catalogues for name in (*one.names(), *map(str.lower, one.models))})
        begun = [name for name in names if len(name) > 3 and bare.startswith((f"{name}-", f"{name}."))]
        near = get_close_matches(bare, [name for name in names if name not in begun], n=2, cutoff=0.75)
        if found := [*sorted(begun, key=len)[-1:], *near][:2]:
            return found  # gpt-4o of gpt-4o-ultra
        named = forms_of("", model)
        return [
            f"{other}/{bare}"
            for other in self.providers()
            if other != provider and not other.startswith(("huggingface_", "openrouter"))
            for catalogue in self.catalogues(other)
            # A server of one's own takes any name, so that it lists it says nothing.
            if (listed := catalogue.find(named)) and "*" not in listed.name
        ][:2]


def _named_by_its_user(provider: str, model: str) -> str:
    """What to do where the name may be one that its user chose, which tells no model."""
    if provider == "azure" or "application-inference-profile" in model:
        kind = "an Azure deployment" if provider == "azure" else "an inference profile of your own"
        return f", or, as it may be the name of {kind}, say which model it serves: --same-as PROVIDER/MODEL."
    return ""


def _deployment(name: str, model: str) -> dict[str, str]:
    return {"provider": "azure", "model": name, "same_as": model}


def tier_of(name: str | None) -> str:
    """The service tier in the book's words.

    >>> tier_of(None), tier_of("ON_DEMAND_FLEX"), tier_of("priority")
    ('standard', 'flex', 'priority')
    """
    lowered = (name or "").strip().lower()
    return STANDARD if lowered in STANDARD_TIERS else TIERS.get(lowered, lowered)


def _of_models(listings: Sequence[tuple[Trust, str, Listed]]) -> list[Placed]:
    """The models' statements; a model that is whole hides those of less trusted layers."""
    floor = max((trust for trust, _, listed in listings if listed.is_whole), default=Trust.SHIPPED)
    found = []
    for trust, _, listed in listings:
        if trust >= floor:
            found += [
                Placed(statement, int(trust), True, position)
                for position, statement in enumerate(listed.statements)
            ]
    return found


def _free(named: Named, listings: Sequence[tuple[Trust, str, Listed]]) -> list[Placed]:
    """A free model's price: zero for every unit, which is a price."""
    stating = next(
        ((trust, listed.source, listed.checked) for trust, _, listed in listings if listed.is_free), None
    )
    if stating is None and not named.is_free:
        return []
    trust, source, checked = stating or (Trust.SHIPPED, "the name's suffix :free", None)
    if any(other > trust and any(one.rates for one in listed.statements) for other, _, listed in listings):
        return []  # whoever is trusted more states rates: then it is not free
    rates = {unit: amount_of(unit, "0") for unit in UNITS}
    statement = Statement(_When(details=()), rates, source=source, checked=checked, note="free of charge")
    return [Placed(statement, int(trust), True, 0)]
