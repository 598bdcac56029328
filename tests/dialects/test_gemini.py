"""Gemini, on Gemini and on Vertex: what is billed, whole, in chunks, in sessions, in batches."""

import json

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Asked, Reading
from flatfare.dialects.recognition import Recognised, by_address, by_body, by_look

GEMINI = "generativelanguage.googleapis.com"
VERTEX = "us-central1-aiplatform.googleapis.com"
PLACE = "/v1/projects/p/locations/us-central1/publishers/google"


def at(path: str, host: str = GEMINI, method: str = "POST") -> Recognised:
    recognised = by_address(host, path, method)
    assert recognised is not None, path
    return recognised


def read(
    body: object,
    path: str = "/v1beta/models/gemini-2.5-flash:generateContent",
    host: str = GEMINI,
    request: object = None,
    method: str = "POST",
) -> Reading:
    recognised = at(path, host, method)
    sent = json.dumps(request).encode() if request is not None else b""
    return read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange(sent, path))


def vertex(body: object, model: str = "gemini-2.5-flash", request: object = None) -> Reading:
    return read(body, f"{PLACE}/models/{model}:generateContent", VERTEX, request)


def answer(
    usage: dict[str, object], model: str = "gemini-2.5-flash", grounding: object = None, **candidate: object
) -> dict[str, object]:
    said: dict[str, object] = {
        "content": {"parts": [{"text": "hi"}], "role": "model"},
        "finishReason": "STOP",
        **candidate,
    }
    if grounding is not None:
        said["groundingMetadata"] = grounding
    return {"candidates": [said], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


def counts(reading: Reading) -> Usage:
    assert len(reading.parts) == 1, reading
    return reading.parts[0].usage


def details(**sizes: int) -> list[dict[str, object]]:
    return [{"modality": name.upper(), "tokenCount": size} for name, size in sizes.items()]


def test_thoughts_and_tools_stand_beside_prompt_and_candidates():
    reading = read(
        answer(
            {
                "promptTokenCount": 100,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "toolUsePromptTokenCount": 5,
                "totalTokenCount": 155,
            }
        )
    )
    assert counts(reading) == Usage(input=100, output=20, reasoning=30, tool_use_input=5)
    assert reading.model == "gemini-2.5-flash"


def test_cached_tokens_are_inside_the_prompt_by_modality():
    reading = read(
        answer(
            {
                "promptTokenCount": 3284,
                "promptTokensDetails": details(text=70, video=2893, audio=321),
                "cachedContentTokenCount": 2917,
                "cacheTokensDetails": details(video=2570, text=62, audio=285),
                "candidatesTokenCount": 84,
                "thoughtsTokenCount": 38,
                "totalTokenCount": 3406,
            }
        )
    )
    assert counts(reading) == Usage(
        input=8,
        cache_read=62,
        input_video=323,
        cache_read_video=2570,
        input_audio=36,
        cache_read_audio=285,
        output=84,
        reasoning=38,
    )


def test_a_cache_without_details_is_text_first():
    reading = read(
        answer(
            {
                "promptTokenCount": 100,
                "promptTokensDetails": details(text=40, audio=60),
                "cachedContentTokenCount": 50,
                "candidatesTokenCount": 1,
            }
        )
    )
    assert counts(reading) == Usage(cache_read=40, input_audio=50, cache_read_audio=10, output=1)


def test_more_cached_than_prompt_is_refused():
    reading = read(answer({"promptTokenCount": 10, "cachedContentTokenCount": 11, "candidatesTokenCount": 1}))
    assert reading.parts == ()
    assert "cachedContentTokenCount 11" in str(reading.reason)


def test_pictures_drawn_have_a_rate_of_their_own_and_the_rest_is_text():
    reading = read(
        answer(
            {
                "promptTokenCount": 33,
                "candidatesTokenCount": 1780,
                "candidatesTokensDetails": details(image=1120),
                "thoughtsTokenCount": 529,
                "totalTokenCount": 2342,
            },
            model="gemini-3-pro-image-preview",
        )
    )
    assert counts(reading) == Usage(input=33, output=660, output_image=1120, reasoning=529)


def test_a_modality_may_be_a_number():
    reading = vertex(
        answer(
            {
                "promptTokenCount": 74,
                "promptTokensDetails": [{"modality": 1, "tokenCount": 24}, {"modality": 4, "tokenCount": 50}],
                "candidatesTokenCount": 16,
                "trafficType": 1,
            }
        )
    )
    assert counts(reading) == Usage(input=24, input_audio=50, output=16)
    assert reading.parts[0].conditions.service_tier == "standard"


def test_details_that_name_a_modality_without_a_count_are_nothing():
    reading = read(
        answer(
            {
                "promptTokenCount": 9,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}, {"modality": "AUDIO"}],
                "candidatesTokenCount": 1,
            }
        )
    )
    assert counts(reading) == Usage(input=9, output=1)


