"""Tallies: calls are judged by all their guards at once, and counted by all or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.guard import ACTIONS, KINDS, Guard
from flatfare.gateway.guarding.tallies import Tallies
from flatfare.gateway.reserving.messages import Over, Passed, Stopped, Watch
from flatfare.store.guards import Tallied

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


def guard(kind: str, limit: int, action: str = "stop", **terms: object) -> Guard:
    return Guard(f"grd_{kind}", kind, kind, limit, action, **terms)  # type: ignore[arg-type]


class Node:
    """The tallies of one node, and calls of the session 's' under its guards."""

    def __init__(self, *guards: Guard, found: dict[str, list[Tallied]] | None = None) -> None:
        self.tallies = Tallies()
        self.tallies.guards = {one.id: one for one in guards}
        self.on = [(one.id, "s", -1) for one in guards]
        self.now = NOW
        self.made = 0
        self.tallies.learn([(name, subject) for name, subject, _ in self.on], found or {}, "here")

    def ask(self, size: int = 100, marks: tuple[str, ...] = (), found: int = -1) -> Passed | Stopped:
        self.made += 1
        on = [(name, subject, found) for name, subject, _ in self.on]
        return self.tallies.decide(1, Watch(str(self.made), on, size, list(marks)), self.now)

    def call(
        self, tokens: int = 0, cost: int = 0, failed: bool = False, size: int = 100, **more: object
    ) -> Passed | Stopped:
        """A call from its beginning to its end."""
        answer = self.ask(size, **more)  # type: ignore[arg-type]
        if isinstance(answer, Passed):
            self.tallies.end(Over(answer.call_id, True, failed, tokens, tokens, cost), self.now)
        return answer


def passed(answer: Passed | Stopped) -> bool:
    return isinstance(answer, Passed)


def test_calls_made_at_one_time_do_not_pass_a_limit_on_calls() -> None:
    node = Node(guard("calls", 3))
    assert [passed(node.ask()) for _ in range(5)] == [True, True, True, False, False]


def test_a_call_that_was_never_sent_does_not_count() -> None:
    node = Node(guard("calls", 1))
    answer = node.ask()
    node.tallies.end(Over(answer.call_id, was_sent=False), node.now)
    assert passed(node.ask())
    assert not passed(node.ask())


def test_the_same_call_asked_twice_is_counted_once() -> None:
    node = Node(guard("calls", 1))
    ask = Watch("one", node.on)
    assert passed(node.tallies.decide(1, ask, NOW))
    assert passed(node.tallies.decide(1, ask, NOW))
    assert not passed(node.ask())


def test_tokens_cost_and_time_stop_the_next_call() -> None:
    tokens, cost, time = Node(guard("tokens", 100)), Node(guard("cost", 50)), Node(guard("time", 60))
    assert passed(tokens.call(tokens=100))
    assert passed(cost.call(cost=50))
    assert passed(time.call())
    stopped = [tokens.ask(), cost.ask()]
    assert [one.value for one in stopped if isinstance(one, Stopped)] == [100, 50]
    time.now += 59 * SECOND
    assert passed(time.call())
    time.now += SECOND
    assert not passed(time.ask())


def test_nothing_is_counted_where_one_of_the_guards_stops_a_call() -> None:
    node = Node(guard("calls", 2), guard("time", 60))
    node.call()
    node.now += 60 * SECOND
    assert not passed(node.ask())
    (calls,) = [one for one in node.tallies.take_changes() if one.guard_id == "grd_calls"]
    assert calls.calls == 1


def test_what_other_nodes_and_former_lives_counted_counts() -> None:
    found = {
        "here": [Tallied("grd_calls", "s", calls=2, began_at_us=NOW)],
        "there": [Tallied("grd_calls", "s", calls=3, began_at_us=NOW)],
    }
    node = Node(guard("calls", 7), found=found)
    assert [passed(node.ask()) for _ in range(3)] == [True, True, False]
    node.tallies.hear([Tallied("grd_calls", "s", calls=1)])
    assert [passed(node.ask()) for _ in range(3)] == [True, True, False]
    (kept,) = node.tallies.take_changes()
    assert kept.calls == 6, "its own part alone"


def test_watching_and_alerting_let_calls_go() -> None:
    watch, alert = Node(guard("calls", 1, "watch")), Node(guard("calls", 1, "alert"))
    assert all(passed(node.ask()) for node in (watch, alert) for _ in range(4))
    assert watch.tallies.take_crossings() == []
    assert watch.tallies.take_changes()[0].hits == 3
    (crossing,) = alert.tallies.take_crossings()
    assert (crossing.subject, crossing.value) == ("s", 1)


def test_a_subject_that_is_throttled_goes_on_one_call_at_a_time() -> None:
    node = Node(guard("calls", 1, "throttle", pace_s=10))
    answers = [node.ask() for _ in range(10)]
    assert [one.wait_ms for one in answers if isinstance(one, Passed)] == [
        0, 0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000,
    ]  # fmt: skip
    last = answers[-1]
    assert isinstance(last, Stopped)
    assert last.retry_s == 70, "a minute is waited at most"


def test_the_same_request_is_stopped_until_it_was_long_enough_ago() -> None:
    node = Node(guard("repeat", 2, window_s=60))
    assert passed(node.ask(marks=("a",)))
    node.now += 30 * SECOND
    assert passed(node.ask(marks=("a",)))
    assert passed(node.ask(marks=("b",)))
    stopped = node.ask(marks=("a",))
    assert isinstance(stopped, Stopped)
    assert (stopped.value, stopped.retry_s) == (2, 30)
    node.now += 30 * SECOND
    assert passed(node.ask(marks=("a",)))


def test_a_limit_that_was_raised_holds_at_once() -> None:
    node = Node(guard("repeat", 1, window_s=60))
    assert passed(node.ask(marks=("a",)))
    assert not passed(node.ask(marks=("a",)))
    node.tallies.guards = {"grd_repeat": guard("repeat", 3, window_s=60)}
    assert [passed(node.ask(marks=("a",))) for _ in range(3)] == [True, True, False]


def test_steps_of_a_tool_tell_a_loop_only_within_one_piece_of_work() -> None:
    task = Node(guard("repeat", 1, window_s=60, per="task"))
    key = Node(guard("repeat", 1, window_s=60, per="key"))
    for node, second in ((task, False), (key, True)):
        assert passed(node.ask(marks=("all 1", "step x")))
        assert passed(node.ask(marks=("all 2", "step x"))) is second


def test_a_context_that_only_grows_is_stopped_until_it_is_cut() -> None:
    node = Node(guard("context", 1000, least=3))
    for size in (100, 200, 300):
        assert passed(node.call(tokens=4 * size, size=size))
    assert not passed(node.ask(size=400))
    assert passed(node.call(tokens=500, size=100)), "it was cut"
    assert passed(node.call(tokens=600, size=200)), "and is far from the limit now"


def test_a_context_kept_by_the_provider_grows_though_requests_do_not() -> None:
    node = Node(guard("context", 1000, least=3))
    for tokens in (500, 800, 1200):
        assert passed(node.call(tokens=tokens, size=100))
    assert not passed(node.ask(size=100))


def test_a_storm_of_failures_is_stopped_and_may_be_tried_again_when_it_is_over() -> None:
    node = Node(guard("retries", 50, per="key", window_s=60, least=20))
    for _ in range(20):
        assert passed(node.call(failed=True))
        node.now += SECOND
    stopped = node.ask()
    assert isinstance(stopped, Stopped)
    assert (stopped.value, stopped.retry_s) == (100, 60)
    node.now += 70 * SECOND
    assert passed(node.call())


def test_what_behaves_badly_again_after_a_rest_is_told_of_again() -> None:
    node = Node(guard("repeat", 1, "alert", window_s=60))
    for _ in range(3):
        node.ask(marks=("a",))
    assert len(node.tallies.take_crossings()) == 1
    node.now += 601 * SECOND
    for _ in range(3):
        node.ask(marks=("a",))
    assert len(node.tallies.take_crossings()) == 1


def test_what_could_not_be_written_is_written_later() -> None:
    node = Node(guard("calls", 1, "alert"))
    node.ask()
    node.ask()
    changes, crossings = node.tallies.take_changes(), node.tallies.take_crossings()
    assert node.tallies.take_changes() == []
    node.tallies.put_back(changes, crossings)
    assert node.tallies.take_changes() == changes
    assert node.tallies.take_crossings() == crossings


def test_who_is_silent_is_forgotten_and_asked_for_again() -> None:
    node = Node(guard("calls", 5))
    node.call()
    node.tallies.take_changes()
    node.now += 3601 * SECOND
    node.tallies.forget_idle(node.now)
    assert node.tallies.unknown(Watch("x", node.on)) == [("grd_calls", "s")]


def test_an_allowance_that_is_spent_slowly_lets_one_call_go_at_a_time() -> None:
    node = Node()
    answers = [node.tallies.decide(1, Watch(str(n), [], paced=["bud_1 0 s"]), NOW) for n in range(3)]
    assert [one.wait_ms for one in answers if isinstance(one, Passed)] == [0, 10_000, 20_000]


REACHED = {"calls": 3, "tokens": 600, "cost": 600, "time": 3, "repeat": 3, "context": 300, "retries": 50}
"""What three calls reach, of which each failed, was larger than the one before, and took a second."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ACTIONS)
def test_each_guard_can_watch_alert_throttle_and_stop(kind: str, action: str) -> None:
    more: dict[str, object] = {"models": ("small",)} if kind == "models" else {}
    node = Node(guard(kind, REACHED.get(kind, 1), action, window_s=KINDS[kind].window_s, least=3, **more))
    for size in (100, 200, 300):
        assert passed(node.call(tokens=size, cost=size, failed=True, size=size, marks=("all",)))
        node.now += SECOND
    assert node.tallies.take_crossings() == []
    found = -1 if kind in REACHED else 5  # what the request itself carries, the worker finds
    answers = [node.ask(size, ("all",), found) for size in (400, 500)]
    if action == "stop":
        assert not any(map(passed, answers))
    else:
        waits = [one.wait_ms for one in answers if isinstance(one, Passed)]
        assert waits == ([0, 10_000] if action == "throttle" else [0, 0])
    assert len(node.tallies.take_crossings()) == (0 if action == "watch" else 1), "told once"
    (kept,) = node.tallies.take_changes()
    assert kept.hits == 2


@given(
    st.integers(1, 8),
    st.lists(st.sampled_from(["ask", "end", "drop", "leave"]), max_size=60),
)
def test_no_order_of_events_lets_more_calls_be_sent_than_a_guard_allows(
    limit: int, events: list[str]
) -> None:
    node = Node(guard("calls", limit))
    under_way: list[str] = []
    sent = 0
    for event in events:
        if event == "ask":
            answer = node.ask()
            if isinstance(answer, Passed):
                under_way.append(answer.call_id)
            else:
                assert sent + len(under_way) == limit, "only what does not fit is stopped"
        elif under_way and event == "end":
            sent += 1
            node.tallies.end(Over(under_way.pop(), True, False, 10, 12, 5), node.now)
        elif under_way and event == "drop":
            node.tallies.end(Over(under_way.pop(), was_sent=False), node.now)
        elif event == "leave":
            sent += len(under_way)  # nobody knows: they count
            node.tallies.leave(1)
            under_way.clear()
        assert sent + len(under_way) <= limit
