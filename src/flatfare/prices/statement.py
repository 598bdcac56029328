"""A statement of the price book: rates or a multiplier, its conditions, who says so and since when.

A statement is read from a mapping of text (the form is in docs/price-data.md), strictly: an unknown key
is refused, since a misspelt condition would be a rate without a condition.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import lru_cache

from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment
from flatfare.core.money import NANO
from flatfare.core.pricing import MILLION, Rate
from flatfare.core.units import INPUT_TOKENS, OUTPUT_TOKENS, UNITS
from flatfare.core.usage import Count
from flatfare.prices.windows import Window, window_of

Raw = Mapping[str, object]
"""A statement or a model as text: what YAML, JSON and the price log hold."""

STANDARD = "standard"
ANY = "any"

TOKENS = INPUT_TOKENS | OUTPUT_TOKENS
FEES = frozenset(UNITS) - TOKENS
GROUPS: Mapping[str, frozenset[str]] = {
    "tokens": TOKENS,
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "fees": FEES,
    "all": frozenset(UNITS),
}
CACHE_READS = frozenset(unit for unit in INPUT_TOKENS if unit.startswith("cache_read"))
COUNTED: Mapping[str, frozenset[str]] = {
    "prompt": INPUT_TOKENS,
    "uncached_prompt": INPUT_TOKENS - CACHE_READS,
    "prompt_and_output": TOKENS,
}
"""What a context-size condition may count."""

KEYS = frozenset(
    [
        "from",
        "until",
        "when",
        "rates",
        "times",
        "units",
        "name",
        "minimum",
        "currency",
        "source",
        "checked",
        "note",
        "organisation",
    ]
)
PER_MILLION = frozenset({"token", "character"})
_AMOUNT = re.compile(r"(?P<amount>[0-9.]+(?:[eE][-+]?\d{1,2})?)(?:\s+per\s+(?P<per>\d+))?")
_DERIVED = re.compile(r"(?P<factor>[0-9./]+)\s*x\s+(?P<unit>\w+)")
_CONTEXT = re.compile(r"(?P<edge>over|from)\s+(?P<size>\d+)(?:\s+(?P<counted>\w+))?")


@dataclass(frozen=True, slots=True)
class Derived:
    """A rate that is a multiple of another unit's."""

    factor: Fraction
    unit: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """There is no rate of its own for this unit, whatever a source below says."""


Amount = Rate | Derived | Hidden


@dataclass(frozen=True, slots=True)
class ContextSize:
    """At least so many tokens, of what is counted."""

    at_least: int
    counted: str = "prompt"