def test_pages_of_documents_are_priced_as_text():
    reading = read(
        answer(
            {
                "promptTokenCount": 345,
                "promptTokensDetails": details(text=87, document=258),
                "candidatesTokenCount": 1,
            }
        )
    )
    assert counts(reading) == Usage(input=345, output=1)


def test_hidden_thinking_is_what_the_total_has_beyond_its_parts():
    reading = read(answer({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 75}))
    assert counts(reading) == Usage(input=10, output=5, reasoning=60)


def test_a_total_below_its_parts_is_refused():
    reading = read(answer({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 14}))
    assert reading.parts == ()
    assert "totalTokenCount 14" in str(reading.reason)


@pytest.mark.parametrize(
    ("traffic", "tier"),
    [
        ("ON_DEMAND", "standard"),
        ("ON_DEMAND_FLEX", "flex"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("PROVISIONED_THROUGHPUT", "provisioned"),
        (2, "provisioned"),
    ],
)
def test_the_traffic_type_is_the_tier(traffic, tier):
    reading = vertex(answer({"promptTokenCount": 1, "candidatesTokenCount": 1, "trafficType": traffic}))
    assert reading.parts[0].conditions.service_tier == tier
    assert reading.parts[0].conditions.region == "us-central1"


def test_gemini_names_its_tier_itself():
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    assert read(answer({**usage, "serviceTier": "flex"})).parts[0].conditions.service_tier == "flex"
    asked = read(answer(usage), request={"serviceTier": "priority"})
    assert asked.parts[0].conditions.service_tier == "priority"


SEARCHED = {
    "webSearchQueries": ["", "weather in Tokyo", "weather in Tokyo", "time in Tokyo"],
    "groundingChunks": [{"web": {"uri": "https://example.com"}}],
}


def test_search_is_billed_by_the_prompt_before_gemini_3():
    reading = read(answer({"promptTokenCount": 1, "candidatesTokenCount": 1}, grounding=SEARCHED))
    assert counts(reading) == Usage(input=1, output=1, grounded_prompt=1)


def test_search_is_billed_by_the_query_since_gemini_3_empty_and_repeated_ones_left_out():
    reading = read(
        answer({"promptTokenCount": 1, "candidatesTokenCount": 1}, model="gemini-3-flash", grounding=SEARCHED)
    )
    assert counts(reading) == Usage(input=1, output=1, web_search=2)


def test_what_search_adds_to_the_prompt_is_not_billed():
    usage = {
        "promptTokenCount": 1,
        "candidatesTokenCount": 1,
        "toolUsePromptTokenCount": 119,
        "totalTokenCount": 121,
    }
    reading = read(answer(usage, grounding=SEARCHED))
    assert counts(reading) == Usage(input=1, output=1, grounded_prompt=1)
    assert "119 tokens of search results" in str(reading.reason)


def test_what_other_tools_add_to_the_prompt_is_billed():
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "toolUsePromptTokenCount": 119}
    fetched = read(answer(usage, urlContextMetadata={"urlMetadata": [{}]}))
    assert counts(fetched) == Usage(input=1, output=1, tool_use_input=119)
    both = read(answer(usage, grounding=SEARCHED, urlContextMetadata={"urlMetadata": [{}]}))
    assert counts(both)["tool_use_input"] == 119


def test_grounding_without_queries_is_no_search():
    found = {"groundingChunks": [{"retrievedContext": {"uri": "x"}}]}
    reading = read(answer({"promptTokenCount": 1, "candidatesTokenCount": 1}, grounding=found))
    assert counts(reading) == Usage(input=1, output=1)


def test_vertex_bills_a_prompt_that_found_sources():
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    assert counts(vertex(answer(usage, grounding=SEARCHED)))["grounded_prompt"] == 1
    found_nothing = vertex(answer(usage, grounding={"webSearchQueries": ["a"]}))
    assert counts(found_nothing) == Usage(input=1, output=1)


