"""P12: bytes pass through as they came, misbehaviour included; every change is a policy with a name."""

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig import (
    EVENTS,
    JSON,
    Answer,
    Close,
    Pause,
    Reset,
    Stall,
    asking,
    bytewise,
    chunk,
    chunked,
    head,
    same_to_a_client,
    sse,
    until_close,
    whole,
)
from tests.gateway.rig_gateway import CREDENTIAL, check_booked
from tests.gateway.rig_pair import ASKED, CHAT, OPENAI, STREAMED, UNASKED, Pair, pair
from tests.gateway.rig_recorded import NAMES, Recorded, own, recorded

WHOLE = own("openai-chat").body
STREAM = own("openai-chat-stream-usage").body
PLAIN = own("openai-chat-stream").body
COST_OF_WHOLE = own("openai-chat").metered().cost.amount_nano
COST_OF_STREAM = own("openai-chat-stream-usage").metered().cost.amount_nano


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("p12"), *NAMES) as opened:
        yield opened


def cut_everywhere(answer: Answer) -> Answer:
    """The same bytes, each written alone."""
    return tuple(
        piece for step in answer for piece in (bytewise(step) if isinstance(step, bytes) else [step])
    )


events = own("openai-chat-stream-usage").pieces()
with_comments = b"".join(
    b": OPENROUTER PROCESSING\n\n" + event + b": ping\nid: 7\nretry: 10\n\n" for event in events
)
long_line = sse({"id": "x", "choices": [{"index": 0, "delta": {"content": "x" * (1 << 20)}}], "usage": None})
crlf = STREAM.replace(b"\n", b"\r\n")

ANSWERED_WHOLE = {
    "whole": whole(WHOLE),
    "every byte a write": cut_everywhere(whole(WHOLE)),
    "every byte a chunk": chunked(bytewise(WHOLE), headers=JSON),
    "every byte a chunk and every byte of it a write": cut_everywhere(chunked(bytewise(WHOLE), headers=JSON)),
    "HTTP/1.0, until it closes": until_close([WHOLE[:100], Pause(0.01), WHOLE[100:]], headers=JSON),
    "HTTP/1.1, until it closes": until_close([WHOLE], headers=JSON, version="1.1"),
    "HTTP/1.0 with a length": (
        head(200, [*JSON, ("content-length", str(len(WHOLE)))], "1.0") + WHOLE,
        Close(),
    ),
    "closed behind its length": (
        head(200, [*JSON, ("content-length", str(len(WHOLE))), ("connection", "close")]) + WHOLE,
        Close(),
    ),
    "trailers": chunked(
        [WHOLE], headers=(*JSON, ("trailer", "x-sum")), trailers=[("x-sum", "7"), ("x-b", "")]
    ),
    "chunk sizes with extensions and zeros": (
        head(200, [*JSON, ("transfer-encoding", "chunked")])
        + b"000%X;name=value\r\n%s\r\n0;last\r\n\r\n" % (len(WHOLE), WHOLE),
    ),
    "early hints before it": (head(103, [("link", "</x>; rel=preload")]), *whole(WHOLE)),
    "no reason phrase": (b"HTTP/1.1 200 \r\n" + whole(WHOLE)[0].partition(b"\r\n")[2],),  # type: ignore[union-attr]
    "a reason of its own": (
        b"HTTP/1.1 200 Quite Fine\r\n" + whole(WHOLE)[0].partition(b"\r\n")[2],  # type: ignore[union-attr]
    ),
    "headers twice, empty, odd": whole(
        WHOLE,
        headers=[
            *JSON,
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2"),
            ("X-Empty", ""),
            ("x-latin", "d\xe9j\xe0 vu"),
            ("X-MiXeD", "a,  b"),
            ("date", "Sat, 21 Nov 2026 00:00:00 GMT"),
            ("server", "cloudflare"),
            ("x-long", "y" * 8000),
        ],
    ),
}


@pytest.mark.parametrize("how", ANSWERED_WHOLE)
def test_a_whole_answer_arrives_as_it_was_sent(both: Pair, how: str) -> None:
    seen, row = both.same(ANSWERED_WHOLE[how])
    assert seen.body == WHOLE
    assert (row["cost_nano"], row["cost_state"], row["status"]) == (COST_OF_WHOLE, "measured", "ok")


