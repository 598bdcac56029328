"""Anthropic's Messages: what is billed, whole, streamed, in batches."""

import json

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Route
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Asked, Exchange, Reading
from flatfare.dialects.recognition import by_address

HOST = "api.anthropic.com"
BEFORE_REFUSALS_WERE_BILLED = 1_780_000_000_000_000


def route(path: str = "/v1/messages", method: str = "POST") -> Route:
    recognised = by_address(HOST, path, method)
    assert recognised is not None
    return recognised.route


def exchange(asked: Asked = Asked(), at_us: int | None = None) -> Exchange:  # noqa: B008
    return Exchange("anthropic", "messages", asked=asked, at_us=at_us)


def read(message: dict[str, object], **more: object) -> Reading:
    return read_whole(route(), json.dumps(message).encode(), exchange(**more))  # type: ignore[arg-type]


def message(usage: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": usage,
        **more,
    }


def events(*items: dict[str, object]) -> bytes:
    return b"".join(f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode() for item in items)


def streamed(*items: dict[str, object]) -> Reading:
    stream = Stream(route(), exchange())
    stream.feed(events(*items))
    return stream.finish()


def usage_of_one(reading: Reading) -> Usage:
    assert len(reading.parts) == 1, reading
    return reading.parts[0].usage


def test_the_cache_stands_beside_the_input():
    reading = read(
        message(
            {
                "input_tokens": 12,
                "cache_read_input_tokens": 2_000,
                "cache_creation_input_tokens": 500,
                "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
                "output_tokens": 40,
            }
        )
    )
    assert usage_of_one(reading) == Usage(
        input=12, cache_read=2_000, cache_write_5m=200, cache_write_1h=300, output=40
    )
    assert reading.model == "claude-sonnet-4-5-20250929"


def test_writes_to_the_cache_without_a_split_live_for_five_minutes():
    reading = read(message({"input_tokens": 1, "cache_creation_input_tokens": 500, "output_tokens": 2}))
    assert usage_of_one(reading) == Usage(input=1, cache_write_5m=500, output=2)


def test_a_split_that_does_not_add_up_is_refused():
    reading = read(
        message(
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation_input_tokens": 500,
                "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 200},
            }
        )
    )
    assert reading.parts == ()
    assert reading.reason is not None
    assert "must add up" in reading.reason


def test_thinking_is_part_of_the_output():
    reading = read(
        message(
            {"input_tokens": 5, "output_tokens": 100, "output_tokens_details": {"thinking_tokens": 60}},
        )
    )
    assert usage_of_one(reading) == Usage(input=5, output=40, reasoning=60)


def test_more_thinking_than_output_is_refused():
    reading = read(
        message({"input_tokens": 5, "output_tokens": 10, "output_tokens_details": {"thinking_tokens": 60}})
    )
    assert reading.parts == ()
    assert "thinking_tokens 60" in str(reading.reason)


def test_speed_tier_and_geography_choose_the_rates():
    fast = read(
        message({"input_tokens": 5, "output_tokens": 10, "speed": "fast", "service_tier": "standard"})
    )
    assert fast.parts[0].conditions.service_tier == "fast"
    us = read(message({"input_tokens": 5, "output_tokens": 10, "inference_geo": "us"}))
    assert us.parts[0].conditions.region == "us"
    no_geo = read(message({"input_tokens": 5, "output_tokens": 10, "inference_geo": "not_available"}))
    assert no_geo.parts[0].conditions.region is None
    batch = read(message({"input_tokens": 5, "output_tokens": 10, "service_tier": "batch"}))
    assert batch.parts[0].conditions.service_tier == "batch"


def test_fast_mode_that_was_asked_for_counts_where_the_answer_says_nothing():
    reading = read(message({"input_tokens": 5, "output_tokens": 10}), asked=Asked(service_tier="fast"))
    assert reading.parts[0].conditions.service_tier == "fast"


def test_web_searches_are_counted():
    reading = read(
        message(
            {
                "input_tokens": 5,
                "output_tokens": 10,
                "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
            }
        )
    )
    assert usage_of_one(reading) == Usage(input=5, output=10, web_search=3, web_fetch=1)


def test_code_execution_is_said_to_be_missing():
    reading = read(
        message({"input_tokens": 5, "output_tokens": 10, "server_tool_use": {"code_execution_requests": 1}})
    )
    assert usage_of_one(reading) == Usage(input=5, output=10)
    assert "container" in str(reading.reason)


def test_a_long_sum_over_server_tools_is_no_long_prompt():
    reading = read(
        message(
            {"input_tokens": 401_468, "output_tokens": 792, "server_tool_use": {"web_search_requests": 10}}
        )
    )
    assert sum(part.usage.input_tokens for part in reading.parts) == 401_468
    assert sum(part.usage.output_tokens for part in reading.parts) == 792
    assert sum(int(part.usage.get("web_search", 0)) for part in reading.parts) == 10
    assert max(part.usage.input_tokens for part in reading.parts) <= 100_000


