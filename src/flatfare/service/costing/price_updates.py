"""Changing the price book: own rates and terms added, and sources taken over, always by appending.

No change reaches back: unless told to correct the past, a new rate holds from now or a later day, and a jump
of a thousandfold is taken for a mistake of units.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from flatfare.core.errors import BadInput, Conflict
from flatfare.core.moments import iso
from flatfare.core.pricing import Rate
from flatfare.core.units import UNITS
from flatfare.prices import genai, litellm, modelsdev
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.catalogue import Catalogue, Trust
from flatfare.prices.layers import StatedLayer, read_yaml
from flatfare.prices.log import EXCHANGE, PriceLog
from flatfare.prices.names import forms_of, provider_of
from flatfare.prices.statement import Raw, amount_of, day_us, statement_of

JUMP_MAX = 1000
"""A rate that changes by this factor is a mistake of units until somebody says it is not."""

TOKEN_RATE_MAX = Rate(10_000 * 10**9)
"""No model costs more per million tokens; one that does was given in other units."""


@dataclass(frozen=True, slots=True)
class NewRates:
    """Rates or terms to add; what is left out is not stated."""

    provider: str
    model: str
    rates: Mapping[str, str] = field(default_factory=dict)
    starts: str | None = None  # a day or a moment
    starts_us: int | None = None
    until: str | None = None
    when: Mapping[str, object] = field(default_factory=dict)
    times: str | None = None
    units: str | None = None
    name: str | None = None
    minimum: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    source: str | None = None
    note: str | None = None
    organisation: str | None = None
    same_as: str | None = None
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """The line as it stands in the log, and whether it was new to it."""

    line: Raw
    is_new: bool


def add(
    log: PriceLog, new: NewRates, now_us: int, *, may_correct: bool = False, may_jump: bool = False
) -> Added:
    """Append own rates or terms; the same again is a no-op.

    Without a day they hold from now on, or from ever where no price was known. Raises ``BadInput`` where they
    cannot be read or jump, ``Conflict`` where they would change a known price of the past.
    """
    if new.organisation and (new.same_as or new.is_free):
        raise BadInput(
            "Found --organisation with --same-as or --free, which say what a model is, whoever calls it: "
            "leave it out. What costs one organisation nothing has --times 0 --units all."
        )
    book = PriceBook.standard(log)
    known = _known_before(book, new, now_us)
    line = _line(new, iso(now_us) if known else None)
    StatedLayer([line], Trust.OWN).catalogue(provider_of(new.provider)).check()  # type: ignore[union-attr]
    if _is_said(log, line, is_dated=bool(new.starts or new.starts_us)):
        return Added(line, is_new=False)
    starts_us = day_us(line.get("from"))
    if known and not may_correct and (starts_us is None or starts_us < now_us):
        raise Conflict(
            f"{new.provider}/{new.model} had a price before {iso(now_us)}, and a rate from an earlier day "
            "would re-price the past. Leave out --from, or say --correct."
        )
    if not may_jump:
        _check_jumps(book, new, now_us)
    log.append([{**line, "recorded_at": iso(now_us)}])
    return Added(line, is_new=True)


def add_exchange_rate(
    log: PriceLog, currency: str, rate: str, day: str | None, source: str | None, now_us: int
) -> Added:
    """Append what one unit of a currency is worth in dollars from a day on."""
    line: dict[str, object] = {
        "provider": EXCHANGE,
        "model": currency.upper(),
        "from": day or iso(now_us)[:10],
        "rate": rate,
        "source": source or "own rate",
    }
    try:
        is_positive = Fraction(rate) > 0
    except (ValueError, ZeroDivisionError):
        is_positive = False
    if not is_positive:
        raise BadInput(f"Found the exchange rate {rate!r}: write dollars per unit, such as 1.08.")
    day_us(line["from"])
    if _is_said(log, line, is_dated=True):
        return Added(line, is_new=False)
    log.append([{**line, "recorded_at": iso(now_us)}])
    return Added(line, is_new=True)


@dataclass(frozen=True, slots=True)
class Change:
    """One rate that a source says differently from the book, or that the book does not have."""

    provider: str
    model: str
    when: Raw
    unit: str
    before: Rate | None
    after: Rate
    source: str
    amount: str  # as the source writes it
    starts: str | None = None  # the day the source gives
    names: Raw = field(default_factory=dict)  # how its names match, as the source gives it
    is_new_model: bool = False

    @property
    def is_jump(self) -> bool:
        """So large a change that it is taken for a mistake of units."""
        return jumps(self.before, self.after, self.unit)


def jumps(before: Rate | None, after: Rate, unit: str) -> bool:
    """Whether the step from one rate to the other is beyond what a price does."""
    new = Fraction(after.amount_nano, after.per)
    if before is None:
        return UNITS[unit].quantum == "token" and new > Fraction(
            TOKEN_RATE_MAX.amount_nano, TOKEN_RATE_MAX.per
        )
    old = Fraction(before.amount_nano, before.per)
    if old == 0 or new == 0:
        return old != new
    return max(new / old, old / new) >= JUMP_MAX


def read_source(name: str) -> dict[str, dict[str, object]]:
    """A source's catalogues by provider: the installed genai-prices or LiteLLM, or a file of any known form.

    A file is LiteLLM's JSON, models.dev's api.json, or YAML as docs/price-data.md lays it out.
    """
    if name == "genai-prices":
        return genai.catalogues()
    if name == "litellm":
        return litellm.catalogues(_json_of(_litellm_file()))
    path = Path(name)
    if name == "models.dev" or not path.is_file():
        raise BadInput(
            f"Found no source {name!r}: give genai-prices, litellm (where installed), or a file: LiteLLM's "
            "model_prices_and_context_window.json, models.dev's api.json, or YAML as docs/price-data.md says."
        )
    if path.suffix in (".yaml", ".yml"):
        content = read_yaml(path.read_bytes(), path.name)
        Catalogue(content, Trust.IMPORTED, path.name).check()
        return {provider_of(str(content.get("provider", path.stem))): content}
    document = _json_of(path)
    rows = [row for row in document.values() if isinstance(row, Mapping)]
    if any("litellm_provider" in row for row in rows):
        return litellm.catalogues(document)
    if any(isinstance(row.get("models"), Mapping) for row in rows):
        return modelsdev.catalogues(document)
    raise BadInput(f"{path}: found neither LiteLLM's price file nor models.dev's api.json.")


def differences(
    book: PriceBook,
    source: Mapping[str, Mapping[str, object]],
    now_us: int,
    providers: Sequence[str] = (),
) -> list[Change]:
    """What a source says of now and later that the book's imported layers do not, unit by unit."""
    wanted = {provider_of(name) for name in providers}
    found: list[Change] = []
    for provider, content in sorted(source.items()):
        if wanted and provider not in wanted:
            continue
        new = Catalogue(content, Trust.IMPORTED, str(content.get("source", "")))
        imported = [one for one in book.catalogues(provider) if one.trust in (Trust.SHIPPED, Trust.IMPORTED)]
        for name in new.models:
            found += _differences_of(new, name, provider, imported, now_us)
    return found


