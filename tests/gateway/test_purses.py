"""Reservations of several nodes against one book: a state machine beside a simple oracle (P4)."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flatfare.gateway.reserving.messages import Granted, Reserve
from flatfare.gateway.reserving.purses import Purses
from flatfare.gateway.reserving.treasurer import portion

NAMES = ("a", "b")
LIMITS = {"a": 1000, "b": 300}


class Book:
    """What is spent and leased, as the store keeps it: leases are of epochs, the lives of treasurers."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(NAMES, 0)
        self.leased: Counter[tuple[int, str]] = Counter()
        self.booked: Counter[tuple[int, str]] = Counter()

    def outstanding(self, name: str) -> int:
        return sum(
            max(0, nano - self.booked[epoch, of]) for (epoch, of), nano in self.leased.items() if of == name
        )

    def end(self, epoch: int) -> None:
        for name in NAMES:
            self.leased.pop((epoch, name), None)


@dataclass(frozen=True)
class Call:
    """A call that was let in, and what was held for it."""

    epoch: int
    held: int
    names: list[str]


class Reserving(RuleBasedStateMachine):
    """Two nodes: calls are reserved, end, are booked in any order; nodes give back, and are killed."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.nodes = [Purses(), Purses()]
        self.epochs = [0, 1]
        self.count = 0
        self.running: dict[str, Call] = {}
        self.ended: list[tuple[int, int, list[str]]] = []  # epoch, cost, names: not booked yet
        self.now = 0.0

    def _took(self, node: int, answer: Granted, names: list[str]) -> None:
        self.running[answer.call_id] = Call(self.epochs[node], answer.nano, names)

    def _lease(self, node: int) -> None:
        purses, epoch = self.nodes[node], self.epochs[node]
        for name, wanted in purses.needs().items():
            left = LIMITS[name] - self.book.spent[name] - self.book.outstanding(name)
            free = purses.purses[name].free_nano
            nano = max(0, portion(left, free, [(least, most) for _, least, most in wanted]))
            self.book.leased[epoch, name] += nano
            purses.leased(
                name, nano, LIMITS[name], max(0, left - nano), [call_id for call_id, _, _ in wanted]
            )
        names = {call_id: list(one.ask.allowance_ids) for call_id, one in purses.waiting.items()}
        for _, granted in purses.serve_waiting():
            self._took(node, granted, names[granted.call_id])

    @rule(node=st.integers(0, 1), least=st.integers(1, 120), more=st.integers(0, 400), both=st.booleans())
    def reserve(self, node: int, least: int, more: int, both: bool) -> None:
        self.count += 1
        names = list(NAMES) if both else ["a"]
        ask = Reserve(f"c{self.count}", names, least, least + more, "kind", 0)
        answer = self.nodes[node].reserve(0, ask, self.now)
        if answer is not None:
            self._took(node, answer, names)
            assert answer.nano >= least
        else:
            self._lease(node)

    @rule(data=st.data(), share=st.floats(0, 1), is_known=st.booleans())
    def end(self, data: st.DataObject, share: float, is_known: bool) -> None:
        if self.running:
            call_id = data.draw(st.sampled_from(sorted(self.running)))
            call = self.running.pop(call_id)
            cost = int(call.held * share) if is_known else call.held
            self.ended.append((call.epoch, cost, call.names))
            if call.epoch in self.epochs:  # else who held it is gone
                node = self.epochs.index(call.epoch)
                self.nodes[node].settle(call_id, cost if is_known else None, cost)
                self._lease(node)

    @rule(data=st.data())
    def book_one(self, data: st.DataObject) -> None:
        if self.ended:
            at = data.draw(st.integers(0, len(self.ended) - 1))
            epoch, cost, names = self.ended.pop(at)
            for name in names:
                self.book.spent[name] += cost
                self.book.booked[epoch, name] += cost

    @rule(node=st.integers(0, 1))
    def give_back(self, node: int) -> None:
        for name, nano in list(self.nodes[node].idle()):
            self.nodes[node].given_back(name, nano)
            self.book.leased[self.epochs[node], name] -= nano

    @rule(node=st.integers(0, 1))
    def refuse(self, node: int) -> None:
        self.now += 1
        for _, refused in self.nodes[node].refuse_late(self.now):
            assert refused.needed_nano > 0

    @rule(node=st.integers(0, 1))
    def kill(self, node: int) -> None:
        """Its treasurer dies; the next one knows nothing, and what was leased stays leased."""
        self.nodes[node] = Purses()
        self.epochs[node] = max(self.epochs) + 1

    @rule()
    def end_former_epochs(self) -> None:
        """Once all that was sent under an epoch is booked, the rest of its lease goes back."""
        still = {call.epoch for call in self.running.values()} | {epoch for epoch, _, _ in self.ended}
        for epoch in {epoch for epoch, _ in self.book.leased} - still - set(self.epochs):
            self.book.end(epoch)

    @invariant()
    def nothing_is_overspent(self) -> None:
        for name in NAMES:
            assert self.book.spent[name] + self.book.outstanding(name) <= LIMITS[name]
            committed = self.book.spent[name]
            committed += sum(call.held for call in self.running.values() if name in call.names)
            committed += sum(cost for _, cost, names in self.ended if name in names)
            assert committed <= LIMITS[name], "spend and reserved exceed the limit"

    @invariant()
    def used_is_never_more_than_leased(self) -> None:
        for epoch, purses in zip(self.epochs, self.nodes, strict=True):
            for name, purse in purses.purses.items():
                assert 0 <= purse.used_nano <= purse.leased_nano == self.book.leased[epoch, name]


TestReserving = Reserving.TestCase
TestReserving.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class TestReservingInFull(Reserving.TestCase):  # type: ignore[misc,name-defined]
    """2,000 histories of 50 steps."""

    settings = settings(max_examples=2000, stateful_step_count=50, deadline=None)
    pytestmark = pytest.mark.soak


def test_a_call_that_fits_in_the_end_is_not_refused() -> None:
    """Ten of 100 fit 1,000: each is let in as the one before it ends, however they wait."""
    purses = Purses()
    for number in range(10):
        assert purses.reserve(0, Reserve(f"c{number}", ["a"], 900, 900, "k", 1000), 99.0) is None
    purses.leased("a", 1000, 1000, 0, [f"c{number}" for number in range(10)])
    for number in range(10):
        ((_, granted),) = list(purses.serve_waiting())
        assert granted.call_id == f"c{number}", "in the order they came"
        purses.settle(granted.call_id, 10)
    assert purses.purses["a"].used_nano == 100


def test_the_same_question_twice_is_held_once() -> None:
    purses = Purses()
    purses.leased("a", 1000, 1000, 0, [])
    ask = Reserve("c", ["a"], 600, 600, "k", 0)
    assert purses.reserve(0, ask, 0.0) == purses.reserve(0, ask, 0.0)
    assert purses.purses["a"].used_nano == 600


@pytest.mark.parametrize(("left_nano", "given_nano"), [(8_000, 1_000), (7_999, 125)])
def test_an_answer_is_shortened_only_where_a_budget_is_short(left_nano: int, given_nano: int) -> None:
    """The one before needed 100 of 1,000: who has plenty left is given the longest answer all the same."""
    purses = Purses()
    purses.leased("a", left_nano + 100, left_nano + 100, 0, [])
    assert purses.reserve(0, Reserve("first", ["a"], 10, 1_000, "k", 0), 0.0) is not None
    purses.settle("first", 100, needed_nano=100)
    granted = purses.reserve(0, Reserve("second", ["a"], 10, 1_000, "k", 0), 0.0)
    assert granted is not None
    assert granted.nano == given_nano
