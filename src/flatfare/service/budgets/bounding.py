"""What a call costs at most, known before it is sent, so that a budget can hold it.

The bound is never below the true cost. A token of text is at least one byte, so a request of
so many bytes reads no more tokens; what stands elsewhere (files, pictures, former turns) reads
at most what the model can. Answers are bounded by the call's own limit, else by the model's.
Where nothing sound can be said there is no bound, with a reason that a person can act on.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from flatfare.core.errors import BadInput
from flatfare.core.pricing import Rate
from flatfare.dialects.reading import Asked
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.limits import limits_of
from flatfare.service.budgets import hosted_tools
from flatfare.service.budgets.plain_requests import offers_functions

MILLION = 1_000_000
LEAST_OUTPUT = 256
"""Tokens that an answer is given at least where the gateway sets the limit."""

FRAME_TOKENS = 64
"""Tokens that a provider may put around a request beyond what its JSON takes."""

TOOL_FRAME_TOKENS = 1024
"""The provider's own instructions where a request offers tools (at most 804 for Claude, docs 2026-11)."""

PICTURE_TOKENS = 49_000
"""The most that a provider counts for one picture (gpt-4o-mini, high detail: 48,169; OpenAI, 2026-11)."""

DEAREST_FEE = 35_000_000 * MILLION
"""Millionths of a nano-dollar of one search without a rate in the book: Gemini's, the dearest (2026-11)."""

_WITHOUT_OUTPUT = ("embed", "rerank", "moderations", "tokenize", "count")
_NOT_BY_TOKENS = (
    "images",
    "audio",
    "speech",
    "videos",
    "transcri",
    "translat",
    "ocr",
    "predict",
    "realtime",
    "live",
)
_PICTURES = re.compile(rb'"(?:image_url|input_image|image|inline_data|inlineData)"')
_ELSEWHERE = re.compile(
    rb'"(?:previous_response_id|conversation|prompt_id|file_id|file_url|file_data|input_file|file|fileData|'
    rb"file_data|fileUri|file_uri|cachedContent|cached_content|document|input_audio|video_url|video|container|"
    rb'inputVideo|guardContent)"\s*:|"type"\s*:\s*"(?:document|file|input_audio|input_file|video)"'
)
_ROUGH = "from the request's size and the longest answer"
_BY_BYTES = "what is read counted from its bytes, and the call's own limit on its answer"

_WITHOUT_ROUNDS = (
    "a hosted tool of the request may have the model read all again, as often as it likes: "
    "max_tool_calls, in a request to responses, says how often"
)
_LISTED = re.compile(rb'"models"\s*:\s*\[([^\]]*)\]')
_CHOICES = re.compile(rb'"(?:n|candidateCount|candidate_count|best_of|num_generations)"\s*:\s*(\d{1,4})')
_KEPT_AN_HOUR = re.compile(rb'"ttl"\s*:\s*"1h"')
_CACHES = re.compile(rb'"(?:cache_control|cachePoint)"')

_INPUT_UNITS = ("input", "cache_write", "tool_use_input", "input_image")
_OUTPUT_UNITS = ("output", "reasoning")
_LIMIT_FIELDS: Mapping[str, str] = {
    "responses": "max_output_tokens",
    "chat.completions": "max_tokens",
    "completions": "max_tokens",
    "messages": "max_tokens",
    "chat": "max_tokens",
}
_NEW_NAME = frozenset(("openai", "azure"))


class Bound(msgspec.Struct, frozen=True, gc=False):
    """What a call costs at most.

    With a limit on its answer of its own, ``least`` and ``most`` are one. Without, it costs
    ``most`` with the longest answer its model gives, and may be sent with any limit that
    fits an amount from ``least`` up.
    """

    least_nano: int | None
    most_nano: int | None
    reason: str | None = None  # why there is none; else how it came about
    fixed_nano: int = 0  # of what is read, and of fees
    output_rate: int = 0  # nano-dollars per million tokens of the answer, all choices together
    limit: int | None = None  # tokens of the answer, as asked for
    limit_field: str | None = None  # where the gateway can set one

    @property
    def is_flexible(self) -> bool:
        """The gateway may set a limit on its answer."""
        return self.limit_field is not None and self.limit is None and self.output_rate > 0

    def output_for(self, amount_nano: int) -> int:
        """The longest answer, in tokens, that an amount pays for."""
        return (amount_nano - self.fixed_nano) * MILLION // self.output_rate if self.output_rate else 0

    def amount_for(self, tokens: int) -> int:
        """What has to be held for an answer of so many tokens."""
        return self.fixed_nano + _up(self.output_rate * tokens)


