"""Cohere: billed units are billed, and nothing else."""

import json

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Reading
from flatfare.dialects.recognition import Recognised, by_address, by_look

REQUEST = b'{"model": "command-r-08-2024", "max_tokens": 9}'


def at(path: str) -> Recognised:
    recognised = by_address("api.cohere.com", path)
    assert recognised is not None
    return recognised


def read(body: object, path: str = "/v2/chat", request: bytes = REQUEST) -> Reading:
    recognised = at(path)
    return read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange(request, path))


def streamed(body: bytes, path: str, cut: int) -> Reading:
    recognised = at(path)
    stream = Stream(recognised.route, recognised.exchange(REQUEST, path))
    for start in range(0, len(body), cut):
        stream.feed(body[start : start + cut])
    return stream.finish()


BILLED = {
    "billed_units": {"input_tokens": 25, "output_tokens": 13},
    "tokens": {"input_tokens": 1533, "output_tokens": 36},
    "cached_tokens": 1440,
}
EXPECTED = Usage(input=25, output=13)


def test_billed_units_are_billed_and_tokens_are_not():
    reading = read({"id": "a", "finish_reason": "COMPLETE", "message": {}, "usage": BILLED})
    assert reading.parts[0].usage == EXPECTED
    assert reading.model == "command-r-08-2024"


def test_version_1_keeps_them_in_meta():
    assert read({"text": "x", "meta": BILLED}, "/v1/chat").parts[0].usage == EXPECTED
    assert read({"generations": [], "meta": BILLED}, "/v1/generate").parts[0].usage == EXPECTED


def test_both_versions_stream_as_they_answer():
    version_2 = b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        for event in (
            {"type": "message-start", "id": "a"},
            {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": BILLED}},
        )
    )
    version_1 = b"\n".join(
        json.dumps(event).encode()
        for event in (
            {"is_finished": False, "event_type": "text-generation", "text": "hi"},
            {"is_finished": True, "event_type": "stream-end", "response": {"text": "hi", "meta": BILLED}},
        )
    )
    for cut in (1, 11, 10_000):
        assert streamed(version_2, "/v2/chat", cut).parts[0].usage == EXPECTED
        assert streamed(version_1, "/v1/chat", cut).parts[0].usage == EXPECTED
    recognised = at("/v1/chat")  # kept whole, where nothing says that it was a stream
    assert read_whole(recognised.route, version_1, recognised.exchange()).parts[0].usage == EXPECTED


def test_a_stream_that_was_cut_keeps_what_was_said():
    body = b'data: {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}}\n\n'
    reading = streamed(body, "/v2/chat", 5)
    assert not reading.is_complete
    assert reading.text_seen == "hi"


def test_a_reranker_bills_search_units():
    body = {"results": [], "meta": {"billed_units": {"search_units": 2}}}
    assert read(body, "/v2/rerank", b'{"model": "rerank-v3.5"}').parts[0].usage == Usage(search_unit=2)


@pytest.mark.parametrize(
    ("billed", "usage"),
    [
        ({"input_tokens": 4, "image_tokens": 0}, Usage(input=4)),
        ({"input_tokens": 4, "image_tokens": 900}, Usage(input=4, input_image=900)),
        ({"input_tokens": 904, "text_tokens": 4, "image_tokens": 900}, Usage(input=4, input_image=900)),
        ({"images": 3}, Usage(input_image_count=3)),
        ({"images": 1, "image_tokens": 900}, Usage(input_image=900)),
    ],
)
def test_pictures_are_billed_by_token_or_by_number(billed, usage):
    body = {"embeddings": {}, "meta": {"billed_units": billed}}
    assert read(body, "/v2/embed").parts[0].usage == usage


def test_an_answer_without_billed_units_is_unknown():
    reading = read({"message": {}, "usage": {"tokens": {"input_tokens": 5}}})
    assert reading.parts == ()
    assert not reading.is_free


@pytest.mark.parametrize("billed", [{}, {"input_tokens": None, "output_tokens": None}])
def test_billed_units_that_say_nothing_are_unknown_and_not_free(billed):
    reading = read({"message": {}, "usage": {"billed_units": billed}})
    assert reading.parts == ()
    assert not reading.is_free


def test_the_model_is_found_in_a_request_that_was_stored_cut_short():
    body = {"meta": {"billed_units": {"search_units": 1}}}
    reading = read(body, "/v1/rerank", b'{"query": "x", "model": "rerank-english-v3.0", "documents": ["a')
    assert reading.model == "rerank-english-v3.0"


def test_bare_bodies_are_known_by_their_look():
    recognised = by_look({"id": "a", "finish_reason": "COMPLETE", "message": {}, "usage": BILLED})
    assert recognised is not None
    assert recognised.dialect.provider == "cohere"


@pytest.mark.parametrize("count", [-1, 10**16, 1.5, "12", True])
def test_an_impossible_count_is_refused(count):
    assert read({"usage": {"billed_units": {"input_tokens": count}}}).parts == ()
