"""Amazon Bedrock: what is billed, by Converse and by every vendor's own body."""

import json
from urllib.parse import quote

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Reading
from flatfare.dialects.recognition import Recognised, by_address, by_look
from tests.dialects.aws_frames import chunk, event, frame

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def at(model: str, action: str) -> tuple[Recognised, str]:
    path = f"/model/{quote(model, safe='')}/{action}"
    recognised = by_address(HOST, path)
    assert recognised is not None
    return recognised, path


def read(
    body: object,
    model: str = CLAUDE,
    action: str = "converse",
    headers: dict[str, str] | None = None,
    request: object = None,
) -> Reading:
    recognised, path = at(model, action)
    sent = json.dumps(request).encode() if request is not None else b""
    return read_whole(
        recognised.route, json.dumps(body).encode(), recognised.exchange(sent, path, headers=headers or {})
    )


def streamed(body: bytes, model: str = CLAUDE, action: str = "converse-stream", cut: int = 50) -> Reading:
    recognised, path = at(model, action)
    stream = Stream(recognised.route, recognised.exchange(b"", path))
    for start in range(0, len(body), cut):
        stream.feed(body[start : start + cut])
    return stream.finish()


def counts(reading: Reading) -> Usage:
    assert len(reading.parts) == 1, reading
    return reading.parts[0].usage


def converse(usage: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "output": {"message": {"content": [{"text": "hi"}]}},
        "stopReason": "end_turn",
        "usage": usage,
        **more,
    }


CACHED = {
    "inputTokens": 386,
    "outputTokens": 4,
    "cacheReadInputTokens": 2752,
    "cacheReadInputTokenCount": 2752,
    "cacheWriteInputTokens": 500,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 300}, {"ttl": "5m", "inputTokens": 200}],
    "totalTokens": 3642,
}


def test_converse_leaves_the_cache_out_of_its_input():
    reading = read(converse(CACHED))
    assert counts(reading) == Usage(
        input=386, cache_read=2752, cache_write_5m=200, cache_write_1h=300, output=4
    )
    assert reading.model == CLAUDE
    assert reading.parts[0].conditions.region == "eu-west-1"


def test_the_older_names_of_the_caches_counts_are_the_same_counts():
    usage = {
        "inputTokens": 5,
        "outputTokens": 1,
        "cacheReadInputTokenCount": 7,
        "cacheWriteInputTokenCount": 2,
    }
    assert counts(read(converse(usage))) == Usage(input=5, cache_read=7, cache_write_5m=2, output=1)


def test_a_total_that_its_parts_do_not_make_is_refused():
    reading = read(converse({"inputTokens": 5, "outputTokens": 1, "totalTokens": 9}))
    assert reading.parts == ()
    assert "totalTokens 9" in str(reading.reason)


def test_more_written_for_an_hour_than_written_is_refused():
    usage = {
        "inputTokens": 5,
        "outputTokens": 1,
        "cacheWriteInputTokens": 2,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 3}],
    }
    assert "1h" in str(read(converse(usage)).reason)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [("priority", "priority"), ("flex", "flex"), ("default", "standard"), ("reserved", "provisioned")],
)
def test_the_served_tier_is_in_the_answer_or_in_its_headers(tier, expected):
    usage = {"inputTokens": 5, "outputTokens": 1}
    told = read(converse(usage, serviceTier={"type": tier}))
    assert told.parts[0].conditions.service_tier == expected
    header = read(
        {"usage": {"inputTokens": 5, "outputTokens": 1}},
        "amazon.nova-lite-v1:0",
        "invoke",
        headers={"x-amzn-bedrock-service-tier": tier},
    )
    assert header.parts[0].conditions.service_tier == expected


def test_latency_optimised_inference_is_a_condition():
    reading = read(
        converse({"inputTokens": 5, "outputTokens": 1}, performanceConfig={"latency": "optimized"})
    )
    assert reading.parts[0].conditions.details == {"latency": "optimized"}


def test_a_prompt_router_names_the_model_it_chose():
    chosen = (
        "arn:aws:bedrock:eu-west-1:000000000000:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0"
    )
    router = "arn:aws:bedrock:eu-west-1:000000000000:default-prompt-router/anthropic.claude:1"
    reading = read(
        converse({"inputTokens": 5, "outputTokens": 1}, trace={"promptRouter": {"invokedModelId": chosen}}),
        router,
    )
    assert reading.model == chosen


