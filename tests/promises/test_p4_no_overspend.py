"""P4: spend and reserved never exceed a hard budget, whoever dies; and no call is refused that would fit."""

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Threshold, Window
from flatfare.dialects.reading import Asked
from flatfare.service.budgets import budgeting
from flatfare.service.budgets.bounding import Bounds
from flatfare.service.costing.metering import standard_book
from flatfare.store import adjustments, budgets
from flatfare.store.adjustments import Correction
from flatfare.store.book import open_book
from tests.gateway.rig import Answer, Pause, Request, Seen, Until, ask, asking, chunked, whole
from tests.gateway.rig_load import EVENTS, Load, children, settled_rows
from tests.gateway.rig_pair import CHAT, Pair, pair, until
from tests.gateway.rig_recorded import own

BODY = own("openai-chat").body
MESSAGES = b'"messages": [{"role": "user", "content": "How many legs?"}]'
SAID = b'"model": "gpt-4o", "service_tier": "default", %b' % MESSAGES
ASKED = b'{"max_tokens": 1000, %b}' % SAID
UNLIMITED = b"{%b}" % SAID
LIFETIME = Window.of("lifetime")
NOW_US = 1_795_000_000_000_000
AT_ONCE = """
import flatfare.gateway.supervisor as supervisor
supervisor.LIVED_S_MIN = 0.0
"""


def bound_nano(body: bytes = ASKED, limit: int = 1000) -> int:
    """What the gateway holds for a call."""
    asked = Asked("gpt-4o", output_limit=limit, service_tier="default")
    found = Bounds(standard_book()).of("openai", "chat.completions", asked, body, NOW_US).most_nano
    assert found is not None
    return found


def cost_nano() -> int:
    """What each answered call truly costs."""
    usage = json.loads(BODY)["usage"]
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return (usage["prompt_tokens"] - cached) * 2500 + cached * 1250 + usage["completion_tokens"] * 10_000


@contextmanager
def under(
    folder: Path,
    amount_nano: int,
    scope: str = "organisation",
    *,
    workers: int = 1,
    prelude: str = "",
    **terms: object,
) -> Iterator[Pair]:
    """A provider and a gateway with a budget."""
    with pair(folder, workers=workers, prelude=prelude) as both:
        both.provider.forget()
        budget = Budget("", "held", Scope.of(scope), amount_nano, LIFETIME, **terms)  # type: ignore[arg-type]
        with open_book(str(both.gateway.book)) as book:
            budgeting.create(book, budget, at_us=NOW_US, by_whom="test")
        both.wait_until_noticed()
        yield both


def at_once(
    both: Pair,
    count: int,
    body: bytes = ASKED,
    timeout_s: float = 40.0,
    decided: list[Seen] | None = None,
    **headers: str,
) -> list[Seen]:
    """So many calls at one time; what came of them, and in ``decided`` too as it comes."""
    seen: list[Seen] = []
    own_headers = [("authorization", f"Bearer {both.secret}"), *headers.items()]
    request = asking("POST", CHAT, body, [(name.replace("_", "-"), value) for name, value in own_headers])

    def one() -> None:
        found = ask(both.gateway.port, request, timeout_s)
        seen.append(found)
        if decided is not None:
            decided.append(found)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s + 5)
    return seen


def standing(both: Pair, subject: str = "organisation") -> tuple[int, int]:
    """What is spent and what is leased."""
    with open_book(str(both.gateway.book)) as book:
        (budget,) = budgets.all_of(book)
        found = budgets.standing(book, budget, subject, NOW_US)
    return found.spent_nano, found.leased_nano


def statuses(seen: list[Seen]) -> Counter[int]:
    return Counter(one.status for one in seen)


def once_refused(decided: list[Seen], count: int) -> Callable[[Request], Answer]:
    """A provider that answers nobody until so many calls have been refused: until all is decided."""
    return lambda _: (Until(lambda: len(decided) >= count), *whole(BODY))


LONG_TOKENS = 600
LONG = json.dumps(
    json.loads(BODY) | {"usage": {"prompt_tokens": 11, "completion_tokens": LONG_TOKENS}}
).encode()
LONG_NANO = 11 * 2500 + LONG_TOKENS * 10_000
CUT_SHORT = LONG.replace(b'"stop"', b'"length"')


def heeding_limits(request: Request) -> Answer:
    """Answers in full, or as far as the request's limit lets it, as providers do."""
    is_short = request.json().get("max_completion_tokens", LONG_TOKENS) < LONG_TOKENS
    return (Pause(0.03), *whole(CUT_SHORT if is_short else LONG))


