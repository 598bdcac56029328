"""What the hosts of OpenAI's shape count otherwise."""

import pytest

from flatfare.core.errors import BadUsage
from flatfare.core.usage import Usage
from flatfare.dialects.reading import Asked
from flatfare.dialects.recognition import by_address, by_body, by_name, dialect_of, dialects
from tests.dialects.bodies import asked_at, read, read_stream, sse, usage_of

CHAT = {"object": "chat.completion", "model": "m", "created": 1750000000, "choices": []}


def completion(**usage: object) -> dict[str, object]:
    return {**CHAT, "usage": usage}


def test_groq_streams_its_usage_in_an_object_of_its_own() -> None:
    chunk = {"object": "chat.completion.chunk", "model": "m", "choices": [{"delta": {"content": "x"}}]}
    stream = sse(
        {**chunk, "x_groq": {"id": "r"}},
        {**chunk, "x_groq": {"usage": {"prompt_tokens": 21, "completion_tokens": 9}}},
    )
    assert usage_of(read_stream("groq", "chat.completions", stream)) == Usage(input=21, output=9)


def test_groqs_compound_systems_are_billed_by_the_models_that_worked() -> None:
    models = [
        {"model": "llama-3.3-70b-versatile", "usage": {"prompt_tokens": 10, "completion_tokens": 2}},
        {"model": "openai/gpt-oss-120b", "usage": {"prompt_tokens": 20, "completion_tokens": 4}},
    ]
    message = {"content": "x", "executed_tools": [{"type": "search"}, {"type": "python"}]}
    body = {
        **completion(prompt_tokens=30, completion_tokens=6),
        "model": "groq/compound",
        "choices": [{"message": message}],
        "usage_breakdown": {"models": models},
        "service_tier": "on_demand",
    }
    reading = read("groq", "chat.completions", body)
    assert [(part.model, part.usage) for part in reading.parts] == [
        ("llama-3.3-70b-versatile", Usage(input=10, output=2)),
        ("openai/gpt-oss-120b", Usage(input=20, output=4)),
        ("groq/compound", Usage(web_search=1)),
    ]
    assert reading.parts[0].conditions.service_tier == "standard"


def test_deepseeks_hits_are_part_of_the_prompt() -> None:
    body = completion(
        prompt_tokens=563, completion_tokens=116, prompt_cache_hit_tokens=512, prompt_cache_miss_tokens=51
    )
    assert usage_of(read("deepseek", "chat.completions", body)) == Usage(input=51, cache_read=512, output=116)


def test_mistral_counts_pages_seconds_and_its_own_cache() -> None:
    body = completion(prompt_tokens=68, completion_tokens=6, num_cached_tokens=60)
    assert usage_of(read("mistral", "chat.completions", body)) == Usage(input=8, cache_read=60, output=6)
    body = completion(prompt_tokens=5, completion_tokens=6, prompt_audio_seconds=30)
    assert usage_of(read("mistral", "chat.completions", body)) == Usage(
        input=5, output=6, input_audio_second=30
    )
    pages = {"model": "mistral-ocr-latest", "pages": [], "usage_info": {"pages_processed": 7}}
    assert usage_of(read("mistral", "ocr", pages)) == Usage(page=7)


def test_openrouters_charge_is_kept_with_its_digits() -> None:
    reading = read(
        "openrouter",
        "chat.completions",
        b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"cost":1.130e-05}}',
    )
    assert reading.reported is not None
    assert (reading.reported.amount, reading.reported.source) == ("1.130e-05", "usage.cost")


def test_with_ones_own_key_the_upstreams_bill_is_the_charge() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "cost": 0, "is_byok": True}
    details = {"upstream_inference_cost": 0.00125}
    reading = read("openrouter", "chat.completions", completion(**usage, cost_details=details))
    assert reading.reported is not None
    assert reading.reported.amount == "0.00125"
    reading = read(
        "openrouter", "chat.completions", completion(**{**usage, "cost": 0.0001}, cost_details=details)
    )
    assert reading.reported is not None
    assert reading.reported.amount == "0.00135"


def test_openrouters_writes_to_googles_cache_stand_beside_the_prompt() -> None:
    details = {"cached_tokens": 2161, "cache_write_tokens": 2161}
    body = completion(prompt_tokens=2168, completion_tokens=100, prompt_tokens_details=details)
    assert usage_of(read("openrouter", "chat.completions", body)) == Usage(
        input=7, cache_read=2161, cache_write=2161, output=100
    )