STREAMS = {
    "an event a chunk": (chunked(events), STREAM),
    "every byte a chunk": (chunked(bytewise(STREAM)), STREAM),
    "every byte a write": (cut_everywhere(chunked(events)), STREAM),
    "HTTP/1.0, until it closes": (until_close(events), STREAM),
    "with a length": (whole(STREAM, headers=EVENTS), STREAM),
    "comments, ids and retries between": (chunked(bytewise(with_comments)), with_comments),
    "a line of a megabyte": (chunked([long_line, *events]), long_line + STREAM),
    "a line of a megabyte in small pieces": (
        chunked([long_line[i : i + 7919] for i in range(0, len(long_line), 7919)] + events),
        long_line + STREAM,
    ),
    "lines that end with CRLF": (chunked(bytewise(crlf)), crlf),
    "a byte order mark first": (chunked([b"\xef\xbb\xbf" + STREAM]), b"\xef\xbb\xbf" + STREAM),
    "nothing after its last event": (chunked([STREAM.rstrip(b"\n")]), STREAM.rstrip(b"\n")),
}


@pytest.mark.parametrize("how", STREAMS)
def test_a_stream_arrives_as_it_was_sent(both: Pair, how: str) -> None:
    answer, body = STREAMS[how]
    seen, row = both.same(answer, STREAMED)
    assert seen.body == body
    assert (row["cost_nano"], row["cost_state"]) == (COST_OF_STREAM, "measured")


def raw_deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def brotli(data: bytes) -> bytes:
    return bytes(pytest.importorskip("brotli", reason="needs brotli").compress(data))


def zstd(data: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard", reason="needs zstandard").ZstdCompressor().compress(data))


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without its header": ("deflate", raw_deflate),
    "br": ("br", brotli),
    "zstd": ("zstd", zstd),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_compressed_answer_stays_compressed_and_is_metered(
    both: Pair, coding: str, is_stream: bool
) -> None:
    name, squeeze = CODINGS[coding]
    packed = squeeze(STREAM if is_stream else WHOLE)
    kind = EVENTS if is_stream else JSON
    headers = (*kind, ("content-encoding", name))
    answer = chunked(bytewise(packed), headers=headers) if is_stream else whole(packed, headers=headers)
    seen, row = both.same(answer, STREAMED if is_stream else ASKED, [("accept-encoding", name)])
    assert seen.body == packed
    assert seen.header("content-encoding") == name
    assert row["cost_nano"] == (COST_OF_STREAM if is_stream else COST_OF_WHOLE)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 529, 599])
@pytest.mark.parametrize("body", [ASKED, STREAMED], ids=["whole", "stream"])
def test_an_error_is_the_providers_byte_for_byte(both: Pair, status: int, body: bytes) -> None:
    headers = (*JSON, ("retry-after", "17"), ("x-request-id", "r1"), ("x-ratelimit-remaining-requests", "0"))
    answer = whole(b'{ "error" : {"message":"caf\\u00e9", "code":null} }\n', status, headers)
    seen, row = both.same(answer, body)
    assert seen.header("retry-after") == "17"
    assert (row["status"], row["http_status"], row["cost_nano"]) == ("failed", status, 0)


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"", 200, []),
        whole(b"<html><body>502 Bad Gateway</body></html>", 502, [("content-type", "text/html")]),
        whole(b"", 500, []),
        whole(b"<html>", 200, [("content-type", "text/html")]),
        whole(b"\x00\xff\xfe{", 200),
        whole(b'{"choices": [], "usage": {"prompt_tokens": -5}}', 200),
        whole(b"[" * 100_000, 200),
        chunked([b'data: {"choices": [\n\n', b"data: \xff\xfe\n\n", b"\x00" * 5000], 200),
        (head(204, []),),
    ],
    ids=["empty", "html error", "empty error", "html", "bytes", "negative", "deep", "broken events", "204"],
)
def test_nonsense_passes_and_is_not_priced_at_nothing(both: Pair, answer: Answer) -> None:
    seen, row = both.same(answer)
    if seen.status < 400:
        assert row["cost_state"] in ("unknown", "estimated")
        assert row["cost_nano"] != 0
        assert row["cost_reason"]


