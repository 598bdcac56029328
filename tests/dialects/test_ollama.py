"""Ollama: counts in the last line, and a prompt that was cached counts none."""

import json

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Reading
from flatfare.dialects.recognition import Recognised, by_address, by_look

LOCAL = "127.0.0.1:11434"


def at(path: str, host: str = LOCAL) -> Recognised:
    recognised = by_address(host, path)
    assert recognised is not None
    return recognised


def read(body: object, path: str = "/api/chat") -> Reading:
    recognised = at(path)
    return read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange(b"", path))


DONE = {
    "model": "llama3",
    "created_at": "x",
    "message": {"content": ""},
    "done": True,
    "prompt_eval_count": 17,
    "eval_count": 63,
}


def test_counts_stand_in_the_answer():
    reading = read(DONE)
    assert reading.parts[0].usage == Usage(input=17, output=63)
    assert reading.model == "llama3"


def test_a_cached_prompt_is_not_counted_and_said_so():
    reading = read({"model": "llama3", "done": True, "eval_count": 63})
    assert reading.parts[0].usage == Usage(output=63)
    assert "cached" in str(reading.reason)


def test_the_last_line_of_a_stream_counts():
    lines = [{"model": "llama3", "message": {"content": "Hi"}, "done": False}] * 3 + [DONE]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    recognised = at("/api/chat")
    for cut in (1, 8, 10_000):
        stream = Stream(recognised.route, recognised.exchange())
        for start in range(0, len(body), cut):
            stream.feed(body[start : start + cut])
        assert stream.finish() == read(DONE)


def test_a_stream_that_was_cut_keeps_what_was_said():
    recognised = at("/api/generate")
    stream = Stream(recognised.route, recognised.exchange())
    stream.feed(b'{"model": "llama3", "response": "Hi", "done": false}\n' * 2)
    reading = stream.finish()
    assert reading.text_seen == "HiHi"
    assert not reading.is_complete


def test_what_counts_nothing_on_ones_own_server_bills_nothing():
    assert read({"embedding": [0.1]}, "/api/embeddings").is_free
    embedded = read({"model": "nomic", "embeddings": [], "prompt_eval_count": 3}, "/api/embed")
    assert embedded.parts[0].usage == Usage(input=3)


def test_it_streams_unless_told_not_to():
    recognised = at("/api/chat")
    assert recognised.exchange(b'{"model": "m"}', "/api/chat").asked.is_stream
    asked = recognised.exchange(
        b'{"model": "m", "stream": false, "options": {"num_predict": 7}}', "/api/chat"
    ).asked
    assert (asked.is_stream, asked.output_limit) == (False, 7)


def test_its_openai_shape_is_served_too():
    recognised = at("/v1/chat/completions", "ollama.com")
    body = {"choices": [], "model": "gpt-oss:20b", "usage": {"prompt_tokens": 5, "completion_tokens": 6}}
    reading = read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange())
    assert reading.parts[0].usage == Usage(input=5, output=6)


def test_a_bare_answer_is_known_by_its_look():
    recognised = by_look(DONE)
    assert recognised is not None
    assert recognised.dialect.provider == "ollama"
