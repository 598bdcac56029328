"""Who may call what: keys, limits, labels, things of one's own, and requests that could mean two things."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flatfare.config import Limits, Provider, Retries, Secret
from flatfare.core import identity
from flatfare.core.errors import StoreFailure
from flatfare.gateway.attribution import attributed, labels_of, of_request
from flatfare.gateway.journal import Journal
from flatfare.gateway.limiter import Limiter, SharedCounts
from flatfare.gateway.server import Running
from flatfare.gateway.wire import Request
from flatfare.service.access import keys
from flatfare.service.access.keys import Issued, Terms
from flatfare.store.book import open_book
from tests.gateway.upstreams import ANSWER, CHAT, Answer, Asked, ask, both, parsed, rows, sent, whole


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 50))  # type: ignore[arg-type]


def issue(folder: Path, name: str = "search", **terms: object) -> Issued:
    with open_book(f"sqlite:///{folder}/book.db") as book:
        asked = Terms(name, **terms)  # type: ignore[arg-type]
        return keys.create(book, asked, at_us=time.time_ns() // 1000, by_whom="test")


def bearer(issued: Issued) -> str:
    return f"Authorization: Bearer {issued.secret}\r\n"


def test_a_key_is_let_in_the_moment_it_was_made(tmp_path: Path) -> None:
    """And with its budget: what limits it was made with it, and is known with it."""

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            for name in ("first", "second"):
                made = issue(tmp_path, name)
                answers = await asyncio.gather(*(ask(gateway, headers=bearer(made)) for _ in range(5)))
                assert [answer.status for answer in answers] == [200] * 5
            assert len(provider.asked) == 10
            stranger = await ask(gateway, headers="Authorization: Bearer ff_nobody\r\n")
            assert stranger.status == 401
            assert len(provider.asked) == 10

    run(test)


def test_without_a_key_or_with_a_wrong_one_nothing_is_sent(tmp_path: Path) -> None:
    async def test() -> None:
        issue(tmp_path)
        async with both(tmp_path) as (gateway, provider):
            for headers in ("", "Authorization: Bearer sk-their-own\r\n", "Authorization: Basic eDp5\r\n"):
                answer = await ask(gateway, headers=headers)
                assert answer.status == 401
                assert json.loads(answer.body)["error"]["code"] == "invalid_api_key"
                assert b"sk-their-own" not in answer.raw
            assert provider.asked == []
            assert await rows(gateway) == []

    run(test)


@pytest.mark.parametrize(
    "headers",
    [
        "Authorization: Bearer {}\r\n",
        "x-api-key: {}\r\n",
        "X-Goog-Api-Key: {}\r\n",
        "api-key: {}\r\n",
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20261121/us-east-1/bedrock/aws4_request, Signature=0\r\n",  # noqa: E501
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it_and_goes_no_further(tmp_path: Path, headers: str) -> None:
    async def test() -> None:
        issued = issue(tmp_path)
        async with both(tmp_path) as (gateway, provider):
            assert (await ask(gateway, headers=headers.format(issued.secret))).status == 200
            assert issued.secret.encode() not in provider.asked[0].raw_headers
            assert provider.asked[0].headers["authorization"] == "Bearer sk-real"
            assert [row["key_id"] for row in await rows(gateway)] == [issued.key.id]

    run(test)


def test_the_key_of_googles_query_goes_no_further(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path)
        async with both(tmp_path) as (gateway, provider):
            await ask(gateway, path=f"/v1/chat/completions?a=1&key={issued.secret}&b=2")
            assert provider.asked[0].line == "POST /v1/chat/completions?a=1&b=2 HTTP/1.1"

    run(test)


def test_a_revoked_key_is_refused_within_a_second(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path)
        async with both(tmp_path) as (gateway, _):
            assert (await ask(gateway, headers=bearer(issued))).status == 200
            with open_book(f"sqlite:///{tmp_path}/book.db") as book:
                keys.revoke(book, issued.key.id, at_us=time.time_ns() // 1000, by_whom="test")
            await asyncio.sleep(0.9)
            assert (await ask(gateway, headers=bearer(issued))).status == 401

    run(test)


def test_a_key_reaches_only_its_models_and_its_refusals_are_rows(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, allowed_models=("gpt-5*",))
        async with both(tmp_path) as (gateway, provider):
            answer = await ask(gateway, headers=bearer(issued))
            assert answer.status == 403
            assert "gpt-5*" in answer.body.decode()
            assert provider.asked == []
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"], row["key_id"]) == ("refused", 0, issued.key.id)

    run(test)


def test_a_burst_passes_no_more_than_the_limit_of_a_minute(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, requests_per_minute=3)
        async with both(tmp_path) as (gateway, _):
            answers = await asyncio.gather(*(ask(gateway, headers=bearer(issued)) for _ in range(8)))
            assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 5
            refused = next(answer for answer in answers if answer.status == 429)
            assert 1 <= int(refused.headers["retry-after"]) <= 61

    run(test)


def test_tokens_of_a_minute_are_limited_by_what_was_used(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, tokens_per_minute=2000)
        async with both(tmp_path) as (gateway, _):
            assert [(await ask(gateway, headers=bearer(issued))).status for _ in range(3)] == [200, 200, 429]

    run(test)


def test_calls_at_one_time_are_limited_and_count_down(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, concurrent=1)
        async with both(tmp_path) as (gateway, provider):

            async def slow(*_: object) -> None:
                await asyncio.sleep(0.1)
                _[2].write(whole())  # type: ignore[attr-defined]

            provider.script = slow
            answers = await asyncio.gather(*(ask(gateway, headers=bearer(issued)) for _ in range(3)))
            assert sorted(answer.status for answer in answers) == [200, 429, 429]
            assert (await ask(gateway, headers=bearer(issued))).status == 200

    run(test)


def test_a_call_that_waits_for_its_next_try_is_still_under_way(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, concurrent=1)
        async with both(tmp_path, retries=Retries(times=1, first_delay_s=0.6)) as (gateway, provider):
            tries = [whole(b"{}", "503 Busy"), whole()]

            async def once_busy(_: object, __: object, writer: asyncio.StreamWriter) -> None:
                writer.write(tries.pop(0))

            provider.script = once_busy
            first = asyncio.create_task(ask(gateway, headers=bearer(issued)))
            while len(tries) > 1:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert (await ask(gateway, headers=bearer(issued))).status == 429
            assert (await first).status == 200

    run(test)


def test_a_call_whose_client_leaves_before_its_next_try_is_not_under_way(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, concurrent=1)
        async with both(tmp_path, retries=Retries(times=1, first_delay_s=20)) as (gateway, provider):
            tries = [whole(b"{}", "503 Busy"), whole()]

            async def once_busy(_: object, __: object, writer: asyncio.StreamWriter) -> None:
                writer.write(tries.pop(0))

            provider.script = once_busy
            _, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{bearer(issued)}"
            writer.write(f"{head}Content-Length: {len(CHAT)}\r\n\r\n".encode() + CHAT)
            while len(tries) > 1:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            writer.close()
            while gateway.worker.calls:
                await asyncio.sleep(0.01)
            assert (await ask(gateway, headers=bearer(issued))).status == 200

    run(test)


def test_calls_that_could_not_be_kept_are_not_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFailure("The disk is full.")

    async def test() -> None:
        issued = issue(tmp_path, concurrent=1)
        async with both(tmp_path) as (gateway, _):
            with monkeypatch.context() as patch:
                patch.setattr(Journal, "write", full)
                for _ in range(2):
                    assert (await ask(gateway, headers=bearer(issued))).status == 503
            assert (await ask(gateway, headers=bearer(issued))).status == 200

    run(test)


# BerriAI/litellm#42653: limits multiplied by the number of workers.
def test_workers_share_one_limit_and_a_dead_worker_holds_nothing(tmp_path: Path) -> None:
    issued = issue(tmp_path, concurrent=2, requests_per_minute=100)
    counts = SharedCounts(workers=2)
    first, second = Limiter(counts, 0), Limiter(counts, 1)
    assert first.admit(issued.key) is None
    assert second.admit(issued.key) is None
    assert first.admit(issued.key) is not None
    counts.forget_worker(1)
    assert first.admit(issued.key) is None


def test_the_keys_labels_win_and_baggage_counts_least(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path, labels={"team": "search"})
        headers = (
            bearer(issued)
            + "flatfare-labels: team=other, feature=summary\r\nflatfare-session: s-1\r\nflatfare-task: t-1\r\n"  # noqa: E501
            + "baggage: flatfare.feature=low,flatfare.customer=ac%20me,theirs=1;p=2\r\n"
        )
        async with both(tmp_path) as (gateway, provider):
            await ask(gateway, headers=headers)
            (row,) = await rows(gateway)
            assert json.loads(str(row["labels"])) == {
                "team": "search",
                "feature": "summary",
                "customer": "ac me",
            }
            assert row["session"] == "s-1"
            assert provider.asked[0].headers["baggage"] == "theirs=1;p=2"
            assert b"flatfare" not in provider.asked[0].raw_headers

    run(test)


def test_labels_that_cannot_be_read_do_not_stop_a_call(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            answer = await ask(gateway, headers="flatfare-labels: team\r\nflatfare-purpose: fun\r\n")
            assert answer.status == 200
            assert "label left out" in answer.headers["flatfare-note"]

    run(test)


def test_a_label_that_cannot_be_read_takes_no_other_with_it() -> None:
    found = attributed(
        None, '{"team":"search"}', "team=evil,feature=a,bad,=b", *[None] * 4, "flatfare.labels=c"
    )
    assert labels_of(found.labels) == {"team": "search", "feature": "a"}
    assert (found.note or "").count("label left out") == 3


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_and_labels_are_read_as_they_were_written(encoding: str) -> None:
    request = Request("POST", b"/v1/chat/completions", 1)
    request.add(b"flatfare-task", "révision 7".encode(encoding))
    request.add(b"flatfare-labels", "customer=Müller".encode(encoding))
    found = of_request(request, None, "{}")
    assert labels_of(found.labels) == {"customer": "Müller"}
    assert found.task_id == str(identity.task_id(None, "révision 7"))


def test_a_task_of_one_project_cannot_be_named_from_another(tmp_path: Path) -> None:
    async def test() -> None:
        ours, theirs = issue(tmp_path, "a", project="ours"), issue(tmp_path, "b", project="theirs")
        task = "flatfare-task: 01a1fbc0-55e7-7e62-aa23-93b2b6713053\r\n"
        async with both(tmp_path) as (gateway, _):
            for issued in (ours, theirs, ours):
                await ask(gateway, headers=bearer(issued) + task)
            found = {(row["key_id"], row["task_id"]) for row in await rows(gateway)}
            assert len(found) == len({task for _, task in found}) == 2  # one for each project

    run(test)


def test_a_file_is_for_the_key_that_made_it(tmp_path: Path) -> None:
    async def test() -> None:
        mine, other = issue(tmp_path, "mine"), issue(tmp_path, "other")
        async with both(tmp_path) as (gateway, provider):

            async def script(asked: object, reader: object, writer: asyncio.StreamWriter) -> None:
                line = asked.line  # type: ignore[attr-defined]
                writer.write(whole(b'{"id":"file-1","object":"file"}') if "files" in line else whole())

            provider.script = script
            assert (await ask(gateway, headers=bearer(mine), path="/v1/files")).status == 200
            read = {"path": "/v1/files/file-1", "method": "GET", "body": b""}
            assert (await ask(gateway, headers=bearer(mine), **read)).status == 200  # type: ignore[arg-type]
            assert (await ask(gateway, headers=bearer(other), **read)).status == 404  # type: ignore[arg-type]
            assert (await ask(gateway, headers=bearer(mine), path="/v1/files", method="GET")).status == 403
            for named in (b'"file_id":"file-1"', rb'"file\u005fid":"file-1"'):
                body = CHAT[:-1] + b',"x":[{' + named + b"}]}"
                assert (await ask(gateway, body, headers=bearer(mine))).status == 200
                assert (await ask(gateway, body, headers=bearer(other))).status == 404
            free = [row["cost_nano"] for row in await rows(gateway) if row["endpoint"] == "files"]
            assert set(free) == {0}

    run(test)


def test_an_unknown_endpoint_is_refused_until_it_is_allowed_and_then_unknown(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            refused = await ask(gateway, path="/v1/fine_tuning/jobs")
            assert refused.status == 403
            assert "allow: ['POST /v1/fine_tuning/jobs']" in refused.body.decode()
            assert provider.asked == []
            base_url = f"http://127.0.0.1:{provider.port}/v1"
            allowed = Provider("openai", base_url, "openai", Secret("k"), allow=("POST /v1/fine_tuning/*",))
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"openai": allowed}))
            assert (await ask(gateway, path="/v1/fine_tuning/jobs")).status == 200
            booked = {row["status"]: row for row in await rows(gateway)}  # both may be of one moment
            assert set(booked) == {"refused", "ok"}
            assert (booked["ok"]["cost_state"], booked["ok"]["endpoint"]) == ("unknown", "unknown")

    run(test)


@pytest.mark.parametrize("delimited", ["Content-Length: 400", "Transfer-Encoding: chunked", "X-None: 1"])
def test_head_that_is_allowed_ends_with_its_headers(tmp_path: Path, delimited: str) -> None:
    async def headers_alone(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{delimited}\r\nX-Own: yes\r\n\r\n".encode())

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            base_url = f"http://127.0.0.1:{provider.port}/v1"
            allowed = Provider("openai", base_url, "openai", Secret("k"), allow=("HEAD /v1/ping",))
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"openai": allowed}))
            provider.script = headers_alone
            for _ in range(2):
                answer = await ask(gateway, b"", path="/v1/ping", method="HEAD")
                assert (answer.status, answer.headers["x-own"]) == (200, "yes")
                assert answer.raw.endswith(b"\r\n\r\n")
                assert answer.raw.count(b"\r\n\r\n") == 1, "and nothing of a body"
            booked = [(row["status"], row["cost_state"]) for row in await rows(gateway)]
            assert booked == [("ok", "unknown")] * 2

    run(test)


def test_without_keys_a_web_page_or_a_name_that_points_here_is_not_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            assert (await ask(gateway, headers="Origin: https://evil.example\r\n")).status == 403
            assert (await ask(gateway, headers="Origin: http://localhost:3000\r\n")).status == 200
            body = b"POST /v1/chat/completions HTTP/1.1\r\nHost: evil.example:4180\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"  # noqa: E501
            assert parsed(await sent(gateway, body)).status == 403
            assert len(provider.asked) == 1

    run(test)


def test_on_an_address_for_all_without_keys_nobody_is_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            gateway.worker.is_loopback = False
            answer = await ask(gateway)
            assert answer.status == 401
            assert "flatfare keys create" in answer.body.decode()

    run(test)


def test_without_a_credential_of_the_operator_the_clients_own_goes_through(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            from dataclasses import replace

            own = Provider("openai", f"http://127.0.0.1:{provider.port}/v1", "openai")
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"openai": own}))
            await ask(gateway, headers="Authorization: Bearer sk-their-own\r\n")
            assert provider.asked[0].headers["authorization"] == "Bearer sk-their-own"

    run(test)


def test_without_keys_a_flatfare_key_of_elsewhere_is_refused_and_not_shown_to_a_provider(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            own = Provider("openai", f"http://127.0.0.1:{provider.port}/v1", "openai")
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"openai": own}))
            for header in ("Authorization: Bearer ff_elsewhere", "x-api-key: ff_elsewhere"):
                answer = await ask(gateway, headers=f"{header}\r\n")
                assert answer.status == 401
                assert "flatfare keys create" in answer.body.decode()
                assert b"ff_elsewhere" not in answer.raw
            assert provider.asked == []

    run(test)


def test_a_host_of_ones_own_without_a_credential_is_reached_without_and_never_with_our_key(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        issued = issue(tmp_path)
        async with both(tmp_path) as (gateway, provider):
            own = Provider("local", f"http://127.0.0.1:{provider.port}/v1", "openai")
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"local": own}))
            answer = await ask(gateway, path="/p/local/chat/completions", headers=bearer(issued))
            assert answer.status == 200
            assert "authorization" not in provider.asked[0].headers
            assert issued.secret.encode() not in provider.asked[0].raw_headers

    run(test)


def test_a_known_provider_without_a_credential_is_not_asked_with_our_key(tmp_path: Path) -> None:
    async def test() -> None:
        issued = issue(tmp_path)
        async with both(tmp_path) as (gateway, _):
            public = Provider("openai", "https://api.openai.com/v1", "openai")
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"openai": public}))
            answer = await ask(gateway, headers=bearer(issued))
            assert answer.status == 500
            assert "flatfare providers set openai" in answer.body.decode()

    run(test)


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
        (HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + b"Host: other\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (HEAD + b"Content-Length: 2000000\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"80000\r\n" + b"a" * 0x80000 + b"\r\n") * 3, 413),
    ],
)
def test_what_could_be_read_in_two_ways_or_is_too_large_is_refused(
    tmp_path: Path, data: bytes, status: int
) -> None:
    async def test() -> None:
        async with both(tmp_path, limits=Limits(body_bytes=1_000_000)) as (gateway, provider):
            received = await sent(gateway, data)
            assert parsed(received).status == status
            assert received.count(b"HTTP/1.1 ") == 1
            assert provider.asked == []

    run(test)


def test_a_chunked_request_arrives_whole(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            data = (
                HEAD
                + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
            )
            received = await sent(gateway, data % (CHAT[:5], len(CHAT) - 5, CHAT[5:]))
            assert parsed(received).body == ANSWER
            assert provider.asked[0].body == CHAT

    run(test)


def test_a_slow_client_is_let_go(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, limits=Limits(header_s=0.3, idle_s=0.3)) as (gateway, _):
            started = time.monotonic()
            assert parsed(await sent(gateway, HEAD)).status == 408
            assert await sent(gateway, b"") == b""
            assert time.monotonic() - started < 3

    run(test)


@pytest.mark.parametrize(
    "path",
    [
        "/p/openai/../../etc/passwd",
        "/p/openai/v1/%2e%2e/admin",
        "/p/openai/v1/%252e%252e/admin",
        "/p/../v1/models",
        "/v1//chat/completions",
        "/v1/chat\\completions",
        "/p/openai/v1/%00",
        "http://127.0.0.1:1/v1/models",
    ],
)
def test_a_path_that_climbs_or_doubles_goes_nowhere(tmp_path: Path, path: str) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            assert (await ask(gateway, path=path)).status in (400, 403, 404)
            assert provider.asked == []

    run(test)


def test_only_configured_providers_are_reached(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            for path in ("/p/evil.example/v1/models", "/p/127.0.0.1:80/x", "/anthropic/v1/messages"):
                assert (await ask(gateway, path=path)).status == 404
            assert provider.asked == []

    run(test)


def test_health_readiness_and_metrics_say_how_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            await ask(gateway)
            assert (await _get(gateway, "/healthz")).status == 200
            assert json.loads((await _get(gateway, "/readyz")).body)["status"] == "ready"
            metrics = (await _get(gateway, "/metrics")).body.decode()
            assert (
                'flatfare_calls_total{provider="openai",endpoint="chat.completions",status="ok"} 1' in metrics
            )
            assert 'flatfare_cost_dollars_total{provider="openai"} 0.003000000' in metrics
            assert "sk-real" not in metrics

    run(test)


async def _get(gateway: Running, path: str) -> Answer:
    return await ask(gateway, b"", path=path, method="GET")