BROKEN_OFF = {
    "reset in the middle of a stream": (chunked([*events[:3], Pause(0.03), Reset()]), STREAMED),
    "closed in the middle of a chunk": (
        (*chunked([*events[:3], Pause(0.01), Close()])[:-1], b"40\r\nhalf", Pause(0.01), Close()),
        STREAMED,
    ),
    "closed between chunks": (chunked([*events[:3], Pause(0.01), Close()]), STREAMED),
    "reset in a whole answer": (
        (head(200, [*JSON, ("content-length", str(len(WHOLE)))]) + WHOLE[:50], Pause(0.03), Reset()),
        ASKED,
    ),
    "a length too long": (
        (head(200, [*JSON, ("content-length", str(len(WHOLE) + 9))]) + WHOLE, Pause(0.01), Close()),
        ASKED,
    ),
    "a chunk size that is none": (
        (
            head(200, [*EVENTS, ("transfer-encoding", "chunked")]) + chunk(events[0]),
            Pause(0.01),
            b"zz\r\n",
            Close(),
        ),
        STREAMED,
    ),
}


@pytest.mark.parametrize("how", BROKEN_OFF)
def test_what_is_broken_off_is_broken_off_for_the_client_too(both: Pair, how: str) -> None:
    """A client must never take half an answer for a whole one."""
    answer, body = BROKEN_OFF[how]
    both.provider.forget()
    direct = both.direct(answer, body)
    through = both.through(answer, body)
    assert direct.end in ("cut", "reset", "broken")
    assert through.end in ("cut", "reset", "broken")
    assert (through.status, through.body) == (direct.status, direct.body)
    row = both.row(through)
    assert row["status"] == "failed"
    assert row["cost_nano"] != 0
    if row["cost_state"] == "measured":  # its usage had come
        assert row["cost_nano"] == COST_OF_WHOLE


def test_a_stall_is_a_stall(both: Pair) -> None:
    answer = chunked([*events[:3], Stall()])
    direct = both.direct(answer, STREAMED, timeout_s=0.4)
    through = both.through(answer, STREAMED, timeout_s=0.4)
    assert (direct.end, through.end) == ("late", "late")
    assert through.body == direct.body == b"".join(events[:3])


@pytest.mark.parametrize(
    "answer",
    [(Close(),), (Reset(),), (b"HTTP/1.1 2", Close()), (b"SSH-2.0-OpenSSH_9.9\r\n", Close())],
    ids=["closed", "reset", "half a status line", "another protocol"],
)
def test_a_provider_that_does_not_answer_is_a_bad_gateway(both: Pair, answer: Answer) -> None:
    """There is nothing to pass on; the client is told so in the shape its SDK knows, and may retry."""
    seen = both.through(answer)
    assert (seen.status, seen.end) == (502, "whole")
    assert seen.json()["error"]["message"]
    row = both.row(seen)
    assert row["status"] == "failed"
    assert row["cost_nano"] != 0 or row["delivery"] == "unproven"


def test_bytes_beyond_the_length_are_nobodys_answer(both: Pair) -> None:
    """They are not handed to the next call on that connection."""
    poison = whole(b'{"poison": true}')
    both.provider.forget()
    for _ in range(3):
        assert both.through((*whole(WHOLE), *poison)).body == WHOLE
        assert both.through(whole(STREAM, headers=EVENTS), STREAMED).body == STREAM
    assert len(both.provider.log) == 6


def test_a_late_second_answer_is_nobodys_answer(both: Pair) -> None:
    """A provider that answers once more while its connection rests does not answer the next call."""
    both.through((*whole(WHOLE), Pause(0.1), *whole(b'{"poison": true}')))
    time.sleep(0.3)
    assert both.through(whole(WHOLE)).body == WHOLE


def test_events_come_when_they_come(both: Pair) -> None:
    """Nothing is held back: each event is there before the provider writes the next."""
    answer = chunked([event for one in events[:4] for event in (one, Pause(0.15))])
    seen, _ = both.same(answer, STREAMED)
    times = {size: moment for moment, size in seen.arrivals}
    sizes = sorted(times)
    gaps = [times[b] - times[a] for a, b in pairwise(sizes)]
    assert len(gaps) >= 3
    assert min(gaps) > 0.08


def test_a_large_answer_and_a_large_request_pass(both: Pair) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": [], "pad": "x" * 5_000_000}).encode()
    big = json.dumps({**json.loads(WHOLE), "pad": "y" * 20_000_000}).encode()
    seen, row = both.same(whole(big), body, timeout_s=20)
    assert len(seen.body) > 20_000_000
    assert row["cost_nano"] == COST_OF_WHOLE