def test_an_application_profile_hides_the_model_unless_the_body_tells_it():
    profile = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/abc123"
    hidden = read(converse({"inputTokens": 5, "outputTokens": 1}), profile)
    assert hidden.model == profile
    told = read(
        {
            "type": "message",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "usage": {"input_tokens": 1},
        },
        profile,
        "invoke",
    )
    assert told.model == "claude-sonnet-4-5-20250929"


def test_capacity_bought_ahead_is_known_by_its_arn():
    for kind in ("provisioned-model", "imported-model", "custom-model-deployment"):
        model = f"arn:aws:bedrock:eu-west-1:000000000000:{kind}/abc123"
        reading = read(converse({"inputTokens": 5, "outputTokens": 1}), model)
        assert reading.parts[0].conditions.service_tier == "provisioned"


def test_a_web_search_of_nova_is_counted():
    said = {
        "message": {
            "content": [{"toolUse": {"name": "nova_grounding", "type": "server_tool_use"}}, {"text": "x"}]
        }
    }
    reading = read(
        {"output": said, "usage": {"inputTokens": 5, "outputTokens": 1}}, "us.amazon.nova-premier-v1:0"
    )
    assert counts(reading) == Usage(input=5, output=1, web_search=1)


STREAM = (
    event("messageStart", {"role": "assistant"})
    + event("contentBlockDelta", {"delta": {"text": "Hello"}, "contentBlockIndex": 0})
    + event("contentBlockDelta", {"delta": {"reasoningContent": {"text": " there"}}, "contentBlockIndex": 0})
    + event("messageStop", {"stopReason": "end_turn"})
)


def test_a_stream_of_converse_counts_as_the_whole_does():
    metadata = {"usage": CACHED, "metrics": {"latencyMs": 1}, "serviceTier": {"type": "flex"}, "p": "abc"}
    whole = read(converse(CACHED, serviceTier={"type": "flex"}))
    for cut in (1, 7, 10_000):
        assert streamed(STREAM + event("metadata", metadata), cut=cut) == whole


def test_a_stream_that_was_cut_keeps_what_was_said():
    reading = streamed(STREAM)
    assert reading.parts == ()
    assert not reading.is_complete
    assert reading.text_seen == "Hello there"


def test_an_exception_in_a_stream_is_its_reason():
    reading = streamed(STREAM + frame("throttlingException", b'{"message": "slow"}', kind="exception"))
    assert "throttlingException" in str(reading.reason)


HEADERS = {
    "x-amzn-bedrock-input-token-count": "26",
    "x-amzn-bedrock-output-token-count": "42",
    "x-amzn-bedrock-cache-read-input-token-count": "3",
    "x-amzn-bedrock-cache-write-input-token-count": "4",
}


def test_counts_may_stand_in_the_headers_alone():
    reading = read({"outputs": [{"text": "x"}]}, "mistral.mistral-7b-instruct-v0:2", "invoke", HEADERS)
    assert counts(reading) == Usage(input=26, output=42, cache_read=3, cache_write_5m=4)
    embedded = read(
        {"embeddings": [[0.1]]}, "cohere.embed-v4:0", "invoke", {"x-amzn-bedrock-input-token-count": "3"}
    )
    assert counts(embedded) == Usage(input=3)


def test_without_counts_and_headers_the_cost_is_unknown_and_says_what_to_keep():
    reading = read({"outputs": [{"text": "x"}]}, "mistral.mistral-7b-instruct-v0:2", "invoke")
    assert reading.parts == ()
    assert not reading.is_free
    assert "token-count headers" in str(reading.reason)


def test_a_header_that_is_no_count_is_refused():
    for value in ("-1", "many", "9" * 40):
        reading = read({"outputs": []}, "mistral.m", "invoke", {"x-amzn-bedrock-input-token-count": value})
        assert reading.parts == ()
        assert "header" in str(reading.reason)


