"""The shape of Gemini's generateContent and Live, wherever Gemini is served, and how it is billed.

The prompt includes what was cached; thoughts and what tools added stand beside prompt and
answer. A stream repeats running counts: the last ones hold.
"""

import re
from collections.abc import Mapping

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.dialects.framing import Event, JsonArray, ServerSentEvents
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import TextSeen
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free, unread

Modality = str | int | None
"""A modality by its name, or by its number in the protocol."""

_MODALITIES: Mapping[str | int, str] = {
    # google.cloud.aiplatform Modality (2026-11): unspecified is text; the pages of a document are
    # priced as text, pictures or not.
    "IMAGE": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    2: "image",
    3: "video",
    4: "audio",
}

_TIERS: Mapping[str | int, str] = {
    # Vertex's traffic_type (google.cloud.aiplatform UsageMetadata.TrafficType, 2026-11)
    "ON_DEMAND": "standard",
    "PROVISIONED_THROUGHPUT": "provisioned",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
    1: "standard",
    2: "provisioned",
    3: "priority",
    4: "flex",
}


class ModalityCount(msgspec.Struct, rename="camel", gc=False):
    """So many tokens of one modality."""

    modality: Modality = None
    token_count: Wire = None  # the wire's name


class UsageMetadata(msgspec.Struct, rename="camel"):
    """The counts of a generateContent answer, or of one turn of a Live session."""

    prompt_token_count: Wire = None
    cached_content_token_count: Wire = None
    candidates_token_count: Wire = None
    response_token_count: Wire = None  # Live's name of candidates_token_count
    thoughts_token_count: Wire = None
    tool_use_prompt_token_count: Wire = None
    total_token_count: Wire = None
    prompt_tokens_details: list[ModalityCount] | None = None
    prompt_token_details: list[ModalityCount] | None = None  # so written by embeddings
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    response_tokens_details: list[ModalityCount] | None = None
    traffic_type: str | int | None = None
    service_tier: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether it counts anything: Vertex sends chunks that name the traffic type alone."""
        return any(
            count is not None
            for count in (
                self.prompt_token_count,
                self.candidates_token_count,
                self.response_token_count,
                self.thoughts_token_count,
                self.tool_use_prompt_token_count,
                self.total_token_count,
            )
        )


class _Chunk(msgspec.Struct, rename="camel"):
    web: msgspec.Raw = msgspec.Raw()
    maps: msgspec.Raw = msgspec.Raw()
    retrieved_context: msgspec.Raw = msgspec.Raw()


class Grounding(msgspec.Struct, rename="camel"):
    """What Google's own searches found."""

    web_search_queries: list[str | None] | None = None
    image_search_queries: list[str | None] | None = None
    grounding_chunks: list[_Chunk] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    executable_code: msgspec.Raw = msgspec.Raw()
    inline_data: msgspec.Raw = msgspec.Raw()


