"""``flatfare prices``: what the price book says, who says so and since when; and adding to it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import click

from flatfare.cli import output
from flatfare.cli.options import Moment, Noun, book_of, format_options, pass_settings
from flatfare.config import Settings
from flatfare.core.errors import BadUsage, NotFound, StoreFailure
from flatfare.core.moments import iso
from flatfare.core.pricing import rate_text
from flatfare.core.units import UNITS
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.log import EXCHANGE
from flatfare.service import clock
from flatfare.service.costing import price_updates, price_versions
from flatfare.service.costing.price_telling import listed, rate_row, statement_row, statements
from flatfare.service.costing.price_updates import Change, NewRates
from flatfare.service.costing.price_versions import Terms, rates_in
from flatfare.service.costing.pricing import open_price_book, price_log_of
from flatfare.service.costing.terms_of_others import why_idle
from flatfare.store.book import Book

P = ParamSpec("P")
R = TypeVar("R")

_LIST = (
    output.Field("provider", "provider", "left"),
    output.Field("model", "model", "left", is_strong=True),
    output.Field("input", "input"),
    output.Field("cache_read", "cached"),
    output.Field("output", "output"),
    output.Field("currency", "", "left"),
    output.Field("since", "since", "left"),
    output.Field("source", "who says so", "left"),
)
_SHOW = (
    output.Field("unit", "unit", "left", is_strong=True),
    output.Field("rate", "rate"),
    output.Field("per", "per"),
    output.Field("since", "since", "left"),
    output.Field("layer", "layer", "left"),
    output.Field("source", "who says so", "left"),
    output.Field("checked", "checked", "left"),
    output.Field("note", "note", "left"),
)
_KEPT = (
    output.Field("version", "version", "left", is_strong=True),
    output.Field("since", "since", "left"),
    output.Field("layer", "layer", "left"),
    output.Field("kept_at", "kept since", "left"),
)
_RATE_NAMES = ("unit", "rate", "per", "since", "layer", "source", "checked", "note")
_RATES = ("version", "provider", "model", "currency", *_RATE_NAMES)
_DISAGREE = (
    output.Field("unit", "unit", "left"),
    output.Field("rate", "rate"),
    output.Field("per", "per"),
    output.Field("applies", "applies", "left"),
    output.Field("source", "who says so", "left"),
)
_HISTORY = (
    output.Field("from", "from", "left"),
    output.Field("until", "until", "left"),
    output.Field("when", "when", "left"),
    output.Field("says", "says", "left"),
    output.Field("layer", "layer", "left"),
    output.Field("source", "who says so", "left"),
)
_DIFF = (
    output.Field("provider", "provider", "left"),
    output.Field("model", "model", "left", is_strong=True),
    output.Field("when", "when", "left"),
    output.Field("unit", "unit", "left"),
    output.Field("before", "book"),
    output.Field("after", "source"),
    output.Field("from", "from", "left"),
    output.Field("remark", "", "left"),
)


@click.group(cls=Noun)
def prices() -> None:
    """The price book: dated rates, and who says so."""


def condition_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the options that choose among the rates of a model."""
    for flags, text in (
        (("--tier",), "Service tier: flex, priority, batch, fast, provisioned."),
        (("--region",), "Region or geography, such as eu or us-east-1."),
        (("--organisation",), "Whose terms; the setting 'organisation' says whose calls are here."),
    ):
        command = click.option(*flags, help=text)(command)
    return click.option(
        "--detail",
        "details",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another condition, such as size=1024x1024.",
    )(command)


@prices.command("list")
@click.argument("provider", required=False)
@click.option("--at", type=Moment(), metavar="TIME", help="As of this moment instead of now.")
@click.option("--like", help="Only models whose name contains this.")
@format_options
@pass_settings
def list_(settings: Settings, provider: str | None, at: int | None, like: str | None, shape: str) -> None:
    """Every model with a price: its standard rates, per million tokens."""
    book = open_price_book(settings)
    rows = list(listed(book, [provider] if provider else book.providers(), like, at or clock.now_us()))
    if not rows:
        raise NotFound(_nothing_listed(provider, like, book.providers()))
    _print(rows, _LIST, shape)


def _nothing_listed(provider: str | None, like: str | None, providers: Sequence[str]) -> str:
    """What was looked for and is not there, and where to look."""
    known = f"Providers: {', '.join(providers)}."
    if provider and provider not in providers:
        return f"There is no provider {provider!r}. A model: flatfare prices list --like {provider}. {known}"
    model = f"No model like {like!r}" if like else "No model"
    return f"{model} has a price at {provider or 'any provider'}. {known}"


