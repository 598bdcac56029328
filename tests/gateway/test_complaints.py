"""What users of today's gateways complain about: for each a test that would have caught it here.

The numbers are those of the list of complaints; what is about budgets stands with the budgets.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from resource import getpagesize

import pytest

from tests.gateway.rig import EVENTS, JSON, Line, Pause, Request, chunked, whole
from tests.gateway.rig_gateway import ROOT, Row
from tests.gateway.rig_load import answering_soon, check_each_has_one_row, load_on, settled_rows, the
from tests.gateway.rig_pair import ASKED, CHAT, OPENAI, STREAMED, Pair, pair, until
from tests.gateway.rig_recorded import Recorded, own

WHOLE = own("openai-chat").body
ANTHROPIC = "api.anthropic.com"
VERTEX = "aiplatform.googleapis.com"
RAW_PREDICT = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    hosts = (
        OPENAI,
        ANTHROPIC,
        VERTEX,
        "bedrock-runtime.us-east-1.amazonaws.com",
        "generativelanguage.googleapis.com",
    )
    with pair(tmp_path_factory.mktemp("complaints"), *hosts) as opened:
        yield opened


def booked(both: Pair, one: Recorded) -> Row:
    return both.row(both.replay(one))


def cost_of(one: Recorded) -> int | None:
    return one.metered().cost.amount_nano


# 6. Disconnected streams lose usage: litellm#14457, #13245, #35958; Bifrost#3357, #3709.
@pytest.mark.parametrize(
    "name", ["openai-chat-stream-usage", "anthropic-messages-stream", "gemini-generate-stream"]
)
def test_a_stream_whose_client_left_costs_what_the_provider_bills(both: Pair, name: str) -> None:
    one = own(name)
    both.gateway.forget_rows()
    pieces = [step for piece in one.pieces(len(one.body) // 3) for step in (piece, Pause(0.03))]
    both.provider.next(chunked(pieces, headers=one.headers))
    with both.opened() as line:
        line.send(both.request(both.secret, one.request_body, (), one.gateway_target()))
        line.receive(until=lambda body: len(body) > 0)
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["cost_nano"]) == ("cancelled", cost_of(one))


# 6. The same for an answer that is no stream: litellm#13245 (Bedrock).
def test_a_whole_answer_whose_client_left_costs_what_the_provider_bills(both: Pair) -> None:
    one = own("bedrock-converse")
    both.gateway.forget_rows()
    both.provider.forget()
    both.provider.next((Pause(0.2), *one.answer()))
    with both.opened() as line:
        line.send(both.request(both.secret, one.request_body, (), one.gateway_target()))
        until(lambda: len(both.provider.log) == 1)
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["cost_nano"]) == ("cancelled", cost_of(one))


# 7. Cache tokens charged twice or dropped: litellm#9812, #11364, #11789; langfuse#10592, #14249; and a
# one-hour cache priced as a five-minute one: claude-observability-plugin#34.
@pytest.mark.parametrize("name", ["anthropic-messages", "anthropic-messages-stream"])
def test_what_was_cached_is_counted_once_at_its_own_price(both: Pair, name: str) -> None:
    row = booked(both, own(name))
    counts = [row[unit] for unit in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")]
    assert counts == [24, 4096, 1024, 1024, 57]
    # Claude Sonnet 4.5, per million: $3 in, $0.30 read, $3.75 and $6 written, $15 out.
    assert row["cost_nano"] == 24 * 3000 + 4096 * 300 + 1024 * 3750 + 1024 * 6000 + 57 * 15000


# 7. OpenAI's cached tokens stand inside the prompt's: litellm#40006, langfuse#10592.
def test_cached_tokens_inside_the_prompt_are_not_charged_again(both: Pair) -> None:
    row = booked(both, own("openai-chat"))
    assert (row["input"], row["cache_read"], row["output"]) == (1523 - 1024, 1024, 41)


# 8. An unknown model is $0 in silence: litellm#36561, #35914, #25874.
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_model_without_a_price_is_unknown_and_not_free(both: Pair, is_stream: bool) -> None:
    model = b"gpt-77-nobody-knows"
    one = own("openai-chat-stream-usage" if is_stream else "openai-chat")
    body = one.body.replace(b"gpt-4o-2024-08-06", model)
    answer = whole(body, headers=EVENTS if is_stream else JSON)
    asked = (STREAMED if is_stream else ASKED).replace(b"gpt-4o", model)
    seen, row = both.same(answer, asked)
    assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")
    assert "gpt-77-nobody-knows" in row["cost_reason"]
    assert row["output"] > 0, "what it used is known all the same"
    assert seen.header("flatfare-cost") is None


# 8. A model that answers in place of the one asked for is priced as what it is: litellm#38730.
def test_the_model_that_served_is_the_one_that_is_priced(both: Pair) -> None:
    body = WHOLE.replace(b"gpt-4o-2024-08-06", b"gpt-4o-mini-2024-07-18")
    _, row = both.same(whole(body))
    assert (row["model"], row["model_asked"]) == ("gpt-4o-mini-2024-07-18", "gpt-4o")
    # $0.15 in, $0.075 cached, $0.60 out, per million (as the price book says).
    assert row["cost_nano"] == 499 * 150 + 1024 * 75 + 41 * 600


# 9. Streams of Claude on Vertex logged at $0: litellm#37924, #40950.
def test_a_stream_of_claude_on_vertex_is_not_free(both: Pair) -> None:
    stream = own("anthropic-messages-stream")
    target = f"{RAW_PREDICT}:streamRawPredict"
    answer = chunked(stream.pieces())
    _, row = both.same(answer, stream.request_body, host=VERTEX, target=target)
    assert (row["provider"], row["output"], row["cost_state"]) == ("vertex", 57, "measured")
    assert row["cost_nano"] > 0


# 10. Rows are lost at shutdown, at each deploy: litellm#38157, #34805.
def test_each_restart_under_load_keeps_every_row(tmp_path: Path) -> None:
    with pair(tmp_path, workers=2) as both:
        both.provider.forget()
        load = load_on(both)
        with both.provider.answers(answering_soon), load.running():
            for _ in range(3):
                time.sleep(0.4)
                both.gateway.stop()
                both.gateway.start()
        rows = settled_rows(both.gateway)
        check_each_has_one_row(both.provider.log, rows, 0)
        assert {row["delivery"] for row in rows} == {"proven"}


# 10. Only the first hundred rows of a flush are kept: litellm#29292; 8 of 9 calls logged: #13280.
def test_a_burst_is_booked_to_the_last_row(tmp_path: Path) -> None:
    with pair(tmp_path) as both, both.provider.answers(lambda _: whole(WHOLE)):
        bookkeeper = the(both.gateway, "bookkeeper")
        os.kill(bookkeeper, signal.SIGSTOP)  # so that all of it is booked in one go
        with both.opened() as line:
            for _ in range(700):
                line.send(both.request(both.secret))
                assert line.receive().status == 200
        os.kill(bookkeeper, signal.SIGCONT)
        until(lambda: len(both.gateway.rows()) == 700, 10)
        assert sum(row["cost_nano"] for row in both.gateway.rows()) == 700 * (
            cost_of(own("openai-chat")) or 0
        )


# 11. /v1/responses is logged twice: litellm#15740.
@pytest.mark.parametrize("name", ["openai-responses", "openai-responses-stream"])
def test_a_response_is_one_row(both: Pair, name: str) -> None:
    both.gateway.forget_rows()
    both.replay(own(name))
    (row,) = both.gateway.new_rows(1)
    assert row["cost_nano"] == cost_of(own(name))


# 11. A batch is billed at each poll, or never: litellm#35358, #37050.
def test_looking_at_a_batch_costs_nothing_however_often(both: Pair) -> None:
    both.gateway.forget_rows()
    batch = {"id": "batch_9", "object": "batch", "status": "in_progress", "request_counts": {"total": 2}}
    answer = whole(json.dumps(batch).encode())
    both.provider.next(*[answer] * 4)
    asked = b'{"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}'
    assert both.gateway.ask(both.secret, "POST", "/v1/batches", asked).status == 200
    for _ in range(3):
        assert both.gateway.ask(both.secret, "GET", "/v1/batches/batch_9").status == 200
    made, *looks = both.gateway.new_rows(4)
    assert (made["cost_nano"], made["cost_state"]) == (None, "unknown")  # until its answers are here
    assert [(row["cost_nano"], row["cost_state"]) for row in looks] == [(0, "measured")] * 3


# 12. The database is the bottleneck of each request: litellm#35766, #9201, #12067.
def test_a_call_does_not_wait_for_the_book(both: Pair) -> None:
    """With the book held by another, calls take no longer than before."""

    def took() -> float:
        started = time.monotonic()
        for _ in range(30):
            assert both.through(whole(WHOLE)).status == 200
        return time.monotonic() - started

    took()
    free = took()
    with closing(sqlite3.connect(both.gateway.book, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        held = took()
        other.execute("ROLLBACK")
    assert held < max(3 * free, 1.0)


# 13. Memory grows until the process dies: litellm#12685, #27954, #38193.
@pytest.mark.parametrize("calls", [3000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_memory_does_not_grow_with_calls(tmp_path: Path, calls: int) -> None:
    def answering(request: Request) -> tuple[bytes, ...]:
        return whole(WHOLE)

    with pair(tmp_path) as both, both.provider.answers(answering):
        worker = the(both.gateway, "worker")

        def resident() -> int:
            return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * getpagesize()

        def ask_many(count: int, offset: int) -> None:
            with Line(both.gateway.port) as line:
                for number in range(offset, offset + count):  # each with names of its own: none may be kept
                    marks = [("flatfare-labels", f"n={number}"), ("flatfare-task", f"t{number}")]
                    line.send(both.request(both.secret, headers=marks))
                    assert line.receive().status == 200
                    both.provider.forget() if number % 500 == 0 else None

        ask_many(1000, 0)
        before = resident()
        ask_many(calls, 1000)
        assert resident() - before < 12_000_000


# 14. A migration failed, and it started anyway: litellm#23976, #15446.
def test_a_book_of_a_newer_version_is_not_served(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.gateway.stop()
        with closing(sqlite3.connect(both.gateway.book)) as book, book:
            book.execute("INSERT INTO migrations (number) VALUES (9999)")
        with pytest.raises(AssertionError, match="newer flatfare"):
            both.gateway.start()


# 14. A setting that was renamed is ignored in silence: Bifrost#3256, #5673.
@pytest.mark.parametrize(
    "text", ["budget: 5\n", "limits: {body_byte: 5}\n", "providers: {a: {base_url: 'http://h', budget: 1}}\n"]
)
def test_a_setting_that_is_not_known_stops_the_start(tmp_path: Path, text: str) -> None:
    config = tmp_path / "flatfare.yaml"
    config.write_text(text)
    command = [sys.executable, "-m", "flatfare", "--config", str(config), "serve", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=20)
    assert ended.returncode != 0
    assert b"is not known" in ended.stderr


# 15. Routes that pass through are holes in the meter: Bifrost#2873.
def test_no_route_is_a_hole_in_the_meter(both: Pair) -> None:
    """The same endpoint by each of its addresses is a row with a cost."""
    both.gateway.forget_rows()
    targets = (CHAT, "/p/openai/v1/chat/completions", "/p/openai/chat/completions", "/v1/chat/completions/")
    served = 0
    for target in targets:
        both.provider.forget()
        both.provider.next(whole(WHOLE))
        both.gateway.ask(both.secret, "POST", target, ASKED)
        served += len(both.provider.log)
    rows = [row for row in both.gateway.new_rows(len(targets)) if row["status"] != "refused"]
    assert len(rows) == served >= 3
    assert {row["cost_nano"] for row in rows} == {cost_of(own("openai-chat"))}


# 15. Calls wait behind one another: litellm#21046, #13546 (from 16 to 9 requests a second).
def test_calls_do_not_wait_for_one_another(both: Pair) -> None:
    """Sixty calls that take half a second each take about half a second together."""
    with both.provider.answers(lambda _: (Pause(0.5), *whole(WHOLE))):
        started = time.monotonic()
        lines = [both.opened() for _ in range(60)]
        for line in lines:
            line.send(both.request(both.secret))
        assert {line.receive().status for line in lines} == {200}
        assert time.monotonic() - started < 3
        for line in lines:
            line.close()


# (g) The sum of the rows is the figure that is watched, to the last digit.
def test_the_figures_to_watch_are_the_sum_of_the_rows(tmp_path: Path) -> None:
    with pair(tmp_path, OPENAI) as both:
        for name in (
            "openai-chat",
            "openai-responses",
            "openai-embeddings",
            "openai-error-500",
            "openai-tools",
        ):
            both.replay(own(name))
        rows = settled_rows(both.gateway)
        text = both.gateway.ask(both.secret, "GET", "/metrics").body.decode()
        lines = [line for line in text.splitlines() if "cost" in line and "openai" in line and line[0] != "#"]
        told = [line.rpartition(" ")[2] for line in lines if "unknown" not in line]
        total = sum(row["cost_nano"] for row in rows)
        assert any(round(float(value) * 10**9) == total for value in told), (lines, total)
