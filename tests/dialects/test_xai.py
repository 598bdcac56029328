"""xAI over gRPC and by voice: reasoning beside the completion, tools, the charge in ticks."""

import json
from decimal import Decimal

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Reading, Reported
from flatfare.dialects.recognition import Recognised, by_address, by_look

HOST = "api.x.ai"


def at(path: str, method: str = "GRPC", host: str = HOST) -> Recognised:
    recognised = by_address(host, path, method)
    assert recognised is not None
    return recognised


def completion(usage: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "id": "c1",
        "created": "2026-06-24T18:24:10.512425532Z",
        "model": "grok-4.3",
        "usage": usage,
        **more,
    }


def read(usage: dict[str, object], **more: object) -> Reading:
    recognised = at("/xai_api.Chat/GetCompletion")
    body = json.dumps(completion(usage, **more)).encode()
    return read_whole(recognised.route, body, recognised.exchange(b'{"model": "grok-4-fast-reasoning"}'))


USAGE = {
    "completion_tokens": 11,
    "prompt_tokens": 221,
    "total_tokens": 343,
    "prompt_text_tokens": 221,
    "reasoning_tokens": 111,
    "cached_prompt_text_tokens": 128,
    "cost_in_usd_ticks": "4468500",
}


def test_reasoning_stands_beside_the_completion_and_the_charge_is_kept():
    reading = read(USAGE)
    assert reading.parts[0].usage == Usage(input=93, cache_read=128, output=11, reasoning=111)
    assert reading.reported == Reported("0.00044685", "USD", "usage.cost_in_usd_ticks")
    assert reading.created_at_us == 1_782_325_450_512_425


def test_another_model_than_the_one_asked_for_may_serve():
    assert read(USAGE).model == "grok-4.3"


def test_pictures_are_part_of_the_prompt():
    usage = {
        "prompt_tokens": 941,
        "prompt_image_tokens": 512,
        "cached_prompt_text_tokens": 363,
        "completion_tokens": 2,
    }
    assert read(usage).parts[0].usage == Usage(input=66, cache_read=363, input_image=512, output=2)


def test_more_cached_than_prompted_is_taken_as_all_cached_and_estimated():
    usage = {
        "prompt_tokens": 676,
        "prompt_image_tokens": 256,
        "cached_prompt_text_tokens": 960,
        "completion_tokens": 63,
    }
    part = read(usage).parts[0]
    assert part.usage == Usage(cache_read=420, cache_read_image=256, output=63)
    assert part.estimated is not None
    assert "960" in part.estimated


def test_each_search_has_its_fee_and_looking_has_none():
    tools = [
        "SERVER_SIDE_TOOL_WEB_SEARCH",
        "SERVER_SIDE_TOOL_X_SEARCH",
        "SERVER_SIDE_TOOL_X_SEARCH",
        "SERVER_SIDE_TOOL_CODE_EXECUTION",
        "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH",
        "SERVER_SIDE_TOOL_VIEW_IMAGE",
        "SERVER_SIDE_TOOL_MCP",
        1,
    ]
    reading = read({"prompt_tokens": 5, "completion_tokens": 1, "server_side_tools_used": tools})
    assert len(reading.parts) == 1
    assert reading.parts[0].usage == Usage(
        input=5, output=1, web_search=2, x_search=2, code_execution=1, collection_search=1
    )


def test_searches_of_attachments_are_calls_under_their_own_name():
    tools = ["SERVER_SIDE_TOOL_ATTACHMENT_SEARCH"] * 3
    reading = read({"prompt_tokens": 5, "completion_tokens": 1, "server_side_tools_used": tools})
    assert [part.usage for part in reading.parts] == [Usage(input=5, output=1), Usage(tool_call=3)]
    assert reading.parts[1].conditions.details == {"tool": "attachment_search"}


def test_a_tool_that_nobody_knows_is_not_free():
    reading = read(
        {"prompt_tokens": 5, "completion_tokens": 1, "server_side_tools_used": ["SERVER_SIDE_TOOL_TELEPORT"]}
    )
    assert reading.parts[1].conditions.details == {"tool": "teleport"}


def test_a_total_that_its_parts_do_not_make_is_refused():
    reading = read({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 9})
    assert reading.parts == ()
    assert "total_tokens 9" in str(reading.reason)


def test_priority_is_a_tier_and_the_place_a_region():
    usage = {"prompt_tokens": 5, "completion_tokens": 1}
    recognised = at("/xai_api.Chat/GetCompletion", host="us-east-1.api.x.ai")
    body = json.dumps(completion(usage, service_tier="SERVICE_TIER_PRIORITY")).encode()
    conditions = read_whole(recognised.route, body, recognised.exchange()).parts[0].conditions
    assert (conditions.service_tier, conditions.region) == ("priority", "us-east-1")


def test_chunks_are_cumulative_and_the_last_holds():
    recognised = at("/xai_api.Chat/GetCompletionChunk")
    chunks = [
        completion(
            {"completion_tokens": n, "prompt_tokens": 165, "total_tokens": 286 + n, "reasoning_tokens": 121}
        )
        for n in (1, 2, 40)
    ]
    body = b"\n".join(json.dumps(chunk).encode() for chunk in chunks)
    for cut in (1, 13, len(body)):
        stream = Stream(recognised.route, recognised.exchange())
        for start in range(0, len(body), cut):
            stream.feed(body[start : start + cut])
        reading = stream.finish()
        assert reading.parts[0].usage == Usage(input=165, output=40, reasoning=121)


def test_a_charge_that_is_no_number_is_refused():
    assert "cost_in_usd_ticks" in str(read({**USAGE, "cost_in_usd_ticks": "12.5"}).reason)


VOICE = [
    {
        "type": "session.created",
        "event_id": "e",
        "session": {"object": "realtime.session", "model": "grok-voice-latest"},
    },
    {
        "type": "response.done",
        "response": {"usage": {}},
        "usage": {"output_tokens": 83, "billable_audio_seconds": 1},
    },
    {
        "type": "response.done",
        "response": {"usage": {}},
        "usage": {"output_tokens": 309, "billable_audio_seconds": 4},
    },
]


def test_a_voice_session_is_billed_by_its_seconds_which_count_up():
    recognised = by_look(VOICE[0], is_stream=True)
    assert recognised is not None
    assert recognised.dialect.provider == "xai"
    body = b"\n".join(json.dumps(event).encode() for event in VOICE)
    reading = read_whole(recognised.route, body, recognised.exchange())
    assert reading.parts[0].usage == Usage(session_second=Decimal(4))
    assert reading.model == "grok-voice-latest"
    stream = Stream(recognised.route, recognised.exchange())
    for start in range(0, len(body), 9):
        stream.feed(body[start : start + 9])
    assert stream.finish() == reading


def test_a_session_without_seconds_is_unknown():
    recognised = by_look(VOICE[0], is_stream=True)
    assert recognised is not None
    reading = read_whole(recognised.route, json.dumps(VOICE[0]).encode(), recognised.exchange())
    assert reading.parts == ()
    assert not reading.is_free


def test_rest_is_served_beside():
    recognised = at("/v1/chat/completions", "POST")
    body = {
        "object": "chat.completion",
        "model": "grok-4",
        "choices": [],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
    }
    reading = read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange())
    assert reading.parts[0].usage == Usage(input=5, output=1)


@pytest.mark.parametrize("count", [-1, 10**16, 1.5, "12", True])
def test_an_impossible_count_is_refused(count):
    assert read({"prompt_tokens": count, "completion_tokens": 1}).parts == ()
