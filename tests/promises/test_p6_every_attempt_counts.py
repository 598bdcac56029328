"""P6: failed, retried, cancelled, timed-out and refused calls are rows with their cost."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig import JSON, Answer, Close, Pause, Request, Reset, Stall, asking, chunked, sse, whole
from tests.gateway.rig_gateway import Row
from tests.gateway.rig_load import children, settled_rows
from tests.gateway.rig_pair import ASKED, CHAT, STREAMED, Pair, pair, until
from tests.gateway.rig_recorded import own

EVENTS = own("openai-chat-stream-usage").pieces()
WHOLE = own("openai-chat").body
COST_OF_STREAM = own("openai-chat-stream-usage").metered().cost.amount_nano
COST_OF_WHOLE = own("openai-chat").metered().cost.amount_nano


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    timeouts = {"first_byte": 0.6, "idle": 0.6, "drain": 1.5, "stop": 5}
    with pair(tmp_path_factory.mktemp("p6"), timeouts=timeouts) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_new(both: Pair) -> None:
    both.gateway.forget_rows()
    both.provider.forget()


def left_after(both: Pair, answer: Answer, how_much: int = 1, *, reset: bool = False) -> Row:
    """The row of a call whose client leaves when so much of its answer has come."""
    both.provider.next(answer)
    line = both.opened()
    line.send(both.request(both.secret, STREAMED))
    line.receive(until=lambda body: len(body) >= how_much)
    if reset:
        line.reset()
    else:
        line.close()
    return both.gateway.new_rows(1)[0]


def slowly(events: list[bytes], pause_s: float = 0.05) -> Answer:
    return chunked([step for event in events for step in (event, Pause(pause_s))])


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_client_that_leaves_pays_for_the_whole_answer(both: Pair, reset: bool) -> None:
    """The answer is heard out for its true usage: the provider bills it all the same."""
    row = left_after(both, slowly(EVENTS), reset=reset)
    assert (row["status"], row["delivery"]) == ("cancelled", "proven")
    assert (row["cost_nano"], row["cost_state"]) == (COST_OF_STREAM, "measured")


def test_a_client_that_leaves_before_the_answer_begins_pays_too(both: Pair) -> None:
    both.provider.next((Pause(0.3), *whole(WHOLE)))
    line = both.opened()
    line.send(both.request(both.secret))
    until(lambda: len(both.provider.log) == 1)
    line.close()
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["cost_nano"]) == ("cancelled", COST_OF_WHOLE)


def test_a_drain_has_a_bound(both: Pair) -> None:
    """A provider that never ends is not heard for ever; what was seen is booked, estimated."""
    words = [
        sse({"id": "x", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "legs "}}]})
    ] * 200
    row = left_after(both, slowly(words, 0.05))
    assert (row["status"], row["cost_state"]) == ("cancelled", "estimated")
    assert row["cost_nano"] > 0
    until(lambda: both.provider.hung_up == [1], 3, "the provider was not let go")


def test_a_provider_that_does_not_answer_in_time_is_a_row(both: Pair) -> None:
    seen = both.through((Stall(),))
    assert seen.status == 504
    row = both.row(seen)
    assert (row["status"], row["http_status"], row["delivery"]) == ("failed", 504, "unproven")
    assert row["cost_nano"] != 0
    assert row["cost_reason"]


def test_a_provider_that_stops_in_its_answer_is_a_row(both: Pair) -> None:
    seen = both.through(chunked([*EVENTS[:4], Stall()]), STREAMED)
    assert seen.end in ("cut", "reset")
    row = both.row(seen)
    assert (row["status"], row["delivery"], row["cost_state"]) == ("failed", "proven", "estimated")
    assert row["cost_nano"] > 0


@pytest.mark.parametrize("answer", [(Close(),), (Pause(0.02), Reset())], ids=["closes", "resets"])
def test_a_call_that_gets_no_answer_is_a_row_and_not_free(both: Pair, answer: Answer) -> None:
    row = both.row(both.through(answer))
    assert (row["status"], row["delivery"]) == ("failed", "unproven")
    assert (row["cost_nano"], row["cost_state"]) != (0, "measured")


def test_a_provider_that_is_not_there_costs_nothing(both: Pair) -> None:
    """No connection, no bill: that is a fact, and the row says so."""
    with pair(both.gateway.folder / "away") as other:
        other.gateway.settings["providers"]["openai"]["base_url"] = "http://127.0.0.1:9/v1"
        other.gateway.stop()
        other.gateway.start()
        seen = other.through(None)
        assert seen.status == 502
        row = other.row(seen)
    assert (row["status"], row["cost_nano"], row["cost_state"]) == ("failed", 0, "measured")


def test_an_error_costs_nothing_and_is_a_row(both: Pair) -> None:
    row = both.row(both.through(own("openai-error-500").answer()))
    assert (row["status"], row["http_status"], row["cost_nano"]) == ("failed", 500, 0)


def test_retries_of_the_client_are_rows_of_the_same_attempt(both: Pair) -> None:
    marks = [("flatfare-task", "ticket-7"), ("flatfare-attempt", "a1"), ("flatfare-session", "s1")]
    for answer in (own("openai-error-429").answer(), own("openai-error-500").answer(), whole(WHOLE)):
        both.through(answer, headers=marks)
    rows = both.gateway.new_rows(3)
    assert [row["status"] for row in rows] == ["failed", "failed", "ok"]
    assert len({(row["task_id"], row["attempt_id"], row["session"]) for row in rows}) == 1
    assert rows[0]["task_id"] is not None


def test_retries_of_ours_are_rows_each(tmp_path: Path) -> None:
    retries = {"times": 3, "first_delay_s": 0.01}
    with pair(tmp_path, retries=retries) as both:
        both.provider.next(whole(b"{}", 429, (*JSON, ("retry-after", "0"))), whole(b"{}", 503), whole(WHOLE))
        seen = both.through(None)
        assert (seen.status, seen.body) == (200, WHOLE)
        assert len(both.provider.log) == 3
        rows = settled_rows(both.gateway)
        assert [(row["status"], row["http_status"], row["cost_nano"]) for row in rows] == [
            ("failed", 429, 0),
            ("failed", 503, 0),
            ("ok", 200, COST_OF_WHOLE),
        ]
        assert seen.header("flatfare-call") == rows[-1]["id"]


def test_what_may_have_been_billed_is_not_tried_again(tmp_path: Path) -> None:
    """A request that was sent, and whose answer broke off, may have been carried out."""
    with pair(tmp_path, retries={"times": 3, "first_delay_s": 0.01}) as both:
        for answer in (
            (Pause(0.02), Reset()),
            whole(b"{}", 500),
            whole(b"{}", 400),
            chunked([EVENTS[0], Reset()]),
        ):
            both.provider.forget()
            both.through(answer)
            assert len(both.provider.log) == 1


def test_the_last_try_is_what_the_client_sees(tmp_path: Path) -> None:
    with pair(tmp_path, retries={"times": 1, "first_delay_s": 0.01}) as both:
        both.provider.next(whole(b'{"n":1}', 429), whole(b'{"n":2}', 429, (*JSON, ("retry-after", "9"))))
        seen = both.through(None)
        assert (seen.status, seen.body, seen.header("retry-after")) == (429, b'{"n":2}', "9")
        assert len(settled_rows(both.gateway)) == 2


def test_a_call_that_is_refused_is_a_row(both: Pair) -> None:
    """Not allowed by its key, or no endpoint that is known: nothing is sent, and it is on record."""
    issued = both.gateway.issue("narrow", allowed_models=("gpt-4o-mini",), labels={"team": "a"})
    both.gateway.wait_for_key(issued.secret)
    both.gateway.forget_rows()
    seen = both.gateway.ask(issued.secret, "POST", CHAT, ASKED)
    assert (seen.status, both.provider.log) == (403, [])
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["http_status"], row["cost_nano"]) == ("refused", 403, 0)
    assert (row["key_id"], row["model_asked"], row["labels"]) == (issued.key.id, "gpt-4o", '{"team":"a"}')
    assert both.gateway.ask(both.secret, "POST", "/v1/fine_tuning/jobs", b"{}").status == 403
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["cost_nano"]) == ("refused", 0)


def test_limits_of_a_key_refuse_and_are_on_record(both: Pair) -> None:
    issued = both.gateway.issue("limited", requests_per_minute=2)
    until(lambda: both.gateway.ask(issued.secret, "GET", "/v1/models").status != 401)
    both.gateway.forget_rows()
    both.provider.forget()
    seen = [both.gateway.ask(issued.secret, "POST", CHAT, ASKED) for _ in range(4)]
    assert seen[-1].status == 429
    assert int(seen[-1].header("retry-after") or 0) >= 1
    rows = both.gateway.new_rows(4)
    assert [row["status"] for row in rows] == ["refused" if one.status == 429 else "ok" for one in seen]
    assert len(both.provider.log) == sum(one.status != 429 for one in seen)


def test_concurrent_calls_of_a_key_are_limited_over_all_workers(tmp_path: Path) -> None:
    with pair(tmp_path, workers=2) as both:
        issued = both.gateway.issue("narrow", concurrent=3)
        both.gateway.wait_for_key(issued.secret)

        def answering(_: Request) -> Answer:
            return (Pause(0.5), *whole(WHOLE))

        with both.provider.answers(answering):
            lines = [both.opened() for _ in range(12)]
            for line in lines:
                line.send(both.request(issued.secret))
            statuses = sorted(line.receive().status for line in lines)
            for line in lines:
                line.close()
        assert statuses.count(200) == 3
        assert statuses.count(429) == 9
        # and a worker that is killed does not take its places along
        with both.provider.answers(answering):
            line = both.opened()
            line.send(both.request(issued.secret))
            until(lambda: both.provider.log[-1].number > 3)
            for pid in children(both.gateway)["worker"]:
                os.kill(pid, signal.SIGKILL)
            line.close()
            until(lambda: both.gateway.ask(issued.secret, "GET", "/p/nowhere/x").status == 404, 10)
            lines = [both.opened() for _ in range(3)]
            for line in lines:
                line.send(both.request(issued.secret))
            assert [line.receive().status for line in lines] == [200] * 3
            for line in lines:
                line.close()


def test_what_costs_nothing_is_on_record_as_such(both: Pair) -> None:
    one = own("openai-chat")
    assert one.provider == "openai"
    both.provider.next(whole(b'{"object": "list", "data": []}'))
    assert both.gateway.ask(both.secret, "GET", "/v1/models").status == 200
    (row,) = both.gateway.new_rows(1)
    assert (row["endpoint"], row["cost_nano"], row["cost_state"]) == ("models", 0, "measured")
    assert row["cost_reason"]


def test_cancelling_by_setting_lets_the_provider_go_at_once(tmp_path: Path) -> None:
    with pair(tmp_path, when_client_leaves="cancel") as both:
        both.provider.forget()
        started = time.monotonic()
        row = left_after(both, slowly([EVENTS[1]] * 100, 0.05), 300)
        assert (row["status"], row["cost_state"]) == ("cancelled", "estimated")
        assert row["cost_nano"] > 0
        until(lambda: both.provider.hung_up == [1], 3)
        assert time.monotonic() - started < 3


def test_the_purpose_and_labels_of_a_call_are_on_its_row(both: Pair) -> None:
    """A key's labels win over a request's, a header's over the baggage's."""
    issued = both.gateway.issue("labelled", labels={"team": "search"})
    both.gateway.wait_for_key(issued.secret)
    both.gateway.forget_rows()
    both.provider.next(whole(WHOLE))
    marks = [
        ("flatfare-labels", "team=mine,feature=summary"),
        ("flatfare-purpose", "verification"),
        ("baggage", "flatfare.labels=feature%3Dother%2Ccustomer%3Dacme"),
    ]
    both.gateway.ask(issued.secret, "POST", CHAT, ASKED, marks)
    (row,) = both.gateway.new_rows(1)
    assert row["purpose"] == "verification"
    labels: dict[str, Any] = json.loads(row["labels"])
    assert (labels["team"], labels["feature"]) == ("search", "summary")


def test_labels_that_cannot_be_read_never_stop_a_call(both: Pair) -> None:
    both.provider.next(whole(WHOLE))
    seen = both.through(None, headers=[("flatfare-labels", "=,=,,\xff"), ("flatfare-task", "x" * 9000)])
    assert (seen.status, seen.body) == (200, WHOLE)
    assert seen.header("flatfare-note")


def test_answers_out_of_order_belong_to_their_own_calls(both: Pair) -> None:
    """Many at once on many connections: each row has the usage of its own answer."""

    def answering(request: Request) -> Answer:
        number = int(request.json()["user"])
        body = {**json.loads(WHOLE), "usage": {"prompt_tokens": number, "completion_tokens": 1}}
        return (Pause((number % 7) * 0.01), *whole(json.dumps(body).encode()))

    with both.provider.answers(answering):
        lines = {}
        for number in range(1, 41):
            body = json.dumps({"model": "gpt-4o", "user": str(number), "messages": []}).encode()
            lines[number] = both.opened()
            head = [("authorization", f"Bearer {both.secret}"), ("flatfare-labels", f"n={number}")]
            lines[number].send(asking("POST", CHAT, body, head))
        for number, line in lines.items():
            assert line.receive().json()["usage"]["prompt_tokens"] == number
            line.close()
    for row in both.gateway.new_rows(40):
        assert json.loads(row["labels"]) == {"n": str(row["input"])}
