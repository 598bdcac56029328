"""Mappings: real payloads of several systems, and what no mapping can mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.signal_mapping import ITEMS_MAX, Signal, mapping_of, signals_in

DESK = {
    "task": "data.ticket.external_id",
    "at": "data.at",
    "signals": [
        {"signal": "reopened", "when": {"type": ["ticket.reopened", "ticket.open_again"]}},
        {
            "signal": "csat",
            "when": {"type": "ticket.rated", "data.is_final": True},
            "value": "data.rating",
            "values": {"good": 5, "bad": 1},
        },
        {"from": "data.outcome", "names": {"won": "accepted"}, "when": {"type": "deal"}, "task": "data.deal"},
    ],
}


def said(message: object, mapping: object = DESK) -> list[Signal]:
    return signals_in(mapping_of(mapping), message)


def test_the_first_rule_that_means_a_message_says_what_it_is() -> None:
    message = {
        "type": "ticket.reopened",
        "data": {"ticket": {"external_id": "T-17"}, "at": "2026-11-21T08:00:00Z"},
    }
    assert said(message) == [Signal("T-17", "reopened", None, 1_795_248_000_000_000)]


@pytest.mark.parametrize(("rating", "value"), [("good", "5"), ("bad", "1"), (3, "3"), (4.50, "4.5")])
def test_values_are_words_or_numbers_and_may_be_called_otherwise(rating: object, value: str) -> None:
    data = {"ticket": {"external_id": 17}, "is_final": True, "rating": rating}
    assert said({"type": "ticket.rated", "data": data}) == [Signal("17", "csat", value)]


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        "ticket.reopened",
        None,
        {"type": "ticket.created"},
        {"type": "ticket.rated", "data": {"is_final": False}},
        {"type": "deal", "data": {"outcome": "lost", "deal": "7"}},
        {"type": ["ticket.reopened"]},
    ],
)
def test_what_no_rule_means_is_none_of_ours(message: object) -> None:
    assert said(message) == []


def test_a_name_may_stand_in_the_message() -> None:
    assert said({"type": "deal", "data": {"outcome": "won", "deal": "7"}}) == [Signal("7", "accepted")]
    plain = {"task": "t", "signals": [{"from": "kind"}]}
    assert said({"t": "1", "kind": "refund"}, plain) == [Signal("1", "refund")]


def test_a_message_of_many_items_says_something_of_each() -> None:
    mapping = {
        "each": "events",
        "task": "charge",
        "signals": [
            {"signal": "chargeback", "when": {"kind": "dispute", "$.live": True}, "value": "lines.0.n"}
        ],
    }
    items = [{"kind": "dispute", "charge": f"ch_{n}", "lines": [{"n": n}]} for n in range(3)]
    message = {"live": True, "events": [*items, {"kind": "paid"}]}
    assert said(message, mapping) == [Signal(f"ch_{n}", "chargeback", str(n)) for n in range(3)]
    assert said({"live": False, "events": items}, mapping) == []
    assert said({"live": True}, mapping) == []
    with pytest.raises(BadInput, match="no list"):
        said({"events": "x"}, mapping)
    with pytest.raises(BadInput, match="at most"):
        said({"events": [{}] * (ITEMS_MAX + 1)}, mapping)


def test_a_key_may_hold_a_dot() -> None:
    mapping = {"task": r"data.ticket\.id", "signals": [{"signal": "reopened"}]}
    assert said({"data": {"ticket.id": "T-1"}}, mapping) == [Signal("T-1", "reopened")]


@pytest.mark.parametrize("task", [None, "", {"id": 1}, ["T-1"]])
def test_a_message_that_is_meant_and_names_no_task_is_an_error(task: object) -> None:
    with pytest.raises(BadInput, match=r"nothing at 'data\.ticket\.external_id'"):
        said({"type": "ticket.reopened", "data": {"ticket": {"external_id": task}}})


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ([], "names and values"),
        ({"task": "x"}, "no 'signals'"),
        ({"task": "x", "signals": []}, "no 'signals'"),
        ({"signals": [{"signal": "a"}]}, "no 'task'"),
        ({"tasks": "x", "signals": [{"signal": "a"}]}, "Did you mean 'task'"),
        ({"task": "x", "signals": [{}]}, "either 'signal'"),
        ({"task": "x", "signals": [{"signal": "a", "from": "b"}]}, "either 'signal'"),
        ({"task": "x", "signals": [{"signal": " "}]}, "expected one such as"),
        ({"task": "x..y", "signals": [{"signal": "a"}]}, "parted by dots"),
        ({"task": 5, "signals": [{"signal": "a"}]}, "parted by dots"),
        ({"task": "x", "signals": [{"signal": "a", "when": {"t": []}}]}, "a word, a number"),
        ({"task": "x", "signals": [{"signal": "a", "when": {"t": {"u": 1}}}]}, "a word, a number"),
        ({"task": "x", "signals": [{"signal": "a", "values": {"good": [5]}}]}, "a word or a number"),
        ({"task": "x", "signals": ["reopened"]}, "names and values"),
    ],
)
def test_what_is_no_mapping_is_refused_with_what_is_wrong(mapping: object, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        mapping_of(mapping)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "data", "ticket", "external_id", "at", "rating"]), inner)
    ),
    max_leaves=12,
)


@given(_json)
def test_no_message_does_anything_but_be_read_or_refused(message: object) -> None:
    try:
        found = said(message)
    except BadInput:
        return
    assert all(one.task and one.name for one in found)
