"""Wrapped clients tell the gateway whose work a call is, and tell nobody else."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flatfare.core.labels import parse
from flatfare.gateway.attribution import attributed
from flatfare_sdk import configure, headers, task, wrap
from flatfare_sdk.recorder import process
from flatfare_sdk.settings import settings
from tests.sdk.receiver import Receiver

OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [{"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "yes"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
COHERE = {
    "id": "1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
}


class Provider:
    """Answers in the shape of whoever was asked, and keeps the headers that came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Mapping[str, str]] = []

    @property
    def last(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.seen[-1].items()}


def _answer(path: str) -> dict[str, Any]:
    for part, answer in (("messages", ANTHROPIC), ("generateContent", GEMINI), ("/v2/chat", COHERE)):
        if part in path:
            return answer
    return OPENAI


@pytest.fixture
def provider(spool: Any, fresh: None) -> Iterator[Provider]:
    seen: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path != "/api/events":
                seen.append(dict(self.headers.items()))
            body = json.dumps(_answer(self.path)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    found = Provider(f"http://127.0.0.1:{server.server_port}")
    found.seen = seen
    process.record_by(settings({}, url=found.url, spool=str(spool)))
    yield found
    process.recorder().close(2.0)
    process.record_by(settings({"FLATFARE_OFF": "1"}, spool=str(spool)))
    server.shutdown()
    server.server_close()
    thread.join()


MESSAGES: list[Any] = [{"role": "user", "content": "hello"}]


def ask_openai(url: str) -> None:
    openai = pytest.importorskip("openai", reason="needs the client of OpenAI")
    with wrap(openai.OpenAI(base_url=f"{url}/v1", api_key="k")) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


def ask_openai_async(url: str) -> None:
    openai = pytest.importorskip("openai", reason="needs the client of OpenAI")

    async def ask() -> None:
        async with wrap(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k")) as client:
            await client.with_options(max_retries=0).chat.completions.create(
                model="gpt-4o-mini", messages=MESSAGES
            )

    asyncio.run(ask())


def ask_anthropic(url: str) -> None:
    anthropic = pytest.importorskip("anthropic", reason="needs the client of Anthropic")
    with wrap(anthropic.Anthropic(base_url=url, api_key="k")) as client:
        client.messages.create(model="claude-test", max_tokens=5, messages=MESSAGES)


def ask_anthropic_async(url: str) -> None:
    anthropic = pytest.importorskip("anthropic", reason="needs the client of Anthropic")

    async def ask() -> None:
        async with wrap(anthropic.AsyncAnthropic(base_url=url, api_key="k")) as client:
            await client.messages.create(model="claude-test", max_tokens=5, messages=MESSAGES)

    asyncio.run(ask())


def _google(url: str) -> Any:
    genai = pytest.importorskip("google.genai", reason="needs the client of Google")
    return wrap(genai.Client(api_key="k", http_options={"base_url": url}))


def ask_google(url: str) -> None:
    with _google(url) as client:
        client.models.generate_content(model="gemini-2.5-flash", contents="hello")


def ask_google_async(url: str) -> None:
    async def ask() -> None:
        client = _google(url).aio
        await client.models.generate_content(model="gemini-2.5-flash", contents="hello")
        await client.aclose()

    asyncio.run(ask())


def ask_mistral(url: str) -> None:
    mistral = pytest.importorskip("mistralai.client", reason="needs the client of Mistral")
    with wrap(mistral.Mistral(api_key="k", server_url=url)) as client:
        client.chat.complete(model="mistral-small-latest", messages=MESSAGES)


def ask_cohere(url: str) -> None:
    cohere = pytest.importorskip("cohere", reason="needs the client of Cohere")
    client = wrap(cohere.ClientV2(api_key="k", base_url=url))
    client.chat(model="command-a-03-2025", messages=MESSAGES)
    client._client_wrapper.httpx_client.httpx_client.close()


def ask_boto3(url: str) -> None:
    boto3 = pytest.importorskip("boto3", reason="needs the client of AWS")
    client = wrap(
        boto3.client(
            "bedrock-runtime",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
    )
    client.invoke_model(modelId="m", body="{}")["body"].read()
    client.close()


def ask_httpx(url: str) -> None:
    httpx = pytest.importorskip("httpx", reason="needs httpx")
    with wrap(httpx.Client()) as client:
        client.post(f"{url}/v1/chat/completions", json={})


ASKS = [
    ask_openai,
    ask_openai_async,
    ask_anthropic,
    ask_anthropic_async,
    ask_google,
    ask_google_async,
    ask_mistral,
    ask_cohere,
    ask_boto3,
    ask_httpx,
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__[4:])
def test_a_wrapped_client_says_whose_work_a_call_is(provider: Provider, ask: Callable[[str], None]) -> None:
    with task("review", customer="acme", session="s-1") as t, t.attempt() as a:
        ask(provider.url)
    assert {name: value for name, value in provider.last.items() if name.startswith("flatfare-")} == {
        "flatfare-task": t.id,
        "flatfare-attempt": a.id,
        "flatfare-session": "s-1",
        "flatfare-labels": "customer=acme",
    }


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__[4:])
def test_without_a_task_it_says_nothing(provider: Provider, ask: Callable[[str], None]) -> None:
    ask(provider.url)
    assert not [name for name in provider.last if name.startswith("flatfare-") or name == "baggage"]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__[4:])
def test_a_provider_that_is_asked_directly_is_told_nothing(
    provider: Provider, ask: Callable[[str], None], warnings: Callable[[], list[str]]
) -> None:
    configure(url="http://127.0.0.1:9", spool=str(process.recorder().settings.folder))
    with task("review", customer="acme"):
        ask(provider.url)
    assert not [name for name in provider.last if name.startswith("flatfare-")]
    assert any("does not send to the gateway" in text for text in warnings())


def test_wrapping_twice_says_it_once_and_what_the_caller_says_stands(provider: Provider) -> None:
    httpx = pytest.importorskip("httpx", reason="needs httpx")
    with wrap(wrap(httpx.Client())) as client, task("review"):
        assert len(client.event_hooks["request"]) == 1
        client.post(f"{provider.url}/x", headers={"flatfare-task": "mine", "baggage": "a=b"})
    assert provider.last["flatfare-task"] == "mine"
    assert provider.last["baggage"] == "a=b"


def test_what_no_header_can_hold_goes_as_baggage_and_the_gateway_reads_it_back(told: Any) -> None:
    wanted = {"customer": "Müller, Söhne & Co", "team": "search", "session": "as a label", "odd": " x "}
    with task("review", id="Auftrag-Ü, 7", session="Gespräch 9", labels=wanted):
        found = headers()
    assert all(value.isascii() for value in found.values())
    read = attributed(
        None,
        "{}",
        found.get("flatfare-labels"),
        found.get("flatfare-task"),
        found.get("flatfare-attempt"),
        found.get("flatfare-session"),
        None,
        found.get("baggage"),
    )
    assert json.loads(read.labels) == {
        "customer": "Müller, Söhne & Co",
        "team": "search",
        "session": "as a label",
        "odd": " x ",
    }
    assert read.session == "Gespräch 9"
    assert read.task_id == attributed(None, "{}", None, "Auftrag-Ü, 7", None, None, None, None).task_id
    assert read.note is None


def test_plain_labels_are_written_as_the_gateway_reads_them(told: Any) -> None:
    with task("review", team="search", feature="a b=c"):
        assert parse(headers()["flatfare-labels"]) == {"team": "search", "feature": "a b=c"}


def test_labels_too_long_for_headers_stay_with_the_task(told: Any, recording: Receiver) -> None:
    with task("review", labels={f"key{number}": "v" * 500 for number in range(60)}):
        assert sum(map(len, headers().values())) < 1000
    assert len(told()[0]["labels"]) == 60


def test_requests_take_headers_by_hand(provider: Provider) -> None:
    requests = pytest.importorskip("requests", reason="needs requests")
    with task("review") as t:
        requests.post(f"{provider.url}/v1/chat/completions", json={}, headers=headers()).close()
    assert provider.last["flatfare-task"] == t.id


def test_what_cannot_be_wrapped_is_given_back_and_said(warnings: Callable[[], list[str]]) -> None:
    thing = object()
    assert wrap(thing) is thing
    assert "builtins.object cannot be wrapped" in warnings()[0]


def test_calls_that_judge_are_said_to_be_no_work(told: Any) -> None:
    with task("review") as t, t.attempt() as a:
        with t.verifying():
            judging = headers()
            t.verdict("judge", passed=True, evidence="7", kind="model")
        working = headers()
    assert judging == {**working, "flatfare-purpose": "verification"}
    assert working["flatfare-attempt"] == a.id
    assert next(event for event in told() if event["event"] == "judged")["attempt_number"] == 1
