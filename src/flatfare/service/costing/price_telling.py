"""The price book as rows: what a model costs now, who says so since when, and all that was ever said."""

from collections.abc import Iterable, Mapping

from flatfare.core.moments import iso
from flatfare.core.pricing import MILLION, Rate, rate_text
from flatfare.core.units import UNITS
from flatfare.prices.book import Found, PriceBook
from flatfare.prices.catalogue import Trust
from flatfare.prices.names import provider_of
from flatfare.prices.schedule import Provenance
from flatfare.prices.statement import PER_MILLION, Amount, Derived, Statement
from flatfare.prices.version import LAYERS


def listed(
    book: PriceBook, providers: Iterable[str], like: str | None, at_us: int
) -> Iterable[Mapping[str, object]]:
    """Every model of these providers that has a price at a moment, with its standard rates."""
    for provider in providers:
        for name in first_names(book, provider):
            if like and like.lower() not in name.lower():
                continue
            found = book.find(provider, name, at_us)
            if isinstance(found, Found):
                yield _list_row(provider, name, found)


def first_names(book: PriceBook, provider: str) -> list[str]:
    """The models that any source names at a provider; patterns are left out."""
    names = {name for catalogue in book.catalogues(provider) for name in catalogue.models}
    return sorted(name for name in names if "*" not in name and "?" not in name)


def _list_row(provider: str, name: str, found: Found) -> Mapping[str, object]:
    leading = next((unit for unit in ("input", "output", *found.rates) if unit in found.provenance), None)
    provenance = found.provenance[leading] if leading else Provenance(None, "", None)
    return {
        "provider": provider,
        "model": name,
        **{
            unit: rate_text(found.rates[unit]) if unit in found.rates else None
            for unit in ("input", "cache_read", "output")
        },
        "currency": found.currency,
        "since": _day(provenance.since_us),
        "source": provenance.source,
        "checked": provenance.checked,
    }


def rate_row(found: Found, unit: str) -> dict[str, object]:
    """One rate of a model as it applies, and who says so."""
    rate, provenance = found.rates[unit], found.provenance[unit]
    return {
        "unit": unit,
        "rate": rate_text(rate),
        "per": rate.per,
        "quantum": UNITS[unit].quantum,
        "since": _day(provenance.since_us),
        "layer": LAYERS[Trust(provenance.trust)],
        "source": provenance.source,
        "checked": provenance.checked,
        "note": "; ".join(filter(None, (provenance.note, *provenance.multipliers))) or None,
        "conditions": list(provenance.conditions),
    }


def statements(book: PriceBook, provider: str, model: str) -> Iterable[tuple[Trust, Statement]]:
    """All that the layers say of a model at any time, and of every model of its provider."""
    for trust, _, listed in book.listings(provider, model):
        yield from ((trust, statement) for statement in listed.statements)
    for catalogue in book.catalogues(provider_of(provider)):
        yield from ((catalogue.trust, statement) for statement in catalogue.always)


def statement_row(trust: Trust, statement: Statement) -> dict[str, object]:
    """One statement as a row: from when to when, on which conditions, and what it says."""
    says = [f"{unit} {_amount_text(unit, amount)}" for unit, amount in statement.rates.items()]
    if statement.times is not None:
        says.append(f"{statement.times}x")
    says += [f"at least {count} {unit}" for unit, count in (statement.minimum or {}).items()]
    whose = f"organisation {statement.organisation}" if statement.organisation else ""
    return {
        "from": _day(statement.from_us),
        "until": _day(statement.until_us),
        "when": ", ".join(filter(None, (statement.when.text, whose))) or None,
        "says": ", ".join(says),
        "layer": LAYERS[trust],
        "source": statement.source,
        "checked": statement.checked,
        "note": statement.note,
    }


def _amount_text(unit: str, amount: Amount) -> str:
    if isinstance(amount, Rate):
        plain = UNITS[unit].quantum in PER_MILLION and amount.per == MILLION
        return rate_text(amount) if plain else f"{rate_text(amount)} per {amount.per}"
    return f"{amount.factor}x {amount.unit}" if isinstance(amount, Derived) else "none"


def _day(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)[:10]
