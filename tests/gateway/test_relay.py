"""What is not the gateway's is handed on to the process of pages and API, and calls do not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.gateway.relay import Relay
from flatfare.gateway.server import Running, serving

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def both(folder: Path, serve: Serve | None) -> AsyncIterator[Running]:
    path = folder / "pages.sock"
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{folder}/book.db", lake=f"{folder}/lake")

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert serve is not None
        with suppress(ConnectionResetError):
            await serve(reader, writer)
        writer.close()

    pages = None if serve is None else await asyncio.start_unix_server(serve_and_close, path)
    async with serving(settings, elsewhere=Relay(path)) as gateway:
        yield gateway
    if pages is not None:
        pages.close()
        await asyncio.sleep(0.05)  # who serves notices that the connection is gone, and closes it


async def ask(gateway: Running, request: bytes) -> bytes:
    reader, writer = await connected(gateway)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def connected(gateway: Running) -> Streams:
    return await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))


def test_a_request_goes_over_whole_and_its_answer_comes_back(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(7))
        writer.write(
            b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nX-Own: yes\r\nSet-Cookie: a=b\r\n\r\nmade"
        )

    async def test() -> bytes:
        async with both(tmp_path, serve) as gateway:
            return await ask(
                gateway,
                b"POST /api/tasks?x=1 HTTP/1.1\r\nHost: localhost\r\nCookie: c=d\r\nConnection: close\r\n"
                b'Authorization: Bearer t\r\nContent-Length: 7\r\n\r\n{"a":1}',
            )

    head, _, body = asyncio.run(test()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"X-Own: yes" in head
    assert b"Set-Cookie: a=b" in head
    assert body == b"made"
    assert asked[0].startswith(b"POST /api/tasks?x=1 HTTP/1.1\r\n")
    assert b"Host: localhost\r\n" in asked[0]
    assert b"Cookie: c=d\r\n" in asked[0]
    assert b"Authorization: Bearer t\r\n" in asked[0]
    assert asked[0].count(b"Content-Length") == 1
    assert asked[0].endswith(b'\r\n\r\n{"a":1}')


def test_events_come_as_they_are_sent_and_who_leaves_is_noticed(tmp_path: Path) -> None:
    async def test() -> None:
        left = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\n\n\r\n")
            await reader.read()
            left.set()

        async with both(tmp_path, serve) as gateway:
            reader, writer = await connected(gateway)
            writer.write(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"one\n\n" in await asyncio.wait_for(reader.readuntil(b"one\n\n"), 5)
            writer.close()
            await asyncio.wait_for(left.wait(), 5)

    asyncio.run(test())


def test_pages_that_are_away_are_said_to_be_and_the_connection_stays(tmp_path: Path) -> None:
    async def test() -> bytes:
        async with both(tmp_path, None) as gateway:
            return await ask(
                gateway,
                b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
                b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )

    answer = asyncio.run(test())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"calls are served all the same" in answer
    assert answer.endswith(b'{"status":"ok"}')


HEAD_THEN_GET = (
    b"HEAD /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)


@pytest.mark.parametrize("delimited", [b"Content-Length: 400", b"Transfer-Encoding: chunked", b"X-None: 1"])
def test_head_brings_the_headers_alone_and_the_connection_stays(tmp_path: Path, delimited: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD /tasks HTTP/1.1\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Own: yes\r\n" + delimited + b"\r\n\r\n")
        await reader.read()  # it neither writes nor closes: an answer to HEAD ends with its headers

    async def test() -> bytes:
        async with both(tmp_path, serve) as gateway:
            return await ask(gateway, HEAD_THEN_GET)

    head, _, rest = asyncio.run(test()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nX-Own: yes")
    assert (b"Content-Length: 400" in head) == delimited.startswith(b"Content")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b'{"status":"ok"}')


def test_head_of_pages_that_are_away_says_so_without_a_body(tmp_path: Path) -> None:
    async def test() -> bytes:
        async with both(tmp_path, None) as gateway:
            return await ask(gateway, HEAD_THEN_GET)

    head, _, rest = asyncio.run(test()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("path", "status"), [(b"/healthz", 200), (b"/readyz", 200), (b"/metrics", 200), (b"/v1/models", 404)]
)
def test_head_of_what_the_gateway_says_itself_has_no_body(tmp_path: Path, path: bytes, status: int) -> None:
    async def test() -> tuple[bytes, bytes]:
        async with both(tmp_path, None) as gateway:
            whole = b" %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
            return await ask(gateway, b"GET" + whole), await ask(gateway, b"HEAD" + whole)

    whole, head = asyncio.run(test())
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert head.endswith(b"\r\n\r\n")
    assert whole.startswith(head) or path == b"/metrics"  # whose length changes with what was asked


def test_a_page_is_asked_for_again_where_the_connection_that_rested_was_closed(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) % 2:  # the first of each kind is not answered
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmade")

    async def test(method: bytes) -> bytes:
        async with both(tmp_path, serve) as gateway:
            head = b" /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            return await ask(gateway, method + head)

    assert asyncio.run(test(b"GET")).endswith(b"\r\n\r\nmade")
    assert asyncio.run(test(b"POST")).startswith(b"HTTP/1.1 503 "), "nobody knows what became of it"
    assert len(asked) == 3