@pytest.mark.parametrize(
    ("model", "body", "usage"),
    [
        (
            "anthropic.claude-3-5-haiku-20241022-v1:0",
            {
                "type": "message",
                "model": "claude-3-5-haiku-20241022",
                "content": [{"type": "text"}],
                "usage": {
                    "input_tokens": 4,
                    "cache_creation_input_tokens": 18_131,
                    "cache_read_input_tokens": 2,
                    "output_tokens": 50,
                },
            },
            Usage(input=4, cache_read=2, cache_write_5m=18_131, output=50),
        ),
        (
            "amazon.nova-micro-v1:0",
            {
                "usage": {
                    "inputTokens": 5,
                    "outputTokens": 10,
                    "cacheReadInputTokenCount": 2,
                    "totalTokens": 17,
                }
            },
            Usage(input=5, cache_read=2, output=10),
        ),
        (
            "amazon.titan-text-express-v1",
            {"inputTextTokenCount": 28.0, "results": [{"tokenCount": 197.0}, {"tokenCount": 3}]},
            Usage(input=28, output=200),
        ),
        ("amazon.titan-embed-text-v2:0", {"embedding": [0.1], "inputTextTokenCount": 7}, Usage(input=7)),
        (
            "meta.llama3-1-70b-instruct-v1:0",
            {"generation": "x", "prompt_token_count": 5, "generation_token_count": 10},
            Usage(input=5, output=10),
        ),
        (
            "ai21.jamba-1-5-large-v1:0",
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
            Usage(input=9, output=3),
        ),
        (
            "deepseek.r1-v1:0",
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 8,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                },
            },
            Usage(input=5, cache_read=4, output=5, reasoning=3),
        ),
        ("stability.sd3-5-large-v1:0", {"images": ["aaaa"], "seeds": [1]}, Usage(image=1)),
        ("cohere.rerank-v3-5:0", {"results": [{"index": i} for i in range(101)]}, Usage(search_unit=2)),
    ],
)
def test_every_vendors_body_is_read_by_its_own_rule(model, body, usage):
    reading = read(body, model, "invoke")
    assert counts(reading) == usage
    assert reading.model == model


def test_pictures_are_billed_by_size_and_quality():
    request = {"imageGenerationConfig": {"width": 1024, "height": 512, "quality": "premium"}}
    reading = read({"images": ["a", "b"]}, "amazon.nova-canvas-v1:0", "invoke", request=request)
    assert counts(reading) == Usage(image=2)
    assert reading.parts[0].conditions.details == {"size": "1024x512", "quality": "premium"}


METRICS = {"inputTokenCount": 14, "outputTokenCount": 10, "cacheReadInputTokenCount": 6}


@pytest.mark.parametrize(
    ("model", "chunks", "usage"),
    [
        (
            "amazon.titan-text-lite-v1",
            [
                {"outputText": "He", "inputTextTokenCount": None},
                {
                    "outputText": "llo",
                    "inputTextTokenCount": 5,
                    "totalOutputTextTokenCount": 10,
                    "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 10},
                },
            ],
            Usage(input=5, output=10),
        ),
        (
            "amazon.nova-micro-v1:0",
            [
                {"contentBlockDelta": {"delta": {"text": "x"}}},
                {
                    "metadata": {
                        "usage": {"inputTokens": 14, "outputTokens": 10, "cacheReadInputTokenCount": 6},
                        "trace": {},
                    }
                },
            ],
            Usage(input=14, cache_read=6, output=10),
        ),
        (
            "mistral.mistral-large-2402-v1:0",
            [{"outputs": [{"text": "x"}]}, {"outputs": [], "amazon-bedrock-invocationMetrics": METRICS}],
            Usage(input=14, cache_read=6, output=10),
        ),
    ],
)
def test_streams_of_vendors_end_with_bedrocks_own_counts(model, chunks, usage):
    body = b"".join(chunk(piece) for piece in chunks)
    for cut in (1, 100_000):
        reading = streamed(body, model, "invoke-with-response-stream", cut)
        assert counts(reading) == usage
        assert reading.is_complete


CLAUDE_START = {
    "type": "message_start",
    "message": {
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "usage": {
            "input_tokens": 14,
            "cache_creation_input_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9},
            "output_tokens": 1,
        },
    },
}
CLAUDE_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 10}}
CLAUDE_STOP = {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}


