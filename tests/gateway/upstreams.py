"""A provider of our own in the process, for the tests of forwarding: it answers byte by byte as told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from flatfare.config import Provider, Secret, Settings
from flatfare.gateway.records import Void
from flatfare.gateway.server import Running, serving
from flatfare.store.book import open_book
from flatfare.store.layout import CALLS, names

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1750000000,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    }
).encode()
ANSWER_NANO = 3_000_000  # 1000 × $2.50 + 50 × $10 per million
_CHUNK = '"id":"c","object":"chat.completion.chunk","created":1750000000,"model":"gpt-4o-2024-08-06"'
CHUNKS = [
    f'data: {{{_CHUNK},"choices":[{{"index":0,"delta":{{"content":"Hi."}}}}]NULL}}\n\n'.encode(),
    f'data: {{{_CHUNK},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]NULL}}\n\n'.encode(),
    f'data: {{{_CHUNK},"choices":[],"usage":{{"prompt_tokens":1000,"completion_tokens":50}}}}\n\n'.encode(),
    b"data: [DONE]\n\n",
]
CHAT = (
    b'{"model":"gpt-4o","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}]}'
)
STREAM = CHAT[:-1] + b',"stream":true}'


@dataclass(slots=True)
class Asked:
    """A request as the provider got it."""

    line: str
    headers: dict[str, str]
    body: bytes
    raw_headers: bytes


Script = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], object]


@dataclass(slots=True)
class Upstream:
    """The provider: what it was asked, and how it answers."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    alpn: str | None = None  # what was agreed on the newest connection
    script: Script | None = None


def whole(
    body: bytes = ANSWER, status: str = "200 OK", headers: str = "Content-Type: application/json\r\n"
) -> bytes:
    """An answer with a length."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def streamed(asks_usage: bool) -> list[bytes]:
    """The pieces of a stream, as OpenAI sends it with and without usage asked for."""
    chunks = [chunk.replace(b"NULL", b',"usage":null' if asks_usage else b"") for chunk in CHUNKS]
    if not asks_usage:
        del chunks[2]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n\r\n"]


async def _usual(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if b'"stream":true' in asked.body:
        for piece in streamed(b"include_usage" in asked.body):
            writer.write(piece)
            await writer.drain()
    else:
        writer.write(whole())


@asynccontextmanager
async def upstream(tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """A provider that listens as long as the context lasts, with TLS where it is given a context."""
    own = Upstream()
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own.connections += 1
        secured = writer.get_extra_info("ssl_object")
        own.alpn = None if secured is None else secured.selected_alpn_protocol()
        tasks.add(asyncio.current_task())
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                line, *lines = raw.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                asked = Asked(line, headers, body, raw)
                own.asked.append(asked)
                await (own.script or _usual)(asked, reader, writer)  # type: ignore[misc]
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(asyncio.current_task())
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        server.close()
        for task in list(tasks):
            if task is not None:
                task.cancel()


def settings_for(folder: Path, port: int, **changes: object) -> Settings:
    """Settings with OpenAI at this port."""
    base = Settings(
        listen="127.0.0.1:0",
        database=f"sqlite:///{folder}/book.db",
        lake=f"{folder}/lake",
        providers={"openai": Provider("openai", f"http://127.0.0.1:{port}/v1", "openai", Secret("sk-real"))},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def both(folder: Path, **changes: object) -> AsyncIterator[tuple[Running, Upstream]]:
    """A gateway and the provider behind it."""
    async with upstream() as provider, serving(settings_for(folder, provider.port, **changes)) as gateway:
        yield gateway, provider


@dataclass(slots=True)
class Answer:
    """An answer as the client got it."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes
    is_whole: bool = True


async def ask(
    gateway: Running,
    body: bytes = CHAT,
    headers: str = "",
    path: str = "/v1/chat/completions",
    method: str = "POST",
) -> Answer:
    """One request on a connection of its own."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return parsed(await sent(gateway, head.encode() + body))


async def sent(gateway: Running, data: bytes) -> bytes:
    """Send bytes, and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    writer.write(data)
    received = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 20):
            received += piece
    except ConnectionError:
        pass
    writer.close()
    return received


def parsed(raw: bytes) -> Answer:
    """An answer taken apart, its chunks joined."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
    is_whole = True
    if headers.get("transfer-encoding") == "chunked":
        body, is_whole = _unchunked(rest)
    else:
        body = rest
        is_whole = len(rest) == int(headers.get("content-length", len(rest)))
    return Answer(int(line.split()[1]), headers, body, raw, is_whole)


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, True
        body, rest = body + rest[:length], rest[length + 2 :]
    return body, False


async def rows(gateway: Running) -> list[dict[str, object]]:
    """The calls that the book has, the oldest first."""
    await gateway.worker.journal.append(Void("no call"))  # refused calls are kept while nobody waits
    await gateway.book()
    with open_book(gateway.worker.settings.database) as book:
        found = book.rows(f"SELECT {names(CALLS)} FROM calls ORDER BY id")
    return [dict(zip([column.name for column in CALLS], row, strict=True)) for row in found]