def test_openrouters_reasoning_of_another_tokenizer_leaves_the_total() -> None:
    body = completion(
        prompt_tokens=43, completion_tokens=10, completion_tokens_details={"reasoning_tokens": 11}
    )
    assert usage_of(read("openrouter", "chat.completions", body)) == Usage(input=43, output=10)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cached_tokens": 4}, Usage(input=6, cache_read=4, output=1)),
        ({"prompt_token_details": {"cached_tokens": 4}}, Usage(input=6, cache_read=4, output=1)),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, Usage(input=6, cache_read=4, output=1)),
        ({"prompt_tokens_details": None}, Usage(input=10, output=1)),
    ],
)
def test_hosts_put_what_was_cached_in_three_places(usage: dict[str, object], expected: Usage) -> None:
    body = completion(prompt_tokens=10, completion_tokens=1, **usage)
    assert usage_of(read("together", "chat.completions", body)) == expected


def test_writers_stamp_is_text() -> None:
    body = {**completion(prompt_tokens=10, completion_tokens=1), "created": "1750000000"}
    assert read("writer", "chat.completions", body).created_at_us == 1750000000_000000


def test_voyage_states_a_total_alone() -> None:
    assert usage_of(
        read("voyage", "rerank", {"object": "list", "data": [], "usage": {"total_tokens": 43}})
    ) == Usage(input=43)


def test_llamacpp_states_its_counts_when_it_stops() -> None:
    last = {
        "content": "",
        "stop": True,
        "tokens_evaluated": 30,
        "tokens_predicted": 9,
        "tokens_cached": 38,
        "timings": {"cache_n": 20, "prompt_n": 10, "predicted_n": 9},
    }
    expected = Usage(input=10, cache_read=20, output=9)
    assert usage_of(read("llamacpp", "completion", {**last, "content": "Hello"})) == expected
    stream = sse({"content": "Hello", "stop": False}, last, done=False)
    assert usage_of(read_stream("llamacpp", "completion", stream)) == expected


def test_azure_takes_the_model_from_the_answer_and_else_the_deployment() -> None:
    exchange = asked_at(
        "res.openai.azure.com", "/openai/deployments/my-dep/chat/completions?api-version=1", {}
    )
    assert exchange.asked.model == "my-dep"
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
    last = {
        "object": "chat.completion.chunk",
        "model": "gpt-4o",
        "choices": [],
        "created": 1750000000,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    reading = read_stream("azure", "chat.completions", sse(first, last), asked=Asked(model="my-dep"))
    assert (reading.model, reading.created_at_us) == ("gpt-4o", 1750000000_000000)


def test_the_address_names_region_and_upstream() -> None:
    assert asked_at("eu.api.openai.com", "/v1/chat/completions").asked.region == "eu"
    exchange = asked_at("router.huggingface.co", "/together/v1/chat/completions")
    assert exchange.asked.details == {"upstream": "together"}


def test_bedrocks_openai_endpoint_is_priced_as_bedrock() -> None:
    exchange = asked_at("bedrock-mantle.us-east-1.api.aws", "/openai/v1/responses")
    assert (exchange.provider, exchange.asked.region) == ("bedrock-mantle", "us-east-1")
    body = {
        "object": "response",
        "status": "completed",
        "model": "openai.gpt-oss-120b",
        "output": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    assert read("bedrock-mantle", "responses", body).parts[0].provider == "bedrock"


def test_no_two_dialects_serve_one_address() -> None:
    assert by_address("unheard.example", "/v1/chat/completions") is None
    assert len(dialects()) == len({dialect.provider for dialect in dialects().values()})


@pytest.mark.parametrize(
    ("body", "provider", "endpoint", "is_stream"),
    [
        (b'{"object":"chat.completion","choices":[]}', "openai", "chat.completions", False),
        (b'{"object":"chat.completion","choices":[],"x_groq":{"id":"r"}}', "groq", "chat.completions", False),
        (
            b'{"object":"chat.completion","choices":[],"provider":"Google","id":"gen-1"}',
            "openrouter",
            "chat.completions",
            False,
        ),
        (b'{"object":"response","output":[],"status":"completed"}', "openai", "responses", False),
        (b'data: {"object":"chat.completion.chunk","choices":[]}\n\n', "openai", "chat.completions", True),
        (
            b'event: x\ndata: {"type":"response.created","response":{"object":"response"}}\n\n',
            "openai",
            "responses",
            True,
        ),
        (
            b'{"type":"session.created","session":{"model":"gpt-realtime"}}\n{"type":"x"}\n',
            "openai",
            "realtime",
            True,
        ),
        (
            b'{"custom_id":"1","response":{"body":{"object":"chat.completion"}}}\n',
            "openai",
            "batch.results",
            True,
        ),
    ],
)
def test_a_bare_body_is_known_by_its_look(body: bytes, provider: str, endpoint: str, is_stream: bool) -> None:
    found = by_body(body)
    assert found is not None
    recognised, streamed = found
    assert (recognised.dialect.provider, recognised.route.endpoint, streamed) == (
        provider,
        endpoint,
        is_stream,
    )


def test_perplexity_bills_a_request_by_its_context_or_deep_research_by_its_searches() -> None:
    usage = {"prompt_tokens": 8, "completion_tokens": 100, "search_context_size": "high"}
    charged = {"total_cost": 0.0121}
    reading = read("perplexity", "chat.completions", {**completion(**usage, cost=charged), "model": "sonar"})
    assert usage_of(reading) == Usage(input=8, output=100, request=1)
    assert reading.parts[0].conditions.details == {"search_context_size": "high"}
    assert reading.reported is not None
    assert reading.reported.amount == "0.0121"
    deep = {**usage, "reasoning_tokens": 900, "citation_tokens": 50, "num_search_queries": 7}
    reading = read("perplexity", "chat.completions", {**completion(**deep), "model": "sonar-deep-research"})
    assert usage_of(reading) == Usage(input=8, output=100, reasoning=900, tool_use_input=50, web_search=7)


def test_xai_counts_reasoning_beside_the_completion_as_the_total_shows() -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 94},
        "num_sources_used": 2,
        "cost_in_usd_ticks": 37756000,
    }
    reading = read("xai", "chat.completions", {**completion(**usage), "model": "grok-4"})
    assert usage_of(reading) == Usage(input=26, cache_read=6, output=9, reasoning=94, search_source=2)
    assert reading.reported is not None
    assert reading.reported.amount == "0.0037756"
    inside = {**usage, "completion_tokens": 103}
    assert usage_of(read("xai", "chat.completions", completion(**inside))) == usage_of(reading)


