"""A call goes through as it came, is metered beside, and is kept before it is sent and when it ended."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flatfare.config import Limits, Policies, Provider, Retries, Secret, Timeouts
from flatfare.core.errors import StoreFailure
from flatfare.gateway.journal import Journal
from flatfare.gateway.operation import readiness
from flatfare.prices.book import PriceBook
from flatfare.prices.log import FileLog
from flatfare.service.costing.price_versions import rates_in, told
from flatfare.store.book import open_book
from tests.gateway.upstreams import (
    ANSWER,
    ANSWER_NANO,
    CHAT,
    STREAM,
    Asked,
    ask,
    both,
    parsed,
    rows,
    sent,
    streamed,
    whole,
)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 50))  # type: ignore[arg-type]


def test_a_whole_answer_comes_as_it_is_with_its_cost_in_the_head(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = _says(whole(headers="X-Request-ID: r-1\r\nContent-Type: application/json\r\n"))
            answer = await ask(
                gateway, headers="flatfare-labels: team=search\r\nX-Stainless-Lang: python\r\n"
            )
            assert (answer.status, answer.body) == (200, ANSWER)
            assert answer.headers["flatfare-cost"] == "0.003000000"
            assert answer.headers["x-request-id"] == "r-1"
            (row,) = await rows(gateway)
            assert row["id"] == answer.headers["flatfare-call"]
            assert (row["cost_nano"], row["cost_state"], row["status"]) == (ANSWER_NANO, "measured", "ok")
            assert (row["delivery"], row["labels"]) == ("proven", '{"team":"search"}')
            with open_book(gateway.worker.settings.database) as book:
                (terms,) = told(book, PriceBook(()), str(row["price_version"]))
            assert terms["model"] == "gpt-4o-2024-08-06"
            assert {one["unit"]: one["rate"] for one in rates_in(terms)}.items() >= {
                "input": "2.50",
                "output": "10.00",
            }.items()
            (asked,) = provider.asked
            assert asked.line == "POST /v1/chat/completions HTTP/1.1"
            assert asked.headers["authorization"] == "Bearer sk-real"
            assert asked.headers["x-stainless-lang"] == "python"
            assert not [name for name in asked.headers if name.startswith("flatfare")]
            assert asked.body == CHAT

    run(test)


@pytest.mark.parametrize(("organisation", "times"), [("acme", 0.5), ("other", 1), (None, 1)])
def test_terms_of_an_organisation_hold_for_its_calls(
    tmp_path: Path, organisation: str | None, times: float
) -> None:
    log = tmp_path / "rates.jsonl"
    FileLog(log).append([{"provider": "openai", "model": "*", "times": "0.5", "organisation": "acme"}])

    async def test() -> None:
        async with both(tmp_path, prices=str(log), organisation=organisation) as (gateway, _):
            await ask(gateway)
            await ask(gateway, STREAM)
            found = await rows(gateway)
            assert [row["cost_nano"] for row in found] == [int(ANSWER_NANO * times)] * 2

    run(test)


def test_a_stream_that_does_not_ask_for_usage_is_asked_and_looks_as_if_it_were_not(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            answer = await ask(gateway, STREAM)
            assert answer.headers["flatfare-changed"] == "stream_usage"
            assert answer.body == parsed(b"".join(streamed(asks_usage=False))).body
            assert json.loads(provider.asked[0].body)["stream_options"] == {"include_usage": True}
            (row,) = await rows(gateway)
            assert (row["cost_nano"], row["cost_state"]) == (ANSWER_NANO, "measured")

    run(test)


def test_with_the_policy_off_a_stream_is_left_alone_and_counted_offline(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, policies=Policies(stream_usage=False)) as (gateway, provider):
            answer = await ask(gateway, STREAM)
            assert "flatfare-changed" not in answer.headers
            assert provider.asked[0].body == STREAM
            (row,) = await rows(gateway)
            assert row["cost_state"] == "estimated"

    run(test)


@pytest.mark.parametrize("size", [1, 7])
def test_a_stream_cut_anywhere_reads_the_same(tmp_path: Path, size: int) -> None:
    async def slowly(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b"".join(streamed(asks_usage=True))
        for position in range(0, len(data), size):
            writer.write(data[position : position + size])
            await asyncio.sleep(0)

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = slowly
            answer = await ask(gateway, STREAM)
            assert answer.body == parsed(b"".join(streamed(asks_usage=False))).body
            assert [row["cost_nano"] for row in await rows(gateway)] == [ANSWER_NANO]

    run(test)


def test_an_error_of_the_provider_comes_byte_for_byte_and_costs_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            error = b'{"error": {"message":"slow down","type":"requests"}}'
            provider.script = _says(whole(error, "429 Whoa There", "Retry-After: 7\r\n"))
            answer = await ask(gateway)
            assert answer.raw.startswith(b"HTTP/1.1 429 Whoa There\r\n")
            assert (answer.body, answer.headers["retry-after"]) == (error, "7")
            (row,) = await rows(gateway)
            assert (row["status"], row["http_status"], row["cost_nano"]) == ("failed", 429, 0)

    run(test)


def test_a_compressed_answer_passes_compressed_and_is_metered(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            packed = gzip.compress(ANSWER)
            provider.script = _says(whole(packed, headers="Content-Encoding: gzip\r\n"))
            answer = await ask(gateway)
            assert answer.body == packed
            assert answer.headers["flatfare-cost"] == "0.003000000"

    run(test)


def test_what_fails_to_be_metered_goes_through_and_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug in a reader")

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            monkeypatch.setattr("flatfare.gateway.tap.read_whole", broken)
            answer = await ask(gateway)
            assert (answer.status, answer.body) == (200, ANSWER)
            (row,) = await rows(gateway)
            assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")
            assert "metering failed" in str(row["cost_reason"])

    run(test)


def test_an_answer_that_breaks_off_breaks_off_for_the_client_and_is_estimated(tmp_path: Path) -> None:
    async def breaks(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in streamed(asks_usage=True)[:2]:
            writer.write(piece)
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = breaks
            answer = await ask(gateway, STREAM)
            assert b'"content":"Hi."' in answer.body
            assert not answer.is_whole
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_state"], row["delivery"]) == ("failed", "estimated", "proven")
            assert int(str(row["cost_nano"])) > 0

    run(test)


# BerriAI/litellm#14457, maximhq/bifrost#3357: usage of streams whose client left was lost.
def test_a_client_that_leaves_is_billed_what_the_provider_says_in_the_end(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def waits(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces = streamed(asks_usage=True)
        writer.write(b"".join(pieces[:2]))
        await writer.drain()
        await heard.wait()
        await asyncio.sleep(0.1)
        writer.write(b"".join(pieces[2:]))

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = waits
            port = int(gateway.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % len(STREAM)
            )
            writer.write(STREAM)
            await reader.readuntil(b"Hi.")
            writer.close()
            heard.set()
            while gateway.worker.calls:
                await asyncio.sleep(0.01)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"], row["cost_state"]) == (
                "cancelled",
                ANSWER_NANO,
                "measured",
            )

    run(test)


@pytest.mark.parametrize("setting", ["drain", "cancel"])
@pytest.mark.parametrize("lasts", [b"", b"\n\n", b": bye\n\n"])
def test_who_hangs_up_at_the_last_word_has_heard_the_stream(
    setting: str, lasts: bytes, tmp_path: Path
) -> None:
    """SDKs do so: the call is ok, unless a word was still to come."""
    heard = asyncio.Event()

    async def waits(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(streamed(asks_usage=True)[:-1]))
        await writer.drain()
        await heard.wait()
        await asyncio.sleep(0.1)
        rest = b"%x\r\n%b\r\n" % (len(lasts), lasts) if lasts else b""
        writer.write(rest + b"0\r\n\r\n")

    async def test() -> None:
        async with both(tmp_path, when_client_leaves=setting) as (gateway, provider):
            provider.script = waits
            port = int(gateway.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % len(STREAM)
            )
            writer.write(STREAM)
            await reader.readuntil(b"[DONE]\n\n")
            writer.close()
            heard.set()
            while gateway.worker.calls:
                await asyncio.sleep(0.01)
            (row,) = await rows(gateway)
            assert row["status"] == ("cancelled" if lasts.strip() else "ok")
            assert (row["cost_nano"], row["cost_state"]) == (ANSWER_NANO, "measured")

    run(test)


def test_a_client_that_leaves_longer_than_the_bound_is_billed_what_was_seen(tmp_path: Path) -> None:
    async def stalls(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(streamed(asks_usage=True)[:2]))
        await writer.drain()
        await asyncio.sleep(30)

    async def test() -> None:
        async with both(tmp_path, timeouts=Timeouts(drain=0.2)) as (gateway, provider):
            provider.script = stalls
            port = int(gateway.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % len(STREAM)
            )
            writer.write(STREAM)
            await reader.readuntil(b"Hi.")
            writer.close()
            while gateway.worker.calls:
                await asyncio.sleep(0.01)
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_state"]) == ("cancelled", "estimated")

    run(test)


def test_where_the_provider_cannot_be_reached_the_client_is_told_in_its_dialect(tmp_path: Path) -> None:
    async def test() -> None:
        providers = {"anthropic": Provider("anthropic", "http://127.0.0.1:1", "anthropic", Secret("k"))}
        async with both(tmp_path, providers=providers) as (gateway, _):
            answer = await ask(gateway, b'{"model":"claude-sonnet-4-5"}', path="/anthropic/v1/messages")
            assert answer.status == 502
            assert json.loads(answer.body)["type"] == "error"
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_nano"], row["delivery"]) == ("failed", 0, "unproven")

    run(test)


def test_silence_ends_in_a_timeout_whose_cost_is_unknown(tmp_path: Path) -> None:
    async def silent(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def test() -> None:
        async with both(tmp_path, timeouts=Timeouts(first_byte=0.2)) as (gateway, provider):
            provider.script = silent
            assert (await ask(gateway)).status == 504
            (row,) = await rows(gateway)
            assert (row["status"], row["cost_state"], row["delivery"]) == ("failed", "unknown", "unproven")

    run(test)


def test_each_try_is_a_row(tmp_path: Path) -> None:
    answers = [whole(b"{}", "503 Busy"), whole()]

    async def test() -> None:
        retries = Retries(times=2, first_delay_s=0.01)
        async with both(tmp_path, retries=retries) as (gateway, provider):
            provider.script = _says(*answers)
            answer = await ask(gateway)
            assert (answer.status, answer.body) == (200, ANSWER)
            found = await rows(gateway)
            assert [(row["status"], row["http_status"]) for row in found] == [("failed", 503), ("ok", 200)]

    run(test)


def test_nothing_is_repeated_unless_it_is_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = _says(whole(b"{}", "503 Busy"), whole())
            assert (await ask(gateway)).status == 503
            assert len(provider.asked) == 1

    run(test)


def test_where_the_journal_fails_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            monkeypatch.setattr(Journal, "write", _full_disk)
            answer = await ask(gateway)
            assert answer.status == 503
            assert provider.asked == []
            monkeypatch.undo()

    run(test)


def test_the_operator_may_let_calls_through_without_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with both(tmp_path, on_journal_failure="forward") as (gateway, _):
            monkeypatch.setattr(Journal, "write", _full_disk)
            assert (await ask(gateway)).body == ANSWER
            monkeypatch.undo()
            assert readiness(gateway.worker)[1]["calls_may_be_lost"] is True

    run(test)


def test_the_end_of_an_answer_waits_for_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds a whole answer finds its row after any crash."""
    order: list[str] = []
    write = Journal.write

    def noted(self: Journal, record: object, on_kept: object = None) -> None:
        def kept(problem: StoreFailure | None) -> None:
            order.append(type(record).__name__)
            if on_kept is not None:
                on_kept(problem)  # type: ignore[operator]

        write(self, record, kept)  # type: ignore[arg-type]

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            monkeypatch.setattr(Journal, "write", noted)
            await ask(gateway)
            order.append("client")
            assert order == ["Intent", "Priced", "Result", "client"]

    run(test)


