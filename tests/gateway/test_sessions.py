"""Realtime sessions over websockets: both ways byte for byte, metered beside, one row in the end."""

import asyncio
import json
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from flatfare.config import Provider, Secret, Timeouts
from flatfare.gateway.messages import Messages
from flatfare.gateway.server import Running, serving
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from tests.gateway.rig_tls import authority
from tests.gateway.upstreams import ask, rows, settings_for, upstream

USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
USAGE["input_token_details"] = {"text_tokens": 1000, "audio_tokens": 0}  # type: ignore[assignment]
USAGE["output_token_details"] = {"text_tokens": 100, "audio_tokens": 0}  # type: ignore[assignment]
CREATED = {"type": "session.created", "event_id": "e1", "session": {"model": "gpt-realtime"}}
BEGUN = {"type": "response.created", "event_id": "e2", "response": {"id": "r1"}}
DONE = {"type": "response.done", "event_id": "e3", "response": {"id": "r1", "usage": USAGE}}
TURN_NANO = 1000 * 4_000 + 100 * 16_000  # gpt-realtime: $4 and $16 per million text tokens
LIVE = "/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"

Handler = Callable[[ServerConnection], Awaitable[None]]


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_used = {"loop": "asyncio"}


@pytest.fixture(autouse=True, params=LOOPS)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in either event loop: the gateway as a command uses uvloop."""
    monkeypatch.setitem(_used, "loop", request.param)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[_used["loop"]]) as runner:
        runner.run(asyncio.wait_for(coroutine, 30))


@dataclass
class Behind:
    """The provider: how it was asked, and what it was told."""

    port: int = 0
    asked: list[Any] = field(default_factory=list)
    told: list[str | bytes] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)


async def answers(connection: ServerConnection) -> None:
    """A session of OpenAI's: each thing said is answered."""
    await connection.send(json.dumps(CREATED))
    async for message in connection:
        connection.behind.told.append(message)  # type: ignore[attr-defined]
        for event in (BEGUN, DONE):
            await connection.send(json.dumps(event))


@asynccontextmanager
async def session_provider(handler: Handler, **settings: Any) -> AsyncIterator[Behind]:
    behind = Behind()

    async def handle(connection: ServerConnection) -> None:
        connection.behind = behind  # type: ignore[attr-defined]
        behind.asked.append(connection.request)
        try:
            await handler(connection)
        finally:
            await connection.wait_closed()
            behind.closed.append(connection.close_code)

    async with serve(handle, "127.0.0.1", 0, **settings) as server:
        behind.port = next(iter(server.sockets)).getsockname()[1]
        yield behind


@asynccontextmanager
async def both(
    folder: Path, handler: Handler = answers, settled: Any = None, **changes: Any
) -> AsyncIterator[tuple[Running, Behind]]:
    async with session_provider(handler, **(settled or {})) as behind:
        base = f"http://127.0.0.1:{behind.port}"
        changes.setdefault(
            "providers",
            {
                "openai": Provider("openai", f"{base}/v1", "openai", Secret("sk-real")),
                "gemini": Provider("gemini", base, "gemini", Secret("g-real")),
            },
        )
        async with serving(settings_for(folder, 1, **changes)) as gateway:
            yield gateway, behind


def address(gateway: Running, path: str = "/v1/realtime?model=gpt-realtime") -> str:
    return f"ws{gateway.url.removeprefix('http')}{path}"