def test_a_burst_over_four_workers_is_let_in_exactly_as_far_as_it_fits(tmp_path: Path) -> None:
    """(a) 100 at once, the budget fits 10 bounds, the provider answers nobody until all are decided."""
    limit = 10 * bound_nano() + bound_nano() - 1
    decided: list[Seen] = []
    with (
        under(tmp_path, limit, workers=4, queue_ms=0) as both,
        both.provider.answers(once_refused(decided, 90)),
    ):
        seen = at_once(both, 100, decided=decided)
        assert statuses(seen) == {200: 10, 429: 90}
        assert len(both.provider.log) == 10
        settled_rows(both.gateway)
        until(lambda: standing(both)[0] == 10 * cost_nano(), 10)


def test_a_refusal_says_which_budget_and_what_to_do(tmp_path: Path) -> None:
    with under(tmp_path, 5_000_000, "organisation", queue_ms=0, contact="ann@example.org") as both:
        (seen,) = at_once(both, 1)
        assert seen.status == 429
        error = json.loads(seen.body)["error"]
        assert error["code"] == "rate_limit_exceeded"
        assert "The budget 'held' has $0.0050 left of $0.0050 in all" in error["message"]
        assert "Ask ann@example.org." in error["message"]
        assert seen.header("x-should-retry") == "false"
        assert seen.header("flatfare-budget-remaining") == "0.005000000"
        assert both.provider.log == []
        (row,) = both.gateway.new_rows(1)
        assert (row["status"], row["cost_nano"]) == ("refused", 0)


def test_a_call_dearer_than_the_whole_budget_is_refused_at_once(tmp_path: Path) -> None:
    """(e) However long it might wait, it can never fit."""
    with under(tmp_path, bound_nano() - 1, queue_ms=60_000) as both:
        began = time.monotonic()
        assert statuses(at_once(both, 1)) == {429: 1}
        assert time.monotonic() - began < 3
        assert both.provider.log == []


def test_what_fits_one_after_the_other_waits_for_its_turn(tmp_path: Path) -> None:
    """One bound fits at a time; each costs a fraction of its bound, so that all fit in the end."""
    limit = bound_nano() + 11 * cost_nano()
    with under(tmp_path, limit, workers=2, queue_ms=15_000) as both:
        with both.provider.answers(lambda _: (Pause(0.05), *whole(BODY))):
            assert statuses(at_once(both, 10)) == {200: 10}
        settled_rows(both.gateway)
        until(lambda: standing(both)[0] == 10 * cost_nano(), 10)


def test_what_does_not_fit_in_time_is_refused_and_never_sent(tmp_path: Path) -> None:
    decided: list[Seen] = []
    with (
        under(tmp_path, 2 * bound_nano(), workers=2, queue_ms=500) as both,
        both.provider.answers(once_refused(decided, 4)),
    ):
        assert statuses(at_once(both, 6, decided=decided)) == {200: 2, 429: 4}
        assert len(both.provider.log) == 2


def test_what_was_given_back_is_given_back_once(tmp_path: Path) -> None:
    """One call after another: the next goes as long as its bound fits beside what is spent, and no longer."""
    with (
        under(tmp_path, bound_nano() + 5 * cost_nano(), queue_ms=0) as both,
        both.provider.answers(lambda _: whole(BODY)),
    ):
        found = [one.status for _ in range(12) for one in at_once(both, 1)]
        assert found == [200] * 6 + [429] * 6


def test_a_call_of_unknown_cost_is_charged_what_was_held_until_resolved(tmp_path: Path) -> None:
    """Two bounds fit; nobody can read from the answers what they used."""
    silent = b"<html>Four.</html>"
    with (
        under(tmp_path, 2 * bound_nano(), queue_ms=0) as both,
        both.provider.answers(lambda _: whole(silent)),
    ):
        assert [one.status for _ in range(3) for one in at_once(both, 1)] == [200, 200, 429]
        rows = [row for row in settled_rows(both.gateway) if row["status"] == "ok"]
        assert [row["cost_nano"] for row in rows] == [None, None]
        until(lambda: standing(both)[0] == 2 * bound_nano(), 10)
        found = [Correction(row, {"cost_nano": cost_nano(), "cost_state": "computed"}) for row in rows]
        with open_book(str(both.gateway.book)) as book, book.writing():
            told = {"kind": "result", "reason": "the provider's export", "by_whom": "test", "at_us": NOW_US}
            adjustments.write(book, found, **told)
        assert standing(both)[0] == 2 * cost_nano()


