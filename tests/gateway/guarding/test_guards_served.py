"""Guards before real workers: what is stopped, slowed down, told, and what the client is given to show."""

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flatfare.service.budgets import guarding
from flatfare.store.book import open_book
from tests.gateway.guarding.guarded import Guarded
from tests.gateway.rig import Answer, Pause, Request, Seen, Stall, asking, whole
from tests.gateway.rig_gateway import Row
from tests.gateway.rig_load import children, the
from tests.gateway.rig_pair import CHAT, Pair, pair, until
from tests.gateway.rig_recorded import own
from tests.gateway.test_sessions_served import SWITCHED, UPGRADE, said

BODY = own("openai-chat").body
ASKED = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "How many legs?"}]}'
USAGE = json.loads(BODY)["usage"]
TOKENS = USAGE["prompt_tokens"] + USAGE["completion_tokens"]
ANTHROPIC = "api.anthropic.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A provider, and a gateway of four workers before it."""
    with (
        pair(tmp_path_factory.mktemp("guards"), "api.openai.com", ANTHROPIC, workers=4) as opened,
        opened.provider.answers(lambda _: whole(BODY)),
    ):
        yield opened


class Watched(Guarded):
    """A guard over the calls of sessions."""

    def call(
        self, body: bytes = ASKED, *, session: str | None = "s", target: str = CHAT, **headers: str
    ) -> Seen:
        of_session = {} if session is None else {"flatfare_session": session}
        return self.ask(body, target, **of_session, **headers)

    def at_once(self, count: int, **more: str) -> Counter[int]:
        seen: list[Seen] = []
        threads = [
            threading.Thread(target=lambda: seen.append(self.call(**more)))  # type: ignore[arg-type]
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
        return Counter(one.status for one in seen)

    def document(self) -> dict[str, object]:
        with open_book(str(self.both.gateway.book)) as book:
            return guarding.document_of(book, self.guard)

    def alerts(self) -> list[Mapping[str, object]]:
        with open_book(str(self.both.gateway.book)) as book:
            rows = book.rows("SELECT said, content FROM alerts WHERE subject = ?", (self.name,))
        return [{"said": said, **json.loads(str(content))} for said, content in rows]


def slowly(_: Request) -> Answer:
    return (Pause(1.0), *whole(BODY))


def test_a_burst_of_one_session_over_four_workers_passes_its_calls_by_none(both: Pair) -> None:
    guarded = Watched(both, kind="calls", at_most=10)
    before = len(both.provider.log)
    with both.provider.answers(slowly):
        assert guarded.at_once(60) == {200: 10, 429: 50}
    assert len(both.provider.log) - before == 10
    assert guarded.call(session="other").status == 200
    assert guarded.call(session=None).status == 200, "a call of no session is not concerned"
    until(lambda: guarded.document()["hits"] == 50, 5)
    (alert,) = guarded.alerts()
    assert alert["said"] == f"The session 's' has made 10 calls. The guard '{guarded.name}' allows 10 calls."
    assert (alert["subject"], alert["action"], alert["limit"]) == ("s", "stop", "10 calls")


def test_a_refusal_names_the_guard_in_a_header_and_in_json_and_is_a_row(both: Pair) -> None:
    guarded = Watched(both, kind="calls", at_most=0, contact="ann@example.org")
    both.gateway.forget_rows()
    seen = guarded.call()
    assert (seen.status, seen.header("flatfare-guard")) == (429, guarded.name)
    assert seen.header("x-should-retry") == "false"
    error = json.loads(seen.body)["error"]
    assert error["message"].endswith("Ask ann@example.org.")
    assert error["flatfare"]["guard"] == {
        "name": guarded.name,
        "kind": "calls",
        "per": "session",
        "subject": "s",
        "value": "0 calls",
        "limit": "0 calls",
    }
    (row,) = both.gateway.new_rows(1)
    assert (row["status"], row["cost_nano"]) == ("refused", 0)
    assert guarded.name in row["cost_reason"]


@pytest.mark.parametrize(
    ("mount", "path", "message"),
    [
        ("/anthropic", "/v1/messages", ("error", "message")),
        ("", "/v1/responses", ("error", "message")),
    ],
)
def test_a_refusal_is_in_the_words_of_the_provider(
    both: Pair, mount: str, path: str, message: tuple[str, str]
) -> None:
    guarded = Watched(both, kind="calls", at_most=0)
    seen = guarded.call(target=mount + path)
    document = json.loads(seen.body)
    assert guarded.name in document[message[0]][message[1]]
    assert document["error"]["flatfare"]["guard"]["name"] == guarded.name


@pytest.mark.parametrize("action", ["watch", "alert"])
def test_watching_and_alerting_stop_nothing(both: Pair, action: str) -> None:
    guarded = Watched(both, kind="calls", at_most=1, action=action)
    assert [guarded.call().status for _ in range(3)] == [200, 200, 200]
    until(lambda: guarded.document()["hits"] == 2, 5)
    time.sleep(0.7)
    assert len(guarded.alerts()) == (1 if action == "alert" else 0), "once, however many calls"
    past = guarded.document()["past"]
    assert isinstance(past, list)
    assert (past[0]["subject"], past[0]["value"], past[0]["calls"]) == ("s", "2 calls", 3)


def test_throttled_calls_go_one_after_the_other(both: Pair) -> None:
    guarded = Watched(both, kind="calls", at_most=1, action="throttle", every="1s")
    began = time.monotonic()
    assert guarded.at_once(4) == {200: 4}
    assert 1.9 < time.monotonic() - began < 8, "one at once, one in its turn, two a second later each"
    assert len(guarded.alerts()) == 1


def test_tokens_and_cost_that_were_used_stop_the_next_call(both: Pair) -> None:
    tokens = Watched(both, kind="tokens", at_most=2 * TOKENS)
    cost = Watched(both, kind="cost", at_most="0.000000002")
    assert [tokens.call().status for _ in range(3)] == [200, 200, 429]
    assert [cost.call().status for _ in range(2)] == [200, 429]


def test_a_task_has_its_time(both: Pair) -> None:
    guarded = Watched(both, kind="time", at_most="2s", per="task")
    assert guarded.call(flatfare_task="t-1").status == 200
    time.sleep(2.1)
    stopped = guarded.call(flatfare_task="t-1")
    assert stopped.status == 429
    assert "has gone on for 2s" in json.loads(stopped.body)["error"]["message"]
    assert guarded.call(flatfare_task="t-2").status == 200


def test_depth_is_what_the_client_says_of_it(both: Pair) -> None:
    guarded = Watched(both, kind="depth", at_most=2)
    assert guarded.call(flatfare_depth="2").status == 200
    assert guarded.call(flatfare_depth="3").status == 429
    assert guarded.call(baggage="flatfare.depth=3").status == 429
    assert all(request.header("flatfare-depth") is None for request in both.provider.log)


def test_the_same_request_again_is_stopped_whichever_worker_is_asked(both: Pair) -> None:
    guarded = Watched(both, kind="repeat", at_most=3, within="1m")
    assert guarded.at_once(12) == {200: 3, 429: 9}
    other = ASKED.replace(b"legs", b"arms")
    assert guarded.call(other).status == 200
    assert 1 <= int(guarded.call().header("retry-after") or 0) <= 60


def test_a_storm_of_failures_is_stopped(both: Pair) -> None:
    guarded = Watched(both, kind="retries", at_most=50, per="team", least=5, action="stop")
    with both.provider.answers(lambda _: whole(b'{"error": {"message": "no"}}', 500)):
        assert [guarded.call(session=None).status for _ in range(6)] == [500] * 5 + [429]


def test_a_worker_that_is_killed_and_a_treasurer_that_begins_anew_forget_nothing_that_was_written(
    tmp_path: Path,
) -> None:
    with pair(tmp_path, workers=1) as opened, opened.provider.answers(lambda _: whole(BODY)):
        guarded = Watched(opened, kind="calls", at_most=5)
        assert [guarded.call().status for _ in range(3)] == [200] * 3
        time.sleep(1.5)
        found = children(opened.gateway)
        for pid in (*found["treasurer"], *found["worker"]):
            os.kill(pid, signal.SIGKILL)
        until(lambda: opened.ready() == 200, 10)
        time.sleep(1.0)
        assert [guarded.call().status for _ in range(3)] == [200, 200, 429]


def test_where_guards_cannot_be_asked_only_those_that_stop_hold_a_call_up(tmp_path: Path) -> None:
    with pair(tmp_path) as opened, opened.provider.answers(lambda _: whole(BODY)):
        stops = Watched(opened, kind="calls", at_most=5)
        alerts = Watched(opened, kind="calls", at_most=5, action="alert")
        treasurer = the(opened.gateway, "treasurer")
        os.kill(treasurer, signal.SIGSTOP)
        try:
            seen = stops.call()
            assert seen.status == 503
            assert "cannot be asked at present" in json.loads(seen.body)["error"]["message"]
            assert alerts.call().status == 200
            assert opened.through(None).status == 200, "nobody has to be asked"
        finally:
            os.kill(treasurer, signal.SIGCONT)
        until(lambda: stops.call().status == 200, 10)


def test_a_realtime_session_is_one_call(both: Pair) -> None:
    guarded = Watched(both, kind="calls", at_most=1)
    labels = f"flatfare-labels: team={guarded.name}\r\nflatfare-session: s\r\n\r\n"
    upgrade = UPGRADE.format(both.secret).removesuffix("\r\n").encode() + labels.encode()
    both.provider.next((SWITCHED + said(), Stall()))
    with socket.create_connection(("127.0.0.1", both.gateway.port), 5) as first:
        first.sendall(upgrade)
        assert first.recv(65536).startswith(b"HTTP/1.1 101")
        with socket.create_connection(("127.0.0.1", both.gateway.port), 5) as second:
            second.sendall(upgrade)
            answer = second.recv(65536)
    assert answer.startswith(b"HTTP/1.1 429")
    assert f"flatfare-guard: {guarded.name}".encode() in answer


def test_who_leaves_while_its_call_is_slowed_down_is_not_counted(both: Pair) -> None:
    guarded = Watched(both, kind="calls", at_most=1, action="throttle", every="5s")
    assert [guarded.call().status for _ in range(2)] == [200, 200]
    request = asking(
        "POST",
        CHAT,
        ASKED,
        [
            ("authorization", f"Bearer {both.secret}"),
            ("flatfare-labels", f"team={guarded.name}"),
            ("flatfare-session", "s"),
        ],
    )
    before = len(both.provider.log)
    with socket.create_connection(("127.0.0.1", both.gateway.port), 5) as line:
        line.sendall(request)
        time.sleep(0.5)
    until(lambda: any(row["status"] == "cancelled" for row in rows_of(both, guarded.name)), 10)
    past = guarded.document()["past"]
    until(lambda: guarded.document()["past"][0]["calls"] == 2, 5, str(past))  # type: ignore[index]
    assert len(both.provider.log) == before


def rows_of(both: Pair, team: str) -> list[Row]:
    return both.gateway.rows("labels LIKE ?", f"%{team}%")


def test_a_call_that_no_guard_concerns_goes(both: Pair) -> None:
    Watched(both, kind="calls", at_most=0)
    assert both.through(None).status == 200
