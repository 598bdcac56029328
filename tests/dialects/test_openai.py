"""OpenAI's answers read as they are billed."""

from decimal import Decimal

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.reading import Asked
from tests.dialects.bodies import read, read_stream, sse, usage_of

CHAT = {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "choices": []}


def completion(**usage: object) -> dict[str, object]:
    return {**CHAT, "usage": usage}


def test_cached_tokens_are_part_of_the_prompt_and_reasoning_of_the_completion() -> None:
    body = completion(
        prompt_tokens=2000,
        completion_tokens=500,
        prompt_tokens_details={"cached_tokens": 1024},
        completion_tokens_details={"reasoning_tokens": 320},
    )
    reading = read("openai", "chat.completions", body)
    assert usage_of(reading) == Usage(input=976, cache_read=1024, output=180, reasoning=320)
    assert reading.model == "gpt-4o-2024-08-06"
    assert reading.created_at_us == 1750000000_000000


def test_audio_is_part_of_prompt_and_completion_and_rejected_predictions_are_output() -> None:
    body = completion(
        prompt_tokens=100,
        completion_tokens=90,
        prompt_tokens_details={"audio_tokens": 40, "cached_tokens": 20},
        completion_tokens_details={"audio_tokens": 50, "rejected_prediction_tokens": 30},
    )
    assert usage_of(read("openai", "chat.completions", body)) == Usage(
        input=40, cache_read=20, input_audio=40, output=40, output_audio=50
    )


def test_cached_tokens_beyond_the_text_are_cached_audio() -> None:
    body = completion(
        prompt_tokens=100,
        completion_tokens=1,
        prompt_tokens_details={"audio_tokens": 70, "cached_tokens": 64},
    )
    assert usage_of(read("openai", "chat.completions", body)) == Usage(
        cache_read=30, input_audio=36, cache_read_audio=34, output=1
    )


def test_cache_writes_are_part_of_the_prompt() -> None:
    body = completion(
        prompt_tokens=4020, completion_tokens=5, prompt_tokens_details={"cache_write_tokens": 4012}
    )
    assert usage_of(read("openai", "chat.completions", body)) == Usage(input=8, cache_write=4012, output=5)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}, "prompt_tokens 10"),
        (
            {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}},
            "reasoning_tokens 6",
        ),
        ({"prompt_tokens": -1}, "-1"),
        ({"prompt_tokens": 10**30}, "no call uses that much"),
        ({"prompt_tokens": 1.5}, "whole number"),
        ({"prompt_tokens": "12"}, "got `str`"),
        ({"prompt_tokens": True}, "got `bool`"),
    ],
)
def test_figures_that_contradict_each_other_are_refused_with_a_sentence(
    usage: dict[str, object], words: str
) -> None:
    reading = read("openai", "chat.completions", completion(**usage))
    assert reading.parts == ()
    assert words in (reading.reason or "")


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}])
def test_an_answer_without_counts_is_unknown_and_never_zero(usage: object) -> None:
    reading = read("openai", "chat.completions", {**CHAT, "usage": usage})
    assert reading.parts == ()
    assert not reading.is_free
    assert reading.reason


def test_an_error_costs_nothing_and_says_so() -> None:
    reading = read("openai", "chat.completions", {"error": {"message": "no"}}, status=429)
    assert reading.is_free
    assert "429" in (reading.reason or "")


def test_the_tier_that_served_beats_the_one_asked_for() -> None:
    body = {**completion(prompt_tokens=1, completion_tokens=1), "service_tier": "default"}
    reading = read("openai", "chat.completions", body, asked=Asked(service_tier="flex"))
    assert reading.parts[0].conditions.service_tier == "standard"
    del body["service_tier"]
    reading = read("openai", "chat.completions", body, asked=Asked(service_tier="flex"))
    assert reading.parts[0].conditions.service_tier == "flex"


def chunk(content: str = "", **more: object) -> dict[str, object]:
    choices = [{"index": 0, "delta": {"content": content}}] if content else []
    return {
        "object": "chat.completion.chunk",
        "model": "gpt-4o",
        "created": 1750000000,
        "choices": choices,
        **more,
    }


def test_usage_stands_in_the_last_chunk_whose_choices_are_empty() -> None:
    stream = sse(
        chunk("Hi", usage=None), chunk(usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10})
    )
    assert usage_of(read_stream("openai", "chat.completions", stream)) == Usage(input=9, output=1)


def test_usage_on_every_chunk_is_cumulative_and_the_last_one_counts() -> None:
    chunks = [chunk("x", usage={"prompt_tokens": 9, "completion_tokens": n}) for n in (1, 2, 3)]
    assert usage_of(read_stream("openai", "chat.completions", sse(*chunks))) == Usage(input=9, output=3)