@dataclass(frozen=True, slots=True)
class When:
    """Conditions, all of which must hold; None where nothing is stated."""

    tier: frozenset[str] | None = None
    region: tuple[str, ...] | None = None
    context: ContextSize | None = None
    during: tuple[Window, bool] | None = None  # False: outside of the window
    details: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def stated(self) -> frozenset[str]:
        """The names of the conditions it states."""
        named = {"tier": self.tier, "region": self.region, "context": self.context, "during": self.during}
        return frozenset(name for name, value in named.items() if value is not None) | {
            key for key, _ in self.details
        }

    @property
    def text(self) -> str:
        """The conditions in a line: ``tier batch, context from 200001 prompt``."""
        parts = [f"tier {'|'.join(sorted(self.tier))}"] if self.tier else []
        parts += [f"region {'|'.join(self.region)}"] if self.region else []
        if self.context:
            parts.append(f"context from {self.context.at_least} {self.context.counted}")
        if self.during:
            parts.append(f"{'in' if self.during[1] else 'outside'} {self.during[0].text}")
        parts += [f"{key} {'|'.join(values)}" for key, values in self.details]
        return ", ".join(parts)

    def holds_for(self, tier: str, region: str | None, details: Mapping[str, str]) -> bool:
        """Whether the conditions hold that neither the time nor the size of a call changes."""
        return (
            (self.tier is None or tier in self.tier or ANY in self.tier)
            and (self.region is None or _region_holds(self.region, region))
            and all(_matches(details.get(key), values) for key, values in self.details)
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """Rates or a multiplier, with conditions, dates and source."""

    when: When
    rates: Mapping[str, Amount]
    times: Fraction | None = None
    units: frozenset[str] = TOKENS
    name: str = ""
    minimum: Mapping[str, Count] | None = None
    from_us: int | None = None
    until_us: int | None = None
    currency: str = "USD"
    source: str = ""
    checked: str | None = None
    note: str | None = None
    organisation: str | None = None

    @property
    def covers_tokens(self) -> bool:
        """It says something of tokens: by a rate, or by a multiplier."""
        if self.times is not None:
            return not self.units.isdisjoint(TOKENS)
        return any(unit in TOKENS for unit in self.rates)


def statement_of(
    raw: Raw, windows: Mapping[str, Window], source: str = "", checked: str | None = None
) -> Statement:
    """Read one statement; ``BadInput`` says what was found and what was expected."""
    if unknown := sorted(set(raw) - KEYS):
        raise BadInput(f"Found {unknown[0]!r} in a statement: its keys are {', '.join(sorted(KEYS))}.")
    when = when_of(_mapping(raw, "when"), windows)
    times = _fraction(str(raw["times"])) if "times" in raw else None
    rates = {unit: amount_of(unit, str(text)) for unit, text in _mapping(raw, "rates").items()}
    minimum = {_unit(unit): _count(str(text)) for unit, text in _mapping(raw, "minimum").items()}
    if (times is None) == (not rates) and not minimum:
        raise BadInput(f"Found {sorted(raw)} in a statement: it has either rates or times (or a minimum).")
    return Statement(
        when=when,
        rates=rates,
        times=times,
        units=units_of(raw.get("units", "tokens")),
        name=str(raw.get("name") or "+".join(sorted(when.stated))),
        minimum=minimum or None,
        from_us=day_us(raw.get("from")),
        until_us=day_us(raw.get("until")),
        currency=str(raw.get("currency", "USD")).upper(),
        source=str(raw.get("source", source)),
        checked=str(raw["checked"]) if raw.get("checked") else checked,
        note=str(raw["note"]) if raw.get("note") else None,
        organisation=str(raw["organisation"]) if raw.get("organisation") else None,
    )


def when_of(raw: Raw, windows: Mapping[str, Window]) -> When:
    """Read the conditions of a statement."""
    details = tuple(
        (key, texts(value))
        for key, value in raw.items()
        if key not in {"tier", "region", "context", "during"}
    )
    return When(
        tier=frozenset(texts(raw["tier"])) if "tier" in raw else None,
        region=tuple(text.lower() for text in texts(raw["region"])) if "region" in raw else None,
        context=context_of(str(raw["context"])) if "context" in raw else None,
        during=_during(raw["during"], windows) if "during" in raw else None,
        details=details,
    )


def amount_of(unit: str, text: str) -> Amount:
    """A rate, a multiple of another unit's, or none.

    >>> amount_of("input", "2.50"), amount_of("web_search", "10 per 1000")
    (Rate(amount_nano=2500000000, per=1000000), Rate(amount_nano=10000000000, per=1000))
    """
    _unit(unit)
    if text == "none":
        return Hidden()
    if derived := _DERIVED.fullmatch(text):
        return Derived(_fraction(derived["factor"]), _unit(derived["unit"]))
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise BadInput(
            f"Found {text!r} as the rate of {unit!r}: write it like 2.50, 10 per 1000, 2x input or none."
        )
    default = MILLION if UNITS[unit].quantum in PER_MILLION else 1
    return exact_rate(_fraction(found["amount"]), int(found["per"] or default))


def exact_rate(amount: Fraction, per: int) -> Rate:
    """A rate in whole nano units; ``per`` grows where the amount has more digits than that."""
    nano = amount * NANO
    return Rate(nano.numerator, per * nano.denominator)


def context_of(text: str) -> ContextSize:
    """``over 200000`` is exclusive, ``from 200000`` inclusive.

    >>> context_of("over 200000")
    ContextSize(at_least=200001, counted='prompt')
    """
    found = _CONTEXT.fullmatch(text.strip())
    counted = (found["counted"] if found else None) or "prompt"
    if found is None or counted not in COUNTED:
        raise BadInput(
            f"Found the context size {text!r}: write it like 'over 200000' or 'from 200000', "
            f"and after it one of {', '.join(COUNTED)}."
        )
    return ContextSize(int(found["size"]) + (found["edge"] == "over"), counted)


@lru_cache(maxsize=4096)
def _day_us(text: str) -> int:
    return parse_moment(text)[0]


def day_us(value: object) -> int | None:
    """The moment a day begins in UTC, or a moment written out; None where there is none."""
    return None if value in (None, "") else _day_us(str(value))


def units_of(value: object) -> frozenset[str]:
    """The units that a group's name or a list of units means."""
    found: set[str] = set()
    for name in texts(value):
        found |= GROUPS[name] if name in GROUPS else {_unit(name)}
    return frozenset(found)


def texts(value: object) -> tuple[str, ...]:
    """One text or a list of them."""
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else (str(value),)


def _region_holds(patterns: tuple[str, ...], region: str | None) -> bool:
    if region is None:
        return False
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(fnmatchcase(region, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return not wanted or any(fnmatchcase(region, pattern) for pattern in wanted)


def _matches(value: str | None, wanted: tuple[str, ...]) -> bool:
    return value is not None and any(fnmatchcase(value, pattern) for pattern in wanted)


def _mapping(raw: Raw, key: str) -> Mapping[str, object]:
    value = raw.get(key) or {}
    if not isinstance(value, Mapping):
        raise BadInput(f"Found {value!r} for {key!r} in a statement: a mapping was expected.")
    return value


def _during(value: object, windows: Mapping[str, Window]) -> tuple[Window, bool]:
    if isinstance(value, Mapping):
        return window_of(value), True
    text = str(value)
    name = text.removeprefix("not ")
    if name not in windows:
        raise BadInput(f"Found the window {name!r}: this file names {', '.join(windows) or 'none'}.")
    return windows[name], name == text


def _unit(name: str) -> str:
    if name not in UNITS:
        raise BadInput(f"Found {name!r} where a billable unit was expected: see flatfare.core.units.")
    return name


def _count(text: str) -> Count:
    amount = _fraction(text)
    return amount.numerator if amount.denominator == 1 else Decimal(text)


def _fraction(text: str) -> Fraction:
    try:
        amount = Fraction(text) if "/" in text else Fraction(Decimal(text))
    except (InvalidOperation, ValueError, ZeroDivisionError, OverflowError):
        raise BadInput(f"Found {text!r} where a number was expected.") from None
    if amount < 0:
        raise BadInput(f"Found {text!r}: a price is never negative.")
    return amount