def take_over(
    log: PriceLog, changes: Iterable[Change], now_us: int, *, may_jump: bool = False, backdate: bool = False
) -> int:
    """Append the changes, from now on unless told to backdate; returns how many lines.

    Raises ``BadInput``, and appends nothing, where a rate jumps a thousandfold.
    """
    changes = list(changes)
    jumping = [change for change in changes if change.is_jump]
    if jumping and not may_jump:
        first = jumping[0]
        raise BadInput(
            f"{len(jumping)} rates jump a thousandfold, or to or from 0: a mistake of units oftener than a "
            f"price. The first is {first.unit!r} of {first.provider}/{first.model}. Nothing was changed. "
            "See flatfare prices diff; then say --allow-jump, or take one --provider at a time."
        )
    lines: dict[tuple[object, ...], dict[str, object]] = {}
    for change in changes:
        line = _imported_line(change, now_us, backdate)
        key = (change.provider, change.model, repr(change.when), line.get("from"))
        rates = lines.setdefault(key, line)["rates"]
        assert isinstance(rates, dict)
        rates[change.unit] = change.amount
    if lines:
        log.append(list(lines.values()))
    return len(lines)


@dataclass(frozen=True, slots=True)
class Said:
    """One layer's rate of a unit, where layers say different things."""

    unit: str
    rate: Rate
    source: str
    checked: str | None
    counts: bool  # it is the one that applies


