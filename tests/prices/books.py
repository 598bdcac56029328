"""Small price books for tests, written as the reviewed data are."""

from collections.abc import Iterable, Mapping, Sequence

from flatfare.core.moments import parse_moment
from flatfare.core.pricing import rate_text
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.catalogue import Catalogue, Trust
from flatfare.prices.exchange import ExchangeRates
from flatfare.prices.layers import read_yaml
from flatfare.prices.statement import Raw


class MemoryLog:
    """A price log in memory."""

    def __init__(self, lines: Iterable[Raw] = ()) -> None:
        self._lines = list(lines)

    def lines(self) -> Sequence[Raw]:
        return tuple(self._lines)

    def append(self, lines: Sequence[Raw]) -> None:
        self._lines += lines


class Layer:
    """A layer out of YAML texts, one per provider."""

    def __init__(self, trust: Trust, *texts: str) -> None:
        found = [
            Catalogue(read_yaml(text.encode(), "test"), trust, f"the {trust.name} layer") for text in texts
        ]
        self._catalogues = {str(catalogue.raw["provider"]): catalogue for catalogue in found}
        for catalogue in found:
            catalogue.check()

    def catalogue(self, provider: str) -> Catalogue | None:
        return self._catalogues.get(provider)

    def providers(self) -> list[str]:
        return list(self._catalogues)


def book(
    reviewed: str | tuple[str, ...] = (),
    shipped: str | tuple[str, ...] = (),
    own: str | tuple[str, ...] = (),
    exchange: tuple[tuple[str, str, str, str], ...] = (),
) -> PriceBook:
    """A book of up to three layers."""

    def texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
        return (value,) if isinstance(value, str) else value

    layers = (
        Layer(Trust.OWN, *texts(own)),
        Layer(Trust.REVIEWED, *texts(reviewed)),
        Layer(Trust.SHIPPED, *texts(shipped)),
    )
    return PriceBook(layers, ExchangeRates(exchange))


def at(text: str) -> int:
    return parse_moment(text)[0]


def rates(
    of: PriceBook,
    model: str = "m",
    when: str = "2026-06-01",
    provider: str = "p",
    tier: str | None = None,
    region: str | None = None,
    organisation: str | None = None,
    counts: Mapping[str, int] | None = None,
    **details: str,
) -> dict[str, str]:
    """The rates that apply, as text per their own quantity; fails where there are none."""
    found = of.find(
        provider, model, at(when), Circumstances(tier, region, details, organisation), counts or {"input": 1}
    )
    assert isinstance(found, Found), found
    return {unit: written(found, unit) for unit in found.rates}


def written(found: Found, unit: str) -> str:
    rate = found.rates[unit]
    return rate_text(rate) if rate.per == 1_000_000 else f"{rate_text(rate)} per {rate.per}"


def missing(
    of: PriceBook, model: str = "m", when: str = "2026-06-01", provider: str = "p", **more: str
) -> str:
    """Why there is no price; fails where there is one."""
    found = of.find(provider, model, at(when), Circumstances(**more))
    assert isinstance(found, Missing), found
    return found.reason