REQUESTS = {
    "spaces and order": b' {"messages" :[ ],\n\t"model":"gpt-4o","temperature":1.0e0, "z":1,"a":2 } \n',
    "a key twice": b'{"model": "gpt-4o-mini", "model": "gpt-4o", "messages": []}',
    "escapes": b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "\\u00e9\\/\\ud83d\\udd77"}]}',
    "no JSON": b"model=gpt-4o&messages=hello",
    "half of it": b'{"model": "gpt-4o", "messages": [',
    "not UTF-8": b'{"model": "gpt-4o", "x": "\xff\xfe"}',
    "NaN and big numbers": b'{"model": "gpt-4o", "seed": 123456789012345678901234567890, "x": NaN}',
    "a byte order mark": b'\xef\xbb\xbf{"model": "gpt-4o", "messages": []}',
    "deep": b'{"model": "gpt-4o", "x": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "empty": b"",
}


@pytest.mark.parametrize("how", REQUESTS)
def test_the_provider_gets_the_request_as_it_was_written(both: Pair, how: str) -> None:
    both.same(whole(WHOLE), REQUESTS[how], [("content-type", "application/json"), ("x-odd", "d\xe9j\xe0")])
    direct, through = both.provider.log
    assert through.body == direct.body == REQUESTS[how]
    assert through.header("x-odd") == direct.header("x-odd")


def test_a_compressed_request_travels_as_it_is(both: Pair) -> None:
    both.same(whole(WHOLE), gzip.compress(ASKED, mtime=0), [("content-encoding", "gzip")])
    assert both.provider.log[1].header("content-encoding") == "gzip"


def test_a_request_in_chunks_arrives_whole(both: Pair) -> None:
    both.provider.forget()
    both.provider.next(whole(WHOLE))
    raw = asking("POST", CHAT, b"", [("authorization", f"Bearer {both.secret}")])
    raw = raw.replace(b"content-length: 0", b"transfer-encoding: chunked")
    with both.opened() as line:
        line.send(raw + chunk(ASKED[:9]) + chunk(ASKED[9:]) + b"0\r\n\r\n", pieces_of=11, pause_s=0.001)
        assert line.receive().body == WHOLE
    assert both.provider.log[0].body == ASKED


def test_a_client_that_expects_continue_gets_it(both: Pair) -> None:
    both.provider.next(whole(WHOLE))
    raw = both.request(both.secret, ASKED, [("expect", "100-continue")])
    top, _, body = raw.partition(b"\r\n\r\n")
    with both.opened() as line:
        line.send(top + b"\r\n\r\n")
        line.socket.settimeout(2)
        assert line.socket.recv(64).startswith(b"HTTP/1.1 100")
        line.send(body)
        assert line.receive().body == WHOLE


def test_calls_on_one_connection_each_get_their_own_answer(both: Pair) -> None:
    """Kept alive, closed by the provider, pipelined: the answers come in the order of the questions."""
    bodies = [json.dumps({**json.loads(WHOLE), "id": f"chatcmpl-{i}"}).encode() for i in range(6)]
    both.provider.forget()
    both.provider.next(
        *[whole(body) if i % 2 else until_close([body], headers=JSON) for i, body in enumerate(bodies)]
    )
    with both.opened() as line:
        for body in bodies[:3]:
            line.send(both.request(both.secret))
            assert line.receive().body == body
        line.send(both.request(both.secret) * 3)
        assert [line.receive().body for _ in range(3)] == bodies[3:]


def test_a_redirect_is_an_answer(both: Pair) -> None:
    answer = whole(b"", 307, [("location", "http://127.0.0.1:1/elsewhere")])
    seen, _ = both.same(answer)
    assert seen.header("location") == "http://127.0.0.1:1/elsewhere"


def test_sound_passes_as_bytes(both: Pair) -> None:
    sound = bytes(range(256)) * 400
    asked = b'{"model": "tts-1", "input": "Eight legs.", "voice": "alloy"}'
    answer = chunked(
        [sound[i : i + 1000] for i in range(0, len(sound), 1000)], headers=[("content-type", "audio/mpeg")]
    )
    _, row = both.same(answer, asked, target="/v1/audio/speech")
    assert row["endpoint"] == "audio.speech"