@prices.command()
@click.argument("model", metavar="PROVIDER/MODEL")
@click.option("--history", "has_history", is_flag=True, help="Also every dated and conditional rate.")
@click.option("--at", type=Moment(), metavar="TIME", help="As of this moment instead of now.")
@click.option(
    "--prompt", type=int, default=1, metavar="TOKENS", help="Size of the prompt, for context tiers."
)
@condition_options
@format_options
@pass_settings
def show(
    settings: Settings,
    model: str,
    at: int | None,
    prompt: int,
    has_history: bool,
    tier: str | None,
    region: str | None,
    organisation: str | None,
    details: tuple[str, ...],
    shape: str,
) -> None:
    """The rates that apply to a model, who says so and since when, and where sources disagree."""
    provider, name = _named(model)
    book, moment = open_price_book(settings), at or clock.now_us()
    circumstances = Circumstances(tier, region, _pairs(details), organisation)
    counts = {"input": prompt}
    found = book.find(provider, name, moment, circumstances, counts)
    if isinstance(found, Missing):
        raise NotFound(found.reason)
    rows = [rate_row(found, unit) for unit in UNITS if unit in found.rates]
    history = [statement_row(*item) for item in statements(book, provider, name)] if has_history else []
    said = price_updates.disagreements(book, provider, name, moment, circumstances, counts)
    disagreeing: list[dict[str, object]] = [
        {
            "unit": item.unit,
            "rate": rate_text(item.rate),
            "per": item.rate.per,
            "applies": "yes" if item.counts else "",
            "source": item.source,
            "checked": item.checked,
        }
        for item in said
    ]
    if shape == "csv":
        output.print_csv(rows, [field.key for field in _SHOW])
    elif shape == "json":
        document = _document(found, moment, rows, disagreeing, book, circumstances)
        output.print_json({**document, "history": history} if has_history else document)
    else:
        output.print_table(
            rows, _SHOW, f"{found.provider}/{found.model} on {iso(moment)[:10]}, {found.currency}"
        )
        output.say(f"Version {found.version}")
        if disagreeing:
            output.say()
            output.print_table(disagreeing, _DISAGREE, "Sources disagree")
        if history:
            output.say()
            output.print_table(history, _HISTORY, "Every statement, the most trusted first")


@prices.command()
@click.argument("versions", metavar="[VERSION]...", nargs=-1)
@format_options
@pass_settings
def version(settings: Settings, versions: tuple[str, ...], shape: str) -> None:
    """The prices that a call was costed with, by the version it names; all that are kept, without one.

    They are kept with the first call that they priced, whatever the price book says since.
    """
    with _book_if_any(settings) as book:
        if not versions:
            _print_kept([] if book is None else price_versions.listed(book), shape)
            return
        prices_ = open_price_book(settings)
        found = [terms for text in versions for terms in price_versions.told(book, prices_, text)]
    if shape == "json":
        output.print_json_lines(found) if len(found) > 1 else output.print_json(found[0])
    elif shape == "csv":
        output.print_csv([_with_version(terms, row) for terms in found for row in rates_in(terms)], _RATES)
    else:
        for terms in found:
            _print_version(terms)


def _print_kept(kept: list[Terms], shape: str) -> None:
    _print(kept, _KEPT, shape)
    if not kept:
        output.note("No prices are kept yet: those of a call are, as soon as one is priced.")


@contextmanager
def _book_if_any(settings: Settings) -> Iterator[Book | None]:
    """The book; None where there is none yet, since prices can be looked up without."""
    try:
        book = book_of(settings)
    except StoreFailure:
        yield None
        return
    with book:
        yield book


def _with_version(terms: Terms, row: Mapping[str, object]) -> dict[str, object]:
    said = {name: terms[name] for name in ("version", "provider", "model", "currency")}
    return {**said, **{name: row[name] for name in _RATE_NAMES}}


def _print_version(terms: Terms) -> None:
    since = f"since {str(terms['since'])[:10]}" if terms["since"] else "always"
    title = f"{terms['provider']}/{terms['model']}, {since}, {terms['layer']}, {terms['currency']}"
    output.print_table(rates_in(terms), _SHOW, title)
    minimums = terms["minimums"]
    assert isinstance(minimums, dict)
    if minimums:
        least = ", ".join(f"{count} {unit}" for unit, count in minimums.items())
        output.say(f"A request is billed for {least} at least.")
    kept = terms["kept_at"]
    where = f"Kept here since {str(kept)[:10]}" if kept else "Not kept here: as the price book has them"
    output.say(f"Version {terms['version']}. {where}.")