def test_usage_of_a_stream_that_was_cut_is_that_of_its_last_chunk_and_not_complete() -> None:
    chunks = [chunk("x", usage={"prompt_tokens": 9, "completion_tokens": n}) for n in (1, 2)]
    reading = read_stream("openai", "chat.completions", sse(*chunks, done=False))
    assert (usage_of(reading), reading.is_complete) == (Usage(input=9, output=2), False)
    last = {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last["usage"] = {"prompt_tokens": 9, "completion_tokens": 3}
    assert read_stream("openai", "chat.completions", sse(*chunks, last, done=False)).is_complete


def test_a_stream_without_usage_keeps_its_text_to_be_counted() -> None:
    reading = read_stream("openai", "chat.completions", sse(chunk("Hel"), chunk("lo"), done=False))
    assert reading.text_seen == "Hello"
    assert not reading.is_complete
    assert "include_usage" in (reading.reason or "")


def test_a_contradiction_in_a_stream_refuses_its_usage() -> None:
    good = {"prompt_tokens": 9, "completion_tokens": 1}
    bad = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10}}
    reading = read_stream("openai", "chat.completions", sse(chunk("x", usage=good), chunk(usage=bad)))
    assert reading.parts == ()
    assert "cached_tokens 10" in (reading.reason or "")


def test_a_host_that_ignores_the_wish_for_a_stream_is_read_whole() -> None:
    import json

    body = json.dumps(completion(prompt_tokens=3, completion_tokens=2), indent=2).encode()
    assert usage_of(read_stream("openai", "chat.completions", body)) == Usage(input=3, output=2)


def test_a_search_model_searches_once_for_every_request() -> None:
    body = {**completion(prompt_tokens=3, completion_tokens=2), "model": "gpt-4o-search-preview-2025-03-11"}
    assert usage_of(read("openai", "chat.completions", body)) == Usage(input=3, output=2, web_search=1)


def response(**more: object) -> dict[str, object]:
    usage = {
        "input_tokens": 100,
        "output_tokens": 50,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 20},
    }
    return {
        "object": "response",
        "id": "resp_1",
        "status": "completed",
        "model": "gpt-5-2025-08-07",
        "created_at": 1750000000,
        "usage": usage,
        "output": [],
        **more,
    }


TOKENS = Usage(input=90, cache_read=10, output=30, reasoning=20)


def test_only_searches_are_billed_among_web_search_calls() -> None:
    calls = [
        {"type": "web_search_call", "action": {"type": kind}}
        for kind in ("search", "open_page", "find_in_page")
    ]
    reading = read("openai", "responses", response(output=calls, tools=[{"type": "web_search"}]))
    assert usage_of(reading) == TOKENS + Usage(web_search=1)
    assert reading.parts[0].conditions.details == {}


def test_the_older_search_tool_has_a_price_of_its_own() -> None:
    calls = [{"type": "web_search_call", "action": {"type": "search"}}]
    reading = read("openai", "responses", response(output=calls, tools=[{"type": "web_search_preview"}]))
    assert reading.parts[0].conditions.details == {"web_search": "preview"}


def test_the_providers_own_count_of_searches_is_taken() -> None:
    calls = [{"type": "web_search_call", "action": {"type": "search"}}]
    used = {"web_search": {"num_requests": 3}}
    assert usage_of(read("openai", "responses", response(output=calls, tool_usage=used))) == TOKENS + Usage(
        web_search=3
    )


def test_sandboxes_are_counted_by_container_and_not_where_one_was_brought() -> None:
    runs = [{"type": "code_interpreter_call", "container_id": name} for name in ("a", "a", "b")]
    auto = response(output=runs, tools=[{"type": "code_interpreter", "container": {"type": "auto"}}])
    assert usage_of(read("openai", "responses", auto)) == TOKENS + Usage(code_session=2)
    brought = response(output=runs, tools=[{"type": "code_interpreter", "container": "cntr_1"}])
    assert usage_of(read("openai", "responses", brought)) == TOKENS


def test_file_searches_are_counted_and_mcp_is_free() -> None:
    calls = [{"type": "file_search_call"}, {"type": "mcp_call"}, {"type": "mcp_list_tools"}]
    assert usage_of(read("openai", "responses", response(output=calls))) == TOKENS + Usage(file_search=1)


def test_a_picture_within_a_response_is_a_part_of_its_own_and_estimated_where_it_is_not_counted() -> None:
    drawn = {"type": "image_generation_call", "quality": "high", "size": "1024x1536", "result": "…"}
    reading = read("openai", "responses", response(output=[drawn], tools=[{"type": "image_generation"}]))
    assert reading.parts[1].model == "gpt-image-1"
    assert reading.parts[1].usage == Usage(output_image=6240)
    assert reading.parts[1].estimated