def test_maps_and_enterprise_search_have_fees_of_their_own():
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    maps = {"webSearchQueries": ["cafes"], "groundingChunks": [{"maps": {"placeId": "x"}}]}
    assert counts(read(answer(usage, grounding=maps))) == Usage(input=1, output=1, maps_grounded_prompt=1)
    enterprise = vertex(answer(usage, grounding=SEARCHED), request={"tools": [{"enterpriseWebSearch": {}}]})
    assert counts(enterprise) == Usage(input=1, output=1, enterprise_grounded_prompt=1)


CHUNKS = [
    {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 30}},
    {
        "candidates": [{"content": {"parts": [{"text": "b"}]}, "groundingMetadata": SEARCHED}],
        "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 90, "totalTokenCount": 120},
    },
    {
        "candidates": [{"content": {"parts": [{"text": "c"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 25, "candidatesTokenCount": 60, "totalTokenCount": 85},
        "modelVersion": "gemini-2.5-pro",
    },
]


def sse(chunks: list[dict[str, object]]) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def streamed(
    body: bytes, cut: int, path: str = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
) -> Reading:
    recognised = at(path)
    stream = Stream(recognised.route, recognised.exchange(b"", path))
    for start in range(0, len(body), cut):
        stream.feed(body[start : start + cut])
    return stream.finish()


@pytest.mark.parametrize(
    "body", [sse(CHUNKS), json.dumps(CHUNKS).encode(), json.dumps(CHUNKS, indent=2).encode()]
)
def test_the_last_counts_of_a_stream_hold_events_or_one_array(body):
    expected = Usage(input=25, output=60, grounded_prompt=1)
    for cut in (1, 3, 17, len(body)):
        reading = streamed(body, cut)
        assert counts(reading) == expected
        assert reading.model == "gemini-2.5-pro"
        assert reading.is_complete


def test_a_stream_that_was_cut_has_the_counts_of_its_last_chunk_and_says_so():
    reading = streamed(sse(CHUNKS[:2]), 1000)
    assert counts(reading) == Usage(input=30, output=90, grounded_prompt=1)
    assert not reading.is_complete
    assert "cut" in str(reading.reason)


def test_chunks_that_name_the_traffic_alone_count_nothing():
    path = f"{PLACE}/models/gemini-2.5-flash:streamGenerateContent"
    recognised = at(path, VERTEX)
    flex = {
        "usageMetadata": {"trafficType": "ON_DEMAND_FLEX"},
        "candidates": [{"content": {"parts": [{"text": "x"}]}}],
    }
    stream = Stream(recognised.route, recognised.exchange(b"", path))
    stream.feed(sse([flex, answer({"promptTokenCount": 3, "candidatesTokenCount": 4}), flex]))
    reading = stream.finish()
    assert counts(reading) == Usage(input=3, output=4)
    assert reading.parts[0].conditions.service_tier == "flex"
    cut = Stream(recognised.route, recognised.exchange(b"", path))
    cut.feed(sse([flex]))
    unfinished = cut.finish()
    assert unfinished.parts == ()
    assert unfinished.text_seen == "x"


def test_a_blocked_prompt_that_counts_nothing_is_free_and_one_that_counts_is_billed():
    blocked = {
        "promptFeedback": {"blockReason": "MODEL_ARMOR"},
        "usageMetadata": {"trafficType": "ON_DEMAND"},
    }
    assert vertex(blocked).is_free
    counted = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}}
    assert counts(read(counted)) == Usage(input=7)


def test_an_answer_without_counts_is_unknown():
    reading = read({"candidates": []})
    assert reading.parts == ()
    assert not reading.is_free


TURNS = [
    {"setupComplete": {}},
    {"serverContent": {"modelTurn": {"parts": []}}},
    {
        "serverContent": {"turnComplete": True},
        "usageMetadata": {
            "promptTokenCount": 1185,
            "responseTokenCount": 51,
            "totalTokenCount": 1236,
            "promptTokensDetails": details(text=1185),
            "responseTokensDetails": details(text=7, audio=44),
        },
    },
    {
        "serverContent": {"turnComplete": True},
        "usageMetadata": {
            "promptTokenCount": 1251,
            "responseTokenCount": 63,
            "totalTokenCount": 1314,
            "thoughtsTokenCount": 28,
            "promptTokensDetails": details(text=1250, audio=1),
            "responseTokensDetails": details(audio=63),
        },
    },
]
SETUP = b'{"setup": {"model": "models/gemini-2.5-flash-native-audio-latest"}}\n{"clientContent": {}}'


def test_turns_of_a_session_are_summed_and_thoughts_are_outside_their_total():
    recognised = by_look(TURNS[0], is_stream=True)
    assert recognised is not None
    assert recognised.dialect.provider == "gemini"
    exchange = recognised.exchange(SETUP, "")
    body = b"\n".join(json.dumps(message).encode() for message in TURNS)
    whole = read_whole(recognised.route, body, exchange)
    assert counts(whole) == Usage(input=2435, input_audio=1, output=7, output_audio=107, reasoning=28)
    assert whole.model == "gemini-2.5-flash-native-audio-latest"
    stream = Stream(recognised.route, exchange)
    for start in range(0, len(body), 11):
        stream.feed(body[start : start + 11])
    assert stream.finish() == whole


def test_a_session_on_vertex_is_priced_there():
    recognised = by_look(TURNS[0], is_stream=True)
    assert recognised is not None
    model = "projects/p/locations/us-central1/publishers/google/models/gemini-live-2.5-flash"
    setup = json.dumps({"setup": {"model": model}}).encode()
    body = b"\n".join(json.dumps(message).encode() for message in TURNS)
    reading = read_whole(recognised.route, body, recognised.exchange(setup, ""))
    assert reading.parts[0].provider == "vertex"
    assert reading.model == "gemini-live-2.5-flash"


def test_embeddings_count_their_prompt_or_are_counted_offline():
    path = "/v1beta/models/gemini-embedding-2:batchEmbedContents"
    counted = {
        "embeddings": [],
        "usageMetadata": {"promptTokenCount": 14, "promptTokenDetails": details(text=14)},
    }
    assert counts(read(counted, path)) == Usage(input=14)
    silent = read({"embeddings": [{"values": [0.1]}]}, path)
    assert silent.parts == ()
    assert silent.text_seen == ""


def test_predictions_are_embeddings_by_token_or_character_or_pictures_by_number():
    embedded = {
        "predictions": [{"embeddings": {"statistics": {"token_count": 4.0}, "values": []}}] * 2,
        "metadata": {"billableCharacterCount": 26},
    }
    by_token = read(embedded, f"{PLACE}/models/gemini-embedding-001:predict", VERTEX)
    assert counts(by_token) == Usage(input=8)
    by_character = read(embedded, f"{PLACE}/models/text-embedding-005:predict", VERTEX)
    assert counts(by_character) == Usage(input_character=26)
    drawn = {"predictions": [{"bytesBase64Encoded": "aaaa"}, {"raiFilteredReason": "blocked"}]}
    assert counts(read(drawn, f"{PLACE}/models/imagen-4.0-generate-001:predict", VERTEX)) == Usage(image=1)


def test_the_compatible_endpoint_shows_thinking_in_its_total_alone():
    body = {
        "object": "chat.completion",
        "model": "gemini-2.5-flash",
        "choices": [],
        "usage": {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 94},
    }
    reading = read(body, "/v1beta/openai/chat/completions")
    assert counts(reading) == Usage(input=8, output=12, reasoning=74)
    body["usage"] = {  # where details name them, they are the same tokens
        "prompt_tokens": 8,
        "completion_tokens": 12,
        "total_tokens": 94,
        "completion_tokens_details": {"reasoning_tokens": 74},
    }
    assert counts(read(body, "/v1beta/openai/chat/completions")) == Usage(input=8, output=12, reasoning=74)
    body["usage"] = {
        "prompt_tokens": 8,
        "completion_tokens": 86,
        "total_tokens": 94,
        "completion_tokens_details": {"reasoning_tokens": 74},
    }
    assert counts(read(body, "/v1beta/openai/chat/completions")) == Usage(input=8, output=12, reasoning=74)


INTERACTION = {
    "id": "v1_test",
    "status": "completed",
    "model": "gemini-3.5-flash",
    "steps": [],
    "usage": {
        "total_input_tokens": 10,
        "total_cached_tokens": 3,
        "total_output_tokens": 4,
        "total_thought_tokens": 2,
        "total_tokens": 16,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 10}],
        "grounding_tool_count": [{"type": "google_search", "count": 2}],
    },
}


