"""No body makes a dialect fail, hang or swell: what cannot be read has a reason."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.dialects.dialect import Route
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Exchange, Reading
from flatfare.dialects.recognition import dialects

ROUTES = [
    pytest.param(dialect.provider, route, id=f"{dialect.provider}-{route.endpoint}-{place}")
    for dialect in dialects().values()
    for place, route in enumerate(dialect.routes)
    if not route.free and not route.is_binary
]

COUNTS = (
    "input_tokens",
    "output_tokens",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "inputTokens",
    "outputTokens",
    "prompt_eval_count",
    "eval_count",
)


def _usage(value: object) -> dict[str, object]:
    return dict.fromkeys(COUNTS, value)


def _answer(value: object) -> bytes:
    """A body that has usage wherever a provider keeps it."""
    usage = _usage(value)
    details = {"cached_tokens": value, "reasoning_tokens": value, "thinking_tokens": value}
    usage |= {
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
        "iterations": [_usage(value)],
    }
    billed = {"billed_units": usage, "tokens": usage}
    body = {
        "type": "message",
        "model": "m",
        "usage": {**usage, **billed},
        "usageMetadata": usage,
        "meta": billed,
        "message": {"usage": usage},
        "response": {"usage": usage},
        "results": [{"input_token_count": value, "generated_token_count": value, "tokenCount": value}],
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": value},
        **usage,
    }
    return json.dumps(body).encode()


HOSTILE = {
    "empty": b"",
    "blank": b" \n\n ",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "cut": _answer(5)[:100],
    "negative": _answer(-1),
    "huge": _answer(10**30),
    "huger": b'{"usage": {"input_tokens": 1' + b"0" * 5_000 + b"}}",
    "fraction": _answer(1.5),
    "infinite": _answer(float("inf")),
    "not_a_number": _answer(float("nan")),
    "text": _answer("many"),
    "truth": _answer(True),
    "list_counts": _answer([1]),
    "object_counts": _answer({"a": 1}),
    "deep_lists": b"[" * 10_000,
    "deep_objects": b'{"usage":' * 10_000,
    "deep_usage": b'{"type": "message", "usage": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    "duplicates": b'{"usage": {"input_tokens": 1}, "usage": {"input_tokens": -2, "prompt_tokens": -2}}',
    "broken_utf8": b'{"model": "\xff\xfe\xc3", "usage": {"input_tokens": 5}}',
    "cut_utf8": '{"model": "ä'.encode()[:-1],
    "surrogate": b'{"model": "\\ud800", "usage": {"input_tokens": 5, "output_tokens": 1}}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56",
    "zeros": b"\x00" * 100,
    "sse": b"data: {\n\ndata: null\n\nevent: x\ndata: []\n\ndata: 5\n\n",
    "sse_counts": b"data: " + _answer(-1) + b"\n\n",
    "lines": b"{}\nnull\n[]\n" + _answer(-1) + b"\n",
}


def _read_both(provider: str, route: Route, body: bytes) -> list[Reading]:
    exchange = Exchange(provider, route.endpoint)
    readings = [read_whole(route, body, exchange)]
    if route.stream is not None:
        stream = Stream(route, exchange)
        for start in range(0, len(body), 1 + len(body) // 3):
            stream.feed(body[start : start + 1 + len(body) // 3])
        readings.append(stream.finish())
    return readings


@pytest.mark.parametrize(("provider", "route"), ROUTES)
def test_hostile_bodies_have_a_reason(provider, route):
    for name, body in HOSTILE.items():
        for reading in _read_both(provider, route, body):
            assert reading.parts or reading.reason, name
            for part in reading.parts:
                assert all(0 < count <= 10**15 for count in part.usage.values()), name


def _scalars() -> st.SearchStrategy[object]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10**16),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(["message", "message_start", "message_delta", "usage", "AUDIO", "done", "batch"]),
    )


KEYS = st.sampled_from(
    [
        *COUNTS,
        "usage",
        "usageMetadata",
        "message",
        "type",
        "delta",
        "meta",
        "billed_units",
        "response",
        "results",
        "result",
        "iterations",
        "candidates",
        "content",
        "cache_creation",
        "cache_creation_input_tokens",
        "cachedContentTokenCount",
        "promptTokensDetails",
        "prompt_tokens_details",
        "groundingMetadata",
        "webSearchQueries",
        "service_tier",
        "trafficType",
        "modality",
        "tokenCount",
        "model",
        "choices",
        "output",
        "session",
        "serverContent",
        "modelOutput",
        "event_type",
        "created",
    ]
)
TREES = st.recursive(
    _scalars(),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(KEYS, TREES, max_size=6), min_size=1, max_size=3))
def test_no_tree_of_the_words_of_the_wire_makes_a_dialect_fail(trees):
    whole = json.dumps(trees[0]).encode()
    lines = b"\n".join(json.dumps(tree).encode() for tree in trees)
    events = b"".join(b"data: " + json.dumps(tree).encode() + b"\n\n" for tree in trees)
    for case in ROUTES:
        provider, route = case.values
        for body in (whole, lines, events):
            for reading in _read_both(provider, route, body):
                assert reading.parts or reading.reason
                for part in reading.parts:
                    assert all(count > 0 for count in part.usage.values())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_a_dialect_fail(noise):
    for case in ROUTES:
        provider, route = case.values
        for reading in _read_both(provider, route, noise):
            assert reading.parts or reading.reason


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 15_000 + b"{}]",
        b"data: {}\n\n" * 10_000,
        b"{}\n" * 15_000,
        b'{"a":"' + b"x" * 300_000 + b'"}',
        b"data: " * 20_000,
    ],
    ids=["array", "events", "lines", "text", "unended"],
)
def test_memory_stays_within_a_multiple_of_the_body(body):
    for case in ROUTES:
        provider, route = case.values
        if provider not in ("anthropic", "gemini", "bedrock", "cohere", "xai", "ollama", "watsonx", "openai"):
            continue
        tracemalloc.start()
        _read_both(provider, route, body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 * len(body) + 2_000_000, (provider, route.endpoint)
