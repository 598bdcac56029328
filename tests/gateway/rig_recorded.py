"""Recorded exchanges as a provider answers them again, and what the meter says of the same bytes."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from flatfare.service.costing.metering import Metered, Response, meter_response, standard_book
from flatfare.service.costing.recordings import response_of
from tests.gateway.rig import Answer, Headers, chunked, whole

OWN = Path(__file__).parent.parent / "recorded" / "exchanges"

NAMES: Mapping[str, str] = {
    # host of the recordings: the name under which a gateway's configuration has it
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "vertex",
    "bedrock-runtime.us-east-1.amazonaws.com": "bedrock",
    "api.mistral.ai": "mistral",
    "api.cohere.com": "cohere",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.cerebras.ai": "cerebras",
    "api.together.xyz": "together",
    "api.z.ai": "zai",
    "router.huggingface.co": "huggingface",
    "RESOURCE.openai.azure.com": "azure",
    "api.writer.com": "writer",
    "api.voyageai.com": "voyage",
}

MOUNTS: Mapping[str, str] = {
    "openai": "",
    "anthropic": "/anthropic",
    "gemini": "/gemini",
    "bedrock": "/bedrock",
}
"""Below which path the gateway serves a provider, where not below /p/NAME."""


@dataclass(frozen=True)
class Recorded:
    """One exchange as it was recorded, or as we wrote it in the provider's documented shape."""

    name: str
    host: str
    method: str
    target: str
    request_body: bytes
    status: int
    headers: Headers
    body: bytes

    @property
    def provider(self) -> str:
        """The provider's name in the configuration."""
        return NAMES[self.host]

    @property
    def is_stream(self) -> bool:
        """Whether its answer came in events."""
        kind = dict(self.headers).get("content-type", "")
        return "event-stream" in kind or "ndjson" in kind

    @property
    def asked(self) -> Any:
        """What was asked, decoded."""
        return json.loads(self.request_body)

    @property
    def is_readable(self) -> bool:
        """Whether what was asked was recorded whole."""
        try:
            return isinstance(self.asked, dict)
        except ValueError:
            return False

    def answer(self, pieces_of: int = 0) -> Answer:
        """The answer on the wire: a stream an event at a time (or so many bytes), anything else whole."""
        if not self.is_stream:
            return whole(self.body, self.status, self.headers)
        return chunked(self.pieces(pieces_of), self.status, self.headers)

    def pieces(self, size: int = 0) -> list[bytes]:
        """The body in pieces of so many bytes, or after each empty line."""
        if size:
            return [self.body[i : i + size] for i in range(0, len(self.body), size)]
        return [event + b"\n\n" for event in self.body.split(b"\n\n") if event] if self.body else []

    def gateway_target(self) -> str:
        """Where the gateway serves it."""
        mount = MOUNTS.get(self.provider, f"/p/{self.provider}")
        return f"{mount}{self.target}"

    def metered(self, request_body: bytes | None = None, at_us: int | None = None, **more: Any) -> Metered:
        """What ``flatfare.meter`` says of the same bytes."""
        response = Response(
            body=self.body,
            provider=self.provider,
            path=self.target.partition("?")[0],
            method=self.method,
            request_body=self.request_body if request_body is None else request_body,
            status=self.status,
            headers={name.lower(): value for name, value in self.headers},
            at_us=at_us,
        )
        return meter_response(replace(response, **more), standard_book())


def of_file(file: Path) -> Recorded:
    """The exchange in a recording."""
    content = file.read_bytes()
    envelope = json.loads(content)
    response = response_of(content, Response(body=b""))
    return Recorded(
        name=f"{file.parent.name}/{file.stem}",
        host=response.host,
        method=response.method or "POST",
        target=envelope["request_url_path"],
        request_body=response.request_body,
        status=response.status,
        headers=tuple(response.headers.items()),
        body=response.body,
    )


@cache
def own(name: str) -> Recorded:
    """An exchange of our own."""
    return of_file(OWN / f"{name}.json")


def all_own(provider: str) -> list[Recorded]:
    """All exchanges of our own with a provider."""
    return [of_file(file) for file in sorted(OWN.glob(f"{provider}-*.json"))]


def recorded(shared: Callable[..., Path], *folders: str) -> Iterator[Recorded]:
    """The recordings below these folders (all of them, where none is named) that travel over HTTP."""
    for folder in folders or ("*",):
        for file in sorted(shared("recorded").glob(f"{folder}/*.json")):
            one = of_file(file)
            if one.host in NAMES and one.body:
                yield one
