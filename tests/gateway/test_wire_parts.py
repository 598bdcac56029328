"""The parts of forwarding one by one: signatures, routes, the hidden chunk, traits, things, refusals."""

import json

import pytest

from flatfare.config import Provider, Settings
from flatfare.gateway import ownership
from flatfare.gateway.circuits import FAILURES, Circuit
from flatfare.gateway.metrics import Metrics
from flatfare.gateway.policies import UsageHidden, with_usage_asked
from flatfare.gateway.refusals import refusal
from flatfare.gateway.routes import Nowhere, Place, Routes
from flatfare.gateway.sigv4 import Signer
from flatfare.gateway.traits import traits_of
from flatfare.gateway.wire import plain


def test_a_signature_is_awss_own_for_its_published_example() -> None:
    """The example of AWS's documentation of Signature Version 4, "get-vanilla" with a body of nothing."""
    signer = Signer("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, "us-east-1", "service")
    at_us = 1_440_938_160_000_000  # 2015-08-30T12:36:00Z
    headers = dict(signer.headers("GET", "/", "", b"example.amazonaws.com", None, b"", at_us))
    assert headers[b"X-Amz-Date"] == b"20150830T123600Z"
    assert headers[b"Authorization"].endswith(
        b"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@pytest.mark.parametrize(
    ("base_url", "dialect", "method", "path", "at_provider", "endpoint"),
    [
        ("https://api.openai.com/v1", "openai", "POST", "/v1/chat/completions", "/v1/chat/completions", "chat.completions"),  # noqa: E501
        ("https://api.openai.com", "openai", "POST", "/v1/embeddings", "/v1/embeddings", "embeddings"),
        ("https://api.openai.com/v1", "openai", "GET", "/p/x/models", "/v1/models", "models"),
        ("http://h:1/deep/v1", "openai", "POST", "/p/x/v1/responses", "/deep/v1/responses", "responses"),
        ("https://api.anthropic.com", "anthropic", "POST", "/anthropic/v1/messages", "/v1/messages", "messages"),  # noqa: E501
        (
            "https://generativelanguage.googleapis.com",
            "gemini",
            "POST",
            "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "generateContent",
        ),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "bedrock",
            "POST",
            "/bedrock/model/us.amazon.nova-lite-v1%3A0/converse",
            "/model/us.amazon.nova-lite-v1%3A0/converse",
            "converse",
        ),
        ("https://api.groq.com/openai/v1", "groq", "POST", "/p/x/chat/completions", "/openai/v1/chat/completions", "chat.completions"),  # noqa: E501
        ("https://api.cohere.com", "cohere", "POST", "/p/x/v2/chat", "/v2/chat", "chat"),
    ],
)  # fmt: skip
def test_a_path_leads_to_its_endpoint(
    base_url: str, dialect: str, method: str, path: str, at_provider: str, endpoint: str
) -> None:
    routes = Routes(Settings(providers={"x": Provider("x", base_url, dialect)}))
    found = routes.find(method, f"{path}?alt=sse".encode())
    assert isinstance(found, Place)
    assert (found.path, found.endpoint) == (at_provider, endpoint)


@pytest.mark.parametrize("path", ["/p/x/v1/files/f/v1/chat/completions", "/p/x/v1/fine_tuning/jobs", "/p/x/"])
def test_an_endpoint_hidden_behind_another_path_is_not_taken_for_it(path: str) -> None:
    routes = Routes(Settings(providers={"x": Provider("x", "https://api.openai.com/v1", "openai")}))
    found = routes.find("POST", path.encode())
    assert isinstance(found, Nowhere)
    assert found.status == 403


def test_whose_prices_apply_follows_name_host_or_setting() -> None:
    providers = {
        "openai": Provider("openai", "http://127.0.0.1:1/v1", "openai"),
        "eu": Provider("eu", "https://eu.api.openai.com/v1", "openai"),
        "local": Provider("local", "http://127.0.0.1:1/v1", "openai"),
        "named": Provider("named", "http://127.0.0.1:1/v1", "openai", priced_as="together"),
    }
    upstreams = Routes(Settings(providers=providers)).upstreams
    assert [one.priced_as for one in upstreams.values()] == ["openai", "openai", "local", "together"]
    assert upstreams["eu"].named == {"region": "eu"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"stream":true}', {"stream_options": {"include_usage": True}, "stream": True}),
        (
            b'{"stream":true,"stream_options":{"include_obfuscation":false}}',
            {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}},
        ),
        (
            b'{"stream":true,"stream_options":null}',
            {"stream": True, "stream_options": {"include_usage": True}},
        ),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":false}', None),
        (b'{"stream":true', None),
        (b"[]", None),
    ],
)
def test_usage_is_asked_for_only_where_it_was_not(body: bytes, expected: object) -> None:
    changed = with_usage_asked("openai", "chat.completions", body)
    assert (None if changed is None else json.loads(changed)) == expected


def test_a_host_that_may_not_know_the_option_is_not_asked() -> None:
    assert with_usage_asked("mistral", "chat.completions", b'{"stream":true}') is None