@pytest.mark.parametrize("role", ["worker", "treasurer"])
def test_what_the_dead_held_is_not_free(tmp_path: Path, role: str) -> None:
    """(c) Calls are with the provider when who held them is killed: their money stays held, then spent."""
    limit = 3 * bound_nano() + bound_nano() // 2
    with (
        under(tmp_path, limit, workers=2, prelude=AT_ONCE, queue_ms=0) as both,
        both.provider.answers(lambda _: (Pause(9), *whole(BODY))),
    ):
        first = threading.Thread(target=at_once, args=(both, 3))
        first.start()
        until(lambda: len(both.provider.log) == 3, 10)
        for process in children(both.gateway)[role]:
            os.kill(process, signal.SIGKILL)
        began = time.monotonic()
        while time.monotonic() - began < 7:  # what nobody uses is looked for every five seconds
            assert not statuses(at_once(both, 2))[200]
            time.sleep(0.2)
        first.join()
        assert len(both.provider.log) == 3
        settled_rows(both.gateway)
        assert standing(both)[0] <= limit


def test_without_a_limit_on_the_answer_nearly_all_that_fit_are_answered_in_full(tmp_path: Path) -> None:
    """(f) Twenty calls without an output limit, a budget that fits twenty real ones."""
    assert CUT_SHORT != LONG
    with under(tmp_path, 20 * LONG_NANO, workers=2, queue_ms=6000) as both:
        with both.provider.answers(heeding_limits):
            seen = at_once(both, 20, UNLIMITED)
        answered = [one for one in seen if one.status == 200]
        assert len(answered) >= 19
        assert {one.body for one in answered} == {LONG}
        assert any(one.header("flatfare-changed") == "output_limit" for one in answered)
        assert all(b"max_completion_tokens" in request.body for request in both.provider.log)
        settled_rows(both.gateway)
        assert standing(both)[0] <= 20 * LONG_NANO


def test_a_setting_refuses_calls_that_name_no_limit(tmp_path: Path) -> None:
    with under(tmp_path, 10**12, output_limit="refuse") as both:
        (seen,) = at_once(both, 1, UNLIMITED)
        assert seen.status == 400
        assert "set max_completion_tokens" in json.loads(seen.body)["error"]["message"]


