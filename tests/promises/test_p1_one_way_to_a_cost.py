"""P1: body or stream → usage → leaves → cost is one way. Streamed equals whole, cut anywhere."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.dialects import framing
from flatfare.dialects.meter import Stream
from flatfare.dialects.openai_shape import ChatBody, ChatStream
from flatfare.dialects.reading import Exchange, Reading
from flatfare.dialects.recognition import Recognised, by_name
from flatfare.service.costing.metering import (
    Response,
    exchange_of,
    meter,
    meter_response,
    recognise,
    standard_book,
)
from flatfare.service.costing.pricing import cost_reading, price_reading
from flatfare.service.costing.recordings import response_of


def recorded_streams(folder: Path) -> Iterator[tuple[Path, Response, Recognised]]:
    for file in sorted(folder.glob("*/*.json")):
        response = response_of(file.read_bytes(), Response(body=b""))
        recognised, is_stream = recognise(response)
        if recognised is not None and is_stream:
            yield file, response, recognised


def read_in(recognised: Recognised, exchange: Exchange, *chunks: bytes) -> Reading:
    stream = Stream(recognised.route, exchange)
    for chunk in chunks:
        stream.feed(chunk)
    return stream.finish()


def is_one_at_every_cut(recognised: Recognised, exchange: Exchange, body: bytes, step: int = 1) -> bool:
    """Whether the stream reads the same at once, byte by byte, and cut in two at every step."""
    once = read_in(recognised, exchange, body)
    bytewise = read_in(recognised, exchange, *(body[i : i + 1] for i in range(len(body))))
    cuts = range(0, len(body), step)
    return bytewise == once and all(
        read_in(recognised, exchange, body[:cut], body[cut:]) == once for cut in cuts
    )


@pytest.mark.parametrize(
    ("small", "step"), [(1_500, 1_009), pytest.param(20_000, 211, marks=pytest.mark.soak)]
)
def test_each_recorded_stream_cut_at_every_byte_gives_the_same_usage(
    shared: Callable[..., Path], small: int, step: int
) -> None:
    """All are fed byte by byte; small ones are also cut in two everywhere, larger ones at steps."""
    seen = 0
    for file, response, recognised in recorded_streams(shared("recorded")):
        seen += 1
        body = response.body
        step_here = 1 if len(body) <= small else step
        assert is_one_at_every_cut(recognised, exchange_of(recognised, response), body, step_here), file
    assert seen > 150


def test_any_chunking_gives_the_same_cost(shared: Callable[..., Path]) -> None:
    book = standard_book()
    for file, response, recognised in recorded_streams(shared("recorded")):
        exchange, body = exchange_of(recognised, response), response.body
        costs = set()
        for size in (1 << 30, 4096, 1000, 61, 7):
            chunks = (body[i : i + size] for i in range(0, len(body), size))
            costs.add(
                cost_reading(book, read_in(recognised, exchange, *chunks), exchange, 1_770_000_000_000_000)
            )
        assert len(costs) == 1, file


def test_lean_and_explained_give_the_same_nano_dollar(shared: Callable[..., Path]) -> None:
    book = standard_book()
    for file in sorted(shared("recorded").glob("*/*.json")):
        response = response_of(file.read_bytes(), Response(body=b"", at_us=1_770_000_000_000_000))
        metered = meter_response(response, book)
        recognised, _ = recognise(response)
        if recognised is None or metered.reading.text_seen is not None:
            continue
        exchange = exchange_of(recognised, response)
        explained = price_reading(book, metered.reading, exchange).dollars
        assert cost_reading(book, metered.reading, exchange) == explained, file
        if explained.is_known:
            assert metered.computed_cost == explained, file


def chat_stream(usage: dict[str, object]) -> bytes:
    start = {"object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "created": 1750000000}
    events = [
        {**start, "choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None},
        {**start, "choices": [], "usage": usage},
    ]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"


count = st.integers(0, 10**6)


@st.composite
def openai_usages(draw: st.DrawFn) -> dict[str, object]:
    """Usage as OpenAI counts: totals, and parts that fit into them."""
    cached, written, text, audio = (draw(count) for _ in range(4))
    said, reasoning, spoken = (draw(count) for _ in range(3))
    return {
        "prompt_tokens": cached + written + text + audio,
        "completion_tokens": said + reasoning + spoken,
        "total_tokens": cached + written + text + audio + said + reasoning + spoken,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": audio,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }


@given(openai_usages())
def test_leaves_sum_to_the_whole_and_none_is_negative(usage: dict[str, object]) -> None:
    body = {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "usage": usage}
    metered = meter(body, provider="openai")
    assert metered.usage.input_tokens == usage["prompt_tokens"]
    assert metered.usage.output_tokens == usage["completion_tokens"]
    assert all(count > 0 for count in metered.usage.values())


@given(openai_usages(), st.data())
def test_streamed_equals_whole(usage: dict[str, object], data: st.DataObject) -> None:
    body = {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "usage": usage}
    stream = chat_stream(usage)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    recognised = by_name("openai", "chat.completions")
    exchange = Exchange("openai", "chat.completions")
    whole = meter(body, provider="openai", endpoint="chat.completions")
    assert read_in(recognised, exchange, *chunks).parts == whole.reading.parts
    assert meter(stream, provider="openai", endpoint="chat.completions").cost == whole.cost


huge = st.integers(-(10**30), 10**30) | st.floats() | st.none() | st.booleans() | st.text(max_size=3)


@settings(max_examples=300)
@given(
    prompt=huge,
    completion=huge,
    cached=huge,
    written=huge,
    audio=huge,
    image=huge,
    reasoning=huge,
    spoken=huge,
    total=huge,
)
def test_any_figures_are_read_to_leaves_that_fit_or_refused_with_a_sentence(**figures: object) -> None:
    usage = {
        "prompt_tokens": figures["prompt"],
        "completion_tokens": figures["completion"],
        "total_tokens": figures["total"],
        "prompt_tokens_details": {
            "cached_tokens": figures["cached"],
            "cache_write_tokens": figures["written"],
            "audio_tokens": figures["audio"],
            "image_tokens": figures["image"],
        },
        "completion_tokens_details": {
            "reasoning_tokens": figures["reasoning"],
            "audio_tokens": figures["spoken"],
        },
    }
    body = {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "usage": usage}
    metered = meter(json.dumps(body), provider="openai", endpoint="chat.completions")
    if metered.reading.parts:
        assert all(count > 0 for count in metered.usage.values())
        assert metered.usage.input_tokens == (figures["prompt"] or 0)
        assert metered.usage.output_tokens == (figures["completion"] or 0)
    else:
        assert metered.cost.reason
        assert not metered.cost.is_known


def test_the_check_sees_bytes_that_are_lost_between_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    recognised, exchange = by_name("openai", "chat.completions"), Exchange("openai", "chat.completions")
    stream = chat_stream({"prompt_tokens": 10, "completion_tokens": 5})
    assert is_one_at_every_cut(recognised, exchange, stream)
    monkeypatch.setattr(framing._Held, "take", lambda self, piece: piece)
    assert not is_one_at_every_cut(recognised, exchange, stream)


def test_the_check_sees_cumulative_usage_that_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    start = {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [{"delta": {"content": "x"}}]}
    chunks = [{**start, "usage": {"prompt_tokens": 10, "completion_tokens": n}} for n in (1, 2, 3)]
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"
    whole = meter({**start, "usage": chunks[-1]["usage"]}, provider="openai", endpoint="chat.completions")

    def agrees() -> bool:
        streamed = meter(stream, provider="openai", endpoint="chat.completions")
        return streamed.usage == whole.usage

    assert agrees()
    event = ChatStream.event

    def adding(self: ChatStream[ChatBody], name: str, data: bytes) -> None:
        before = self._usage
        event(self, name, data)
        if before is not None and self._usage is not None and data != b"[DONE]":
            self._usage = before + self._usage

    monkeypatch.setattr(ChatStream, "event", adding)
    assert not agrees()


def test_a_recording_in_base64_is_the_same_as_its_bytes() -> None:
    stream = chat_stream({"prompt_tokens": 10, "completion_tokens": 5})
    envelope = {
        "request_host": "api.openai.com",
        "request_url_path": "/v1/chat/completions",
        "request_body": json.dumps({"model": "gpt-4o", "stream": True}),
        "response_status": 200,
        "response_body_text": base64.b64encode(stream).decode(),
        "response_body_encoding": "base64",
    }
    response = response_of(json.dumps(envelope).encode(), Response(body=b""))
    assert meter_response(response, standard_book()).cost == meter(stream).cost
