"""By which prices a call was costed: what they are called, kept with the first call, told to whoever asks.

What is kept is never written anew, so that a receipt can be computed again after the price book has
changed. What is not kept is looked for in the price book, and found only where its rates are the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

import msgspec

from flatfare.core.errors import BadUsage, NotFound
from flatfare.core.moments import iso
from flatfare.core.units import UNITS
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.catalogue import Trust
from flatfare.prices.schedule import Schedule
from flatfare.prices.statement import ANY, When
from flatfare.prices.version import ALWAYS, BETWEEN, LAYERS, named
from flatfare.service.costing.price_telling import rate_row, statements
from flatfare.store import price_versions
from flatfare.store.book import Book

TRIES_MAX = 5_000

Terms = dict[str, object]


def terms_of(found: Found) -> Terms:
    """What prices are, so that a call can be computed again: its rates, minimums and who says so."""
    return {
        "version": found.version,
        "provider": found.provider,
        "model": found.model,
        "since": iso(found.since_us),
        "layer": LAYERS[Trust(found.trust)],
        "currency": found.currency,
        "rates": [rate_row(found, unit) for unit in UNITS if unit in found.rates],
        "minimums": {unit: str(count) for unit, count in found.minimums.items()},
    }


def terms_text(found: Found) -> str:
    """The same as it is kept."""
    return msgspec.json.encode(terms_of(found)).decode()


def keep_used(book: Book, prices: PriceBook, at_us: int) -> None:
    """Keep the prices that this price book was used for, in the transaction that is open."""
    price_versions.keep(book, ((name, terms_text(found)) for name, found in prices.used.items()), at_us)


def told(book: Book | None, prices: PriceBook, text: str) -> list[Terms]:
    """What the prices of a call's version are, one for each model that served it.

    Raises ``BadUsage`` where the text is no version, ``NotFound`` where nobody here has its prices.
    """
    return [_told(book, prices, version) for version in dict.fromkeys(text.split(BETWEEN))]


def _told(book: Book | None, prices: PriceBook, version: str) -> Terms:
    parts = named(version)
    if parts is None:
        raise BadUsage(
            f"Found {version[:120]!r} where a version of prices was expected, such as "
            "openai/gpt-4o@2026-01-05:own:0123456789ab. Each call names its own: "
            "flatfare tasks show TASK --json, or flatfare tail --json"
        )
    kept = None if book is None else price_versions.terms_of(book, version)
    if kept is not None:
        return {**msgspec.json.decode(kept[0], type=Terms), "kept_at": iso(kept[1])}
    provider, model = parts.provider, parts.model
    found = _worked_out(prices, version, provider, model, parts.since)
    if found is None:
        raise NotFound(
            f"This installation does not have the prices {version}: no call here was priced with them, and "
            "its price book has no such prices. What it says: "
            f"flatfare prices show {provider}/{model} --history"
        )
    return {**terms_of(found), "kept_at": None}


def _worked_out(prices: PriceBook, version: str, provider: str, model: str, since: str) -> Found | None:
    """The prices of that name in the price book, under whatever conditions it states of the model."""
    tried = 0
    for circumstances in islice(_circumstances(prices, provider, model), TRIES_MAX):
        schedule = prices.schedule(provider, model, circumstances)
        for at_us, windows, sizes in _states(schedule, since):
            found = schedule.state(at_us, windows, sizes)
            if isinstance(found, Found) and found.version == version:
                return found
            tried += 1
            if tried >= TRIES_MAX:
                return None
    return None


def _states(schedule: Schedule, since: str) -> Iterator[tuple[int, tuple[bool, ...], tuple[int, ...]]]:
    """Each stretch of time that began on the day or later, with windows open and shut, and each size."""
    starts = [0, *schedule.boundaries]
    moments = [at_us for at_us in starts if since == ALWAYS or iso(at_us)[:10] >= since]
    windows = product((False, True), repeat=len(schedule.windows))
    sizes = product(*(range(len(bounds) + 1) for bounds in schedule.thresholds.values()))
    return product(moments, list(windows), list(sizes))


def _circumstances(prices: PriceBook, provider: str, model: str) -> Iterator[Circumstances]:
    """Every condition that a statement of the model names, and none of them; whosever terms those are."""
    said = [statement for _, statement in statements(prices, provider, model)]
    tiers = {tier for one in said for tier in one.when.tier or () if tier != ANY}
    regions = {_like(pattern) for one in said for pattern in one.when.region or ()}
    organisations = {one.organisation for one in said if one.organisation}
    details = list(dict.fromkeys(_details(one.when) for one in said if one.when.details))
    for tier, region, stated, organisation in product(
        _and_none(tiers), _and_none(regions), [(), *details], ["", *sorted(organisations)]
    ):
        yield Circumstances(tier, region, dict(stated), organisation)


def _and_none(names: set[str]) -> Sequence[str | None]:
    return [None, *sorted(names)]


def _details(when: When) -> tuple[tuple[str, str], ...]:
    return tuple((key, _like(values[0])) for key, values in when.details)


def _like(pattern: str) -> str:
    """A text that the pattern covers: of ``eu-*`` it is ``eu-``, of ``!us`` one of its own."""
    return "elsewhere" if pattern.startswith("!") else pattern.replace("*", "").replace("?", "x")


def listed(book: Book, limit: int | None = None) -> list[Terms]:
    """The versions that are kept here, the newest first: what each says by itself, and since when."""
    rows: list[Terms] = []
    for version, kept_at_us in price_versions.newest(book, limit):
        said = named(version)
        assert said is not None
        rows.append({"version": version, **said._asdict(), "kept_at": iso(kept_at_us)})
    return rows


def rates_in(terms: Mapping[str, object]) -> list[dict[str, object]]:
    """The rates of a version as rows."""
    rates = terms["rates"]
    assert isinstance(rates, list)
    return rates
