"""Answers are read beside their passage, whatever they were compressed with, and failures are reasons."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.framing import EVENT_BYTES_MAX
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Exchange, Reading
from flatfare.dialects.recognition import by_name
from tests.dialects.bodies import sse, usage_of

CHUNK = {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": []}
STREAM = sse({**CHUNK, "usage": {"prompt_tokens": 9, "completion_tokens": 1}})
ROUTE = by_name("openai", "chat.completions").route


def streamed(body: bytes, size: int, encoding: str = "", status: int = 200) -> Reading:
    headers = {"content-encoding": encoding} if encoding else {}
    stream = Stream(ROUTE, Exchange("openai", "chat.completions", status, headers=headers))
    for position in range(0, len(body), size):
        stream.feed(body[position : position + size])
    return stream.finish()


@pytest.mark.parametrize(
    ("encode", "encoding"),
    [
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (lambda body: zlib.compress(body, wbits=-15), "deflate"),
        (lambda body: gzip.compress(zlib.compress(body)), "deflate, gzip"),
        (lambda body: body, "identity"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_compressed_stream_is_opened_piece_by_piece(
    encode: Callable[[bytes], bytes], encoding: str, size: int
) -> None:
    assert usage_of(streamed(encode(STREAM), size, encoding)) == Usage(input=9, output=1)


def test_a_damaged_or_unknown_encoding_is_a_reason() -> None:
    assert "damaged" in (streamed(b"\x1f\x8b\x08\x00" + b"x" * 50, 10, "gzip").reason or "")
    assert "lzma" in (streamed(b"x" * 50, 10, "lzma").reason or "")


def test_a_stream_that_swells_without_end_is_refused() -> None:
    reading = streamed(gzip.compress(b"data: " + b"0" * 200_000_000), 65536, "gzip")
    assert "swells" in (reading.reason or "")


def test_an_error_in_place_of_a_stream_costs_nothing() -> None:
    reading = streamed(b'{"error": {"message": "overloaded"}}', 5, status=503)
    assert reading.is_free
    assert "503" in (reading.reason or "")


def test_an_answer_without_a_body_is_unknown() -> None:
    assert read_whole(ROUTE, b"", Exchange("openai", "chat.completions")).reason
    assert streamed(b"", 1).reason


def test_a_broken_event_explains_missing_usage_and_does_not_spoil_what_came() -> None:
    broken = b'data: {"choices": [}\n\n'
    assert usage_of(streamed(broken + STREAM, 11)) == Usage(input=9, output=1)


USED = {"prompt_tokens": 10, "completion_tokens": 5}
ANSWERS: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("openai", "batch.results"): {
        "custom_id": "a",
        "response": {"status_code": 200, "body": {**CHUNK, "object": "chat.completion", "usage": USED}},
    },
    ("anthropic", "messages.batches.results"): {
        "custom_id": "a",
        "result": {
            "type": "succeeded",
            "message": {"model": "claude-3", "usage": {"input_tokens": 10, "output_tokens": 5}},
        },
    },
    ("gemini", "batches.results"): {
        "key": "a",
        "response": {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5}},
    },
    ("bedrock", "batch.results"): {
        "recordId": "a",
        "modelOutput": {"inputTextTokenCount": 10, "results": [{"tokenCount": 5}]},
    },
}


@pytest.mark.parametrize(("provider", "endpoint"), ANSWERS)
@pytest.mark.parametrize(
    "damage", [b'{"custom_id": broken', b"x" * (EVENT_BYTES_MAX + 1)], ids=["cut", "too large"]
)
def test_a_batch_with_a_line_that_cannot_be_read_has_no_cost_whole_or_streamed(
    provider: str, endpoint: str, damage: bytes
) -> None:
    answer = json.dumps(ANSWERS[provider, endpoint]).encode()
    route, exchange = by_name(provider, endpoint).route, Exchange(provider, endpoint)
    assert usage_of(read_whole(route, answer, exchange)) == Usage(input=10, output=5)
    body = b"\n".join((answer, answer, damage))
    stream = Stream(route, exchange)
    for position in range(0, len(body), 1 << 20):
        stream.feed(body[position : position + (1 << 20)])
    for reading in (read_whole(route, body, exchange), stream.finish()):
        assert reading.parts == ()
        assert reading.reason
        assert not reading.is_free


def test_a_byte_order_mark_before_a_body_is_left_out() -> None:
    body = json.dumps({**CHUNK, "usage": {"prompt_tokens": 9, "completion_tokens": 1}}).encode()
    assert usage_of(read_whole(ROUTE, b"\xef\xbb\xbf" + body, Exchange("openai", "chat.completions")))
    assert usage_of(streamed(b"\xef\xbb\xbf" + body, 1)) == Usage(input=9, output=1)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("body", [b"<html>oops</html>", b"Service is being moved.\n\n", b"\n 503 Try later"])
def test_a_page_in_place_of_an_answer_is_no_stream_that_was_cut(body: bytes, size: int) -> None:
    reading = streamed(body, size)
    assert reading.text_seen is None
    assert "is not one of this endpoint" in (reading.reason or "")
