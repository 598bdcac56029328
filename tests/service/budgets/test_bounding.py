"""Bounds: what a call costs at most is never below what it cost, and a limit is set where there is room."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.usage import Usage
from flatfare.dialects.openai_shape import read_request
from flatfare.dialects.reading import Asked, Exchange, Part, Reading
from flatfare.prices.limits import limits_of
from flatfare.service.budgets.bounding import (
    LEAST_OUTPUT,
    Bound,
    Bounds,
    by_default,
    limit_field,
    with_output_limit,
)
from flatfare.service.costing import counting
from flatfare.service.costing.metering import Response, exchange_of, meter_response, recognise, standard_book
from flatfare.service.costing.pricing import cost_reading
from flatfare.service.costing.recordings import responses_in

NOW_US = 1_795_000_000_000_000
BOUNDS = Bounds(standard_book())


def bound(body: object, *, model: str = "gpt-4o", provider: str = "openai", **asked: object) -> Bound:
    endpoint = str(asked.pop("endpoint", "chat.completions"))
    raw = json.dumps(body).encode()
    asked.setdefault("service_tier", "default")
    return BOUNDS.of(provider, endpoint, Asked(model, **asked), raw, NOW_US)  # type: ignore[arg-type]


def test_text_is_bounded_by_its_bytes_and_the_answer_by_its_limit() -> None:
    body = {"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
    found = bound(body, output_limit=100)
    # GPT-4o: $2.50 in and $10 out per million; 64 tokens more than there are bytes.
    assert found.most_nano == found.least_nano == (len(json.dumps(body)) + 64) * 2500 + 100 * 10_000


def test_without_a_limit_the_model_s_longest_answer_counts_and_less_will_do() -> None:
    found = bound({"model": "gpt-4o", "messages": []})
    assert found.is_flexible
    assert found.most_nano == found.fixed_nano + 16_384 * 10_000
    assert found.least_nano == found.fixed_nano + LEAST_OUTPUT * 10_000
    assert found.output_for(found.fixed_nano + 12_345 * 10_000 + 9_999) == 12_345


@pytest.mark.parametrize(
    ("provider", "model", "tier", "times"),
    [
        ("openai", "gpt-4o", None, 1.7),  # its project may be set to priority
        ("openai", "gpt-4o", "auto", 1.7),
        ("openai", "gpt-4o", "priority", 1.7),
        ("openai", "gpt-4o", "default", 1),
        ("openai", "gpt-4o", "flex", 1),  # it may be served at the standard tier
        ("azure", "gpt-6-sol", None, 2),
        ("openai", "gpt-4-turbo", None, 1),  # not sold at priority
        ("openai", "gpt-4-turbo", "auto", 1),
        ("gemini", "gemini-2.5-flash", None, 1),  # priority where the request says so, only
        ("bedrock", "us.amazon.nova-pro-v1:0", None, 1),
        ("anthropic", "claude-sonnet-4-6", None, 1),
    ],
)
def test_the_dearest_tier_is_held_that_the_provider_may_serve_by_itself(
    provider: str, model: str, tier: str | None, times: float
) -> None:
    def of(tier: str | None) -> int:
        asked = Asked(model, service_tier=tier, output_limit=1000)
        return BOUNDS.of(provider, "chat.completions", asked, b'{"messages": []}', NOW_US).most_nano or 0

    assert of(tier) == round(of("default") * times) > 0


def test_who_knows_the_project_s_tier_says_so() -> None:
    asked = Asked("gpt-4o", output_limit=1000)
    assert by_default(asked, "standard").service_tier == "standard"
    assert by_default(asked, "priority").service_tier == "auto"
    assert by_default(asked, None) is asked
    named = Asked("gpt-4o", service_tier="priority")
    assert by_default(named, "standard") is named, "a request has its own way"


def test_what_an_estimate_is_of_a_call_without_a_budget_is_the_standard_rate() -> None:
    asked = Asked("gpt-4o", output_limit=1000)
    found = BOUNDS.rough("openai", "chat.completions", asked, 100, NOW_US)
    assert found.most_nano == (100 + 64) * 2500 + 1000 * 10_000


def test_several_answers_cost_several_times() -> None:
    one = bound({"n": 1, "x": "0"}, output_limit=100)
    three = bound({"n": 3, "x": "0"}, output_limit=100)
    assert (three.most_nano or 0) - (one.most_nano or 0) == 200 * 10_000


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"messages": [{"content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        {"web_search_options": {}},
        {"contents": [{"parts": [{"fileData": {"fileUri": "gs://x"}}]}]},
    ],
)
def test_what_stands_elsewhere_is_as_long_as_the_model_can_read(more: dict[str, object]) -> None:
    found = bound(more, output_limit=1)
    assert found.most_nano is not None
    assert found.most_nano >= (limits_of("gpt-4o").reads or 0) * 2500


SEARCH = {"tools": [{"type": "web_search"}]}


def test_each_round_of_a_hosted_tool_reads_all_again() -> None:
    """GPT-5 reads at $1.25 a million; the dearest tool in its list, a container, is $0.03."""
    found = {
        uses: bound(SEARCH | {"max_tool_calls": uses}, model="gpt-5", endpoint="responses", output_limit=1)
        for uses in (1, 9, 20)
    }
    reads = limits_of("gpt-5").reads or 0
    assert found[9].fixed_nano - found[1].fixed_nano == 8 * reads * 1250
    assert found[20].fixed_nano - found[9].fixed_nano == 11 * reads * 1250 + 50 * 30_000_000


def test_claude_goes_round_ten_times_at_most_and_writes_each_time() -> None:
    tool = {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}
    kind = {"model": "claude-sonnet-4-5", "provider": "anthropic", "endpoint": "messages"}
    short, long = (bound(tool, output_limit=limit, **kind) for limit in (100, 1100))
    assert short.fixed_nano >= 10 * (limits_of("claude-sonnet-4-5").reads or 0) * 3000
    assert (long.most_nano or 0) - (short.most_nano or 0) == 10 * 1000 * short.output_rate // 10_000_000


@pytest.mark.parametrize(
    ("body", "model", "endpoint"),
    [
        (SEARCH, "gpt-5", "responses"),
        ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, "gpt-5", "responses"),
        ({"tools": [{"type": "image_generation"}], "max_tool_calls": 1}, "gpt-5", "responses"),
        ({"tools": [{"type": "openrouter:web_search"}]}, "gpt-5", "chat.completions"),
        ({"messages": [], "x": 0}, "o3-deep-research", "responses"),
    ],
)
def test_what_reads_as_often_as_it_likes_has_no_bound(
    body: dict[str, object], model: str, endpoint: str
) -> None:
    found = bound(body, model=model, endpoint=endpoint, output_limit=1)
    assert found.most_nano is None
    assert "as often as it likes" in (found.reason or "") or "however often" in (found.reason or "")


def test_a_function_of_the_client_s_own_is_no_hosted_tool_whatever_its_name() -> None:
    own = {"tools": [{"type": "function", "name": "web_search", "parameters": {}}], "anything": 0}
    found = bound(own, model="gpt-5", endpoint="responses", output_limit=1)
    assert found.most_nano is not None
    assert found.fixed_nano < 10_000_000


def test_an_hour_in_the_cache_is_the_dearest_reading() -> None:
    def read(ttl: str) -> int:
        body = {"cache_control": {"type": "ephemeral", "ttl": ttl}}
        found = bound(
            body, model="claude-sonnet-4-5", provider="anthropic", endpoint="messages", output_limit=1
        )
        return found.fixed_nano

    assert read("1h") == read("5m") * 6_000 // 3_750


def test_a_picture_counts_as_the_dearest_there_is() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    found = bound({"messages": [{"content": [picture]}]}, model="gpt-4o-mini", output_limit=1)
    assert found.most_nano is not None
    assert found.most_nano >= 48_169 * 150


def test_a_long_prompt_is_bounded_at_the_rates_of_long_prompts_and_a_short_one_is_not() -> None:
    """Gemini 2.5 Pro: above 200,000 tokens $2.50 and $15 in place of $1.25 and $10."""

    def of(text: str, **more: object) -> tuple[int, int]:
        body = {"contents": [{"parts": [{"text": text}]}], **more}
        found = bound(body, **{**GEMINI, "model": "gemini-2.5-pro"}, output_limit=10)
        return round(found.fixed_nano / (len(json.dumps(body)) + 64)), found.output_rate // 1_000_000

    assert of("x" * 199_000) == (1250, 10_000)
    assert of("x" * 200_000) == (2500, 15_000)
    assert of("x", cachedContent="cachedContents/1")[1] == 15_000, "nobody says how long that is"


@pytest.mark.parametrize(
    ("endpoint", "model", "said"),
    [
        ("chat.completions", None, "names no model"),
        ("images.generations", "gpt-image-1.5", "cannot be told before"),
        ("images.edits", "gpt-image-1", "cannot be told before"),
        ("audio.transcriptions", "whisper-1", "cannot be told before"),
        ("audio.speech", "gpt-4o-mini-tts", "cannot be told before"),
        ("chat.completions", "no-such-model-at-all", "No price"),
    ],
)
def test_where_nothing_sound_can_be_said_it_says_why(endpoint: str, model: str | None, said: str) -> None:
    found = BOUNDS.of("openai", endpoint, Asked(model), b"{}", NOW_US)
    assert found.most_nano is None
    assert said in (found.reason or "")


@pytest.mark.parametrize(
    ("provider", "endpoint", "field"),
    [
        ("openai", "chat.completions", "max_completion_tokens"),
        ("groq", "chat.completions", "max_tokens"),
        ("openai", "responses", "max_output_tokens"),
        ("gemini", "generateContent", "generationConfig.maxOutputTokens"),
        ("bedrock", "converse", "inferenceConfig.maxTokens"),
        ("openai", "embeddings", None),
    ],
)
def test_each_dialect_has_its_own_name_for_the_limit(provider: str, endpoint: str, field: str | None) -> None:
    assert limit_field(provider, endpoint) == field


def test_a_limit_is_set_and_nothing_else_changed() -> None:
    body = b' {"model" : "gpt-4o","n":1.50, "messages":[]}'
    assert (
        with_output_limit(body, "max_tokens", 77)
        == b' {"max_tokens":77,"model" : "gpt-4o","n":1.50, "messages":[]}'
    )
    assert with_output_limit(b"{ }", "max_tokens", 7) == b'{"max_tokens":7 }'
    unset = with_output_limit(b'{"max_tokens": null, "n": 1}', "max_tokens", 7)
    assert json.loads(unset) == {"max_tokens": 7, "n": 1}, "a limit that is said to be none is no limit"
    assert unset.count(b"max_tokens") == 1
    nested = with_output_limit(
        b'{"generationConfig":{"topK":1.0},"a":[]}', "generationConfig.maxOutputTokens", 9
    )
    assert json.loads(nested) == {"generationConfig": {"topK": 1.0, "maxOutputTokens": 9}, "a": []}
    with pytest.raises(BadInput, match="no JSON object"):
        with_output_limit(b"[]", "generationConfig.maxOutputTokens", 9)


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=5),
    st.integers(1, 10**6),
)
def test_a_limit_joins_whatever_is_there(fields: dict[str, object], limit: int) -> None:
    for field in ("max_tokens", "generationConfig.maxOutputTokens"):
        raw = json.dumps({name: value for name, value in fields.items() if name not in field}).encode()
        outer, _, inner = field.partition(".")
        found = json.loads(with_output_limit(raw, field, limit))
        assert (found[outer][inner] if inner else found[outer]) == limit


SCRUBBED = {"bedrock/0365.json", "bedrock/0366.json"}
"""Recordings whose long prompt was replaced by a short one: what was read is not what stands there."""


def test_no_recorded_call_cost_more_than_its_bound(shared: Callable[..., Path]) -> None:
    bounded = below = 0
    exceeded = []
    for name, response in responses_in(shared("recorded"), Response(b"")):
        recognised, _ = recognise(response)
        if recognised is None or not response.request_body or name[-len("bedrock/0365.json") :] in SCRUBBED:
            continue
        exchange = exchange_of(recognised, response)
        found = BOUNDS.of(
            exchange.provider,
            exchange.endpoint,
            exchange.asked,
            bytes(response.request_body),
            exchange.at_us or NOW_US,
        )
        cost_nano = meter_response(response, standard_book()).cost.amount_nano
        if not cost_nano:
            continue
        if found.most_nano is None:
            below += 1
        elif found.most_nano < cost_nano:
            exceeded.append((name, found, cost_nano))
        else:
            bounded += 1
    assert exceeded == []
    assert bounded > 1500
    assert below < 0.09 * bounded  # half of them: hosted tools that go round as often as they like


needs_vocabulary = pytest.mark.skipif(not counting.is_installed(), reason="needs flatfare[tokens]")


@needs_vocabulary
def test_no_recorded_call_read_more_tokens_than_are_counted(shared: Callable[..., Path]) -> None:
    """Of those that can be counted at all: plain requests to models whose vocabulary is public."""
    counted = 0
    exceeded = []
    for name, response in responses_in(shared("recorded"), Response(b"")):
        recognised, _ = recognise(response)
        if recognised is None or not response.request_body or name[-len("bedrock/0365.json") :] in SCRUBBED:
            continue
        exchange = exchange_of(recognised, response)
        body, at_us = bytes(response.request_body), exchange.at_us or NOW_US
        found = BOUNDS.counted(exchange.provider, exchange.endpoint, exchange.asked, body, at_us)
        cost_nano = meter_response(response, standard_book()).cost.amount_nano
        if found is None or found.most_nano is None or not cost_nano:
            continue
        by_bytes = BOUNDS.of(exchange.provider, exchange.endpoint, exchange.asked, body, at_us)
        assert found.most_nano <= (by_bytes.most_nano or 0)
        counted += 1
        if found.most_nano < cost_nano:
            exceeded.append((name, found, cost_nano))
    assert exceeded == []
    assert counted > 100


@needs_vocabulary
@settings(deadline=None)  # the first example loads the vocabulary
@given(st.lists(st.text(max_size=40), max_size=6), st.booleans())
def test_a_request_has_as_many_tokens_as_its_texts_at_least(texts: list[str], is_ascii: bool) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"model": "gpt-4o", "messages": messages}, ensure_ascii=is_ascii)
    raw = body.encode()
    inside = sum(counting.count(text, "o200k")[0] for text in texts)
    assert (counting.at_most(raw, "gpt-4o") or 0) >= inside + 3 * len(texts)


@needs_vocabulary
def test_what_is_counted_is_text_to_a_model_that_is_known_to_count_so() -> None:
    def counted(provider: str, model: str, **more: object) -> Bound | None:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "word " * 500}], **more})
        asked = Asked(model, output_limit=10, service_tier="default")
        return BOUNDS.counted(provider, "chat.completions", asked, body.encode(), NOW_US)

    assert counted("openai", "gpt-4o") is not None
    assert counted("azure", "gpt-5") is not None
    assert counted("openai", "gpt-6") is None
    assert counted("openai", "gpt-4o", prediction={"type": "content", "content": "x"}) is None
    assert counted("anthropic", "claude-sonnet-4-5") is None


CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
CLAUDE = {"model": "claude-sonnet-4-5", "provider": "anthropic", "endpoint": "messages"}
GEMINI = {"model": "gemini-2.5-flash", "provider": "gemini", "endpoint": "generateContent"}


def test_a_name_written_with_escapes_is_the_same_name() -> None:
    """A reader of JSON sees ``n`` in ``\\u006e``: a client asks for many answers that way too."""
    asked = Asked("gpt-4o", service_tier="default", output_limit=1000)

    def of(body: bytes) -> int:
        return BOUNDS.of("openai", "chat.completions", asked, body, NOW_US).most_nano or 0

    assert of(rb'{"messages": [], "\u006e": 128}') > 128 * 1000 * 10_000
    picture = (
        rb'{"messages": [{"content": [{"type": "i\u006dage_url", "imag\u0065_url": {"url": "http://x"}}]}]}'
    )
    assert of(picture) > (85 + 8 * 170) * 2500
    assert of(rb'{"messages": [{"content": "\\u006e\u0022: 128"}]}') < 1100 * 10_000, "text is text"


def test_a_number_of_answers_is_as_a_reader_of_json_takes_it() -> None:
    asked = Asked("gpt-4o", service_tier="default", output_limit=1000)
    for said in (b"2e1", b"20.0", b"0.2E+2", b'"20"'):
        found = BOUNDS.of(
            "openai", "chat.completions", asked, b'{"messages": [], "n": ' + said + b"}", NOW_US
        )
        assert found.output_rate == 20 * 10_000 * 1_000_000


def test_more_answers_than_three_digits_say_are_more() -> None:
    found = bound({**CHAT, "n": 9999, "x": 0}, output_limit=1)
    assert (found.most_nano or 0) > 9999 * 10_000


def test_sound_and_pictures_that_a_model_makes_are_dearer_than_its_words() -> None:
    """GPT-4o audio speaks at $80 a million; Gemini 2.5 Flash Image draws at $30."""
    spoken = bound({**CHAT, "modalities": ["text", "audio"]}, model="gpt-4o-audio-preview", output_limit=1000)
    assert spoken.output_rate == 80_000 * 1_000_000
    kind = {"provider": "gemini", "endpoint": "generateContent"}
    drawn = bound({"contents": []}, model="gemini-2.5-flash-image", output_limit=1000, **kind)
    assert drawn.output_rate == 30_000 * 1_000_000


def test_sound_and_film_and_pages_are_as_long_as_the_model_can_hear() -> None:
    """Gemini 2.5 Flash hears at $1.00 a million and reads at $0.30; an hour of silence is few bytes."""
    reads = limits_of("gemini-2.5-flash").reads or 0

    def of(kind: str, name: str = "inlineData", key: str = "mimeType") -> int:
        part = {name: {key: kind, "data": "AAAA"}}
        return bound({"contents": [{"parts": [part]}]}, output_limit=1, **GEMINI).most_nano or 0

    for kind in ("audio/ogg", "video/mp4", "application/pdf"):
        assert of(kind) >= of(kind, "inline_data", "mime_type") >= reads * 1000
    assert of("image/png") < 50_000 * 1000


def test_what_a_tool_s_arguments_are_called_does_not_make_a_film_a_picture() -> None:
    film = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}
    call = {"functionCall": {"name": "show", "args": {"mimeType": "image/png"}}}
    found = bound({"contents": [{"parts": [film, call]}]}, output_limit=1, **GEMINI)
    assert (found.most_nano or 0) >= (limits_of("gemini-2.5-flash").reads or 0) * 1000


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"tools": [{"fileSearch": {"fileSearchStoreNames": ["a"]}}]}, GEMINI),
        ({"tools": [{"retrieval": {"vertexRagStore": {}}}]}, GEMINI),
        ({"tools": [{"whatComesNext": {}}, {"functionDeclarations": []}]}, GEMINI),
        ({**CHAT, "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, CLAUDE),
        ({**CHAT, "tools": [{"type": "something_new_20270101", "name": "x"}]}, CLAUDE),
    ],
)
def test_a_tool_that_no_client_is_known_to_run_has_all_read_again(
    body: dict[str, object], kind: dict[str, str]
) -> None:
    found = bound(body, output_limit=1, **kind)
    assert (found.most_nano or 0) >= 10 * (limits_of(kind["model"]).reads or 0) * 300


@pytest.mark.parametrize("tool", ["bash_20250124", "text_editor_20250728", "memory_20250818", "custom"])
def test_a_tool_that_the_client_runs_itself_is_read_once(tool: str) -> None:
    found = bound({**CHAT, "tools": [{"type": tool, "name": "own"}]}, output_limit=1, **CLAUDE)
    assert (found.most_nano or 0) < 10_000_000


@pytest.mark.parametrize("model", ["gpt-4o-search-preview", "openai/gpt-4o:online"])
def test_a_model_that_searches_unasked_reads_what_it_finds(model: str) -> None:
    provider = "openrouter" if "/" in model else "openai"
    found = bound(CHAT, model=model, provider=provider, output_limit=1)
    assert (found.most_nano or 0) >= (limits_of("gpt-4o").reads or 0) * 2500


def test_a_stored_prompt_has_no_bound() -> None:
    """Its text, tools and model stand at the provider."""
    found = bound({"prompt": {"id": "pmpt_1"}}, endpoint="responses", output_limit=1)
    assert found.most_nano is None
    assert "stored prompt" in (found.reason or "")


def test_what_a_provider_keeps_unasked_is_read_at_the_rate_of_writing_it() -> None:
    """GPT-5.6 writes its cache unasked, at 1.25 times the rate of reading; Claude only where it is told."""
    found = bound(CHAT, model="gpt-5.6", output_limit=1)
    assert found.fixed_nano == (len(json.dumps(CHAT)) + 64) * 5000
    assert found.output_rate == 20_000 * 1_000_000, "that of short prompts"
    plain = bound(CHAT, output_limit=1, **CLAUDE)
    assert plain.fixed_nano == (len(json.dumps(CHAT)) + 64) * 3000


def test_a_prediction_that_is_not_used_is_billed_as_written() -> None:
    own = {**CHAT, "prediction": {"type": "content", "content": "x" * 1000}}
    assert (bound(own, output_limit=1).most_nano or 0) > 1000 * 10_000


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_is_none_limits_nothing(limit: int) -> None:
    longest = bound(CHAT, output_limit=16_384).most_nano
    assert bound(CHAT, output_limit=limit).most_nano == longest
    assert limits_of("aetherwiing/mn-starcannon-12b").writes is None
    unknown = bound(CHAT, model="aetherwiing/mn-starcannon-12b", provider="openrouter", output_limit=limit)
    assert (unknown.most_nano or 0) > 1_000_000 * 1200 > 0


def test_of_several_limits_the_largest_counts() -> None:
    body = b'{"model": "gpt-4o", "input": "x", "max_output_tokens": 900, "max_completion_tokens": 1}'
    assert read_request(body, "/v1/responses").output_limit == 900


def test_speech_by_the_character_costs_no_more_than_its_bytes() -> None:
    """tts-1 speaks at $15 a million characters; what speaks by tokens has no bound."""
    body = {"model": "tts-1", "input": "Bonjour à tous", "voice": "alloy"}
    found = bound(body, model="tts-1", endpoint="audio.speech")
    assert found.most_nano == found.least_nano == len(json.dumps(body)) * 15_000
    assert bound(body, model="gpt-4o-mini-tts", endpoint="audio.speech").most_nano is None


def test_pictures_that_stand_in_a_request_to_embed_count() -> None:
    picture = {"type": "image_base64", "image_base64": "data:image/png;base64,AAAA"}
    kind = {"model": "voyage-multimodal-3", "provider": "voyage", "endpoint": "multimodalembeddings"}
    words, seen = (
        bound({"inputs": [{"content": [part]}]}, **kind) for part in ({"type": "text", "text": "a"}, picture)
    )
    assert (seen.most_nano or 0) > 28_000 * 120 > (words.most_nano or 0)


SHAPES = {"anthropic": "messages", "gemini": "generateContent", "vertex": "generateContent"}


@pytest.mark.parametrize("size", [200, 400_000])
def test_no_model_of_any_provider_can_cost_more_than_its_bound(size: int) -> None:
    """Every model in the price book, in its own currency, where all is read in the dearest way."""
    book, text = standard_book(), "x" * size
    exceeded, count = [], 0
    for provider in book.providers():
        endpoint = SHAPES.get(provider, "chat.completions")
        said = (
            {"contents": [{"parts": [{"text": text}]}]}
            if endpoint == "generateContent"
            else {"messages": [{"role": "user", "content": text}]}
        )
        body = json.dumps(said).encode()
        for model in sorted({name for said in book.catalogues(provider) for name in said.names()}):
            asked = Asked(model, output_limit=1000)
            found = BOUNDS.of(provider, endpoint, asked, body, NOW_US)
            if found.most_nano is None:
                continue
            limits = limits_of(model)
            read, written = min(len(body), limits.reads or 10**9), min(1000, limits.writes or 1000)
            reads = ("input", "cache_read") if re.search("claude|qwen", model) else ("input", "cache_write")
            for usage in (Usage({one: read, other: written}) for one in reads for other in OUTPUTS):
                reading = Reading((Part(model, usage),), model)
                cost = cost_reading(book, reading, Exchange(provider, endpoint, asked=asked), NOW_US)
                count += 1
                if (cost.amount_nano or 0) > found.most_nano:
                    exceeded.append((provider, model, usage, cost.amount_nano, found.most_nano))
    assert exceeded == []
    assert count > 10_000


OUTPUTS = ("output", "reasoning")
