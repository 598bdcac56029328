"""``flatfare meter``: what one recorded response cost, and why."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import click

from flatfare.cli import output
from flatfare.cli.options import format_options, pass_settings
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.moments import iso, parse_moment
from flatfare.core.pricing import amount_text, rate_text
from flatfare.prices.book import PriceBook
from flatfare.service.costing.metering import Metered, Response, meter_response
from flatfare.service.costing.pricing import PricedLine, open_price_book
from flatfare.service.costing.recordings import response_of, responses_in

_LINE_FIELDS = (
    output.Field("unit", "unit", "left", is_strong=True),
    output.Field("count", "count"),
    output.Field("rate", "rate"),
    output.Field("amount", "amount"),
    output.Field("since", "since", "left"),
    output.Field("source", "source", "left"),
)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--provider", help="Who answered, such as openai or anthropic; found by itself where it can be."
)
@click.option("--endpoint", help="Which endpoint, such as chat.completions or messages.")
@click.option("--model", help="The model asked for, where the response does not name one.")
@click.option(
    "--at", metavar="TIME", help="When the call was made; else as the provider stamped it, else now."
)
@click.option(
    "--header", "headers", multiple=True, metavar="K:V", help="A header of the response. May be repeated."
)
@click.option("--region", help="Where it was served: us-east-1, eu, global …")
@click.option("--tier", help="The service tier, where the response does not name it: flex, priority, batch …")
@click.option(
    "--request", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="The request's body."
)
@click.option("--status", type=int, default=200, show_default=True, help="The HTTP status of a raw body.")
@click.option(
    "--stream/--whole", "is_stream", default=None, help="Whether it is a stream; by its look otherwise."
)
@click.option(
    "--computed", is_flag=True, help="Let the computed cost count, not the charge that the provider reported."
)
@format_options
@pass_settings
def meter(
    settings: Settings,
    paths: tuple[str, ...],
    provider: str | None,
    endpoint: str | None,
    model: str | None,
    at: str | None,
    headers: tuple[str, ...],
    region: str | None,
    tier: str | None,
    request: str | None,
    status: int,
    is_stream: bool | None,
    computed: bool,
    shape: str,
) -> None:
    """Say what a recorded response cost, line by line.

    A PATH is a body, a stream, a recording of an exchange, a folder of them, or - for stdin.

    \b
    flatfare meter answer.json
    flatfare meter --provider anthropic --at 2026-05-01T12:00:00Z stream.txt
    curl -s https://api.openai.com/v1/responses … | flatfare meter -

    Each line of the table has a unit, how many, the rate, since when it holds and who says so. A cost that
    cannot be known is unknown, with the reason, and no failure; what cannot be read at all is one.
    """
    hints = Response(
        body=b"",
        provider=provider,
        endpoint=endpoint,
        model=model,
        at_us=_moment(at),
        headers=_headers(headers),
        region=region,
        service_tier=tier,
        request_body=Path(request).read_bytes() if request else b"",
        status=status,
        is_stream=is_stream,
    )
    is_list = len(paths) > 1 or Path(paths[0]).is_dir()
    counts_reported = settings.cost_that_counts == "reported" and not computed
    metered = _each(paths, hints, open_price_book(settings), counts_reported=counts_reported)
    if shape == "json" and is_list:
        output.print_json_lines(found.as_json(name) for name, found in metered)
    elif shape == "csv":
        output.print_csv((_flat(name, found) for name, found in metered), _CSV)
    elif is_list:
        _print_list(metered)
    else:
        name, found = next(iter(metered))
        if shape == "json":
            output.print_json(found.as_json(name))
        else:
            _print_one(name, found)


def _moment(at: str | None) -> int | None:
    if at is None:
        return None
    try:
        moment, is_zoned = parse_moment(at)
    except BadInput as problem:
        raise BadUsage(f"--at: {problem}") from None
    if not is_zoned:
        output.note(f"{at} names no zone: taken as UTC.")
    return moment


def _headers(headers: Iterable[str]) -> dict[str, str]:
    found = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon:
            raise BadUsage(f"Found --header {header!r}: write NAME:VALUE.")
        found[name.strip().lower()] = value.strip()
    return found


def _each(
    paths: Iterable[str], hints: Response, book: PriceBook, *, counts_reported: bool
) -> Iterator[tuple[str, Metered]]:
    for path in paths:
        if path == "-":
            response = response_of(sys.stdin.buffer.read(), hints)
            yield "-", meter_response(response, book, counts_reported=counts_reported)
            continue
        for name, response in responses_in(Path(path), hints):
            yield name, meter_response(response, book, counts_reported=counts_reported)


_CSV = (
    *("file", "provider", "endpoint", "model", "status", "stream", "at", "usage"),
    *("cost", "currency", "state", "reason", "computed_cost", "computed_state"),
    *("reported_cost", "reported_currency", "reported_source", "price_version"),
)


def _flat(name: str, found: Metered) -> dict[str, object]:
    """A response as a row of CSV; its usage as ``input=976 output=500``."""
    cost, computed, reported = found.cost.as_json(), found.computed_cost.as_json(), found.reported_cost
    return {
        "file": name,
        "provider": found.provider,
        "endpoint": found.endpoint,
        "model": found.model,
        "status": found.status,
        "stream": str(found.is_stream).lower(),
        "at": iso(found.at_us),
        "usage": " ".join(f"{unit}={count}" for unit, count in found.usage.items()),
        **cost,
        "cost": cost["amount"],
        "computed_cost": computed["amount"],
        "computed_state": computed["state"],
        "reported_cost": reported and reported.amount,
        "reported_currency": reported and reported.currency,
        "reported_source": reported and reported.source,
        "price_version": found.computed_cost.price_version,
    }


def _print_list(metered: Iterable[tuple[str, Metered]]) -> None:
    rows = []
    known: dict[str, Decimal] = {}
    for name, found in metered:
        cost = found.cost.as_json()
        if cost["amount"] is not None:
            currency = str(cost["currency"])
            known[currency] = known.get(currency, Decimal(0)) + Decimal(cost["amount"])
        rows.append(
            {
                "file": name,
                "model": _printable(found.model or ""),
                "input": found.usage.input_tokens,
                "output": found.usage.output_tokens,
                "cost": cost["amount"],
                "currency": None if cost["amount"] is None else cost["currency"],
                "state": str(found.cost.state),
                "why": found.cost.reason,
            }
        )
    in_dollars = known.keys() <= {"USD"}
    fields = (
        output.Field("file", "file", "left"),
        output.Field("model", "model", "left"),
        output.Field("input", "input"),
        output.Field("output", "output"),
        output.Field("cost", "USD" if in_dollars else "cost", is_strong=True),
        *(() if in_dollars else (output.Field("currency", "", "left"),)),
        output.Field("state", "", "left"),
        output.Field("why", "", "left"),
    )
    output.print_table(rows, fields)
    output.say(_sums(known, len(rows), sum(row["cost"] is None for row in rows)))


def _sums(known: Mapping[str, Decimal], count: int, unknown: int) -> str:
    """What all cost together, each currency by itself: amounts of several do not mix."""
    amounts = [f"${known['USD']}"] if "USD" in known else []
    amounts += [f"{amount} {currency}" for currency, amount in sorted(known.items()) if currency != "USD"]
    said = f"{count:,} response{'' if count == 1 else 's'}, {' and '.join(amounts) or output.MISSING}"
    at_least = ", at least" if amounts else ""
    return f"{said}{at_least}: {unknown:,} unknown" if unknown else said


def _print_one(name: str, found: Metered) -> None:
    kind = "stream" if found.is_stream else "body"
    output.say(
        f"{name}: {found.provider or 'unknown provider'}, {found.endpoint or 'unknown endpoint'}, {kind}"
    )
    output.say(f"{_printable(found.model or 'no model named')} at {iso(found.at_us)} ({found.at_from})")
    if found.lines:
        output.print_table([_line_row(line) for line in found.lines], _LINE_FIELDS)
    for label, text in _totals(found):
        output.say(f"{label:<10} {_printable(text)}")


def _printable(text: str) -> str:
    """Text out of a response without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _line_row(line: PricedLine) -> dict[str, object]:
    said = line.provenance
    per = {1_000_000: "per million", 1: "each"}.get(line.rate.per, f"per {line.rate.per:,}")
    since = "always" if said.since_us is None else iso(said.since_us)[:10]
    count = format(line.count, "f") if isinstance(line.count, Decimal) else f"{line.count:,}"
    rated_as = "" if line.rated_as == line.unit else f" (as {line.rated_as})"
    return {
        "unit": line.unit,
        "count": count,
        "rate": f"{rate_text(line.rate)} {per}{rated_as}",
        "amount": amount_text(line.amount),
        "since": since,
        "source": said.source + (f", checked {said.checked}" if said.checked else ""),
    }


def _totals(found: Metered) -> Iterator[tuple[str, str]]:
    """The computed cost, the reported one, what lies between, and the one that counts."""
    computed = found.computed_cost.as_json()
    reported = found.reported_cost
    if reported is not None:
        yield "computed", _cost_text(computed)
        yield "reported", f"{reported.amount} {reported.currency} ({reported.source})"
        for cause in found.causes:
            yield "difference", f"{amount_text(cause.amount_nano)} {cause.currency}: {cause.why}"
    yield "cost", _cost_text(found.cost.as_json())
    if found.computed_cost.price_version:
        yield "prices", found.computed_cost.price_version
    if found.reading.reason and found.reading.parts:
        yield "note", found.reading.reason


def _cost_text(cost: dict[str, str | None]) -> str:
    why = f": {cost['reason']}" if cost["reason"] else ""
    if cost["amount"] is None:
        return f"{output.MISSING} unknown{why}"
    return f"{cost['amount']} {cost['currency']}, {cost['state']}{why}"