def test_a_picture_that_the_answer_counts_is_measured() -> None:
    counted = {
        "input_tokens": 30,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 20},
        "output_tokens": 272,
        "output_tokens_details": {"image_tokens": 272},
        "total_tokens": 302,
    }
    reading = read("openai", "responses", response(tool_usage={"image_gen": counted}))
    assert reading.parts[1].usage == Usage(input=10, input_image=20, output_image=272)
    assert reading.parts[1].estimated is None


@pytest.mark.parametrize("ending", ["response.completed", "response.incomplete", "response.failed"])
def test_a_streamed_response_has_its_usage_in_whatever_ends_it(ending: str) -> None:
    stream = sse(
        {"type": "response.created", "response": response(usage=None, status="in_progress")},
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": ending, "response": response()},
        done=False,
    )
    assert usage_of(read_stream("openai", "responses", stream)) == TOKENS


def test_a_streamed_response_that_was_cut_keeps_its_text() -> None:
    stream = sse(
        {"type": "response.created", "response": response(usage=None, status="in_progress")},
        {"type": "response.output_text.delta", "delta": "Hi"},
        done=False,
    )
    reading = read_stream("openai", "responses", stream)
    assert (reading.text_seen, reading.is_complete) == ("Hi", False)


def test_a_queued_response_is_unknown_until_it_is_fetched() -> None:
    reading = read("openai", "responses", response(status="queued", usage=None, background=True))
    assert reading.parts == ()
    assert "fetched" in (reading.reason or "")


def test_a_later_look_is_not_billed_again_but_a_background_response_is_billed_under_its_id() -> None:
    again = read("openai", "responses.retrieve", response())
    assert (again.is_free, again.parts) == (True, ())
    first = read("openai", "responses.retrieve", response(background=True))
    assert (usage_of(first), first.response_id) == (TOKENS, "resp_1")


def test_a_background_response_keeps_its_id_where_its_stream_was_cut_and_where_it_failed() -> None:
    begun = response(usage=None, status="in_progress", background=True)
    cut = sse({"type": "response.created", "response": begun}, done=False)
    assert read_stream("openai", "responses", cut).response_id == "resp_1"
    failed = read("openai", "responses.retrieve", response(usage=None, status="failed", background=True))
    assert (failed.is_free, failed.response_id) == (True, "resp_1")


def test_a_look_that_shows_no_usage_yet_costs_nothing_and_tells_nothing() -> None:
    begun = response(usage=None, status="in_progress", background=True)
    waiting = read("openai", "responses.retrieve", begun)
    delta = {"type": "response.output_text.delta", "delta": "Hi"}
    stream = sse({"type": "response.created", "response": begun}, delta, done=False)
    cut = read_stream("openai", "responses.retrieve", stream)
    for reading in (waiting, cut):
        assert (reading.is_free, reading.parts, reading.response_id, reading.text_seen) == (
            True,
            (),
            None,
            None,
        )


def test_embeddings_are_input_and_moderations_are_free() -> None:
    body = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    assert usage_of(read("openai", "embeddings", body)) == Usage(input=8)
    assert read("openai", "moderations", {"results": []}).is_free


def test_dalle_is_billed_by_picture_with_its_size_and_quality() -> None:
    asked = Asked(model="dall-e-3", details={"size": "1792x1024", "quality": "hd"})
    reading = read("openai", "images.generations", {"created": 1750000000, "data": [{}, {}]}, asked=asked)
    assert usage_of(reading) == Usage(image=2)
    assert reading.parts[0].conditions.details == {"size": "1792x1024", "quality": "hd"}
    assert reading.parts[0].estimated is None


def test_a_picture_of_which_nobody_says_the_size_is_an_estimate_and_says_so() -> None:
    body = {"created": 1750000000, "data": [{}]}
    reading = read("openai", "images.generations", body, asked=Asked(model="dall-e-2"))
    assert "how large" in (reading.parts[0].estimated or "")


def test_pictures_with_usage_are_billed_by_tokens() -> None:
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 1056,
        "total_tokens": 1106,
    }
    reading = read("openai", "images.edits", {"created": 1750000000, "data": [{}], "usage": usage})
    assert usage_of(reading) == Usage(input=10, input_image=40, output_image=1056)


def test_a_streamed_picture_is_billed_once_it_is_completed() -> None:
    usage = {"input_tokens": 12, "output_tokens": 272, "input_tokens_details": {"text_tokens": 12}}
    stream = sse(
        {"type": "image_generation.partial_image", "b64_json": "…"},
        {"type": "image_generation.completed", "b64_json": "…", "usage": usage},
        done=False,
    )
    assert usage_of(read_stream("openai", "images.generations", stream)) == Usage(input=12, output_image=272)


