"""What one response cost, and why: from its bytes to a cost, one way for a file, a call and the gateway.

A body is recognised, opened, read and priced; nothing that stands in it makes this
fail: what cannot be read is unknown, with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache

import msgspec

from flatfare.core.cost import Cost
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.moments import iso
from flatfare.core.money import NANO, half_even
from flatfare.core.pricing import amount_text, rate_text
from flatfare.core.usage import Usage
from flatfare.dialects import recognition
from flatfare.dialects.compression import opened
from flatfare.dialects.dialect import Route
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import NOTHING, Exchange, Part, Reading, Reported, unread
from flatfare.dialects.recognition import Recognised
from flatfare.prices.book import Found, PriceBook
from flatfare.service import clock
from flatfare.service.costing import counting
from flatfare.service.costing.explaining import Cause, causes_of
from flatfare.service.costing.pricing import PricedLine, PricedReading, price_reading, rates_of


@dataclass(frozen=True, slots=True)
class Response:
    """One response as it was found, and what is known of its request; all but the body may be missing."""

    body: bytes
    provider: str | None = None
    endpoint: str | None = None
    model: str | None = None  # asked for, where the request is not known
    host: str = ""
    path: str = ""
    method: str | None = None
    request_body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # of the answer, names in lower case
    at_us: int | None = None  # when it was made
    is_stream: bool | None = None  # None: by its look
    service_tier: str | None = None
    region: str | None = None
    problem: str | None = None  # why it could not be read at all


@dataclass(frozen=True, slots=True)
class Metered:
    """What one response cost, and why."""

    provider: str | None
    endpoint: str | None
    model: str | None
    status: int
    is_stream: bool
    usage: Usage
    lines: tuple[PricedLine, ...]
    cost: Cost  # the one that counts
    computed_cost: Cost
    reported_cost: Reported | None
    causes: tuple[
        Cause, ...
    ]  # why the computed differs from the reported, amounts that add up to the difference
    at_us: int
    at_from: str  # given, stamped by the provider, now
    reading: Reading

    def as_json(self, file: str | None = None) -> dict[str, object]:
        """One JSON document, money as decimal text."""
        reported = self.reported_cost
        return {
            "file": file,
            "provider": self.provider,
            "endpoint": self.endpoint,
            "model": self.model,
            "status": self.status,
            "stream": self.is_stream,
            "usage": {unit: _count_json(count) for unit, count in self.usage.items()},
            "lines": [
                {
                    "unit": line.unit,
                    "count": format(line.count, "f") if isinstance(line.count, Decimal) else str(line.count),
                    "rate": rate_text(line.rate),
                    "per": line.rate.per,
                    "amount": amount_text(line.amount),
                }
                for line in self.lines
            ],
            "cost": self.cost.as_json(),
            "computed_cost": self.computed_cost.as_json(),
            "reported_cost": None
            if reported is None
            else {"amount": reported.amount, "currency": reported.currency, "source": reported.source},
            "difference": [cause.as_json() for cause in self.causes],
            "remark": self.reading.reason if self.reading.parts or self.reading.is_free else None,
            "at": {"time": iso(self.at_us), "from": self.at_from},
            "sources": [_source_json(line) for line in self.lines],
            "price_version": self.computed_cost.price_version,
        }


def _count_json(count: int | Decimal) -> int | float:
    return count if isinstance(count, int) else (int(count) if count == int(count) else float(count))


def _source_json(line: PricedLine) -> dict[str, object]:
    said = line.provenance
    return {
        "unit": line.unit,
        "rated_as": line.rated_as,
        "provider": line.provider,
        "model": line.model,
        "since": iso(said.since_us),
        "source": said.source,
        "checked": said.checked,
    }


@cache
def standard_book() -> PriceBook:
    """The price book as shipped, opened once."""
    return PriceBook.standard()


def meter(
    body: bytes | str | Mapping[str, object],
    *,
    provider: str | None = None,
    endpoint: str | None = None,
    model: str | None = None,
    at_us: int | None = None,
    headers: Mapping[str, str] = NOTHING,
    stream: bool | None = None,
    request: bytes | str | Mapping[str, object] = b"",
    status: int = 200,
    book: PriceBook | None = None,
) -> Metered:
    """What this response cost. The body as it came: bytes, text, or an object that was decoded from JSON.

    ``provider`` and ``endpoint`` are found by the body's look where they are not given.

    >>> details = {"cached_tokens": 1024}
    >>> usage = {"prompt_tokens": 2000, "completion_tokens": 500, "prompt_tokens_details": details}
    >>> meter({"model": "gpt-4o-2024-08-06", "created": 1750000000, "usage": usage}, provider="openai").cost
    Cost('$0.0087', measured)
    """
    response = Response(
        body=_as_bytes(body),
        provider=provider,
        endpoint=endpoint,
        model=model,
        at_us=at_us,
        headers={name.lower(): value for name, value in headers.items()},
        is_stream=stream,
        request_body=_as_bytes(request),
        status=status,
    )
    return meter_response(response, book or standard_book())


def _as_bytes(value: bytes | str | Mapping[str, object]) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else msgspec.json.encode(value)


def meter_response(response: Response, book: PriceBook, *, counts_reported: bool = True) -> Metered:
    """What this response cost by this book; the provider's own charge counts unless it is told otherwise."""
    if response.problem is not None:
        return _unrecognised(response, response.problem)
    try:
        response = replace(response, body=opened(response.body, response.headers.get("content-encoding", "")))
    except BadInput as problem:
        return _unrecognised(response, str(problem))
    recognised, is_stream = recognise(response)
    if recognised is None:
        return _unrecognised(response, _why_unrecognised(response))
    exchange = exchange_of(recognised, response)
    reading = _read(recognised.route, response.body, exchange, is_stream)
    if reading.text_seen is not None:
        reading = counted_offline(reading, recognised, exchange, response.request_body)
    now_us = clock.now_us()
    if response.provider is None and not response.host:
        exchange = _whose(book, reading, exchange, now_us)
    elif response.provider is None and _provider_at(response.host) is None:
        reading = _at_unknown_host(reading, exchange, response.host)
    priced = price_reading(book, reading, exchange, now_us)
    return _metered(exchange, is_stream, reading, priced, now_us, counts_reported)