def test_the_providers_headers_and_nothing_of_ours_travel(both: Pair) -> None:
    """The client's headers reach the provider, without what speaks of one connection or of us."""
    both.provider.forget()
    both.provider.next(whole(WHOLE))
    sent = [
        ("OpenAI-Organization", "org-1"),
        ("openai-beta", "a=v1"),
        ("x-stainless-retry-count", "0"),
        ("user-agent", "me/1.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, br;q=0.5"),
        ("flatfare-labels", "team=search,feature=summary"),
        ("flatfare-session", "s1"),
        ("baggage", "flatfare.task=t1,theirs=1"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "mine"),
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic eA=="),
    ]
    seen = both.through(None, headers=sent)
    (request,) = both.provider.log
    names = {name.lower() for name, _ in request.headers}
    assert names <= {
        "host",
        "authorization",
        "content-length",
        "connection",
        "openai-organization",
        "openai-beta",
        "x-stainless-retry-count",
        "user-agent",
        "accept",
        "accept-encoding",
        "baggage",
    }
    assert request.header("baggage") in (None, "theirs=1")
    assert request.header("accept-encoding") == "gzip, br;q=0.5"
    assert request.header("openai-organization") == "org-1"
    assert request.header("authorization") == f"Bearer {CREDENTIAL}"
    assert request.header("host") == f"127.0.0.1:{both.provider.port(OPENAI)}"
    labels = json.loads(both.row(seen)["labels"])
    assert labels["feature"] == "summary"


# The policy that asks for a stream's usage


def faithful(request: Any) -> Answer:
    """Streams usage in an extra chunk if it was asked for, as OpenAI does."""
    asked = json.loads(request.body)
    if not (asked.get("stream_options") or {}).get("include_usage"):
        return chunked(own("openai-chat-stream").pieces())
    pieces = own("openai-chat-stream").pieces()
    return chunked([*pieces[:-1], events[-2], pieces[-1]])


@pytest.mark.parametrize("cut", [0, 1, 7, 100, 1 << 20])
def test_usage_that_we_asked_for_is_hidden_exactly(both: Pair, cut: int) -> None:
    """However the stream is cut, the client sees the bytes that it would have seen had nobody asked."""

    def answering(request: Any) -> Answer:
        steps = faithful(request)
        if not cut:
            return steps
        body = b"".join(step.partition(b"\r\n")[2][:-2] for step in steps[1:-1] if isinstance(step, bytes))
        return chunked([body[i : i + cut] for i in range(0, len(body), cut)])

    both.provider.forget()
    with both.provider.answers(answering):
        direct = both.direct_now(UNASKED)
        through = both.through(None, UNASKED)
    same_to_a_client(direct, through)
    assert through.body == PLAIN
    assert through.header("flatfare-changed") == "stream_usage"
    row = both.row(through)
    assert (row["cost_state"], row["input"], row["output"]) == ("measured", 14, 9)
    before, after = (json.loads(request.body) for request in both.provider.log)
    assert after == {**before, "stream_options": {"include_usage": True}}


def test_usage_that_the_client_asked_for_is_its_own(both: Pair) -> None:
    with both.provider.answers(faithful):
        seen = both.through(None, STREAMED)
    assert b'"usage": {' in seen.body
    assert seen.header("flatfare-changed") is None


