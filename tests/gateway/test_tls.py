"""Providers over TLS, and by way of a company's proxy: only whom an authority vouches for is spoken to."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from flatfare.config import Provider, Secret, Timeouts
from flatfare.core.errors import BadInput
from flatfare.gateway.egress import proxy_of
from flatfare.gateway.server import Running, serving
from tests.gateway.rig_tls import Authority, authority
from tests.gateway.upstreams import ANSWER, STREAM, Upstream, ask, rows, settings_for, upstream

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in either event loop: the gateway as a command uses uvloop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(coroutine, 20))

    return run


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def secured(
    folder: Path, ours: Authority, *, host: str = "localhost", is_expired: bool = False, **provider: Any
) -> AsyncIterator[tuple[Running, Upstream]]:
    """A gateway, and behind it a provider that presents itself as this host."""
    async with upstream(ours.context(host, is_expired=is_expired)) as behind:
        base = f"https://localhost:{behind.port}/v1"
        settled = {"ca_file": ours.file, **provider}
        providers = {"openai": Provider("openai", base, "openai", Secret("sk-real"), **settled)}
        settings = settings_for(folder, 1, providers=providers, timeouts=Timeouts(connect=3))
        async with serving(settings) as gateway:
            yield gateway, behind


def test_a_provider_is_reached_over_tls_and_its_connection_used_again(
    run: Run, ours: Authority, tmp_path: Path
) -> None:
    async def test() -> None:
        async with secured(tmp_path, ours) as (gateway, behind):
            for body in (None, STREAM, None):
                answer = await (ask(gateway) if body is None else ask(gateway, body))
                assert answer.status == 200
            assert answer.body == ANSWER
            assert (behind.connections, behind.alpn) == (1, "http/1.1")
            assert len(await rows(gateway)) == 3

    run(test())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"ca_file": None}, "unable to get local issuer certificate"),
        ({"host": "other.example"}, "Hostname mismatch"),
        ({"is_expired": True}, "certificate has expired"),
    ],
)
def test_who_is_not_vouched_for_is_told_nothing(
    run: Run, ours: Authority, tmp_path: Path, how: dict[str, Any], why: str
) -> None:
    async def test() -> None:
        async with secured(tmp_path, ours, **how) as (gateway, behind):
            answer = await ask(gateway)
            assert answer.status == 502
            assert why in answer.headers["flatfare-refused"]
            assert behind.asked == []
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("failed", 0)

    run(test())


@dataclass
class Tunnels:
    """A proxy: whom it was asked for, and all that passed through it."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)
    answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n"


@asynccontextmanager
async def proxy() -> AsyncIterator[Tunnels]:
    own = Tunnels()
    tasks: set[asyncio.Task[Any] | None] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            own.passed += piece
            writer.write(piece)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        own.heads.append(head)
        for at in range(len(own.answer)):  # its answer comes in pieces
            writer.write(own.answer[at : at + 1])
            await writer.drain()
        if own.answer.split()[1] != b"200":
            writer.close()
            return
        port = int(head.split()[1].rpartition(b":")[2])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def test_a_proxy_puts_through_and_sees_nothing(run: Run, ours: Authority, tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy() as between:
            way = Secret(f"http://me:p%40ss@127.0.0.1:{between.port}")
            async with secured(tmp_path, ours, proxy=way) as (gateway, behind):
                for _ in range(2):
                    assert (await ask(gateway)).body == ANSWER
                (head,) = between.heads
                assert head.startswith(f"CONNECT localhost:{behind.port} HTTP/1.1\r\n".encode())
                assert b"Basic " + base64.b64encode(b"me:p@ss") in head
                assert len(between.passed) > 1000
                assert b"sk-real" not in between.passed
                assert b"gpt-4o" not in between.passed
                assert "proxy-authorization" not in behind.asked[0].headers

    run(test())


def test_a_proxy_that_refuses_is_named_and_its_password_is_not(
    run: Run, ours: Authority, tmp_path: Path
) -> None:
    async def test() -> None:
        async with proxy() as between:
            between.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            way = Secret(f"http://me:hidden@127.0.0.1:{between.port}")
            async with secured(tmp_path, ours, proxy=way) as (gateway, behind):
                answer = await ask(gateway)
                assert answer.status == 502
                said = answer.headers["flatfare-refused"]
                assert f"the proxy 127.0.0.1:{between.port} said '407 Proxy" in said
                assert "hidden" not in said
                assert behind.asked == []

    run(test())


def test_a_certificate_is_checked_behind_a_proxy_too(run: Run, ours: Authority, tmp_path: Path) -> None:
    async def test() -> None:
        async with proxy() as between:
            way = Secret(f"http://127.0.0.1:{between.port}")
            async with secured(tmp_path, ours, proxy=way, host="other.example") as (gateway, behind):
                answer = await ask(gateway)
                assert (answer.status, behind.asked) == (502, [])
                assert "Hostname mismatch" in answer.headers["flatfare-refused"]

    run(test())


def test_a_proxy_that_is_not_there_is_named(run: Run, ours: Authority, tmp_path: Path) -> None:
    async def test() -> None:
        async with secured(tmp_path, ours, proxy=Secret("http://127.0.0.1:1")) as (gateway, _):
            said = (await ask(gateway)).headers["flatfare-refused"]
            assert "the proxy 127.0.0.1:1 cannot be reached" in said

    run(test())


@pytest.mark.parametrize(
    ("setting", "host", "environment", "expected"),
    [
        (None, "api.openai.com", {}, None),
        (None, "api.openai.com", {"HTTPS_PROXY": "http://p:3128"}, ("p", 3128)),
        (None, "api.openai.com", {"https_proxy": "p:3128"}, ("p", 3128)),
        (None, "api.openai.com", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "a.b,.openai.com"}, None),
        (None, "api.openai.com", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, None),
        (None, "api.openai.com", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "openai.co"}, ("p", 3128)),
        (None, "127.0.0.1", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("none", "api.openai.com", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("http://q", "api.openai.com", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, ("q", 80)),
    ],
)
def test_which_proxy_is_on_the_way(
    setting: str | None, host: str, environment: dict[str, str], expected: tuple[str, int] | None
) -> None:
    found = proxy_of(setting, host, is_tls=True, environment=environment, name="openai")
    assert (None if found is None else (found.host, found.port)) == expected


def test_what_is_not_encrypted_does_not_take_the_environment_s_proxy() -> None:
    environment = {"HTTPS_PROXY": "http://p:3128"}
    assert proxy_of(None, "models.lan", is_tls=False, environment=environment, name="local") is None


@pytest.mark.parametrize("address", ["https://p:1", "socks5://p:1", "http://me:secret@", "http://p:x"])
def test_another_kind_of_proxy_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(BadInput, match=r"providers\.x\.proxy") as problem:
        proxy_of(address, "api.openai.com", is_tls=True, environment={}, name="x")
    assert "secret" not in str(problem.value)