async def ended(gateway: Running) -> None:
    while gateway.worker.calls:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_session_is_one_row_with_the_sum_of_its_answers(compression: Any, tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, settled={"compression": compression}) as (gateway, behind):
            async with connect(address(gateway), compression=compression) as client:
                assert len(client.response.headers["flatfare-call"]) == 36
                assert json.loads(await client.recv()) == CREATED
                for number in range(3):
                    await client.send(f"say {number}")
                    assert json.loads(await client.recv()) == BEGUN
                    assert json.loads(await client.recv()) == DONE
                assert (await client.ping()) is not None
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["http_status"], row["endpoint"]) == ("ok", 101, "realtime")
            assert (row["cost_nano"], row["cost_state"]) == (3 * TURN_NANO, "measured")
            assert str(row["price_version"]).startswith("openai/gpt-realtime@")
            assert (row["model"], row["model_asked"]) == ("gpt-realtime", "gpt-realtime")
            assert behind.told == ["say 0", "say 1", "say 2"]
            assert behind.closed == [1000]
            assert behind.asked[0].headers["authorization"] == "Bearer sk-real"
            assert not [name for name in behind.asked[0].headers if name.startswith("flatfare")]

    run(test())


def test_a_session_over_tls_passes_large_messages_both_ways(tmp_path: Path) -> None:
    """As with the providers themselves: the encrypted connection changes its protocol too."""
    ours = authority(tmp_path)
    large = "x" * 2_000_000

    async def echoes(connection: ServerConnection) -> None:
        await connection.send(json.dumps(CREATED))
        async for message in connection:
            await connection.send(message)
            await connection.send(json.dumps(DONE))

    async def test() -> None:
        settled = {"ssl": ours.context("localhost"), "max_size": None}
        async with session_provider(echoes, **settled) as behind:
            base = f"https://localhost:{behind.port}/v1"
            openai = Provider("openai", base, "openai", Secret("sk-real"), ca_file=ours.file)
            async with serving(settings_for(tmp_path, 1, providers={"openai": openai})) as gateway:
                async with connect(address(gateway), max_size=None) as client:
                    assert json.loads(await client.recv()) == CREATED
                    for _ in range(3):
                        await client.send(large)
                        assert await client.recv() == large
                        assert json.loads(await client.recv()) == DONE
                await ended(gateway)
                (row,) = await rows(gateway)
                assert (row["status"], row["cost_nano"]) == ("ok", 3 * TURN_NANO)

    run(test())


def test_openais_own_client_speaks_through(tmp_path: Path) -> None:
    async def test() -> None:
        settings = settings_for(tmp_path, 1)
        with open_book(settings.database) as book:
            secret = issuing.create(book, Terms("one"), at_us=1, by_whom="test").secret
        async with both(tmp_path) as (gateway, behind):
            client = AsyncOpenAI(api_key=secret, base_url=f"{gateway.url}/v1")
            async with client.realtime.connect(model="gpt-realtime") as connection:
                assert (await connection.recv()).type == "session.created"
                await connection.response.create()
                assert (await connection.recv()).type == "response.created"
                assert (await connection.recv()).type == "response.done"
            await client.close()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("ok", TURN_NANO)
            assert row["key_id"] is not None
            assert secret not in str(behind.asked[0].headers)

    run(test())


async def live(connection: ServerConnection) -> None:
    """A session of Gemini's: messages are binary, and JSON over several lines."""
    await connection.recv()
    await connection.send(b'{\n  "setupComplete": {}\n}\n')
    async for _ in connection:
        await connection.send(b'{"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}]}}}')
        usage = {"promptTokenCount": 100, "responseTokenCount": 10, "totalTokenCount": 110}
        turn = {"serverContent": {"turnComplete": True}, "usageMetadata": usage}
        await connection.send(json.dumps(turn, indent=2).encode())