def test_claudes_stream_is_read_as_claudes_so_that_its_cache_keeps_its_lives():
    body = chunk(CLAUDE_START) + chunk(CLAUDE_END) + chunk(CLAUDE_STOP)
    reading = streamed(body, CLAUDE, "invoke-with-response-stream")
    assert counts(reading) == Usage(input=14, cache_write_1h=9, output=10)
    assert reading.model == CLAUDE
    assert reading.parts[0].conditions.region == "eu-west-1"


def test_claudes_stream_without_its_delta_has_bedrocks_counts():
    body = chunk(CLAUDE_START) + chunk(CLAUDE_STOP)
    reading = streamed(body, CLAUDE, "invoke-with-response-stream")
    assert counts(reading) == Usage(input=14, cache_read=6, output=10)


def test_a_vendors_stream_that_was_cut_keeps_what_was_said():
    body = chunk({"generation": "Hel"}) + chunk({"generation": "lo"})
    reading = streamed(body, "meta.llama3-8b-instruct-v1:0", "invoke-with-response-stream")
    assert reading.text_seen == "Hello"
    assert not reading.is_complete


def test_claudes_own_api_on_bedrock_is_priced_by_the_model_it_was_asked_for():
    path = "/anthropic/v1/messages"
    recognised = by_address(HOST, path)
    assert recognised is not None
    request = json.dumps({"model": "global.anthropic.claude-opus-4-8", "max_tokens": 5}).encode()
    body = {
        "type": "message",
        "model": "claude-opus-4-8",
        "content": [],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    exchange = recognised.exchange(request, path)
    whole = read_whole(recognised.route, json.dumps(body).encode(), exchange)
    assert counts(whole) == Usage(input=3, output=4)
    assert whole.model == "global.anthropic.claude-opus-4-8"
    stream = Stream(recognised.route, exchange)
    for item in (
        {"type": "message_start", "message": {**body, "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"output_tokens": 4}},
    ):
        stream.feed(f"data: {json.dumps(item)}\n\n".encode())
    assert stream.finish() == whole


def test_records_of_a_batch_are_billed_at_the_batch_tier_and_failures_are_free():
    records = [
        {
            "recordId": "1",
            "modelInput": {},
            "modelOutput": {"inputTextTokenCount": 8, "results": [{"tokenCount": 3}]},
        },
        {"recordId": "2", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "bad request"}},
        {
            "recordId": "3",
            "modelOutput": converse({"inputTokens": 5, "outputTokens": 1}, metrics={"latencyMs": 3}),
        },
    ]
    recognised = by_look(records[0])
    assert recognised is not None
    assert (recognised.dialect.provider, recognised.route.endpoint) == ("bedrock", "batch.results")
    body = "\n".join(json.dumps(record) for record in records).encode()
    reading = read_whole(recognised.route, body, recognised.exchange(b'{"model": "amazon.nova-lite-v1:0"}'))
    assert counts(reading) == Usage(input=13, output=4)
    assert reading.parts[0].conditions.service_tier == "batch"
    assert reading.model == "amazon.nova-lite-v1:0"


def test_claudes_records_of_a_batch_are_billed_at_the_batch_tier_too():
    record = {
        "recordId": "1",
        "modelOutput": {
            "type": "message",
            "model": "claude-3",
            "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    }
    recognised = by_look(record)
    assert recognised is not None
    reading = read_whole(recognised.route, json.dumps(record).encode(), recognised.exchange())
    assert reading.parts[0].conditions.service_tier == "batch"
    assert reading.model == "claude-3"


def test_counting_tokens_is_free_and_an_error_costs_nothing():
    assert read({"inputTokens": 5}, action="count-tokens").is_free
    recognised, path = at(CLAUDE, "converse")
    reading = read_whole(recognised.route, b'{"message": "x"}', recognised.exchange(b"", path, status=400))
    assert reading.is_free


@pytest.mark.parametrize("count", [-1, 10**16, 1.5, "12", True])
def test_an_impossible_count_is_refused(count):
    reading = read(converse({"inputTokens": count, "outputTokens": 1}))
    assert reading.parts == ()
    assert reading.reason
