"""A provider that answers by itself: budgets, guards and alerts can be tried without a key, and for nothing.

It speaks as OpenAI, Anthropic and Gemini do. What it says is one sentence; the usage that it tells
is that of an answer as long as the request allows. Nothing leaves this machine.
"""

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flatfare.config import Provider, Secret, Settings

SENTENCE = "This is an answer of the demo provider: as long as you allowed, and it cost nothing."
TOKENS, TOKENS_MAX = 300, 8000
"""How long an answer is said to have been where the request names no limit, and at most."""

BODY_MAX = 64 << 20
Document = dict[str, object]
_GEMINI = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)")


def with_stand_in(settings: Settings, address: str) -> Settings:
    """The settings with the demo provider in place of all others."""
    key = Secret("demo")
    providers = {
        "openai": Provider("openai", f"{address}/v1", "openai", key),
        "anthropic": Provider("anthropic", address, "anthropic", key),
        "gemini": Provider("gemini", address, "gemini", key),
    }
    return replace(settings, providers=providers)


def bound() -> ThreadingHTTPServer:
    """The demo provider at a free port of this machine, which does not answer yet."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Conversation)
    server.daemon_threads = True
    return server


def run(server: ThreadingHTTPServer, life: int) -> None:
    """Answer until nobody holds the other end of the pipe given."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(life, 1)
    server.shutdown()


def answer(path: str, asked: Mapping[str, object], size: int) -> tuple[int, list[Document]]:
    """Status and documents of an answer; several where a stream was asked for.

    >>> status, (found,) = answer("/v1/chat/completions", {"model": "gpt-4o", "max_tokens": 50}, 400)
    >>> status, found["usage"]
    (200, {'prompt_tokens': 100, 'completion_tokens': 50, 'total_tokens': 150})
    """
    model = str(asked.get("model") or "demo")
    streams = asked.get("stream") is True
    if path.endswith("/chat/completions"):
        return 200, list(_chat(model, size // 4, _tokens(asked), streams=streams))
    if path.endswith("/messages"):
        return 200, list(_messages(model, size // 4, _tokens(asked), streams=streams))
    if path.endswith("/responses"):
        return 200, list(_responses(model, size // 4, _tokens(asked), streams=streams))
    if path.endswith("/count_tokens"):
        return 200, [{"input_tokens": size // 4}]
    if path.endswith("/embeddings"):
        usage = {"prompt_tokens": size // 4, "total_tokens": size // 4}
        data = [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}]
        return 200, [{"object": "list", "model": model, "data": data, "usage": usage}]
    if found := _GEMINI.search(path):
        return 200, [_generated(found[1], size // 4, asked)]
    return 404, [{"error": {"message": f"The demo provider does not answer {path}.", "type": "not_found"}}]


def _tokens(asked: Mapping[str, object]) -> int:
    limits = [asked.get(name) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens")]
    given = [limit for limit in limits if isinstance(limit, int) and limit > 0]
    return min(max(given, default=TOKENS), TOKENS_MAX)


def _chat(model: str, read: int, written: int, *, streams: bool) -> Iterator[Document]:
    head: Document = {"id": "chatcmpl-demo", "created": int(time.time()), "model": model}
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    said = {"role": "assistant", "content": SENTENCE}
    if not streams:
        choice = {"index": 0, "finish_reason": "stop", "message": said}
        yield {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return
    head["object"] = "chat.completion.chunk"
    yield {**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {**head, "choices": [], "usage": usage}


def _messages(model: str, read: int, written: int, *, streams: bool) -> Iterator[Document]:
    head: Document = {"id": "msg_demo", "type": "message", "role": "assistant", "model": model}
    text = {"type": "text", "text": SENTENCE}
    end: Document = {"stop_reason": "end_turn", "stop_sequence": None}
    if not streams:
        usage = {"input_tokens": read, "output_tokens": written}
        yield {**head, "content": [text], **end, "usage": usage}
        return
    begun = {**head, "content": [], "stop_reason": None, "usage": {"input_tokens": read, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "text_delta", "text": SENTENCE}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": written}}
    yield {"type": "message_stop"}


def _responses(model: str, read: int, written: int, *, streams: bool) -> Iterator[Document]:
    part = {"type": "output_text", "text": SENTENCE, "annotations": []}
    message = {"type": "message", "id": "msg_demo", "role": "assistant", "content": [part]}
    usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    head: Document = {"id": "resp_demo", "object": "response", "created_at": int(time.time()), "model": model}
    done = {**head, "status": "completed", "output": [{**message, "status": "completed"}], "usage": usage}
    if not streams:
        yield done
        return
    yield {"type": "response.created", "response": {**head, "status": "in_progress", "output": []}}
    yield {"type": "response.output_text.delta", "item_id": "msg_demo", "delta": SENTENCE}
    yield {"type": "response.completed", "response": done}


def _generated(model: str, read: int, asked: Mapping[str, object]) -> Document:
    config = asked.get("generationConfig")
    limit = config.get("maxOutputTokens") if isinstance(config, dict) else None
    written = min(limit, TOKENS_MAX) if isinstance(limit, int) and limit > 0 else TOKENS
    content = {"role": "model", "parts": [{"text": SENTENCE}]}
    usage = {
        "promptTokenCount": read,
        "candidatesTokenCount": written,
        "totalTokenCount": read + written,
    }
    candidates = [{"content": content, "finishReason": "STOP", "index": 0}]
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": model}


class _Conversation(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Lists of models and the like: there are none."""
        self._send(200, "application/json", b'{"object": "list", "data": []}')

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX))
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            found = {}
        asked = found if isinstance(found, dict) else {}
        path = self.path.partition("?")[0]
        status, documents = answer(path, asked, len(body))
        is_stream = asked.get("stream") is True or path.endswith(":streamGenerateContent")
        if not is_stream or status != 200:
            self._send(status, "application/json", json.dumps(documents[0]).encode())
            return
        events = [_event(document) for document in documents]
        if path.endswith("/chat/completions"):
            events.append(b"data: [DONE]\n\n")
        self._send(status, "text/event-stream", b"".join(events))

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
        """Say nothing: the gateway before it does."""


def _event(document: Document) -> bytes:
    name = document.get("type")
    said = f"event: {name}\n" if name else ""
    return f"{said}data: {json.dumps(document)}\n\n".encode()