def test_a_live_session_names_its_model_in_its_first_message(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, live) as (gateway, behind):
            async with connect(address(gateway, LIVE + "?key=mine")) as client:
                await client.send(json.dumps({"setup": {"model": "models/gemini-2.0-flash-live-001"}}))
                await client.recv()
                for _ in range(2):
                    await client.send('{"clientContent": {"turnComplete": true}}')
                    await client.recv()
                    await client.recv()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["endpoint"]) == ("ok", "live")
            assert (row["model"], row["input"], row["output"]) == ("gemini-2.0-flash-live-001", 200, 20)
            assert row["cost_state"] == "measured"
            assert behind.asked[0].headers["x-goog-api-key"] == "g-real"
            assert "mine" not in behind.asked[0].path

    run(test())


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes = b"") -> bytes:
    """A frame as RFC 6455 writes it."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    length = bytes([length[0] | (0x80 if mask else 0)]) + length[1:]
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + masked


UPGRADE = (
    b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Own: 1\r\n\r\n"
)


@asynccontextmanager
async def raw_pair(
    folder: Path, **changes: Any
) -> AsyncIterator[tuple[Running, asyncio.StreamReader, asyncio.StreamWriter, asyncio.Queue[Any]]]:
    """A gateway before a provider that is nothing but a socket; the queue gives the provider's ends."""
    ends: asyncio.Queue[Any] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ends.put_nowait((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with serving(settings_for(folder, server.sockets[0].getsockname()[1], **changes)) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield gateway, reader, writer, ends
        finally:
            writer.close()
            server.close()


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_frames_pass_both_ways_byte_for_byte(cut: int, tmp_path: Path) -> None:
    """Fragments, masks, pings between fragments, an odd close; also where every byte comes by itself."""
    mask = os.urandom(4)
    from_client = b"".join(
        (
            frame(1, b'{"type": "resp', fin=False, mask=mask),
            frame(9, b"are you there", mask=mask),
            frame(0, b'onse.create"}', mask=bytes(4)),
            frame(2, os.urandom(70_000)[:60_000], mask=mask),
            frame(8, struct.pack("!H", 1000) + b"bye", mask=mask),
        )
    )
    done = json.dumps(DONE).encode()
    from_provider = b"".join(
        (
            frame(1, json.dumps(CREATED).encode()),
            frame(10, b"are you there"),
            frame(1, done[:40], fin=False),
            frame(9, b""),
            frame(0, done[40:]),
            frame(8, struct.pack("!H", 1000)),
        )
    )

    async def tell(writer: asyncio.StreamWriter, data: bytes) -> None:
        for piece in [data] if not cut else [data[i : i + cut] for i in range(0, min(len(data), 600), cut)]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if cut:
            writer.write(data[((600 + cut - 1) // cut) * cut :])

    async def test() -> None:
        async with raw_pair(tmp_path) as (gateway, reader, writer, ends):
            writer.write(UPGRADE + from_client[:5])  # a client that does not wait for the answer
            far_reader, far_writer = await ends.get()
            far_writer.write(SWITCHED + from_provider[:3])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            for line in (b"Upgrade: websocket", b"Connection: Upgrade", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="):
                assert line in head
            assert b"X-Own: 1\r\n" in head
            telling = asyncio.gather(tell(writer, from_client[5:]), tell(far_writer, from_provider[3:]))
            assert await far_reader.readexactly(len(from_client)) == from_client
            assert await reader.readexactly(len(from_provider)) == from_provider
            await telling
            far_writer.close()
            assert await reader.read() == b""
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("ok", TURN_NANO)

    run(test())


@pytest.mark.parametrize("how", ["cut in an answer", "frames nobody reads", "a bug of the meter"])
def test_what_was_not_heard_is_never_taken_for_nothing(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer was metered and another was not: the row does not claim that all was."""
    done, begun = (frame(1, json.dumps(event).encode()) for event in (DONE, BEGUN))

    async def test() -> None:
        async with raw_pair(tmp_path) as (gateway, reader, writer, ends):
            writer.write(UPGRADE)
            _, far_writer = await ends.get()
            far_writer.write(SWITCHED + done)
            await reader.readuntil(done)
            last = begun if how == "cut in an answer" else b"\xff" * 20
            with monkeypatch.context() as patch:
                if how == "a bug of the meter":
                    patch.setattr(Messages, "feed", lambda *_: 1 / 0)
                    last = done
                far_writer.write(last)
                await reader.readuntil(last)
                far_writer.close()
                await reader.read()
                await ended(gateway)
            (row,) = await rows(gateway)
            if how == "cut in an answer":
                assert (row["cost_nano"], row["cost_state"]) == (TURN_NANO, "estimated")
                assert "ended within an answer" in str(row["cost_reason"])
            else:
                assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")

    run(test())


def test_what_cannot_be_read_passes_all_the_same(tmp_path: Path) -> None:
    """No frame at all: the bytes go through, and the session is unknown with the reason."""

    async def test() -> None:
        async with raw_pair(tmp_path) as (gateway, reader, writer, ends):
            writer.write(UPGRADE)
            far_reader, far_writer = await ends.get()
            far_writer.write(SWITCHED + b"\xff" * 50)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(50) == b"\xff" * 50
            writer.write(b"\xfe" * 50)
            assert await far_reader.readexactly(50) == b"\xfe" * 50
            far_writer.close()
            await reader.read()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["cost_state"], row["cost_nano"]) == ("unknown", None)
            assert "frames cannot be read" in str(row["cost_reason"])

    run(test())


def test_a_refused_upgrade_is_the_provider_s_answer(tmp_path: Path) -> None:
    async def refuses(asked: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nX-Own: 1\r\n\r\nwrong")

    async def test() -> None:
        async with upstream() as provider, serving(settings_for(tmp_path, provider.port)) as gateway:
            provider.script = refuses
            reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
            writer.write(UPGRADE + b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await reader.read()  # it closes: what followed was of no protocol that anybody agreed on
            writer.close()
            assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
            assert answer.endswith(b"wrong")
            assert len(provider.asked) == 1
            (row,) = await rows(gateway)
            assert (row["status"], row["http_status"], row["cost_nano"]) == ("failed", 401, 0)

    run(test())


async def mid_answer(connection: ServerConnection) -> None:
    """The client leaves while it is being answered."""
    await connection.send(json.dumps(CREATED))
    await connection.recv()
    await connection.send(json.dumps(BEGUN))
    await asyncio.sleep(0.4)
    with suppress(websockets.ConnectionClosed):
        await connection.send(json.dumps(DONE))
        await connection.recv()


@pytest.mark.parametrize("setting", ["drain", "cancel"])
def test_an_answer_under_way_is_heard_out_when_the_client_leaves(setting: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, mid_answer, when_client_leaves=setting) as (gateway, behind):
            client = await connect(address(gateway))
            await client.recv()
            await client.send("go on")
            await client.recv()
            client.transport.abort()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert row["status"] == "cancelled"
            assert row["cost_nano"] == (TURN_NANO if setting == "drain" else None)
            assert row["cost_state"] == ("measured" if setting == "drain" else "unknown")
            while not behind.closed:
                await asyncio.sleep(0.01)

    run(test())


def test_a_client_that_leaves_between_answers_ends_the_session(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, behind):
            client = await connect(address(gateway))
            await client.send("go on")
            for _ in range(3):
                await client.recv()
            client.transport.abort()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("cancelled", TURN_NANO)
            while not behind.closed:
                await asyncio.sleep(0.01)

    run(test())


def test_a_provider_that_fails_within_a_session_is_on_record(tmp_path: Path) -> None:
    async def fails(connection: ServerConnection) -> None:
        await connection.send(json.dumps(CREATED))
        await connection.recv()
        await connection.send(json.dumps(DONE))
        await connection.close(1011, "internal error")

    async def test() -> None:
        async with both(tmp_path, fails) as (gateway, _):
            client = await connect(address(gateway))
            await client.send("go on")
            await client.recv()
            await client.recv()
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "internal error")
            await ended(gateway)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("failed", TURN_NANO)

    run(test())


def test_a_session_in_which_nothing_moves_is_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, timeouts=Timeouts(idle=0.3)) as (gateway, _):
            client = await connect(address(gateway))
            await client.recv()
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            await ended(gateway)
            (row,) = await rows(gateway)
            assert row["status"] == "failed"

    run(test())


def test_a_graceful_stop_waits_for_sessions_within_its_bound(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, timeouts=Timeouts(stop=0.3)) as (gateway, _):
            client = await connect(address(gateway))
            await client.send("go on")
            for _ in range(3):
                await client.recv()
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        async with both(tmp_path) as (gateway, _):
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"]) == ("cancelled", TURN_NANO)

    run(test())


def test_keys_hold_for_sessions(tmp_path: Path) -> None:
    """Unknown ones, models that are not theirs, calls at one time; and a key among the protocols."""

    async def test() -> None:
        settings = settings_for(tmp_path, 1)
        with open_book(settings.database) as book:
            terms = Terms("one", labels={"team": "voice"}, allowed_models=("gpt-realtime",), concurrent=1)
            secret = issuing.create(book, terms, at_us=1, by_whom="test").secret

        async def status_of(path: str, **more: Any) -> int:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(address(gateway, path), **more)
            return int(refused.value.response.status_code)

        async with both(tmp_path, settled={"subprotocols": ["realtime"]}) as (gateway, behind):
            own = {"additional_headers": {"Authorization": f"Bearer {secret}"}}
            assert await status_of("/v1/realtime?model=gpt-realtime") == 401
            assert await status_of("/v1/realtime?model=gpt-4o-realtime-preview", **own) == 403
            assert await status_of(LIVE, **own) == 403  # it would name its model only afterwards
            protocols = ["realtime", f"openai-insecure-api-key.{secret}"]
            async with connect(address(gateway), subprotocols=protocols) as client:  # type: ignore[arg-type]
                assert client.subprotocol == "realtime"
                assert await status_of("/v1/realtime?model=gpt-realtime", **own) == 429
                await client.recv()
            await ended(gateway)
            assert secret not in str(behind.asked[0].headers)
            booked = [row for row in await rows(gateway) if row["status"] == "ok"]
            assert [row["labels"] for row in booked] == ['{"team":"voice"}']
            async with connect(address(gateway), subprotocols=protocols) as client:  # type: ignore[arg-type]
                await client.recv()

    run(test())


def test_a_session_joins_no_call_of_others(tmp_path: Path) -> None:
    """A call at the provider, such as one by telephone, can be joined by its id: only where it is shared."""

    async def test() -> None:
        settings = settings_for(tmp_path, 1)
        with open_book(settings.database) as book:
            secret = issuing.create(book, Terms("one"), at_us=1, by_whom="test").secret
        own = {"additional_headers": {"Authorization": f"Bearer {secret}"}}
        async with session_provider(answers) as behind:
            base = f"http://127.0.0.1:{behind.port}/v1"
            providers = {"openai": Provider("openai", base, "openai", Secret("k"), shared=("rtc_open*",))}
            async with serving(settings_for(tmp_path, 1, providers=providers)) as gateway:
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await connect(address(gateway, "/v1/realtime?call_id=rtc_others"), **own)
                assert (refused.value.response.status_code, behind.asked) == (404, [])
                async with connect(address(gateway, "/v1/realtime?call_id=rtc_open1"), **own) as client:
                    await client.recv()

    run(test())


@pytest.mark.parametrize(
    "headers",
    [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Upgrade: foo\r\n",
    ],
)
def test_another_upgrade_is_not_heeded(headers: str, tmp_path: Path) -> None:
    """Clients of Java ask for HTTP/2 with their first request: it is served as it is."""

    async def test() -> None:
        async with upstream() as provider, serving(settings_for(tmp_path, provider.port)) as gateway:
            answer = await ask(gateway, headers=headers)
            assert answer.status == 200
            assert not {"upgrade", "http2-settings"} & set(provider.asked[0].headers)

    run(test())


def test_an_endpoint_of_no_sessions_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, behind):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(address(gateway, "/v1/models"))
            assert refused.value.response.status_code == 400
            assert behind.asked == []

    run(test())