@prices.command()
@click.argument("model", metavar="PROVIDER/MODEL")
@click.option("--input", "input_", metavar="AMOUNT", help="Per million tokens.")
@click.option("--output", "output_", metavar="AMOUNT", help="Per million tokens.")
@click.option("--cache-read", metavar="AMOUNT", help="Per million tokens.")
@click.option("--cache-write", metavar="AMOUNT", help="Per million tokens.")
@click.option(
    "--rate", "rates", multiple=True, metavar="UNIT=AMOUNT", help="Any other unit: web_search='10 per 1000'."
)
@click.option("--times", metavar="FACTOR", help="A multiplier in place of rates: 0.85 is 15 % off.")
@click.option("--units", metavar="GROUP", help="What --times covers: tokens, fees, all, or a unit.")
@click.option("--from", "starts", metavar="DAY", help="The first day it holds; now, if left out.")
@click.option("--until", metavar="DAY", help="The first day it no longer holds.")
@click.option("--context", metavar="SIZE", help="Size of prompt: 'over 200000' or 'from 200000'.")
@click.option(
    "--minimum", "minimums", multiple=True, metavar="UNIT=COUNT", help="The least billed per request."
)
@click.option("--currency", metavar="CODE", help="Of these rates; dollars, if left out.")
@click.option("--same-as", metavar="PROVIDER/MODEL", help="It has the rates of that model.")
@click.option("--free", "is_free", is_flag=True, help="It costs nothing: an own server.")
@click.option("--source", metavar="TEXT", help="Who says so.")
@click.option("--note", metavar="TEXT", help="What is odd about it.")
@click.option("--name", metavar="TEXT", help="Multipliers of one name exclude each other.")
@click.option(
    "--correct", is_flag=True, help="Change a known price of the past; calls on record keep their cost."
)
@click.option("--allow-jump", is_flag=True, help="Take a rate that is a thousandfold from what it was.")
@condition_options
@format_options
@pass_settings
def add(
    settings: Settings,
    model: str,
    input_: str | None,
    output_: str | None,
    cache_read: str | None,
    cache_write: str | None,
    rates: tuple[str, ...],
    times: str | None,
    units: str | None,
    starts: str | None,
    until: str | None,
    context: str | None,
    minimums: tuple[str, ...],
    currency: str | None,
    same_as: str | None,
    is_free: bool,
    source: str | None,
    note: str | None,
    name: str | None,
    correct: bool,
    allow_jump: bool,
    tier: str | None,
    region: str | None,
    organisation: str | None,
    details: tuple[str, ...],
    shape: str,
) -> None:
    """Add own rates or terms; the past keeps its price.

    PROVIDER/MODEL may be openai/*, for every model of a provider, */* for all, or exchange/EUR with
    --rate 1.08, dollars per unit.
    """
    provider, model_name = _named(model)
    log, now_us = price_log_of(settings), clock.now_us()
    if organisation is not None and (reason := why_idle(settings, organisation)):
        raise BadUsage(reason)
    if provider == EXCHANGE:
        if organisation is not None:
            raise BadUsage("An exchange rate is the same for every organisation: leave --organisation out.")
        if len(rates) != 1:
            raise BadUsage(
                "An exchange rate is one number: flatfare prices add exchange/EUR --rate 1.08 --from DAY"
            )
        added = price_updates.add_exchange_rate(log, model_name, rates[0], starts, source, now_us)
    else:
        plain = {"input": input_, "output": output_, "cache_read": cache_read, "cache_write": cache_write}
        stated = {unit: amount for unit, amount in plain.items() if amount is not None} | _pairs(rates)
        if not (stated or times or same_as or is_free or minimums):
            raise BadUsage("Found nothing to add: give --input and --output, --times, --same-as or --free.")
        when: dict[str, object] = {"tier": tier, "region": region, "context": context, **_pairs(details)}
        new = NewRates(
            provider,
            model_name,
            stated,
            starts=starts,
            until=until,
            when={key: value for key, value in when.items() if value is not None},
            times=times,
            units=units,
            name=name,
            minimum=_pairs(minimums),
            currency=currency,
            source=source,
            note=note,
            organisation=organisation,
            same_as=same_as,
            is_free=is_free,
        )
        added = price_updates.add(log, new, now_us, may_correct=correct, may_jump=allow_jump)
    if shape == "json":
        output.print_json({"added": added.is_new, "log": str(log.path), "line": dict(added.line)})
    elif added.is_new:
        output.say(f"Added to {log.path}: {model} {_since(added.line)}.")
    else:
        output.say(f"{log.path} says that already; nothing was added.")