_WHAT_TO_NAME = (
    "the body is of no known shape: name where it came from with --provider, such as openai or "
    "anthropic, and --endpoint (a name that is not known lists those there are)"
)


def _why_unrecognised(response: Response) -> str:
    """What to name: the endpoint alone where the host tells the provider."""
    provider = response.provider or _provider_at(response.host)
    if provider is None or not response.path:
        return _WHAT_TO_NAME
    return (
        f"{response.path.partition('?')[0]!r} is no endpoint of {provider} that is read: if it bills, name "
        "one it is like with --endpoint (a name that is not known lists those there are)"
    )


def _unrecognised(response: Response, reason: str) -> Metered:
    now_us = clock.now_us()
    exchange = Exchange(
        response.provider or "", response.endpoint or "", response.status, at_us=response.at_us
    )
    if response.status >= 400:
        reading = Reading(
            (), response.model, f"an error of status {response.status} costs nothing", is_free=True
        )
        cost = Cost.measured(0, reading.reason)
    else:
        reading = unread(reason, response.model)
        cost = Cost.unknown(reason)
    return _metered(exchange, False, reading, PricedReading(cost), now_us, True)


def recognise(response: Response) -> tuple[Recognised | None, bool]:
    """Who speaks here, by name, address or look, and whether it is a stream."""
    found = _by_name(response) if response.provider else _by_address(response)
    if found is not None:
        return found, is_streamed(found, response)
    provider = response.provider or _provider_at(response.host)
    if response.endpoint and not response.provider:
        named = _by_endpoint(response.endpoint, provider)
        return named, is_streamed(named, response)
    looked = recognition.by_body(response.body, provider)
    if looked is None:
        return (recognition.by_name(response.provider), False) if response.provider else (None, False)
    found, is_stream = looked
    return found, is_stream if response.is_stream is None else response.is_stream


def _by_name(response: Response) -> Recognised | None:
    assert response.provider is not None
    dialect = recognition.dialect_of(response.provider)
    if not response.endpoint:
        return recognition.by_path(dialect, response.path) if response.path else None
    try:
        return recognition.by_name(response.provider, response.endpoint)
    except BadUsage:  # others name endpoints in their own words: then the path or the body says which it is
        looked = recognition.by_body(response.body, dialect.provider)
        found = recognition.by_path(dialect, response.endpoint) or (looked and looked[0])
        if found is None:
            raise
        return found


def _by_endpoint(endpoint: str, provider: str | None) -> Recognised:
    """The endpoint at this provider, else at OpenAI, else at the first that has it."""
    known = [provider] if provider else ["openai", *recognition.dialects()]
    for name in known:
        if any(route.endpoint == endpoint for route in recognition.dialect_of(name).routes):
            return recognition.by_name(name, endpoint)
    return recognition.by_name(known[0], endpoint)


def _provider_at(host: str) -> str | None:
    dialect = recognition.at_host(host) if host else None
    return dialect.provider if dialect is not None else None


def _by_address(response: Response) -> Recognised | None:
    return recognition.by_address(response.host, response.path, response.method) if response.host else None


def is_streamed(recognised: Recognised, response: Response) -> bool:
    """Whether the body is a stream: as told, as asked for, or as it looks."""
    route = recognised.route
    if route.stream is None:
        return False
    if response.is_stream is not None:
        return response.is_stream
    start = response.body[:256].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return True
    if start[:1] == b"<":  # a page of a proxy
        return False
    if start[:1] not in (b"{", b"["):
        return bool(response.body) and not route.is_binary
    if route.framing is JsonLines:
        return b"\n{" in response.body.rstrip()
    return start[:1] == b"["