def unbounded(reason: str) -> Bound:
    """Nothing sound can be said."""
    return Bound(None, None, reason)


_NO_MODEL = unbounded("the request names no model")


class Bounds:
    """Bounds of calls by one price book; what it has looked up it remembers for a while."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._found: dict[tuple[object, ...], _Terms | str] = {}

    def of(self, provider: str, endpoint: str, asked: Asked, body: bytes, at_us: int) -> Bound:
        """The bound of a request at a moment."""
        if asked.model is None:
            return unbounded("the request names no model")
        if any(word in endpoint for word in _NOT_BY_TOKENS):
            return unbounded(f"what {endpoint} costs cannot be told before it is answered")
        terms = self._terms(provider, asked, at_us)
        if isinstance(terms, str):
            return unbounded(terms)
        why_not = hosted_tools.calls_other_models(asked.model, body)
        if why_not is not None:
            return unbounded(why_not)
        functions = offers_functions(endpoint, body)
        if functions is not None:
            return _plain_bound(provider, endpoint, asked, len(body), terms, offers_tools=functions)
        if b'"models"' in body and (instead := _LISTED.search(body)):
            # A router may serve any model of a list: the dearest counts.
            bounds = [
                self.of(provider, endpoint, msgspec.structs.replace(asked, model=name), _without(body), at_us)
                for name in [asked.model, *re.findall(r'"([^"]+)"', instead[1].decode("utf-8", "replace"))]
            ]
            return max(bounds, key=lambda one: (one.most_nano is None, one.most_nano or 0))
        reads = _reads(body, terms)
        if reads is None:
            return unbounded(
                "the request refers to what stands elsewhere, and how much "
                f"{asked.model} can read is not known"
            )
        if any(word in endpoint.lower() or word in asked.model for word in _WITHOUT_OUTPUT):
            amount = _up(terms.input_rate(body) * reads + terms.request + terms.ranking(body))
            return Bound(amount, amount, "counted from its bytes")
        return _bound(provider, endpoint, asked, body, terms, reads)

    def rough(self, provider: str, endpoint: str, asked: Asked, size: int, at_us: int) -> Bound:
        """About the most that a request of so many bytes costs, at a fraction of the work.

        For calls that no budget holds: should nobody see how one ends, it is booked as an estimate of this.
        Not a bound where a request refers to what stands elsewhere.
        """
        if asked.model is None:
            return _NO_MODEL
        terms = self._terms(provider, asked, at_us)
        if isinstance(terms, str):
            return unbounded(terms)
        if endpoint.startswith(_NOT_BY_TOKENS):
            return unbounded(f"what {endpoint} costs cannot be told before it is answered")
        longest = terms.writes or terms.reads
        limit = asked.output_limit or (0 if endpoint.startswith(_WITHOUT_OUTPUT) else longest)
        if limit is None:
            return unbounded("neither the call nor the model says how long its answer may be")
        reads = size + FRAME_TOKENS if terms.reads is None else min(size + FRAME_TOKENS, terms.reads)
        writes = limit if terms.writes is None else min(limit, terms.writes)
        amount = _up(terms.reading * reads + terms.request + terms.writing * writes)
        return Bound(amount, amount, _ROUGH)

    def _terms(self, provider: str, asked: Asked, at_us: int) -> "_Terms | str":
        """Rates and limits, or why there are none; kept for a minute, since prices have dates."""
        details = tuple(sorted(asked.details.items())) if asked.details else ()
        key = (provider, asked.model, asked.service_tier, asked.region, details, at_us // 60_000_000)
        held = self._found.get(key)
        if held is None:
            if len(self._found) >= 2048:
                self._found.clear()
            held = self._found[key] = _terms_of(self._prices, provider, asked, at_us)
        return held


@dataclass(frozen=True, slots=True)
class _Terms:
    """The dearest rates that may apply to a call, in nano-dollars per million, and the model's limits."""

    reading: int
    caching: int
    caching_1h: int
    writing: int
    request: int
    search_unit: int
    fee: int | None  # the dearest of one hosted tool's use; None where none has a rate
    reads: int | None
    writes: int | None

    def ranking(self, body: bytes) -> int:
        """What a reranker's search units cost: one for each hundred documents of 500 tokens."""
        documents = body.count(b'"') // 2 + len(body) // 500
        return self.search_unit * (documents // 100 + 1)

    def input_rate(self, body: bytes) -> int:
        """The dearest rate of what is read."""
        if _KEPT_AN_HOUR.search(body):
            return max(self.caching_1h, self.caching, self.reading)
        return max(self.caching, self.reading) if _CACHES.search(body) else self.reading


_FEES = (
    *("web_search", "web_fetch", "grounded_prompt", "maps_grounded_prompt", "enterprise_grounded_prompt"),
    *("x_search", "search_source", "file_search", "collection_search", "code_session", "code_execution"),
    "tool_call",
)


def _terms_of(prices: PriceBook, provider: str, asked: Asked, at_us: int) -> _Terms | str:
    assert asked.model is not None
    limits = limits_of(asked.model)
    circumstances = [Circumstances(asked.service_tier, asked.region, asked.details)]
    if asked.service_tier == "auto":
        circumstances.append(Circumstances("priority", asked.region, asked.details))
    # A longer prompt may have other rates, for all of it: every size up to the model's limit may apply.
    largest = limits.reads or 2_000_000
    found: list[Found] = []
    for one in circumstances:
        for size in (1, 32_001, 128_001, 200_001, 256_001, 272_001, 512_001, largest):
            if size <= largest:
                at = prices.find(provider, asked.model, at_us, one, {"input": size, "output": 1})
                if isinstance(at, Missing):
                    return at.reason
                found.append(at)
    if any(one.currency != "USD" for one in found):
        exchanged = prices.exchange.at(found[0].currency, at_us)
        if exchanged is None:
            return f"no exchange rate of {found[0].currency} is known for the day"
        factor = exchanged.rate
    else:
        factor = Fraction(1)

    def dearest(*units: str) -> int:
        rate = max((_rate(one, unit) for one in found for unit in units), default=Fraction(0))
        return math.ceil(rate * factor * MILLION)

    if not dearest(*_INPUT_UNITS) and not dearest(*_OUTPUT_UNITS) and not all(one.rates for one in found):
        return f"no rate by tokens is known of {asked.model}"
    fees = [_rate(found[0], unit) for unit in _FEES if unit in found[0].rates]
    return _Terms(
        dearest("input", "tool_use_input", "input_image", "cache_read"),
        dearest("cache_write", "cache_write_5m"),
        dearest("cache_write_1h"),
        dearest(*_OUTPUT_UNITS),
        dearest("request"),
        dearest("search_unit"),
        math.ceil(max(fees) * factor * MILLION) if fees else None,
        limits.reads,
        limits.writes,
    )


def _rate(found: Found, unit: str) -> Fraction:
    governing = found.rates.governing(unit)
    rate: Rate | None = None if governing is None else found.rates[governing]
    return Fraction(0) if rate is None else Fraction(rate.amount_nano, rate.per)


def _reads(body: bytes, terms: _Terms) -> int | None:
    """Tokens that are read at most; None where not even the model's limit is known."""
    if _ELSEWHERE.search(body) or hosted_tools.hosted(body):
        return None if terms.reads is None else terms.reads
    count = len(body) + FRAME_TOKENS
    if b'"tools"' in body or b'"toolConfig"' in body or b'"functions"' in body:
        count += TOOL_FRAME_TOKENS
    count += PICTURE_TOKENS * len(_PICTURES.findall(body))
    return count if terms.reads is None else min(count, terms.reads)


def _bound(provider: str, endpoint: str, asked: Asked, body: bytes, terms: _Terms, reads: int) -> Bound:
    fixed = terms.input_rate(body) * reads + terms.request
    choices = max([1, *(int(number) for number in _CHOICES.findall(body))])
    tools = hosted_tools.hosted(body)
    if tools:
        rounds = hosted_tools.rounds(endpoint, body)
        if rounds is None:
            return unbounded(_WITHOUT_ROUNDS)
        fee = DEAREST_FEE if terms.fee is None else terms.fee
        fixed = fixed * rounds + tools * hosted_tools.uses(endpoint, body) * fee
        if hosted_tools.answers_each_round(endpoint):
            choices *= rounds
    return _answered(provider, endpoint, asked, terms, fixed, choices)


def _answered(provider: str, endpoint: str, asked: Asked, terms: _Terms, fixed: int, choices: int) -> Bound:
    """The bound of a request of which all but its answers is known to cost so much."""
    rate = terms.writing * choices
    limit = asked.output_limit
    if limit is not None and terms.writes is not None:
        limit = min(limit, terms.writes) if limit > 0 else terms.writes
    if limit is not None:
        amount = _up(fixed + rate * limit)
        return Bound(amount, amount, _BY_BYTES, _up(fixed), rate, limit)
    field = limit_field(provider, endpoint)
    least = _up(fixed + rate * LEAST_OUTPUT) if field is not None else None
    if terms.writes is None and terms.reads is None and field is None:
        return unbounded(
            f"the call sets no limit on its answer, and how long {asked.model}'s are is not known"
        )
    longest = terms.writes or terms.reads or 1_000_000
    most = _up(fixed + rate * longest)
    reason = f"what is read counted from its bytes, and the longest answer of the model, {longest} tokens"
    return Bound(min(least, most) if least is not None else most, most, reason, _up(fixed), rate, None, field)


def _without(body: bytes) -> bytes:
    return body.replace(b'"models"', b'"listed"')


def _plain_bound(
    provider: str, endpoint: str, asked: Asked, size: int, terms: _Terms, *, offers_tools: bool
) -> Bound:
    """The bound of a request of text alone, answered once: most are."""
    reads = size + FRAME_TOKENS + (TOOL_FRAME_TOKENS if offers_tools else 0)
    if terms.reads is not None:
        reads = min(reads, terms.reads)
    return _answered(provider, endpoint, asked, terms, terms.reading * reads + terms.request, 1)


def _up(amount: int) -> int:
    """Nano-dollars of an amount in millionths of them, rounded up."""
    return -(-amount // MILLION)


def limit_field(provider: str, endpoint: str) -> str | None:
    """Where a limit on the answer stands in a request; None where the gateway cannot set one."""
    if endpoint in ("generateContent", "streamGenerateContent"):
        return "generationConfig.maxOutputTokens"
    if endpoint in ("converse", "converse_stream", "converseStream", "converse-stream"):
        return "inferenceConfig.maxTokens"
    if endpoint == "chat.completions" and provider in _NEW_NAME:
        return "max_completion_tokens"
    return _LIMIT_FIELDS.get(endpoint)


def with_output_limit(body: bytes, field: str, limit: int) -> bytes:
    """The request with a limit on its answer, and every other byte as it was where that can be."""
    outer, _, inner = field.partition(".")
    start = body.find(b"{")
    if not inner and start >= 0 and b'"%b"' % outer.encode() not in body:
        rest = body[start + 1 :]
        comma = b"" if rest.lstrip().startswith(b"}") else b","
        return body[: start + 1] + b'"%b":%d' % (outer.encode(), limit) + comma + rest
    try:
        decoded = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        held = decoded.get(outer) if inner else None
        config = {} if held is None else msgspec.json.decode(held, type=dict[str, msgspec.Raw] | None) or {}
    except msgspec.DecodeError:
        raise BadInput("The request is no JSON object: a limit on its answer cannot be set.") from None
    written = msgspec.Raw(b"%d" % limit)
    decoded[outer] = msgspec.Raw(msgspec.json.encode({**config, inner: written})) if inner else written
    return msgspec.json.encode(decoded)