@pytest.mark.parametrize("size", [1, 5, 4096])
def test_only_what_came_because_usage_was_asked_for_is_taken_out(size: int) -> None:
    text = b'data: {"choices":[{"delta":{"content":"say ,\\"usage\\":null"}}]%b}\r\n\r\n'
    kept = b': ping\n\ndata: {"choices":[],"prompt_filter_results":[]}\n\ndata: not json "usage"\n\n'
    extra = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    last = b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]'
    stream = text % b',"usage":null' + kept + extra + last
    hidden = UsageHidden()
    seen = (
        b"".join(hidden.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + hidden.finish()
    )
    assert seen == text % b"" + kept + last


def test_traits_tell_sizes_and_hashes_and_no_text() -> None:
    body = b'{"messages":[{"role":"system","content":"A secret."},{"role":"user","content":"Hi"}],"tools":[{"name":"look"}]}'  # noqa: E501
    traits = json.loads(str(traits_of(body)))
    assert traits["messages"] == 1
    assert len(traits["system_hash"]) == 32
    assert traits["tools_permille"] > 100
    assert "secret" not in json.dumps(traits)
    same = traits_of(b'{"system":"\\"A secret.\\"","messages":[]}')
    assert same is not None
    assert traits_of(b'{"input":["a","b"]}') == '{"messages":2}'
    assert traits_of(b"\x00\xff") is None


def test_things_are_found_where_providers_read_them_and_nowhere_else() -> None:
    body = {
        "previous_response_id": "resp_1",
        "messages": [{"content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
        "metadata": {"file_id": "theirs", "thread_id": "theirs"},
        "tools": [{"parameters": {"properties": {"file_id": "x"}}, "vector_store_ids": ["vs_1"]}],
        "contents": [{"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/g1"}}],
        "other": {"fileUri": "https://www.youtube.com/watch?v=1"},
        "container": {"type": "auto"},
    }
    named = ownership.named_things("/v1/responses", json.dumps(body).encode())
    assert sorted(named) == ["file-1", "g1", "resp_1", "vs_1"]
    assert ownership.named_things("/v1/responses/resp_2/cancel", b"") == ["resp_2"]


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        (b'{"id":"file-1"}', ["file-1"]),
        (b'event: response.created\ndata: {"response":{"id":"resp_1"}}\n\ndata: {}', ["resp_1"]),
        (b'{"file":{"name":"files/abc"}}', ["abc"]),
        (b'{"error":{}}', []),
        (b"no", []),
    ],
)
def test_what_an_answer_says_was_made(answer: bytes, made: list[str]) -> None:
    assert ownership.made_in(answer) == made


@pytest.mark.parametrize(
    ("dialect", "look"),
    [
        ("openai", lambda said: said["error"]["type"] == "rate_limit_error"),
        ("anthropic", lambda said: (said["type"], said["error"]["type"]) == ("error", "rate_limit_error")),
        ("gemini", lambda said: said["error"]["status"] == "RESOURCE_EXHAUSTED"),
        ("bedrock", lambda said: said["message"]),
        ("cohere", lambda said: said["message"]),
        ("mistral", lambda said: said["message"]),
    ],
)
def test_a_refusal_has_the_shape_of_its_dialect(dialect: str, look: object) -> None:
    head, _, body = refusal(dialect, 429, "Too many, \r\nInjected: yes", None, 3).partition(b"\r\n\r\n")
    assert look(json.loads(body))  # type: ignore[operator]
    assert b"Retry-After: 3" in head
    assert b"\r\nInjected" not in head
    assert (b"ThrottlingException" in head) == (dialect == "bedrock")


def test_text_in_a_header_is_plain() -> None:
    assert plain("a\r\nb\x00é") == b"a??b??"


def test_a_circuit_opens_after_failures_in_a_row_lets_one_try_and_closes_with_an_answer() -> None:
    circuit = Circuit()
    for _ in range(FAILURES):
        assert circuit.wait_s(0.0) is None
        circuit.failed(0.0)
    assert circuit.wait_s(0.5) == 0.5
    assert circuit.wait_s(1.5) is None  # the one that tries
    assert circuit.wait_s(1.5) is not None
    circuit.succeeded()
    assert circuit.wait_s(1.5) is None


def test_metrics_of_workers_add_up() -> None:
    first, second = Metrics(calls={"a\tb\tok": 1}), Metrics(calls={"a\tb\tok": 2})
    second.added.add(0.0007)
    first.add_all(second)
    text = first.text()
    assert 'flatfare_calls_total{provider="a",endpoint="b",status="ok"} 3' in text
    assert 'flatfare_added_seconds_bucket{le="0.001"} 1' in text


def test_no_field_that_names_a_thing_escapes_the_quick_look() -> None:
    for name in ownership._FIELDS:
        body = json.dumps({name: "files/t"}).encode()
        assert ownership.named_things("/v1/x", body) in (["files/t"], ["t"]), name


def test_a_large_cost_is_shown_to_its_last_digit() -> None:
    """Nano-dollars beyond what a double holds: more than nine million dollars."""
    shown = Metrics(cost_nano={"openai": 123_456_789_012_345_678}).text()
    assert 'flatfare_cost_dollars_total{provider="openai"} 123456789.012345678\n' in shown