def test_options_beside_it_stay(both: Pair) -> None:
    asked = UNASKED.replace(
        b'"stream": true', b'"stream": true, "stream_options": {"include_obfuscation": false}'
    )
    both.provider.forget()
    with both.provider.answers(faithful):
        assert both.through(None, asked).body == PLAIN
    options = both.provider.log[0].json()["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}


def test_a_chunk_without_choices_that_is_no_usage_is_not_hidden(both: Pair) -> None:
    """Azure's first chunk has no choices: it says how the prompt was filtered."""
    filtered = sse({"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]})
    pieces = [filtered, *own("openai-chat-stream").pieces()]
    both.provider.forget()
    answer = chunked([*pieces[:-1], events[-2], pieces[-1]])
    assert both.through(answer, UNASKED).body == b"".join(pieces)


def test_usage_beside_the_last_words_is_not_hidden(both: Pair) -> None:
    """Some hosts put usage on the chunk that ends the answer: that chunk is the client's."""
    last = sse(
        {
            "id": "x",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    )
    body = own("openai-chat-stream").pieces()[0] + last + b"data: [DONE]\n\n"
    assert both.through(chunked([body]), UNASKED).body == body


def test_hidden_within_a_compressed_stream_too(both: Pair) -> None:
    """What the client unpacks has no chunk that it did not ask for."""

    def packed(request: Any) -> Answer:
        steps = faithful(request)
        body = b"".join(step.partition(b"\r\n")[2][:-2] for step in steps[1:-1] if isinstance(step, bytes))
        if "gzip" not in (request.header("accept-encoding") or ""):
            return chunked([body])
        return chunked([gzip.compress(body)], headers=(*EVENTS, ("content-encoding", "gzip")))

    with both.provider.answers(packed):
        seen = both.through(None, UNASKED, [("accept-encoding", "gzip")])
    body = gzip.decompress(seen.body) if seen.header("content-encoding") == "gzip" else seen.body
    assert body == PLAIN
    assert both.row(seen)["cost_nano"] is not None


def test_an_error_to_a_stream_that_we_changed_is_the_providers(both: Pair) -> None:
    seen = both.through(whole(b'{"error": {"message": "no"}}', 400), UNASKED)
    assert (seen.status, seen.body) == (400, b'{"error": {"message": "no"}}')


def test_a_whole_answer_to_a_stream_that_we_changed_is_the_providers(both: Pair) -> None:
    seen = both.through(whole(WHOLE), UNASKED)
    assert seen.body == WHOLE
    assert both.row(seen)["cost_nano"] == COST_OF_WHOLE


def test_the_policy_turned_off_changes_nothing(tmp_path: Path) -> None:
    with pair(tmp_path, policies={"stream_usage": False}) as alone, alone.provider.answers(faithful):
        alone.provider.forget()
        seen = alone.through(None, UNASKED)
        assert alone.provider.log[0].body == UNASKED
        assert seen.body == PLAIN
        assert seen.header("flatfare-changed") is None
        assert alone.row(seen)["cost_state"] == "estimated"


# Recorded answers, all of them


FOLDERS = {
    "openai": 500,
    "anthropic": 200,
    "gemini": 200,
    "bedrock": 200,
    "cohere": 30,
    "vertex": 5,
    "*": 200,
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recorded_answer_arrives_as_it_was_and_is_booked_at_its_cost(
    both: Pair, shared: Callable[..., Path], folder: str
) -> None:
    """Bytes equal to the direct ones, and the cost equal to the meter's on the same body (P1)."""
    asked = []
    for one in recorded(shared, folder):
        if folder == "*" and one.name.partition("/")[0] in FOLDERS:
            continue
        asks = b"include_usage" in one.request_body
        is_chat = one.target.partition("?")[0].endswith(("/completions", "/chat"))
        if not one.is_stream or not is_chat or asks:  # else a policy changes it, which has tests of its own
            asked.append((one, both.replay(one)))
    for one, seen in asked:
        row = both.row(seen)
        assert one.status >= 400 or row["status"] == "ok", one.name
        if not is_in_the_background(one):  # else counted where it was begun, which has tests of its own
            check_booked(row, one)
    assert len(asked) >= FOLDERS[folder]


def is_in_the_background(one: Recorded) -> bool:
    """Whether an answer is one that is fetched until it is done: a run of a thread always is."""
    if re.match(r"/v1/threads/(\w+/)?runs", one.target):
        return True
    return one.target.startswith("/v1/responses") and re.search(rb'"background": ?true', one.body) is not None


# Metering that fails


BROKEN_METER = """
import flatfare.dialects.meter as meter
def broken(*_, **__):
    raise RuntimeError("metering was made to fail")
meter.read_whole = meter.Stream.feed = meter.Stream.finish = broken
"""
BROKEN_PRICES = """
import flatfare.gateway.costing as costing
def broken(*_, **__):
    raise RuntimeError("pricing was made to fail")
costing.figures_of = broken
"""


@pytest.mark.parametrize("fault", [BROKEN_METER, BROKEN_PRICES], ids=["reading", "pricing"])
def test_calls_pass_where_metering_fails_and_are_unknown(tmp_path: Path, fault: str) -> None:
    with pair(tmp_path, prelude=fault) as broken:
        for answer, asked in ((whole(WHOLE), ASKED), (chunked(events), STREAMED), (whole(b"{}", 500), ASKED)):
            seen, row = broken.same(answer, asked)
            if seen.status < 400:
                assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")
                assert row["cost_reason"]
        with broken.provider.answers(faithful):
            seen = broken.through(None, UNASKED)
        assert seen.body == PLAIN
        assert broken.row(seen)["cost_state"] == "unknown"


def test_the_comparison_is_not_blind(both: Pair) -> None:
    """A header, a byte or an end that differs is found."""
    direct = both.direct(whole(WHOLE))
    for other in (whole(WHOLE[:-1] + b" "), whole(WHOLE, headers=(*JSON, ("x-new", "1"))), whole(WHOLE, 201)):
        with pytest.raises(AssertionError):
            same_to_a_client(direct, both.direct(other))