def test_a_long_prompt_without_tools_stays_one():
    reading = read(message({"input_tokens": 300_000, "output_tokens": 792}))
    assert usage_of_one(reading).input_tokens == 300_000


ADVISED = {
    "input_tokens": 412,
    "output_tokens": 531,
    "iterations": [
        {"type": "message", "input_tokens": 412, "output_tokens": 89},
        {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 823, "output_tokens": 1612},
        {"type": "message", "input_tokens": 1348, "cache_read_input_tokens": 412, "output_tokens": 442},
    ],
}


def test_an_advisor_is_billed_beside_at_its_own_model():
    reading = read(message(ADVISED))
    by_model = {part.model: part.usage for part in reading.parts}
    assert by_model == {
        "claude-sonnet-4-5-20250929": Usage(input=1760, cache_read=412, output=531),
        "claude-opus-4-8": Usage(input=823, output=1612),
    }


def test_an_advisor_does_not_run_in_fast_mode():
    reading = read(message({**ADVISED, "speed": "fast"}))
    assert {part.model: part.conditions.service_tier for part in reading.parts} == {
        "claude-sonnet-4-5-20250929": "fast",
        "claude-opus-4-8": "standard",
    }


def test_a_compaction_is_billed_although_the_top_level_leaves_it_out():
    reading = read(
        message(
            {
                "input_tokens": 23_000,
                "output_tokens": 1_000,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 100,
                        "cache_creation_input_tokens": 55_096,
                        "cache_creation": {"ephemeral_5m_input_tokens": 55_096},
                        "output_tokens": 3_500,
                    },
                    {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
                ],
            }
        )
    )
    assert [part.usage for part in reading.parts] == [
        Usage(input=100, cache_write_5m=55_096, output=3_500),  # samplings stay apart where their sum is long
        Usage(input=23_000, output=1_000),
    ]


def test_a_call_that_paused_after_compaction_bills_the_compaction():
    reading = read(
        message(
            {
                "input_tokens": 0,
                "output_tokens": 0,
                "iterations": [{"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500}],
            },
            stop_reason="compaction",
        )
    )
    assert usage_of_one(reading) == Usage(input=180_000, output=3_500)


def fallback(category: str | None, declined_output: int = 0, **more: object) -> dict[str, object]:
    block: dict[str, object] = {
        "type": "fallback",
        "from": {"model": "claude-fable-5"},
        "to": {"model": "claude-opus-4-8"},
    }
    if category is not None:
        block["trigger"] = {"type": "refusal", "category": category}
    return message(
        {
            "input_tokens": 412,
            "output_tokens": 264,
            "iterations": [
                {
                    "type": "message",
                    "model": "claude-fable-5",
                    "input_tokens": 535,
                    "output_tokens": declined_output,
                },
                {
                    "type": "fallback_message",
                    "model": "claude-opus-4-8",
                    "input_tokens": 412,
                    "output_tokens": 264,
                },
            ],
        },
        model="claude-opus-4-8",
        content=[block, {"type": "text", "text": "hi"}],
        **more,
    )


SERVED = {"claude-opus-4-8": Usage(input=412, output=264)}


@pytest.mark.parametrize("category", [None, "cyber", "general_harms"])
def test_a_model_that_declined_before_any_output_is_not_billed(category):
    assert {part.model: part.usage for part in read(fallback(category)).parts} == SERVED


def test_a_decline_in_a_billed_category_is_billed_at_the_model_that_ran():
    assert {part.model: part.usage for part in read(fallback("bio")).parts} == {
        "claude-fable-5": Usage(input=535),
        **SERVED,
    }


def test_no_decline_before_output_was_billed_before_september_2026():
    reading = read(fallback("bio"), at_us=BEFORE_REFUSALS_WERE_BILLED)
    assert {part.model: part.usage for part in reading.parts} == SERVED


def test_a_decline_after_output_is_billed_whatever_its_category():
    assert {part.model: part.usage for part in read(fallback("cyber", declined_output=148)).parts} == {
        "claude-fable-5": Usage(input=535, output=148),
        **SERVED,
    }


def refusal(category: str | None, output: int = 0, content: list[object] | None = None) -> dict[str, object]:
    return message(
        {"input_tokens": 412, "output_tokens": output},
        content=content or [],
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": category},
    )


def test_a_refusal_before_any_output_costs_nothing():
    for category in ("cyber", None):
        reading = read(refusal(category))
        assert reading.is_free
        assert "declined" in str(reading.reason)


def test_a_refusal_in_a_billed_category_or_after_output_is_billed():
    assert usage_of_one(read(refusal("frontier_llm"))) == Usage(input=412)
    late = read(refusal("cyber", output=37, content=[{"type": "text", "text": "he"}]))
    assert usage_of_one(late) == Usage(input=412, output=37)


def test_a_refusal_of_older_models_is_billed():
    reading = read(message({"input_tokens": 412, "output_tokens": 3}, content=[], stop_reason="refusal"))
    assert usage_of_one(reading) == Usage(input=412, output=3)


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300},
            "cache_read_input_tokens": 5,
            "output_tokens": 2,
            "service_tier": "standard",
            "inference_geo": "us",
        },
    },
}
SAID = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}