def test_an_interaction_counts_as_an_answer_does_and_is_billed_once_by_its_id():
    reading = read(INTERACTION, "/v1beta/interactions")
    assert counts(reading) == Usage(input=7, cache_read=3, output=4, reasoning=2, web_search=2)
    assert reading.response_id == "v1_test"
    again = read(INTERACTION, "/v1beta/interactions/v1_test", method="GET")
    assert again == reading
    pending = read({"id": "v1_test", "status": "in_progress"}, "/v1beta/interactions")
    assert (pending.parts, pending.is_free, pending.response_id) == ((), False, "v1_test")
    events = b"".join(
        b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in (
            {
                "event_type": "interaction.created",
                "interaction": {"id": "v1_test", "model": "gemini-3.5-flash"},
            },
            {"event_type": "step.delta", "delta": {"text": "hi"}},
            {
                "event_type": "interaction.completed",
                "interaction": {"status": "completed", "usage": INTERACTION["usage"]},
            },
        )
    )
    assert streamed(events, 9, "/v1beta/interactions") == reading


def test_a_look_at_an_interaction_under_way_costs_nothing_and_tells_nothing():
    pending = {"id": "v1_test", "status": "in_progress", "created": "2026-08-05T01:58:29Z"}
    look = read(pending, "/v1beta/interactions/v1_test", method="GET")
    assert (look.parts, look.is_free, look.response_id) == ((), True, None)
    begun = read(pending, "/v1beta/interactions")
    assert begun.created_at_us == 1_785_895_109_000_000