def exchange_of(recognised: Recognised, response: Response) -> Exchange:
    """The exchange, with what was told beside the request."""
    headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}
    path = response.path or "/" + recognised.route.endpoint.replace(".", "/")
    exchange = recognised.exchange(response.request_body, path, response.status, headers, response.at_us)
    told = {
        name: value
        for name, value in (
            ("model", response.model),
            ("service_tier", response.service_tier),
            ("region", response.region),
        )
        if value
    }
    if told:
        exchange = msgspec.structs.replace(exchange, asked=msgspec.structs.replace(exchange.asked, **told))
    return exchange


def _read(route: Route, body: bytes, exchange: Exchange, is_stream: bool) -> Reading:
    if not is_stream:
        return read_whole(route, body, exchange)
    stream = Stream(route, exchange)
    stream.feed(body)
    return stream.finish()


def counted_offline(
    reading: Reading, recognised: Recognised, exchange: Exchange, request_body: bytes
) -> Reading:
    """Usage of a stream whose own never came, counted from its text and its request; estimated."""
    dialect = recognised.dialect
    if reading.parts:
        return _answer_counted(reading, dialect.tokens)
    prompt = None
    if dialect.prompt is not None and request_body:
        try:
            prompt = dialect.prompt(request_body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            prompt = None
    if prompt is None:
        reason = f"{reading.reason}; without its request the prompt cannot be counted offline either"
        return msgspec.structs.replace(reading, reason=reason, text_seen=None)
    if prompt.has_media:
        reason = (
            f"{reading.reason}; its request has pictures, sound or files, which cannot be counted offline"
        )
        return msgspec.structs.replace(reading, reason=reason, text_seen=None)
    vocabulary = counting.vocabulary_of(reading.model or exchange.asked.model, dialect.tokens)
    written, how = counting.count(reading.text_seen or "", vocabulary)
    read = counting.count_prompt(prompt, vocabulary)
    part = Part(
        reading.model or exchange.asked.model,
        Usage(input=read, output=written),
        estimated=f"{reading.reason}; its text was {how}",
    )
    return msgspec.structs.replace(reading, parts=(part,), reason=None, is_complete=True, text_seen=None)


def _answer_counted(reading: Reading, tokens: str | None) -> Reading:
    """A stream that was cut after its prompt was counted: what came of the answer, counted from its text."""
    first, *others = reading.parts
    written, how = counting.count(reading.text_seen or "", counting.vocabulary_of(reading.model, tokens))
    why = f"{reading.reason}; what was written until then was {how}"
    seen = msgspec.structs.replace(first, usage=first.usage + Usage(output=written), estimated=why)
    return msgspec.structs.replace(reading, parts=(seen, *others), reason=why, text_seen=None)


def _at_unknown_host(reading: Reading, exchange: Exchange, host: str) -> Reading:
    """Usage read by its shape is a fact; whose prices it is billed at is a guess, and says so."""
    guess = (
        f"{host} is not known: priced as {exchange.provider}'s, whose shape it has; say who with --provider"
    )
    parts = tuple(msgspec.structs.replace(part, estimated=part.estimated or guess) for part in reading.parts)
    return msgspec.structs.replace(reading, parts=parts)


def _whose(book: PriceBook, reading: Reading, exchange: Exchange, now_us: int) -> Exchange:
    """The only provider that sells the model, where a bare body has a shape that many share."""
    if not reading.parts:
        return exchange
    part = reading.parts[0]
    if isinstance(rates_of(book, part, reading, exchange, exchange.at_us or now_us), Found):
        return exchange
    sellers = []
    for name, dialect in recognition.dialects().items():
        if name != exchange.provider and any(route.endpoint == exchange.endpoint for route in dialect.routes):
            other = msgspec.structs.replace(exchange, provider=name)
            if isinstance(rates_of(book, part, reading, other, exchange.at_us or now_us), Found):
                sellers.append(other)
    return sellers[0] if len(sellers) == 1 else exchange


def _metered(
    exchange: Exchange,
    is_stream: bool,
    reading: Reading,
    priced: PricedReading,
    now_us: int,
    counts_reported: bool,
) -> Metered:
    computed = priced.dollars if priced.dollars.is_known else priced.cost
    cost = computed
    if reading.reported is not None and counts_reported:
        cost = charged(reading.reported)
    if exchange.at_us is not None:
        at_us, at_from = exchange.at_us, "given"
    elif reading.created_at_us is not None:
        at_us, at_from = reading.created_at_us, "stamped by the provider"
    else:
        at_us, at_from = now_us, "now"
    usage = Usage()
    for part in reading.parts:
        usage += part.usage
    return Metered(
        provider=exchange.provider or None,
        endpoint=exchange.endpoint or None,
        model=reading.model or exchange.asked.model,
        status=exchange.status,
        is_stream=is_stream,
        usage=usage,
        lines=priced.lines,
        cost=cost,
        computed_cost=computed,
        reported_cost=reading.reported,
        causes=causes_of(reading, priced),
        at_us=at_us,
        at_from=at_from,
        reading=reading,
    )


def charged(reported: Reported) -> Cost:
    """The provider's own charge as a cost, in whole nano units."""
    exact = Fraction(Decimal(reported.amount)) * NANO
    return Cost.measured(half_even(exact.numerator, exact.denominator), currency=reported.currency)