class _Content(msgspec.Struct, rename="camel"):
    parts: list[_Part] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer."""

    content: _Content | None = None
    finish_reason: str | int | None = None
    grounding_metadata: Grounding | None = None
    url_context_metadata: msgspec.Raw = msgspec.Raw()


class Answer(msgspec.Struct, rename="camel"):
    """A generateContent answer, or one chunk of it."""

    candidates: list[Candidate] | None = None
    prompt_feedback: msgspec.Raw = msgspec.Raw()
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = msgspec.Raw()


def model_name(name: str | None) -> str | None:
    """The model without the path that leads to it.

    >>> model_name("projects/p/locations/global/publishers/google/models/gemini-3-flash")
    'gemini-3-flash'
    """
    return name.rpartition("/")[2] if name else None


def read_leaves(usage: UsageMetadata) -> dict[str, int]:
    """The leaves of one answer or turn.

    Where ``totalTokenCount`` is more than its parts, the rest was thinking that the
    model does not show; Live (and older answers) leave thoughts and tools out of it.
    """
    prompt = count_of(usage.prompt_token_count, "promptTokenCount")
    answer = count_of(usage.candidates_token_count, "candidatesTokenCount")
    answer += count_of(usage.response_token_count, "responseTokenCount")
    thoughts = count_of(usage.thoughts_token_count, "thoughtsTokenCount")
    tool_use = count_of(usage.tool_use_prompt_token_count, "toolUsePromptTokenCount")
    hidden = 0
    if usage.total_token_count is not None:
        total = count_of(usage.total_token_count, "totalTokenCount")
        counted = prompt + answer + thoughts + tool_use
        if total > counted:
            hidden = total - counted
        elif total not in (counted, counted - thoughts, counted - tool_use, prompt + answer):
            raise Contradiction(
                f"Found totalTokenCount {total}, which is less than its parts: prompt {prompt}, "
                f"answer {answer}, thoughts {thoughts}, tools {tool_use}."
            )
    return {
        **prompt_leaves(usage, prompt),
        "tool_use_input": tool_use,
        **_answer_leaves(usage.candidates_tokens_details or usage.response_tokens_details, answer),
        "reasoning": thoughts + hidden,
    }


def prompt_leaves(usage: UsageMetadata, prompt: int) -> dict[str, int]:
    """The prompt by modality, cached and not; what no detail names is text."""
    cached = count_of(usage.cached_content_token_count, "cachedContentTokenCount")
    rest_of(prompt, "promptTokenCount", {"cachedContentTokenCount": cached})
    media = _by_modality(usage.prompt_tokens_details or usage.prompt_token_details)
    if sum(media.values()) > prompt:  # details need not add up; the count is what is billed
        media = _fitted(media, prompt)
    if not cached:
        return {"input": prompt - sum(media.values()), **{f"input_{kind}": n for kind, n in media.items()}}
    sizes = {"text": prompt - sum(media.values()), **media}
    cached_sizes = _cached_by_modality(sizes, cached, usage.cache_tokens_details)
    leaves = {
        "input": sizes["text"] - cached_sizes["text"],
        "cache_read": cached_sizes["text"],
    }
    for kind, size in media.items():
        leaves[f"input_{kind}"] = size - cached_sizes[kind]
        leaves[f"cache_read_{kind}"] = cached_sizes[kind]
    return leaves


def _by_modality(details: list[ModalityCount] | None) -> dict[str, int]:
    """Tokens that are not text, by modality."""
    media: dict[str, int] = {}
    for detail in details or ():
        kind = _MODALITIES.get(detail.modality or 0)
        if kind is not None and detail.token_count:
            media[kind] = media.get(kind, 0) + count_of(
                detail.token_count, f"tokenCount of {detail.modality}"
            )
    return media


def _fitted(sizes: dict[str, int], whole: int) -> dict[str, int]:
    """Sizes in their order as far as the whole reaches."""
    fitted = {}
    for kind, size in sizes.items():
        fitted[kind] = min(size, whole)
        whole -= fitted[kind]
    return fitted


def _cached_by_modality(
    sizes: dict[str, int], cached: int, details: list[ModalityCount] | None
) -> dict[str, int]:
    """How many tokens of each modality were cached: as the details say, the rest where there is room."""
    named = _by_modality(details)
    parts = {kind: min(named.get(kind, 0), size) for kind, size in sizes.items()}
    rest = cached - sum(parts.values())
    if rest < 0:
        parts = _fitted(parts, cached)
        rest = 0
    for kind, size in sizes.items():  # text comes first
        room = min(rest, size - parts[kind])
        parts[kind] += room
        rest -= room
    return parts


def _answer_leaves(details: list[ModalityCount] | None, answer: int) -> dict[str, int]:
    media = _by_modality(details)
    if sum(media.values()) > answer:
        media = _fitted(media, answer)
    return {"output": answer - sum(media.values()), **{f"output_{kind}": n for kind, n in media.items()}}


_GENERATION = re.compile(r"gemini-(?:live-)?(\d+)")


def is_billed_by_query(model: str | None) -> bool:
    """Whether search is billed by the query (Gemini 3 and later) rather than by the prompt
    (ai.google.dev/gemini-api/docs/google-search, 2026-09-23)."""
    found = _GENERATION.search(model or "")
    return found is None or int(found[1]) >= 3


def _says(raw: msgspec.Raw) -> bool:
    """Whether a value stands there at all."""
    return bytes(raw) not in (b"", b"null", b"{}")


class Grounded:
    """What Google's searches added to a call, over all its chunks."""

    __slots__ = ("_kinds", "_other_tools", "_queries")

    def __init__(self) -> None:
        self._queries: set[str] = set()
        self._kinds: set[str] = set()
        self._other_tools = False

    def add(self, candidate: Candidate) -> None:
        """Take what one candidate says."""
        if _says(candidate.url_context_metadata):
            self._other_tools = True
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if bytes(part.executable_code):
                    self._other_tools = True
        if candidate.grounding_metadata is not None:
            self.add_metadata(candidate.grounding_metadata)

    def add_metadata(self, metadata: Grounding) -> None:
        """Take the grounding of a candidate, or of a turn of a Live session."""
        for queries in (metadata.web_search_queries, metadata.image_search_queries):
            # Empty queries and repeated ones are not billed (google-search docs, 2026-09-23).
            self._queries.update(query for query in queries or () if query and query.strip())
        for chunk in metadata.grounding_chunks or ():
            for kind in ("web", "maps", "retrieved_context"):
                if _says(getattr(chunk, kind)):
                    self._kinds.add(kind)

    @property
    def searched_only(self) -> bool:
        """Whether search was the only tool of Google's that ran: what it adds to the prompt is not billed
        (ai.google.dev/gemini-api/docs/pricing, footnote, 2026-11)."""
        return bool(self._queries) and not self._other_tools and "retrieved_context" not in self._kinds

    def fees(self, model: str | None, needs_sources: bool, is_enterprise: bool) -> dict[str, int]:
        """The fees of search and maps; Vertex bills a prompt by what it found, not by what it sought."""
        fees: dict[str, int] = {}
        if "maps" in self._kinds:
            fees["maps_grounded_prompt"] = 1
        is_maps_query = "maps" in self._kinds and "web" not in self._kinds
        if not self._queries or is_maps_query:
            return fees
        if is_billed_by_query(model):
            fees["web_search"] = len(self._queries)
        elif needs_sources and "web" not in self._kinds:
            return fees
        elif is_enterprise:
            fees["enterprise_grounded_prompt"] = 1
        else:
            fees["grounded_prompt"] = 1
        return fees


