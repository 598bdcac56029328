"""What a call costs at most, known before it is sent, so that a budget can hold it.

The bound is never below the true cost. A token of text is at least one byte, so a request of
so many bytes reads no more tokens; what stands elsewhere (files, pictures, former turns) reads
at most what the model can. Answers are bounded by the call's own limit, else by the model's.
Where nothing sound can be said there is no bound, with a reason that a person can act on.
"""

import math
import re
from collections.abc import Mapping

import msgspec

from flatfare.core.errors import BadInput
from flatfare.dialects.reading import Asked
from flatfare.prices.book import PriceBook
from flatfare.prices.limits import bare_name
from flatfare.service.budgets import contents, hosted_tools
from flatfare.service.budgets.contents import FRAME_TOKENS, TOOL_FRAME_TOKENS
from flatfare.service.budgets.drawn import DALLE_QUALITIES, DALLE_SIZES, SKETCHES_TOKENS, tokens_drawn
from flatfare.service.budgets.forms import fields_of
from flatfare.service.budgets.plain_requests import offers_functions
from flatfare.service.budgets.sound_lengths import seconds_at_most
from flatfare.service.budgets.terms import MILLION, OWN_DEFAULT, UNSAID, Terms, sizes_of, terms_of, tiers_of
from flatfare.service.costing.counting import at_most

COUNTED_MIN, COUNTED_MAX = 200, 262_144
"""Bytes of a request whose tokens may be counted: a shorter one gains nothing, a longer one is in the way."""

AT_ONCE = range(4096, 32_768)
"""Bytes of one whose tokens are counted before it is asked whether it fits: 20 µs for each thousand."""

LEAST_OUTPUT = 256
"""Tokens that an answer is given at least where the gateway sets the limit."""

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
_ROUGH = "from the request's size and the longest answer"
_BY_BYTES = "what is read counted from its bytes, and the call's own limit on its answer"

_AT_PRIORITY = ", at the priority rates that its project may be set to"

_DRAWN = "the dearest picture of the size and quality asked for, as often as asked for"
_HEARD = "the longest recording that the file can be"
_HEARS_A_BLOCK = re.compile(r"gpt-4o(?:-mini)?-transcribe")
"""Which hear all at once, as much as fits their window, and write one answer, unless asked to cut it up."""

_HEARD_AT_ONCE = frozenset(
    (
        *("file", "model", "language", "prompt", "response_format", "temperature", "stream"),
        *("include[]", "timestamp_granularities[]"),
    )
)
"""Fields that leave it at one file, heard in one piece (OpenAI's reference of transcriptions, 2026-11)."""

LEAST_SECONDS = 10
"""Billed for a shorter recording too (Groq, console.groq.com/docs/speech-to-text, 2026-11)."""

_WITHOUT_ROUNDS = (
    "a hosted tool of the request may have the model read all again, as often as it likes: "
    "max_tool_calls, in a request to responses, says how often"
)
_LISTED = re.compile(rb'"models"\s*:\s*\[([^\]]*)\]')
_SEARCHES_UNASKED = re.compile("search-preview|search-api|:online$")
_STORED = (
    "a stored prompt may have tools that read as often as they like, and text and a model of its own "
    "that are not seen here"
)
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
    hint: str | None = None  # why so much is held of what it reads, where that is all that its model can

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


def by_default(asked: Asked, tier: str | None) -> Asked:
    """What is asked of a provider that is known to serve a request which names no tier at that one.

    Priority where there is such a rate: ``auto`` says so.
    """
    if tier is None or asked.service_tier not in UNSAID:
        return asked
    return msgspec.structs.replace(asked, service_tier="auto" if tier == "priority" else tier)


def unbounded(reason: str) -> Bound:
    """Nothing sound can be said."""
    return Bound(None, None, reason)