def test_xai_may_cache_more_than_was_sent_and_the_cost_is_estimated() -> None:
    usage = {"prompt_tokens": 30, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}}
    reading = read("xai", "chat.completions", completion(**usage))
    assert usage_of(reading) == Usage(cache_read=30, output=9)
    assert "64 tokens are said to be cached" in (reading.parts[0].estimated or "")


def test_xais_tools_are_counted_in_its_usage() -> None:
    tools = {"web_search_calls": 2, "x_search_calls": 1, "code_interpreter_calls": 3}
    body = {
        "object": "response",
        "status": "completed",
        "model": "grok-4",
        "output": [{"type": "web_search_call", "action": {"type": "search"}}],
        "usage": {"input_tokens": 10, "output_tokens": 5, "server_side_tool_usage_details": tools},
    }
    assert usage_of(read("xai", "responses", body)) == Usage(
        input=10, output=5, web_search=2, x_search=1, code_execution=3
    )


def test_geminis_openai_endpoint_hides_thinking_in_the_total() -> None:
    body = completion(prompt_tokens=10, completion_tokens=12, total_tokens=84)
    assert usage_of(read("gemini", "chat.completions", body)) == Usage(input=10, output=12, reasoning=62)


def test_a_charge_that_is_no_amount_is_refused() -> None:
    for cost in ("9e999", '"x"', "true", "[1]"):
        body = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":%s}}' % cost.encode()
        reading = read("openrouter", "chat.completions", body)
        assert (reading.parts, bool(reading.reason)) == ((), True)


@pytest.mark.parametrize("host", ["api.deepseek.com", "openrouter.ai", "api.z.ai", "api.x.ai"])
def test_messages_at_other_hosts_are_read_as_anthropics_and_priced_as_theirs(host: str) -> None:
    found = by_address(host, "/anthropic/v1/messages")
    assert found is not None
    body = {
        "type": "message",
        "model": "m",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1},
    }
    reading = read(found.dialect.provider, "messages", body)
    assert usage_of(reading) == Usage(input=3, cache_read=4, output=1)
    assert reading.parts[0].provider is None


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("google", "gemini"),
        ("azure-openai", "azure"),
        ("vertex_ai", "vertex"),
        ("voyageai", "voyage"),
        ("z.ai", "zai"),
    ],
)
def test_providers_are_known_by_the_other_names_that_tools_give_them(name: str, provider: str) -> None:
    assert dialect_of(name).provider == provider


def test_an_endpoint_may_be_named_with_more_words_than_its_own() -> None:
    assert by_name("openai", "realtime.websocket").route.endpoint == "realtime"
    assert by_name("cohere", "v1.chat").route.endpoint == "chat.v1"
    with pytest.raises(BadUsage, match=r"responses\.compact"):
        by_name("openai", "completion")


def test_xai_states_its_charge_on_pictures_too() -> None:
    body = {"created": 1750000000, "data": [{}], "usage": {"cost_in_usd_ticks": 200000000}}
    reading = read("xai", "images.generations", body, asked=Asked(model="grok-2-image"))
    assert (usage_of(reading), reading.parts[0].estimated) == (Usage(image=1), None)
    assert reading.reported is not None
    assert reading.reported.amount == "0.02"


def test_a_search_model_says_how_much_it_reads() -> None:
    request = {"model": "gpt-4o-search-preview", "web_search_options": {"search_context_size": "high"}}
    assert asked_at("api.openai.com", "/v1/chat/completions", request).asked.details == {
        "search_context_size": "high"
    }
    request["web_search_options"] = {}
    assert asked_at("api.openai.com", "/v1/chat/completions", request).asked.details == {
        "search_context_size": "medium"
    }
