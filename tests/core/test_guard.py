"""Guards as pure rules: whom they concern, what is past them, what a person is told."""

import pytest

from flatfare.core.budget import Scope, Whose
from flatfare.core.errors import BadInput
from flatfare.core.guard import KINDS, Guard, Slot, grows, sentence, storm

KEYED = Whose(key="key_1", project="shop", session="s-1", labels={"team": "search", "action": "triage"})


def guard(kind: str = "calls", limit: int = 10, **terms: object) -> Guard:
    return Guard("g", "g", kind, limit, **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("per", "scope", "subject"),
    [
        ("session", "organisation", "s-1"),
        ("task", "organisation", None),
        ("team", "organisation", "search"),
        ("key", "team=search", "key_1"),
        ("key", "team=sales", None),
        ("key", "customer=*", None),
        ("key", "action=triage", "key_1"),
        ("organisation", "team=*", "organisation"),
    ],
)
def test_a_guard_concerns_calls_of_its_scope_and_counts_them_for_whose_it_is(
    per: str, scope: str, subject: str | None
) -> None:
    assert guard(per=per, scope=Scope.of(scope)).subject(KEYED) == subject


def test_calls_without_a_key_are_one_client() -> None:
    assert guard(per="key").subject(Whose()) == "no key"


def test_a_count_is_over_when_it_reaches_its_limit_and_a_request_when_it_asks_for_more() -> None:
    assert [guard("calls").is_over(value) for value in (9, 10)] == [False, True]
    assert [guard("output").is_over(value) for value in (10, 11)] == [False, True]


@pytest.mark.parametrize(
    "terms",
    [
        {"kind": "loops"},
        {"kind": "calls", "action": "cap"},
        {"kind": "models", "action": "downgrade"},
        {"kind": "models", "action": "stop"},
        {"kind": "calls", "models": ("gpt-4o",)},
        {"kind": "retries", "limit": 2000},
        {"kind": "calls", "pace_s": 0},
        {"kind": "calls", "limit": -1},
    ],
)
def test_terms_that_cannot_be_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Guard("g", "g", **{"limit": 10, **terms})  # type: ignore[arg-type]


def test_a_context_only_grows_where_each_call_sent_more_and_the_last_is_beyond_the_limit() -> None:
    assert grows([10, 20, 30, 40], 4, 40)
    assert not grows([10, 20, 30, 40], 4, 41), "not far enough"
    assert not grows([10, 30, 20, 40], 4, 40), "it shrank in between"
    assert not grows([20, 30, 40], 4, 40), "too few calls"


STORM = guard("retries", 50, per="key", window_s=60, least=20, factor=3)


def steady(calls: int, failed: int, minutes: int = 30) -> list[Slot]:
    """A slot a minute, of the time before the last minute."""
    return [Slot(10_000 - 60 * (minute + 1), calls, failed) for minute in range(minutes)]


@pytest.mark.parametrize(
    ("past", "calls", "failed", "share"),
    [
        (steady(10, 0), 60, 45, 75),
        (steady(10, 0), 60, 20, None),  # too few failed
        (steady(10, 0), 25, 25, None),  # as many as are usual, nearly
        (steady(10, 9), 60, 58, None),  # it fails as it always does
        (steady(10, 0), 19, 19, None),  # too few calls to tell
        ([], 20, 10, 50),  # nothing is known of before
        ([], 20, 9, None),
        (steady(10, 0, minutes=3), 25, 25, 100),  # too little is known of before
    ],
)
def test_a_storm_is_failures_beyond_what_is_usual(
    past: list[Slot], calls: int, failed: int, share: int | None
) -> None:
    assert storm([*past, Slot(9_990, calls, failed)], 10_000, STORM) == share


def test_every_kind_has_a_sentence_that_names_the_guard() -> None:
    for name, kind in KINDS.items():
        more = {"models": ("small",), "action": "stop"} if name == "models" else {"action": kind.actions[0]}
        one = Guard("g", "mine", name, 5, window_s=kind.window_s, **more)  # type: ignore[arg-type]
        said = sentence(one, "s-1", 6, about="big")
        assert "The guard 'mine'" in said or "the guard 'mine'" in said
        assert said.endswith(".")


def test_amounts_are_written_as_people_write_them() -> None:
    assert "has cost $2.00" in sentence(guard("cost", 10**9), "s", 2 * 10**9)
    assert "has gone on for 30m" in sentence(guard("time", 1200), "s", 1800)
    assert "effort 'high'" in sentence(guard("effort", 2, action="stop"), "s", 4)