def test_parallel_turns_of_one_session_do_not_pass_its_cap(tmp_path: Path) -> None:
    """(g) Each session by itself: 20 turns at once in each of two, of which 3 fit."""
    decided: list[Seen] = []
    found: dict[str, Counter[int]] = {}
    with (
        under(tmp_path, 3 * bound_nano(), "session=*", workers=2, queue_ms=0) as both,
        both.provider.answers(once_refused(decided, 34)),
    ):

        def turns(session: str) -> None:
            found[session] = statuses(at_once(both, 20, decided=decided, flatfare_session=session))

        threads = [threading.Thread(target=turns, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {"one": {200: 3, 429: 17}, "two": {200: 3, 429: 17}}
        assert statuses(at_once(both, 2)) == {200: 2}, "a call of no session is not concerned"


def test_a_stream_that_ends_early_gives_back_what_it_did_not_use(tmp_path: Path) -> None:
    """(h) One bound fits: the second stream can go as soon as the first has ended, far below its bound."""
    fields = {"stream": True, "stream_options": {"include_usage": True}, "messages": []}
    terms = {"model": "gpt-4o", "service_tier": "default", "max_tokens": 1000}
    asked = json.dumps({**terms, **fields}).encode()
    with (
        under(tmp_path, bound_nano(asked) + bound_nano(asked) // 2, queue_ms=0) as both,
        both.provider.answers(lambda _: chunked(list(EVENTS))),
    ):
        for _ in range(4):
            assert statuses(at_once(both, 1, asked)) == {200: 1}


def test_a_model_without_a_price_is_refused_unless_allowed(tmp_path: Path) -> None:
    body = b'{"model": "no-such-model", "max_tokens": 10, "messages": []}'
    with under(tmp_path, 10**12) as both:
        (seen,) = at_once(both, 1, body)
        assert seen.status == 429
        assert (
            "allows only calls of which the most they cost is known"
            in json.loads(seen.body)["error"]["message"]
        )
        with open_book(str(both.gateway.book)) as book:
            budgeting.change(book, "held", {"unpriced": "allow"}, at_us=NOW_US, by_whom="test")
        both.wait_until_noticed()
        with both.provider.answers(lambda _: whole(BODY)):
            assert statuses(at_once(both, 1, body)) == {200: 1}


def test_while_the_book_is_away_what_is_leased_is_served_and_no_more(tmp_path: Path) -> None:
    """(d) Somebody holds the book; lease after lease is used up, and then calls are refused, in one line."""
    with (
        under(tmp_path, 400 * bound_nano(), queue_ms=0) as both,
        both.provider.answers(lambda _: whole(BODY)),
    ):
        assert statuses(at_once(both, 1)) == {200: 1}
        with closing(sqlite3.connect(both.gateway.book, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            seen = statuses(at_once(both, 5))
            assert seen == {200: 5}, "leased ahead"
            with both.provider.answers(lambda _: (Pause(8), *whole(BODY))):
                held = statuses(at_once(both, 60, timeout_s=60))
            assert held[200] >= 1
            assert held[503] >= 1
            assert held[200] + held[503] == 60
            other.execute("ROLLBACK")
        until(lambda: statuses(at_once(both, 1)) == {200: 1}, 60)
        settled_rows(both.gateway)
        assert standing(both)[0] <= 400 * bound_nano()


def test_open_by_choice_lets_calls_through_unasked_and_counts_them(tmp_path: Path) -> None:
    """(d) Where somebody chose that, and every one is counted."""
    with (
        under(tmp_path, bound_nano(), queue_ms=0, fail="open") as both,
        both.provider.answers(lambda _: whole(BODY)),
    ):
        with closing(sqlite3.connect(both.gateway.book, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert statuses(at_once(both, 3, timeout_s=60)) == {200: 3}
            other.execute("ROLLBACK")
        figures = ask(both.gateway.port, asking("GET", "/metrics", headers=[("connection", "close")]), 5).body
        assert b"\nflatfare_budget_unasked_total 3\n" in figures


def kill_under_a_budget(both: Pair, kills: int, role: str, limit: int) -> None:
    """Kill processes while calls come; afterwards nothing is overspent, leaked or forgotten."""
    dice, costs = random.Random(20261121), list[int]()
    load = Load(both.gateway, both.secret, clients=8)

    def as_long_as_asked(request: Request) -> Answer:
        """Bills what such a request may be billed: where little is left, the gateway limits its answer."""
        answer = json.loads(BODY)
        written = min(289, request.json().get("max_completion_tokens") or 289)
        answer["usage"] = {"prompt_tokens": 19, "completion_tokens": written, "total_tokens": 19 + written}
        costs.append(19 * 2500 + written * 10_000)
        return (Pause(dice.uniform(0, 0.02)), *whole(json.dumps(answer).encode()))

    with both.provider.answers(as_long_as_asked), load.running():
        for _ in range(kills):
            time.sleep(dice.uniform(0.1, 0.4))
            found = children(both.gateway)[role]
            if found:
                os.kill(dice.choice(found), signal.SIGKILL)
        time.sleep(1.0)
    rows = settled_rows(both.gateway)
    spent = sum(row["cost_nano"] or 0 for row in rows)
    until(lambda: standing(both)[0] == spent, 20, f"{standing(both)} is not what the rows say, {spent}")
    assert spent <= limit
    assert sum(costs) <= limit

    def is_free() -> bool:
        return standing(both)[1] == 0

    until(is_free, 30, "a lease is leaked")
    assert load.answered[200] > kills


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_killing_workers_overspends_nothing_and_leaks_nothing(tmp_path: Path, kills: int) -> None:
    """(c) The budget left afterwards is the limit less what the rows say."""
    limit = 4000 * cost_nano()
    with under(tmp_path, limit, workers=2, prelude=AT_ONCE, queue_ms=500) as both:
        kill_under_a_budget(both, kills, "worker", limit)


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_killing_the_treasurer_overspends_nothing_and_leaks_nothing(tmp_path: Path, kills: int) -> None:
    limit = 4000 * cost_nano()
    with under(tmp_path, limit, workers=2, prelude=AT_ONCE, queue_ms=500) as both:
        kill_under_a_budget(both, kills, "treasurer", limit)


def test_a_line_that_is_crossed_is_told_and_acted_on(tmp_path: Path) -> None:
    """A soft budget stops nothing; at half of it the key that crossed the line is disabled."""
    terms = (Threshold(50, "disable"), Threshold(75, "alert"))
    with under(tmp_path, 2 * cost_nano(), is_hard=False, thresholds=terms) as both:
        with both.provider.answers(lambda _: whole(BODY)):
            assert statuses(at_once(both, 1)) == {200: 1}
            until(lambda: statuses(at_once(both, 1))[401] == 1, 10, "its key was not disabled")
        with closing(sqlite3.connect(both.gateway.book)) as book:
            kinds = [row[0] for row in book.execute("SELECT said FROM alerts")]
        assert any("has reached 50 %" in said for said in kinds)