def can_count(provider: str, asked: Asked, size: int) -> bool:
    """A request of so many bytes may have a lower bound where its tokens are counted."""
    return provider in OWN_DEFAULT and asked.model is not None and COUNTED_MIN < size < COUNTED_MAX


_NO_MODEL = unbounded("the request names no model")


class Bounds:
    """Bounds of calls by one price book; what it has looked up it remembers for a while."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._found: dict[tuple[object, ...], Terms | str] = {}

    def of(
        self, provider: str, endpoint: str, asked: Asked, body: bytes, at_us: int, content_type: bytes = b""
    ) -> Bound:
        """The bound of a request at a moment; what a form holds is known by its content type only."""
        if asked.model is None:
            return _NO_MODEL
        if any(word in endpoint for word in _NOT_BY_TOKENS):
            return self._by_other_than_tokens(provider, endpoint, asked, body, at_us, content_type)
        searches = _SEARCHES_UNASKED.search(asked.model) is not None
        functions = None if searches else offers_functions(endpoint, body)
        if functions is None:
            return self._of_any(provider, endpoint, asked, len(body), contents.as_read(body), at_us, searches)
        return self._of_text(provider, endpoint, asked, len(body), functions, at_us)

    def counted(self, provider: str, endpoint: str, asked: Asked, body: bytes, at_us: int) -> Bound | None:
        """The bound of a request of text by its tokens, about a quarter of that by its bytes.

        None where it is not known how its model counts, or where it holds anything else.
        """
        if not can_count(provider, asked, len(body)) or _SEARCHES_UNASKED.search(asked.model or ""):
            return None
        functions = offers_functions(endpoint, body)
        tokens = None if functions is None else at_most(body, asked.model or "")
        if functions is None or tokens is None or tokens >= len(body):
            return None
        found = self._of_text(provider, endpoint, asked, tokens, functions, at_us)
        if found.most_nano is None or found.reason is None:
            return None
        return msgspec.structs.replace(found, reason=found.reason.replace("its bytes", "its tokens"))

    def _of_text(
        self, provider: str, endpoint: str, asked: Asked, tokens: int, functions: bool, at_us: int
    ) -> Bound:
        """The bound of a request of text alone, of so many tokens at most."""
        why_not = hosted_tools.calls_other_models(asked.model or "", b"")
        if why_not is not None:
            return unbounded(why_not)
        reads = tokens + FRAME_TOKENS + (TOOL_FRAME_TOKENS if functions else 0)
        terms = self._terms(provider, asked, at_us, reads)
        if isinstance(terms, str):
            return unbounded(terms)
        fixed = terms.reading * (reads if terms.reads is None else min(reads, terms.reads)) + terms.request
        return _answered(provider, endpoint, asked, terms, fixed, 1)

    def _of_any(
        self,
        provider: str,
        endpoint: str,
        asked: Asked,
        size: int,
        body: bytes,
        at_us: int,
        searches: bool,
    ) -> Bound:
        """The bound of a request that may hold anything, or refer to it."""
        model = asked.model or ""
        why_not = hosted_tools.calls_other_models(model, body)
        if why_not is None and contents.is_a_stored_prompt(endpoint, body):
            why_not = _STORED
        if why_not is not None:
            return unbounded(why_not)
        if b'"models"' in body and (instead := _LISTED.search(body)):
            # A router may serve any model of a list: the dearest counts.
            bounds = [
                self.of(provider, endpoint, msgspec.structs.replace(asked, model=name), _without(body), at_us)
                for name in [model, *re.findall(r'"([^"]+)"', instead[1].decode("utf-8", "replace"))]
            ]
            return max(bounds, key=lambda one: (one.most_nano is None, one.most_nano or 0))
        shown = contents.seen_in(endpoint, model, body)
        body = contents.bare(body, shown)
        tools = max(hosted_tools.hosted(body), int(searches))
        seen = None if tools else contents.reads(endpoint, model, body, shown, size)
        terms = self._terms(provider, asked, at_us, seen)
        if isinstance(terms, str):
            return unbounded(terms)
        found = [count for count in (seen, terms.reads) if count is not None]
        if not found:
            return unbounded(
                f"the request refers to what stands elsewhere, and how much {model} can read is not known"
            )
        reads = min(found)
        if any(word in endpoint.lower() or word in model for word in _WITHOUT_OUTPUT):
            return _unanswered(model, body, size, terms, reads)
        bound = _bound(provider, endpoint, asked, body, size, terms, reads, tools)
        if seen is not None or tools:
            return bound
        return msgspec.structs.replace(bound, hint=contents.why_all(model, body))

    def _by_other_than_tokens(
        self, provider: str, endpoint: str, asked: Asked, body: bytes, at_us: int, content_type: bytes
    ) -> Bound:
        """Of speech by its characters, pictures by their size, and recordings by their length.

        There are no more characters than bytes.
        """
        terms = self._terms(provider, asked, at_us)
        if isinstance(terms, str):
            return unbounded(terms)
        found, how = None, "counted from its bytes"
        if "speech" in endpoint and terms.is_by_character:
            found = terms.character * len(body)
        elif endpoint in ("images.generations", "predict") and body.lstrip()[:1] == b"{":
            found, how = self._drawn(provider, endpoint, asked, contents.as_read(body), at_us, terms), _DRAWN
        elif endpoint in ("audio.transcriptions", "audio.translations"):
            found, how = _heard(asked.model or "", fields_of(content_type, body), terms), _HEARD
        if found is None:
            return unbounded(f"what {endpoint} costs cannot be told before it is answered")
        return Bound(_up(found + terms.request), _up(found + terms.request), how)

    def _drawn(
        self, provider: str, endpoint: str, asked: Asked, body: bytes, at_us: int, terms: Terms
    ) -> int | None:
        """Millionths of a nano-dollar of the pictures that a request has drawn at most."""
        model, size, quality = asked.model or "", asked.details.get("size"), asked.details.get("quality")
        if endpoint == "predict":
            return terms.image * contents.samples(body) or None
        count = contents.choices(body)
        if provider not in OWN_DEFAULT:
            return None
        if "dall-e" in model:
            sizes = (size,) if size not in (None, "auto") else DALLE_SIZES
            qualities = (quality,) if quality not in (None, "auto") else DALLE_QUALITIES
            details = [{"size": own or "", "quality": how or ""} for own in sizes for how in qualities]
            asked_for = [msgspec.structs.replace(asked, details=one) for one in details]
            rates = [self._terms(provider, one, at_us) for one in asked_for]
            return max(0 if isinstance(rate, str) else rate.image for rate in rates) * count or None
        tokens = tokens_drawn(model, size, quality)
        if tokens is None or not terms.writing:
            return None
        tokens += SKETCHES_TOKENS if b'"partial_images"' in body else 0
        return terms.reading * (len(body) + FRAME_TOKENS) + terms.writing * tokens * count

    def rough(self, provider: str, endpoint: str, asked: Asked, size: int, at_us: int) -> Bound:
        """About the most that a request of so many bytes costs, at a fraction of the work.

        For calls that no budget holds: should nobody see how one ends, it is booked as an estimate of this.
        Not a bound where a request refers to what stands elsewhere.
        """
        if asked.model is None:
            return _NO_MODEL
        terms = self._terms(provider, asked, at_us, is_rough=True)
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

    def _terms(
        self, provider: str, asked: Asked, at_us: int, reads: int | None = None, *, is_rough: bool = False
    ) -> Terms | str:
        """Rates of a prompt of so many tokens at most, and limits, or why there are none.

        Kept for a minute, since prices have dates.
        """
        sizes = sizes_of(reads)
        details = tuple(sorted(asked.details.items())) if asked.details else ()
        terms = (asked.model, asked.service_tier, asked.region, details)
        key = (provider, terms, at_us // 60_000_000, sizes, is_rough)
        held = self._found.get(key)
        if held is None:
            if len(self._found) >= 2048:
                self._found.clear()
            tiers = (asked.service_tier,) if is_rough else tiers_of(provider, asked.service_tier)
            held = self._found[key] = terms_of(self._prices, provider, asked, at_us, sizes, tiers)
        return held


def _heard(model: str, fields: Mapping[str, bytes] | None, terms: Terms) -> int | None:
    """Millionths of a nano-dollar of a recording that is written down, at most."""
    if fields is None or not set(fields) <= _HEARD_AT_ONCE or fields.get("model") != model.encode():
        return None
    if _HEARS_A_BLOCK.fullmatch(bare_name(model)):
        if terms.reads is None or terms.writes is None:
            return None
        return terms.hearing * terms.reads + terms.writing * terms.writes
    seconds = seconds_at_most(fields.get("file", b""))
    if seconds is None or not terms.second or terms.reading or terms.writing:
        return None
    return terms.second * max(LEAST_SECONDS, math.ceil(seconds) + 1)


def _unanswered(model: str, body: bytes, size: int, terms: Terms, reads: int) -> Bound:
    """The bound of what is read and not answered in words: to embed, to rank, to judge."""
    if terms.is_timed and contents.stands_elsewhere(body):
        return unbounded(f"{model} is billed by the second, and how long it plays is not known")
    amount = terms.input_rate(body) * reads + terms.request + terms.ranking(body)
    pieces = terms.character * size + terms.picture * contents.pictures(body)
    return Bound(_up(amount + pieces), _up(amount + pieces), "counted from its bytes")


def _bound(
    provider: str, endpoint: str, asked: Asked, body: bytes, size: int, terms: Terms, reads: int, tools: int
) -> Bound:
    fixed = terms.input_rate(body) * reads + terms.request
    choices = contents.choices(body)
    if b'"prediction"' in body:
        # What of a prediction is not used is billed as written, beyond any limit (OpenAI, predicted outputs).
        fixed += terms.writing * size
    if tools:
        rounds = hosted_tools.rounds(endpoint, body)
        if rounds is None:
            return unbounded(_WITHOUT_ROUNDS)
        fee = DEAREST_FEE if terms.fee is None else terms.fee
        fixed = fixed * rounds + tools * hosted_tools.uses(endpoint, body) * fee
        if hosted_tools.answers_each_round(endpoint):
            choices *= rounds
    return _answered(provider, endpoint, asked, terms, fixed, choices)


def _answered(provider: str, endpoint: str, asked: Asked, terms: Terms, fixed: int, choices: int) -> Bound:
    """The bound of a request of which all but its answers is known to cost so much."""
    rate = terms.writing * choices
    limit = asked.output_limit
    if limit is not None and (limit <= 0 or terms.writes is not None):
        limit = terms.writes if limit <= 0 or terms.writes is None else min(limit, terms.writes)
    if limit is not None:
        amount = _up(fixed + rate * limit)
        reason = _BY_BYTES + (_AT_PRIORITY if terms.may_be_dearer else "")
        return Bound(amount, amount, reason, _up(fixed), rate, limit)
    field = limit_field(provider, endpoint)
    least = _up(fixed + rate * LEAST_OUTPUT) if field is not None else None
    if terms.writes is None and terms.reads is None and field is None:
        return unbounded(
            f"the call sets no limit on its answer, and how long {asked.model}'s are is not known"
        )
    longest = terms.writes or terms.reads or 1_000_000
    most = _up(fixed + rate * longest)
    reason = f"what is read counted from its bytes, and the longest answer of the model, {longest} tokens"
    reason += _AT_PRIORITY if terms.may_be_dearer else ""
    return Bound(min(least, most) if least is not None else most, most, reason, _up(fixed), rate, None, field)


def _without(body: bytes) -> bytes:
    return body.replace(b'"models"', b'"listed"')


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