def tier_of(usage: UsageMetadata, asked: Asked) -> str | None:
    """The tier that served: Gemini names it, Vertex calls it the traffic type."""
    if usage.traffic_type:
        return _TIERS.get(usage.traffic_type, str(usage.traffic_type).lower())
    tier = usage.service_tier or asked.service_tier
    return tier.lower() if tier and tier.lower() != "unspecified" else None


PRICED_BY_THINKING = "gemini-2.5-flash-preview"
"""The previews whose whole answer cost more where they thought
(developers.googleblog.com/en/gemini-2-5-thinking-model-updates, 2025-06)."""

_NO_DETAILS: Mapping[str, str] = {}


def _conditions(usage: UsageMetadata, asked: Asked) -> Conditions:
    details = {name: value for name, value in asked.details.items() if name != "grounding"}
    return Conditions(tier_of(usage, asked), asked.region, details or _NO_DETAILS)


class AnswerReader:
    """Reads the chunks of an answer, or the one body that is all of it: the last counts hold."""

    __slots__ = (
        "_exchange",
        "_grounded",
        "_id",
        "_is_blocked",
        "_is_error",
        "_model",
        "_text",
        "_traffic",
        "_usage",
        "is_done",
    )

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._grounded = Grounded()
        self._usage: UsageMetadata | None = None
        self._traffic: str | int | None = None
        self._model: str | None = None
        self._id: str | None = None
        self.is_done = False
        self._is_blocked = False
        self._is_error = False
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if data != b"[DONE]":
            self.add(decode_answer(data))

    def add(self, answer: Answer) -> None:
        """Take a chunk."""
        self._model = answer.model_version or self._model
        self._id = answer.response_id or self._id
        self._is_error = self._is_error or _says(answer.error)
        self._is_blocked = self._is_blocked or _says(answer.prompt_feedback)
        if answer.usage_metadata is not None:
            self._traffic = answer.usage_metadata.traffic_type or self._traffic
            if answer.usage_metadata.is_counted:
                self._usage = answer.usage_metadata
        for candidate in answer.candidates or ():
            self._grounded.add(candidate)
            self.is_done = self.is_done or candidate.finish_reason is not None
            for part in (candidate.content.parts if candidate.content else None) or ():
                self._text.keep(bytes(part.text))
                self._text.keep(bytes(part.function_call))

    def finish(self) -> Reading:
        model = model_name(self._model or self._exchange.asked.model)
        if self._usage is None:
            return self._uncounted(model)
        usage = self._usage
        usage.traffic_type = usage.traffic_type or self._traffic
        leaves = read_leaves(usage)
        remark = None
        if leaves["tool_use_input"] and self._grounded.searched_only:
            remark = f"{leaves['tool_use_input']} tokens of search results are not billed as input"
            leaves["tool_use_input"] = 0
        asked = self._exchange.asked
        needs_sources = self._exchange.provider == "vertex"
        fees = self._grounded.fees(model, needs_sources, asked.details.get("grounding") == "enterprise")
        counts = usage_of(**leaves, **fees)
        if not counts:
            return unread("the answer counts no tokens", model)
        is_whole = self.is_done or self._is_blocked
        if not is_whole:
            remark = "the stream was cut: the counts are those of its last chunk"
        conditions = _conditions(usage, asked)
        if leaves["reasoning"] and model and model.startswith(PRICED_BY_THINKING):
            conditions = msgspec.structs.replace(conditions, details={**conditions.details, "thinking": "on"})
        return Reading(
            parts=(Part(model, counts, conditions),),
            model=model,
            reason=remark,
            is_complete=is_whole,
            response_id=self._id,
        )

    def _uncounted(self, model: str | None) -> Reading:
        if self._is_error:
            return free("the answer is an error: providers bill no failed request", model)
        if self._is_blocked and self._traffic is not None:  # a count of zero is left out on this wire
            return free("the prompt was blocked before the model read it: no tokens are counted", model)
        text = self._text.joined()
        reason = "the answer has no counts" if self.is_done else "the stream was cut before its counts came"
        if (self.is_done or self._is_blocked) and not text:
            return unread("the answer was blocked or is empty, and gives no counts", model)
        return Reading(parts=(), model=model, reason=reason, is_complete=False, text_seen=text)