def test_a_transcription_is_billed_by_tokens_or_by_seconds() -> None:
    tokens = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 45,
    }
    asked = Asked(model="gpt-4o-transcribe")
    reading = read("openai", "audio.transcriptions", {"text": "Hi", "usage": tokens}, asked=asked)
    assert usage_of(reading) == Usage(input=4, input_audio=10, output=45)
    seconds = {"type": "duration", "seconds": 3}
    assert usage_of(read("openai", "audio.transcriptions", {"text": "Hi", "usage": seconds})) == Usage(
        input_audio_second=Decimal(3)
    )


def test_an_older_transcription_has_a_duration_alone_rounded_to_the_nearest_second() -> None:
    body = {"text": "Hi", "duration": "8.470000267028809"}
    assert usage_of(read("openai", "audio.transcriptions", body)) == Usage(input_audio_second=8)


def test_speech_is_billed_by_the_characters_of_the_request() -> None:
    asked = Asked(model="tts-1", details={"input_characters": "11"})
    assert usage_of(read("openai", "audio.speech", b"\xff\xf3sound", asked=asked)) == Usage(
        input_character=11
    )
    unknown = read("openai", "audio.speech", b"\xff\xf3sound", asked=Asked(model="gpt-4o-mini-tts"))
    assert "stream_format=sse" in (unknown.reason or "")


def test_a_run_has_its_usage_once_it_has_ended_and_its_steps_repeat_it() -> None:
    usage = {"prompt_tokens": 381, "completion_tokens": 88, "prompt_token_details": {"cached_tokens": 81}}
    run = {
        "object": "thread.run",
        "id": "run_1",
        "status": "completed",
        "model": "gpt-4o-mini",
        "usage": usage,
    }
    reading = read("openai", "assistants.runs", run)
    assert (usage_of(reading), reading.response_id) == (Usage(input=300, cache_read=81, output=88), "run_1")
    stream = (
        b"event: thread.run.step.completed\n" + sse({**run, "object": "thread.run.step"}, done=False)
    ) + sse(run)
    assert usage_of(read_stream("openai", "assistants.runs", stream)) == usage_of(reading)
    queued = {**run, "status": "queued", "usage": None}
    begun = read("openai", "assistants.runs", queued)
    assert ("queued" in (begun.reason or ""), begun.response_id) == (True, "run_1")
    assert read("openai", "assistants.runs.retrieve", run) == reading
    look = read("openai", "assistants.runs.retrieve", queued)
    assert (look.is_free, look.response_id) == (True, None)


def session_line(**event: object) -> bytes:
    import json

    return json.dumps(event).encode() + b"\n"


def test_a_session_is_the_sum_of_its_answers_and_its_transcriber_has_a_price_of_its_own() -> None:
    turn = {
        "input_tokens": 149,
        "output_tokens": 27,
        "input_token_details": {
            "cached_tokens": 128,
            "text_tokens": 60,
            "audio_tokens": 89,
            "cached_tokens_details": {"text_tokens": 50, "audio_tokens": 78},
        },
        "output_token_details": {"text_tokens": 7, "audio_tokens": 20},
    }
    stream = (
        session_line(
            type="session.created",
            session={"model": "gpt-realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        )
        + session_line(
            type="conversation.item.input_audio_transcription.completed",
            usage={"type": "duration", "seconds": 3},
        )
        + session_line(type="response.done", response={"usage": turn})
        + session_line(type="response.done", response={"usage": turn})
    )
    reading = read_stream("openai", "realtime", stream)
    assert reading.parts[0].usage == Usage(
        input=20, cache_read=100, input_audio=22, cache_read_audio=156, output=14, output_audio=40
    )
    assert (reading.parts[1].model, reading.parts[1].usage) == ("whisper-1", Usage(input_audio_second=3))


def test_a_batchs_results_are_billed_at_the_batch_tier_and_failed_lines_are_not() -> None:
    body = completion(prompt_tokens=10, completion_tokens=5)
    stream = (
        session_line(custom_id="1", response={"status_code": 200, "body": body}, error=None)
        + session_line(custom_id="2", response={"status_code": 200, "body": body}, error=None)
        + session_line(custom_id="3", response={"status_code": 400, "body": {"error": {}}}, error=None)
        + session_line(custom_id="4", response=None, error={"code": "batch_expired"})
    )
    reading = read_stream("openai", "batch.results", stream)
    assert usage_of(reading) == Usage(input=20, output=10)
    assert reading.parts[0].conditions.service_tier == "batch"
    assert reading.reason == "2 answers, 2 failed"


def test_a_batch_with_a_line_that_cannot_be_read_is_unknown_as_a_whole() -> None:
    body = completion(prompt_tokens=10, completion_tokens=5)
    good = session_line(custom_id="1", response={"status_code": 200, "body": body})
    reading = read_stream("openai", "batch.results", good + b'{"custom_id": "2", "response": [}\n')
    assert reading.parts == ()
    assert "cannot be read" in (reading.reason or "")
