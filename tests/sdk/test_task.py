"""Tasks and attempts tell what happened to them, and let the host's exceptions pass."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

import flatfare
import flatfare_sdk
from flatfare_sdk import current, events, rework, signal, task, verdict
from flatfare_sdk.task import Task
from tests.sdk.conftest import Told


def test_a_task_without_attempts_is_one_attempt(told: Told) -> None:
    with task("contract-review", customer="acme") as t:
        pass
    opened, started, ended, closed = told()
    assert (opened["event"], opened["name"], opened["labels"]) == (
        "opened",
        "contract-review",
        {"customer": "acme"},
    )
    assert (started["event"], started["number"], started["at"]) == ("attempt_started", 1, opened["at"])
    assert (ended["event"], ended["attempt"], ended["status"]) == ("attempt_ended", started["attempt"], "ok")
    assert closed["event"] == "closed"
    assert {event["task"] for event in (opened, started, ended, closed)} == {t.id}
    assert UUID(t.id).version == 7


def test_everything_that_can_be_said_of_a_task_arrives(told: Told) -> None:
    due = datetime(2026, 12, 1, 12, tzinfo=UTC)
    with task(
        "resolve-ticket",
        id="ticket-4711",
        labels={"team": "support"},
        session="chat-9",
        path="small-first",
        version="3",
        deadline=due,
        value=Decimal("2.50"),
        customer="acme",
    ):
        pass
    opened = told()[0]
    assert {name: opened[name] for name in ("task", "session", "path", "action_version", "value")} == {
        "task": "ticket-4711",
        "session": "chat-9",
        "path": "small-first",
        "action_version": "3",
        "value": "2.50",
    }
    assert opened["deadline"] == int(due.timestamp()) * 1_000_000
    assert opened["labels"] == {"team": "support", "customer": "acme"}


def test_attempts_are_counted_and_named_by_their_rung(told: Told) -> None:
    with task("fix") as t:
        with pytest.raises(ValueError, match="broken"), t.attempt(rung="small"):
            raise ValueError("broken")
        with t.attempt(rung="large"):
            t.verdict("tests", passed=True, evidence={"passed": 12})
    events = told()
    attempts = [event for event in events if event["event"].startswith("attempt")]
    assert [(event.get("number"), event.get("rung"), event.get("status")) for event in attempts] == [
        (1, "small", None),
        (None, None, "failed"),
        (2, "large", None),
        (None, None, "ok"),
    ]
    judged = next(event for event in events if event["event"] == "judged")
    assert (judged["judgement"], judged["attempt_number"]) == ("pass", 2)


def _exits(code: object) -> Callable[[], None]:
    def leave() -> None:
        raise SystemExit(code)

    return leave


def _raises(problem: BaseException) -> Callable[[], None]:
    def leave() -> None:
        raise problem

    return leave


@pytest.mark.parametrize(
    ("leave", "kind", "status"),
    [
        (_raises(ValueError("no")), ValueError, "failed"),
        (_raises(KeyboardInterrupt()), KeyboardInterrupt, "cancelled"),
        (_raises(asyncio.CancelledError()), asyncio.CancelledError, "cancelled"),
        (_exits(None), SystemExit, "ok"),
        (_exits(3), SystemExit, "failed"),
    ],
)
def test_the_host_s_exceptions_pass_and_end_the_attempt(
    told: Told, leave: Callable[[], None], kind: type[BaseException], status: str
) -> None:
    with pytest.raises(kind) as caught, task("fix"):
        leave()
    assert caught.value.__context__ is None
    assert [event.get("status") for event in told()] == [None, None, status, None]


def test_a_verdict_says_who_judged_and_shows_its_evidence_by_hash_alone(told: Told) -> None:
    with task("review") as t:
        t.verdict(
            "judge",
            passed=False,
            evidence="what the customer wrote",
            version="2",
            kind="model",
            score=0.25,
            cost="0.0004",
        )
        t.verdict("judge", passed=None, evidence={"b": 1, "a": [2]})
    first, second = (event for event in told() if event["event"] == "judged")
    assert (first["judgement"], first["version"], first["kind"], first["score"], first["cost"]) == (
        "fail",
        "2",
        "model",
        "0.25",
        "0.0004",
    )
    assert "customer wrote" not in repr(told())
    assert second["judgement"] == "abstain"


@pytest.mark.parametrize(
    "evidence", ["text", "Ü\ud800", {"b": 1, "a": [2, None]}, [1.5, True], 0, "", {"ü": "ö"}]
)
def test_evidence_has_the_hash_that_the_server_would_give_it(evidence: object) -> None:
    from flatfare.service.tasks import events as task_events

    assert events.evidence_hash(evidence) == task_events.evidence_hash(evidence)


def test_what_happens_later_is_told_by_name_from_anywhere(told: Told) -> None:
    verdict("ticket-4711", "human", passed=True, evidence="protocol 12", kind="human")
    signal("ticket-4711", "csat", 2, source="zendesk")
    rework("ticket-4711", minutes=12.5, rate=60, by_whom="kim")
    judged, signalled, reworked = told()
    assert {event["task"] for event in told()} == {"ticket-4711"}
    assert judged["kind"] == "human"
    assert (signalled["name"], signalled["value"], signalled["source"]) == ("csat", "2", "zendesk")
    assert (reworked["minutes"], reworked["rate"], reworked["by_whom"]) == ("12.5", "60", "kim")


def test_a_task_tells_of_signals_and_rework_too(told: Told) -> None:
    with task("review") as t:
        t.signal("accepted")
        t.rework(5, "60.00")
    signal(t, "reopened")
    assert [event["event"] for event in told()] == [
        "opened",
        "signalled",
        "reworked",
        "attempt_started",
        "attempt_ended",
        "closed",
        "signalled",
    ]
    assert {event["task"] for event in told()} == {t.id}


def test_without_a_with_it_is_opened_by_what_is_told_and_closed_by_hand(told: Told) -> None:
    t = task("review")
    t.verdict("tests", passed=True, evidence="12 passed")
    t.close("failed", path="by-hand")
    t.close()
    assert [event["event"] for event in told()] == [
        "opened",
        "judged",
        "attempt_started",
        "attempt_ended",
        "closed",
    ]
    assert told()[3]["status"] == "failed"
    assert told()[4]["path"] == "by-hand"


def test_the_current_task_is_the_innermost_that_is_open(told: Told) -> None:
    assert current().id == ""
    with task("outer", session="s") as outer:
        with outer.attempt(), task("inner") as inner:
            assert current() is inner
            assert inner.session == "s"
        assert current() is outer
    assert current().id == ""


def test_tasks_that_end_in_another_order_leave_nothing_current(told: Told) -> None:
    first, second = task("first").open(), task("second").open()
    first.close()
    assert current() is second
    second.close()
    assert current().id == ""


def test_what_is_said_to_no_task_is_said_to_nobody(told: Told) -> None:
    current().verdict("tests", passed=True, evidence="x")
    with current().attempt(), current():
        current().signal("accepted")
    assert told() == []


def test_a_task_is_one_piece_of_work(told: Told, warnings: Callable[[], list[str]]) -> None:
    t = task("review")
    with t:
        pass
    with t:
        pass
    assert len(told()) == 4
    assert "entered again" in warnings()[0]


def test_flatfare_itself_offers_the_same() -> None:
    assert flatfare.task is flatfare_sdk.task
    assert flatfare.wrap is flatfare_sdk.wrap
    assert isinstance(flatfare.task("x"), Task)


def test_an_attempt_opens_its_task_and_leaves_nothing_current(told: Told) -> None:
    t = task("review")
    with t.attempt():
        assert current() is t
    assert current().id == ""
    t.close()
    assert [event["event"] for event in told()] == ["opened", "attempt_started", "attempt_ended", "closed"]


def test_a_status_that_is_none_ends_nothing(told: Told, warnings: Callable[[], list[str]]) -> None:
    with task("review") as t:
        with t.attempt() as a:
            a.close("won")
        t.close("great")
    assert [event.get("status") for event in told()] == [None, None, "ok", None]
    assert "expected one of ok, failed, cancelled" in warnings()[0]


def test_evidence_that_json_does_not_know_has_a_hash_all_the_same(told: Told) -> None:
    class Model:
        def model_dump(self, mode: str) -> dict[str, str]:
            return {"answer": "7", "mode": mode}

    wanted = [{"answer": "7", "mode": "json"}, [1, 2], {"found": [1, 2]}]
    with task("review") as t:
        for evidence in (Model(), {2, 1}, {"found": frozenset({1, 2})}):
            t.verdict("tests", passed=True, evidence=evidence)
        t.verdict("tests", passed=True, evidence=b"bytes")
    hashes = [event["evidence_hash"] for event in told() if event["event"] == "judged"]
    assert hashes[:3] == [events.evidence_hash(plain) for plain in wanted]
    assert len(set(hashes)) == 4
