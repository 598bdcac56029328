"""A provider in the process that answers a verifier's questions in two dialects, or misbehaves as told."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flatfare.config import Provider, Secret, Settings

CODE = re.compile(r'Put the code ([0-9a-f]+) into "code"')
FENCE = re.compile(r"<<<([A-Z ]+) ([0-9a-f]{16})>>>\n(.*?)\n<<<END \1 \2>>>", re.DOTALL)


@dataclass(slots=True)
class Asked:
    """One question as the provider got it."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def instructions(self) -> str:
        system = self.body.get("system")
        return system if isinstance(system, str) else str(self.body["messages"][0]["content"])

    @property
    def text(self) -> str:
        return str(self.body["messages"][-1]["content"])

    @property
    def code(self) -> str:
        found = CODE.search(self.instructions)
        assert found is not None
        return found[1]

    @property
    def parts(self) -> dict[str, str]:
        """What stands between the marks, by name."""
        return {name: text for name, _, text in FENCE.findall(self.text)}

    @property
    def criteria(self) -> int:
        return len(re.findall(r"^\d+\. ", self.text.partition("<<<")[0], re.MULTILINE))

    @property
    def is_messages(self) -> bool:
        return self.path.endswith("/messages")


Answer = Callable[[Asked], "Said | str | Mapping[str, object]"]
"""Text or an object for the model to say, or a whole HTTP answer."""


@dataclass(slots=True)
class Said:
    """An HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    pause_s: float = 0.0  # between two bytes


def says(met: str, *others: str, addressed: bool = False, **more: object) -> Answer:
    """Finds each criterion met, not met or unsure; with ``others``, criterion by criterion."""

    def answer(asked: Asked) -> Mapping[str, object]:
        words = [met, *others] if others else [met] * asked.criteria
        findings = [
            {"criterion": number, "because": f"Reason {number}.", "met": word}
            for number, word in enumerate(words, 1)
        ]
        return {"code": asked.code, "addressed": addressed, "findings": findings, **more}

    return answer


def obeys(asked: Asked) -> str:
    """A model that does what the work tells it: it gives back the JSON that stands in it."""
    return next((text[text.find("{") :] for text in asked.parts.values() if "{" in text), "{}")


class Judge:
    """Answers one question after another by its script; the last one stays."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.asked: list[Asked] = []
        self.port = 0
        self._lock = threading.Lock()

    def next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def settings(self, **more: object) -> Settings:
        """Settings in which it is two providers."""
        url = f"http://127.0.0.1:{self.port}"
        providers = {
            "openai": Provider("openai", f"{url}/v1", "openai", Secret("sk-real")),
            "anthropic": Provider("anthropic", url, "anthropic", Secret("sk-ant")),
        }
        return Settings(providers=providers, **more)  # type: ignore[arg-type]


def chat(text: str, **more: object) -> bytes:
    """A chat completion that says this."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1790000000,
            "model": "gpt-4o-2024-08-06",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()


def message(said: object, **more: object) -> bytes:
    """A message of Anthropic's that says text, or an object as JSON, after some thinking."""
    text = said if isinstance(said, str) else json.dumps(said)
    thought = {"type": "thinking", "thinking": "Let me see. {", "signature": "sig"}
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [thought, {"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1000, "output_tokens": 50},
            **more,
        }
    ).encode()


@contextmanager
def judging(*script: Answer) -> Iterator[Judge]:
    """A provider that listens as long as the context lasts."""
    own = Judge(*script)

    class Serve(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, json.loads(raw))
            answer = own.next(asked)(asked)
            if not isinstance(answer, Said):
                answer = Said(body=_worded(asked, answer))
            time.sleep(answer.wait_s)
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                step = 1 if answer.pause_s else max(len(answer.body), 1)
                for start in range(0, len(answer.body), step):
                    self.wfile.write(answer.body[start : start + step])
                    self.wfile.flush()
                    time.sleep(answer.pause_s)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    server.daemon_threads = True
    own.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()


def _worded(asked: Asked, answer: str | Mapping[str, object]) -> bytes:
    if asked.is_messages:
        return message(answer)
    return chat(answer if isinstance(answer, str) else json.dumps(answer))