def delta(**usage: object) -> dict[str, object]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_a_delta_takes_the_place_of_the_start_and_keeps_its_split():
    reading = streamed(START, SAID, delta(output_tokens=7), delta(output_tokens=20))
    assert usage_of_one(reading) == Usage(input=10, cache_read=5, cache_write_1h=300, output=20)
    assert reading.parts[0].conditions.region == "us"
    assert reading.is_complete


def test_a_delta_may_change_the_input_after_server_tools():
    reading = streamed(
        START,
        delta(
            input_tokens=900,
            cache_creation_input_tokens=450,
            cache_read_input_tokens=5,
            output_tokens=20,
            server_tool_use={"web_search_requests": 1},
        ),
    )
    assert usage_of_one(reading) == Usage(
        input=900, cache_read=5, cache_write_1h=450, output=20, web_search=1
    )


def test_growth_of_a_mixed_split_is_refused():
    start = json.loads(json.dumps(START))
    start["message"]["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] = 100
    start["message"]["usage"]["cache_creation_input_tokens"] = 400
    reading = streamed(start, delta(cache_creation_input_tokens=500, output_tokens=1))
    assert reading.parts == ()
    assert "must add up" in str(reading.reason)


def test_a_stream_that_was_cut_knows_its_prompt_and_keeps_what_was_said():
    reading = streamed(START, SAID, SAID)
    assert not reading.is_complete
    assert reading.parts[0].usage == Usage(input=10, cache_read=5, cache_write_1h=300)
    assert reading.text_seen == "HelloHello"


def test_a_stream_of_a_fallback_says_why_in_its_blocks():
    whole = fallback("bio")
    start = {"type": "message_start", "message": {**whole, "content": [], "usage": {"input_tokens": 412}}}
    blocks = [
        {"type": "content_block_start", "index": i, "content_block": block}
        for i, block in enumerate(whole["content"])  # type: ignore[arg-type]
    ]
    reading = streamed(start, *blocks, delta(**whole["usage"]))  # type: ignore[arg-type]
    assert reading.parts == read(whole).parts


def test_an_error_in_a_stream_is_its_reason():
    reading = streamed({"type": "error", "error": {"type": "overloaded_error"}})
    assert reading.parts == ()
    assert "error" in str(reading.reason)


def test_batch_results_are_billed_at_batch_rates_and_failures_are_free():
    lines = [
        {
            "custom_id": "a",
            "result": {"type": "succeeded", "message": message({"input_tokens": 5, "output_tokens": 6})},
        },
        {
            "custom_id": "b",
            "result": {
                "type": "succeeded",
                "message": message({"input_tokens": 7, "output_tokens": 8, "service_tier": "batch"}),
            },
        },
        {"custom_id": "c", "result": {"type": "errored", "error": {"type": "invalid_request"}}},
        {"custom_id": "d", "result": {"type": "expired"}},
    ]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    results = route("/v1/messages/batches/msgbatch_1/results", "GET")
    reading = read_whole(results, body, exchange())
    assert usage_of_one(reading) == Usage(input=12, output=14)
    assert reading.parts[0].conditions.service_tier == "batch"
    stream = Stream(results, exchange())
    for cut in range(0, len(body), 7):
        stream.feed(body[cut : cut + 7])
    assert stream.finish() == reading


def test_a_batch_in_which_nothing_succeeded_is_free():
    results = route("/v1/messages/batches/msgbatch_1/results", "GET")
    reading = read_whole(results, b'{"custom_id":"c","result":{"type":"canceled"}}', exchange())
    assert reading.is_free


def test_counting_tokens_is_free():
    assert read_whole(route("/v1/messages/count_tokens"), b'{"input_tokens": 5}', exchange()).is_free


def test_a_message_without_usage_is_unknown_and_not_free():
    reading = read({"type": "message", "model": "claude-opus-5", "content": []})
    assert reading.parts == ()
    assert not reading.is_free
    assert reading.reason == "the message has no usage"


@pytest.mark.parametrize("count", [-1, 10**16, 1.5, "12", True])
def test_an_impossible_count_is_refused(count):
    reading = read(message({"input_tokens": count, "output_tokens": 1}))
    assert reading.parts == ()
    assert reading.reason