def disagreements(
    book: PriceBook,
    provider: str,
    model: str,
    at_us: int,
    circumstances: Circumstances,
    counts: Mapping[str, int],
) -> list[Said]:
    """Each unit of which two layers give different rates at the moment, the one that applies first."""
    applied = book.find(provider, model, at_us, circumstances, counts)
    said: dict[str, list[Said]] = {}
    for layer in book.layers:
        alone = PriceBook([layer], book.exchange, book.organisation).find(
            provider, model, at_us, circumstances, counts
        )
        if not isinstance(alone, Found):
            continue
        for unit, rate in alone.rates.items():
            provenance = alone.provenance[unit]
            is_applied = isinstance(applied, Found) and applied.provenance.get(unit) == provenance
            said.setdefault(unit, []).append(
                Said(unit, rate, provenance.source, provenance.checked, is_applied)
            )
    return [
        item
        for items in said.values()
        if len({Fraction(item.rate.amount_nano, item.rate.per) for item in items}) > 1
        for item in sorted(items, key=lambda item: not item.counts)
    ]


def _known_before(book: PriceBook, new: NewRates, now_us: int) -> bool:
    """Whether the book has a price of the model by now: then a new one must not reach back."""
    if new.times:
        return True
    return isinstance(book.find(new.provider, new.model, now_us - 1, _circumstances(new)), Found)


def _circumstances(new: NewRates) -> Circumstances:
    tier, region = new.when.get("tier"), new.when.get("region")
    return Circumstances(
        str(tier) if tier else None, str(region) if region else None, organisation=new.organisation
    )


def _line(new: NewRates, default_start: str | None) -> dict[str, object]:
    starts = new.starts or (iso(new.starts_us) if new.starts_us is not None else default_start)
    if new.same_as or new.is_free:
        starts = None  # a name is a name at all times
    said: dict[str, object] = {
        "provider": provider_of(new.provider),
        "model": new.model.lower(),
        "from": starts,
        "until": new.until,
        "when": dict(new.when),
        "rates": dict(new.rates),
        "times": new.times,
        "units": new.units,
        "name": new.name or ("terms" if new.times and not new.when else None),
        "minimum": dict(new.minimum),
        "currency": new.currency,
        "source": new.source or "own rate",
        "note": new.note,
        "organisation": new.organisation,
        "same_as": new.same_as,
        "free": new.is_free or None,
    }
    return {key: value for key, value in said.items() if value not in (None, {}, "")}


def _is_said(log: PriceLog, line: Raw, *, is_dated: bool) -> bool:
    """Whether the log says this already; without a day of its own, whether it was the last thing said."""
    if is_dated:
        return any(_says(earlier) == _says(line) for earlier in log.lines())
    subject = _says(line, "provider", "model", "when", "organisation", "name")
    keys = tuple(subject)
    about = [one for one in log.lines() if _says(one, *keys) == subject and one.get("trust") != "imported"]
    undated = tuple(key for key in line if key not in ("from", "recorded_at"))
    return (
        bool(about)
        and {*about[-1]} - {"from", "recorded_at"} == {*undated}
        and (_says(about[-1], *undated) == _says(line, *undated))
    )


def _says(line: Raw, *keys: str) -> dict[str, object]:
    """The line without the moment it was written, or only these keys of it."""
    return {key: value for key, value in line.items() if (key in keys if keys else key != "recorded_at")}


def _check_jumps(book: PriceBook, new: NewRates, now_us: int) -> None:
    found = book.find(new.provider, new.model, now_us, _circumstances(new))
    for unit, text in new.rates.items():
        after = amount_of(unit, text)
        before = found.rates.get(unit) if isinstance(found, Found) else None
        if isinstance(after, Rate) and after.amount_nano and jumps(before, after, unit):
            raise BadInput(
                f"Found {text} for {unit!r} of {new.provider}/{new.model}: a thousandfold from what it was, "
                "or more than any model costs. Tokens are priced per million; if it is right, --allow-jump."
            )