def test_requests_that_follow_one_another_at_once_are_answered_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            first = (
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % len(CHAT)
                + CHAT
            )
            last = first.replace(b"Host: localhost", b"Host: localhost\r\nConnection: close")
            received = await sent(gateway, first + first + last)
            assert received.count(b"HTTP/1.1 200 OK") == 3
            assert provider.connections == 1

    run(test)


def test_a_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    async def slow(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(whole())

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = slow
            asking = asyncio.ensure_future(ask(gateway))
            while not provider.asked:
                await asyncio.sleep(0.01)
        assert (await asking).body == ANSWER

    run(test)


def test_new_settings_are_for_calls_to_come(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            from dataclasses import replace

            first = provider
            assert (await ask(gateway)).status == 200
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={}))
            assert (await ask(gateway)).status == 404
            assert len(first.asked) == 1

    run(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + ANSWER,  # shorter than it says
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    ],
)
def test_an_answer_that_is_not_whole_never_looks_whole(tmp_path: Path, answer: bytes) -> None:
    async def breaks(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = breaks
            received = await sent(
                gateway,
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
            )
            assert not received or not parsed(received).is_whole or parsed(received).status == 502

    run(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + ANSWER,  # ends with the connection
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n"
        % (len(ANSWER), ANSWER),
    ],
)
def test_other_ways_of_saying_where_an_answer_ends(tmp_path: Path, answer: bytes) -> None:
    async def closes(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if answer.startswith(b"HTTP/1.0"):
            writer.close()

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = closes
            found = await ask(gateway)
            assert (found.status, found.body, found.is_whole) == (200, ANSWER, True)
            assert (b"X-Sum: 1" in found.raw) == (b"X-Sum" in answer)
            assert [row["cost_nano"] for row in await rows(gateway)] == [ANSWER_NANO]

    run(test)


def test_a_redirect_is_an_answer_and_is_not_followed(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = _says(whole(b"", "307 Moved", "Location: http://127.0.0.1:1/steal\r\n"))
            answer = await ask(gateway)
            assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:1/steal")
            assert len(provider.asked) == 1

    run(test)


def test_a_client_of_http_1_0_gets_its_answer_without_chunks(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, policies=Policies(stream_usage=False)) as (gateway, _):
            raw = await sent(
                gateway,
                b"POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % len(STREAM)
                + STREAM,
            )
            assert b"chunked" not in raw.lower()
            assert raw.partition(b"\r\n\r\n")[2] == parsed(b"".join(streamed(asks_usage=False))).body

    run(test)


def test_a_provider_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async def test() -> None:
        providers = {"openai": Provider("openai", "http://127.0.0.1:1/v1", "openai", Secret("k"))}
        async with both(tmp_path, providers=providers) as (gateway, _):
            statuses = [(await ask(gateway)).status for _ in range(7)]
            assert statuses == [502] * 5 + [503] * 2
            assert sorted(row["status"] for row in await rows(gateway)) == ["failed"] * 5 + ["refused"] * 2

    run(test)


def test_no_more_calls_at_one_time_than_the_limit(tmp_path: Path) -> None:
    async def slow(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(whole())

    async def test() -> None:
        async with both(tmp_path, limits=Limits(calls=2)) as (gateway, provider):
            provider.script = slow
            answers = await asyncio.gather(*(ask(gateway) for _ in range(5)))
            assert sorted(answer.status for answer in answers) == [200, 200, 503, 503, 503]

    run(test)


def _says(*answers: bytes) -> Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answers one after another, the last again and again."""
    left = list(answers)

    async def script(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return script


def _full_disk(*_: object) -> None:
    raise StoreFailure("The journal could not be written: No space left on device.")


def test_prices_are_said_in_the_journal_once_and_again_where_they_changed(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            for _ in range(3):
                await ask(gateway)
            log = tmp_path / "book.prices.jsonl"
            line = {"provider": "openai", "model": "gpt-4o-2024-08-06", "rates": {"input": "2"}}
            FileLog(log).append([line])
            gateway.worker.take_settings(gateway.worker.settings)
            await ask(gateway)
            versions = [str(row["price_version"]) for row in await rows(gateway)]
            assert [version.split(":")[1] for version in versions] == ["reviewed"] * 3 + ["own"]
            with open_book(gateway.worker.settings.database) as book:
                kept = book.rows("SELECT version FROM price_versions")
            assert sorted(str(version) for (version,) in kept) == sorted(set(versions))

    run(test)


def test_an_error_and_a_call_without_a_price_name_no_prices(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = _says(whole(b'{"error":{}}', "429 Too Many Requests"))
            await ask(gateway)
            provider.script = _says(whole(ANSWER.replace(b"gpt-4o-2024-08-06", b"nobody-s-model")))
            await ask(gateway)
            found = await rows(gateway)
            assert [row["cost_nano"] for row in found][-1] is None
            assert {row["price_version"] for row in found} == {None}

    run(test)