def test_a_cancelled_interaction_that_counts_nothing_is_known_to_cost_nothing():
    cancelled = {"id": "v1_test", "status": "cancelled"}
    reading = read(cancelled, "/v1beta/interactions/v1_test/cancel")
    assert (reading.is_free, reading.response_id) == (True, "v1_test")


def test_results_of_a_batch_are_billed_at_the_batch_tier():
    lines = [
        {
            "key": "a",
            "response": answer({"promptTokenCount": 3, "candidatesTokenCount": 4, "serviceTier": "standard"}),
        },
        {"key": "b", "error": {"code": 400}},
        {"key": "c", "response": answer({"promptTokenCount": 5, "candidatesTokenCount": 6})},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    path = "/download/v1beta/files/batch-1:download"
    recognised = at(path, method="GET")
    reading = read_whole(recognised.route, body, recognised.exchange(b"", path))
    assert counts(reading) == Usage(input=8, output=10)
    assert reading.parts[0].conditions.service_tier == "batch"
    inline = {
        "metadata": {"model": "models/gemini-2.5-flash"},
        "response": {"inlinedResponses": {"inlinedResponses": lines}},
    }
    assert read(inline, "/v1beta/batches/b1", method="GET") == reading


def test_lines_of_a_vertex_batch_are_known_by_their_look():
    line = {
        "status": "",
        "request": {},
        "response": answer({"promptTokenCount": 3, "trafficType": "ON_DEMAND"}),
    }
    recognised = by_look(line)
    assert recognised is not None
    assert (recognised.dialect.provider, recognised.route.endpoint) == ("vertex", "batches.results")
    reading = read_whole(recognised.route, json.dumps(line).encode(), recognised.exchange())
    assert reading.parts[0].conditions.service_tier == "batch"


def test_claude_on_vertex_answers_in_its_own_shape_at_the_places_rates():
    place = "/v1/projects/p/locations/europe-west1/publishers/anthropic"
    path = f"{place}/models/claude-sonnet-4-5@20250929:rawPredict"
    body = {
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 6},
    }
    reading = read(body, path, "europe-west1-aiplatform.googleapis.com")
    assert counts(reading) == Usage(input=5, cache_read=7, output=6)
    assert reading.parts[0].conditions.region == "europe-west1"


def test_counting_tokens_is_free():
    assert read({"totalTokens": 5}, "/v1beta/models/gemini-2.5-flash:countTokens").is_free


def test_the_request_says_its_limit_and_its_model():
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    asked = at(path).exchange(b'{"generationConfig": {"maxOutputTokens": 99}}', path).asked
    assert asked == Asked(model="gemini-2.5-flash", is_stream=True, output_limit=99)


@pytest.mark.parametrize("count", [-1, 10**16, 1.5, "12", True])
def test_an_impossible_count_is_refused(count):
    reading = read(answer({"promptTokenCount": count, "candidatesTokenCount": 1}))
    assert reading.parts == ()
    assert reading.reason


@pytest.mark.parametrize(("extra", "provider"), [("", "gemini"), (',"trafficType":"ON_DEMAND"', "vertex")])
@pytest.mark.parametrize("before", ["", "data: "])
def test_a_bare_body_with_a_traffic_type_is_vertexs(before: str, extra: str, provider: str) -> None:
    body = f'{before}{{"candidates":[],"usageMetadata":{{"promptTokenCount":3{extra}}}}}\n\n'
    recognised = by_body(body.encode())
    assert recognised is not None
    assert recognised[0].dialect.provider == provider