decode_answer = msgspec.json.Decoder(Answer).decode
_decode_answers = msgspec.json.Decoder(list[Answer]).decode


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer that came at once; a stream that was not asked for as events is one array."""
    reader = AnswerReader(exchange)
    answers = _decode_answers(body) if body.lstrip()[:1] == b"[" else [decode_answer(body)]
    for answer in answers:
        reader.add(answer)
    reader.is_done = True
    return reader.finish()


class ArrayOrEvents:
    """Server-sent events with ``alt=sse``, and one JSON array without it: the first byte tells."""

    __slots__ = ("_framing", "_start")

    def __init__(self) -> None:
        self._framing: ServerSentEvents | JsonArray | None = None
        self._start = b""

    @property
    def dropped(self) -> int:
        return self._framing.dropped if self._framing is not None else 0

    def feed(self, chunk: bytes) -> list[Event]:
        if self._framing is None:
            self._start += chunk
            seen = self._start.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not seen or self._start in (b"\xef", b"\xef\xbb"):
                return []
            self._framing = JsonArray() if seen[:1] in b"[{" else ServerSentEvents()
            chunk = self._start
        return self._framing.feed(chunk)

    def finish(self) -> list[Event]:
        return self._framing.finish() if self._framing is not None else []


class _ServerContent(msgspec.Struct, rename="camel"):
    turn_complete: bool | None = None
    grounding_metadata: Grounding | None = None
    model_turn: _Content | None = None


class LiveMessage(msgspec.Struct, rename="camel"):
    """One message of a Live session."""

    setup_complete: msgspec.Raw = msgspec.Raw()
    server_content: _ServerContent | None = None
    usage_metadata: UsageMetadata | None = None


_decode_live = msgspec.json.Decoder(LiveMessage).decode


class LiveReader:
    """Adds up the turns of a Live session.

    Each turn is billed for the whole session context that it read
    (cloud.google.com/vertex-ai/generative-ai/pricing, Live API footnote, 2026-11).
    """

    __slots__ = ("_exchange", "_grounded", "_messages", "_parts", "_spoke")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._grounded = Grounded()
        self._parts: list[Part] = []
        self._messages = 0
        self._spoke = False

    def event(self, name: str, data: bytes) -> None:
        message = _decode_live(data)
        self._messages += 1
        content = message.server_content
        if content is not None:
            self._spoke = self._spoke or content.model_turn is not None
            if content.grounding_metadata is not None:
                self._grounded.add_metadata(content.grounding_metadata)
        if message.usage_metadata is not None and message.usage_metadata.is_counted:
            self._turn(message.usage_metadata)

    def _turn(self, usage: UsageMetadata) -> None:
        asked = self._exchange.asked
        provider = "vertex" if "/publishers/" in f"/{asked.model or ''}" else None
        model = model_name(asked.model)
        needs_sources = "vertex" in (provider, self._exchange.provider)
        leaves = read_leaves(usage)
        if self._grounded.searched_only:
            leaves["tool_use_input"] = 0
        counts = usage_of(**leaves, **self._grounded.fees(model, needs_sources, is_enterprise=False))
        self._grounded = Grounded()
        if counts:
            provider = None if provider == self._exchange.provider else provider
            self._parts.append(Part(model, counts, _conditions(usage, asked), provider))

    def finish(self) -> Reading:
        model = model_name(self._exchange.asked.model)
        if self._parts:
            return Reading(parts=merged(self._parts), model=model)
        if self._spoke:
            return unread("the session ended before a turn did: its counts come with the turn's end", model)
        if self._messages:
            return free("nothing was said in the session", model)
        return unread("the session has no messages", model)