def _differences_of(
    new: Catalogue, name: str, provider: str, imported: Sequence[Catalogue], now_us: int
) -> list[Change]:
    entry = new.models[name]
    before: dict[tuple[str, str], tuple[Rate, str, Raw, str | None]] = {}
    is_known = False
    named = forms_of(provider, _a_name(name, entry))
    for catalogue in reversed(imported):  # the most trusted last, so that it stands
        listed = catalogue.find(named)
        own = name if name in catalogue.models else listed.name if listed else None
        if own is not None:
            is_known = True
            before |= _said_now(catalogue, catalogue.models[own], now_us)
    changes = []
    for key, (rate, amount, when, starts) in _said_now(new, entry, now_us).items():
        old = before.get(key)
        if old is not None and Fraction(old[0].amount_nano, old[0].per) == Fraction(
            rate.amount_nano, rate.per
        ):
            continue
        changes.append(
            Change(
                provider=provider,
                model=name,
                when=when,
                unit=key[1],
                before=old[0] if old else None,
                after=rate,
                source=str(entry.get("source") or new.source),
                amount=amount,
                starts=starts,
                names={part: entry[part] for part in ("also", "match") if part in entry},
                is_new_model=not is_known,
            )
        )
    return changes


def _a_name(name: str, entry: Raw) -> str:
    """A name that leads to the model: its own, or one that its match lists."""
    also = entry.get("also")
    return str(also[0]) if isinstance(also, list) and also else name


def _said_now(
    catalogue: Catalogue, entry: Raw, now_us: int
) -> dict[tuple[str, str], tuple[Rate, str, Raw, str | None]]:
    """(condition, unit) → its rate now, or the next one where it has none yet."""
    found: dict[tuple[str, str], tuple[Rate, str, Raw, str | None]] = {}
    prices = entry.get("prices")
    rows = prices if isinstance(prices, list) else []
    for row in sorted(rows, key=lambda row: day_us(row.get("from")) or -1):
        until = day_us(row.get("until"))
        if until is not None and until <= now_us:
            continue
        when = _inlined(row.get("when") or {}, catalogue)
        statement = statement_of({**row, "when": when}, {})
        for unit, amount in statement.rates.items():
            if isinstance(amount, Rate):
                starts = row.get("from")
                is_later = (statement.from_us or 0) > now_us
                key = (repr(sorted(when.items(), key=str)) + (str(starts) if is_later else ""), unit)
                found[key] = (amount, str(row["rates"][unit]), when, str(starts) if starts else None)
    return found


def _inlined(when: Mapping[str, object], catalogue: Catalogue) -> dict[str, object]:
    """The conditions with a named window written out, so that they mean the same elsewhere."""
    windows = catalogue.raw.get("windows")
    during = when.get("during")
    if isinstance(during, str) and isinstance(windows, Mapping) and during in windows:
        return {**when, "during": windows[during]}
    return dict(when)


def _imported_line(change: Change, now_us: int, backdate: bool) -> dict[str, object]:
    starts_us = day_us(change.starts)
    is_later = starts_us is not None and starts_us > now_us
    starts = change.starts if is_later or backdate or change.is_new_model else iso(now_us)
    line: dict[str, object] = {
        "provider": change.provider,
        "model": change.model.lower(),
        "trust": "imported",
        **change.names,
        "when": dict(change.when),
        "rates": {},
        "source": change.source,
        "recorded_at": iso(now_us),
        "from": starts,
    }
    return {key: value for key, value in line.items() if value not in (None, {}) or key == "rates"}


def _json_of(path: Path) -> dict[str, object]:
    """A JSON object with its numbers exact."""
    import json

    try:
        document = json.loads(path.read_bytes(), parse_float=Decimal)
    except (OSError, ValueError) as problem:
        raise BadInput(f"{path}: cannot be read as JSON: {problem}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path}: found {type(document).__name__} where an object was expected.")
    return document


def _litellm_file() -> Path:
    """The price file inside an installed LiteLLM, found without importing it."""
    from importlib.util import find_spec

    spec = find_spec("litellm")
    if spec is None or not spec.origin:
        raise BadInput(
            "LiteLLM is not installed: give its model_prices_and_context_window.json as --from FILE."
        )
    return Path(spec.origin).parent / "model_prices_and_context_window_backup.json"