def source_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the options that choose a source and what of it."""
    command = click.option(
        "--provider", "providers", multiple=True, help="Only this provider. May be repeated."
    )(command)
    return click.option(
        "--from",
        "source",
        default="genai-prices",
        show_default=True,
        metavar="SOURCE",
        help="genai-prices, litellm, or a file of LiteLLM's, models.dev's or our own form.",
    )(command)


@prices.command()
@source_options
@format_options
@pass_settings
def diff(settings: Settings, source: str, providers: tuple[str, ...], shape: str) -> None:
    """What a source says differently from the book; nothing is changed."""
    book = open_price_book(settings)
    changes = price_updates.differences(book, price_updates.read_source(source), clock.now_us(), providers)
    _print([_change_row(change) for change in changes], _DIFF, shape)
    if not changes:
        output.note(f"{source} says nothing that the book does not.")


@prices.command()
@source_options
@click.option("--allow-jump", is_flag=True, help="Take rates that are a thousandfold from what they were.")
@click.option("--backdate", is_flag=True, help="From the days the source gives, not from now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_options
@pass_settings
def update(
    settings: Settings,
    source: str,
    providers: tuple[str, ...],
    allow_jump: bool,
    backdate: bool,
    yes: bool,
    shape: str,
) -> None:
    """Take over what a source says, from now on; what held before stays."""
    log, now_us = price_log_of(settings), clock.now_us()
    book = open_price_book(settings)
    changes = price_updates.differences(book, price_updates.read_source(source), now_us, providers)
    _print([_change_row(change) for change in changes], _DIFF, shape)
    if not changes:
        output.note(f"{source} says nothing that the book does not.")
        return
    if (
        not yes
        and sys.stdin.isatty()
        and not click.confirm(f"Append {len(changes)} rates to {log.path}?", err=True)
    ):
        output.note("Nothing was changed.")
        return
    lines = price_updates.take_over(log, changes, now_us, may_jump=allow_jump, backdate=backdate)
    output.note(f"Appended {lines:,} lines with {len(changes):,} rates to {log.path}.")


def _document(
    found: Found,
    at_us: int,
    rows: list[dict[str, object]],
    disagreeing: list[dict[str, object]],
    book: PriceBook,
    circumstances: Circumstances,
) -> dict[str, object]:
    exchanged = book.exchange.at(found.currency, at_us) if found.currency != "USD" else None
    return {
        "provider": found.provider,
        "model": found.model,
        "at": iso(at_us),
        "tier": circumstances.tier,
        "region": circumstances.region,
        "currency": found.currency,
        "exchange_rate": str(exchanged.rate) if exchanged else None,
        "rates": rows,
        "minimums": {unit: str(count) for unit, count in found.minimums.items()},
        "disagreements": disagreeing,
        "version": found.version,
    }


def _change_row(change: Change) -> dict[str, object]:
    when = ", ".join(f"{key} {value}" for key, value in change.when.items())
    remarks = [
        "new model" if change.is_new_model else "",
        "IMPLAUSIBLE: see --allow-jump" if change.is_jump else "",
    ]
    return {
        "provider": change.provider,
        "model": change.model,
        "when": when or None,
        "unit": change.unit,
        "before": rate_text(change.before) if change.before else None,
        "after": rate_text(change.after),
        "per": change.after.per,
        "from": change.starts,
        "source": change.source,
        "remark": "; ".join(filter(None, remarks)) or None,
    }


def _print(
    rows: list[Mapping[str, object]] | list[dict[str, object]], fields: tuple[output.Field, ...], shape: str
) -> None:
    if shape == "json":
        output.print_json_lines(rows)
    elif shape == "csv":
        keys = list(rows[0]) if rows else [field.key for field in fields]
        output.print_csv(rows, keys)
    elif rows:
        output.print_table(rows, fields)


def _named(text: str) -> tuple[str, str]:
    provider, slash, model = text.partition("/")
    if not (slash and provider and model):
        raise BadUsage(f"Found {text!r} where PROVIDER/MODEL was expected, such as openai/gpt-4o.")
    return provider, model


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise BadUsage(f"Found {text!r}: write NAME=VALUE.")
        found[key.strip()] = value.strip()
    return found


def _since(line: Mapping[str, object]) -> str:
    return f"from {line['from']}" if "from" in line else "for all time"


if __name__ == "__main__":
    prices()
