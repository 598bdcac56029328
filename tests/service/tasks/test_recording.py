"""What is told of tasks adds up to the same task, in whatever order, late or twice."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.identity import derived, task_id
from flatfare.service.tasks import telling
from flatfare.service.tasks.defining import Register, define, document_of, listed, of_document
from flatfare.service.tasks.folding import folded
from flatfare.service.tasks.recording import Teller, known_of, mature, record
from flatfare.store import tasks
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

TELLER = Teller("the tests")
QUEUE = Teller("a reviewer", source="review")
NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with open_book(str(tmp_path / "book.db")) as opened:
        yield opened


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def event(kind: str, task: str, at: int, **said: object) -> dict[str, object]:
    return {"event": kind, "id": str(uuid.uuid4()), "task": task, "at": NOW + at, **said}


def judged(
    task: str, at: int, judgement: str = "pass", verifier: str = "tests", **said: object
) -> dict[str, object]:
    return event(
        "judged",
        task,
        at,
        **{"verifier": verifier, "version": "1", "judgement": judgement, "evidence": "seen", **said},
    )


def row(book: Book, name: str) -> dict[str, object]:
    task_id = str(derived("task", "import", name))
    return dict(tasks.rows_of(book, [task_id])[task_id])


def told(book: Book, lake: Lake, *events: dict[str, object], now: int = 0) -> dict[str, object]:
    done = record(book, lake, list(events), TELLER, now_us=NOW + now)
    assert not done.refused
    return row(book, str(events[0]["task"]))


def test_six_facts_of_a_task(book: Book, lake: Lake) -> None:
    task = told(
        book,
        lake,
        event("opened", "t", 0, name="review", path="small > large", labels={"team": "law"}, value="40.00"),
        event("attempt_started", "t", 1, attempt="one", rung="small"),
        event("attempt_ended", "t", 2, attempt="one", status="failed"),
        event("attempt_started", "t", 3, attempt="two", rung="large"),
        event("attempt_ended", "t", 4, attempt="two", status="ok"),
        judged("t", 5),
        event("reworked", "t", 6, minutes="7.5", rate="60.00", by_whom="Ann"),
        event("closed", "t", 7),
    )
    assert (task["name"], task["path"], task["labels"]) == ("review", "small > large", '{"team":"law"}')
    assert (task["outcome"], task["outcome_at_us"], task["value_nano"]) == ("verified", NOW + 5, 40 * 10**9)
    assert (task["rework_ms"], task["rework_nano"]) == (450_000, 7_500_000_000)
    assert (task["opened_at_us"], task["closed_at_us"], task["matures_at_us"]) == (NOW, NOW + 7, NOW + 7)
    attempts = book.rows("SELECT number, rung, status FROM attempts ORDER BY number")
    assert attempts == [(1, "small", "failed"), (2, "large", "ok")]


def test_the_same_events_again_change_nothing(book: Book, lake: Lake) -> None:
    events = [event("opened", "t", 0), judged("t", 5)]
    first = told(book, lake, *events)
    again = record(book, lake, events, TELLER, now_us=NOW + 9)
    assert (again.recorded, again.known) == (0, 2)
    assert row(book, "t") == first
    assert book.value("SELECT COUNT(*) FROM verdicts") == 1


def test_another_content_under_a_known_id_is_refused_and_nothing_is_lost(book: Book, lake: Lake) -> None:
    first = judged("t", 5)
    told(book, lake, first)
    done = record(book, lake, [{**first, "judgement": "fail"}, judged("u", 6)], TELLER, now_us=NOW)
    assert (done.recorded, done.known) == (1, 0)
    assert "said something else" in done.refused[0].reason
    assert done.refused[0].index == 0
    assert row(book, "t")["outcome"] == "verified"


@pytest.mark.parametrize(
    ("given_event", "reason"),
    [
        ({"event": "opened", "id": "7", "task": "t"}, "expected a UUID"),
        ({"event": "vanished", "id": str(uuid.uuid4()), "task": "t"}, "Kinds: opened"),
        (event("judged", "t", 0, verifier="x", version="1", judgement="pass"), "has evidence"),
        (judged("t", 0, verifier=""), "as verifier"),
        (judged("t", 0, score="high"), "decimal number"),
        (event("reworked", "t", 0, minutes="-1"), "0 or more"),
        (event("opened", "t", 0, colour="red"), "colour"),
        (event("opened", "", 0), "as task"),
        (event("opened", "t", 0, labels={"a b": "c"}), "label key"),
        (event("opened", "t", 0, value="1e300"), "decimal number"),
        ({**event("opened", "t", 0), "at": "yesterday"}, "time was expected"),
        (event("signalled", "t", 0, name="csat", value="x" * 600), "1 to 512"),
    ],
)
def test_a_bad_event_refuses_itself_alone(
    book: Book, lake: Lake, given_event: dict[str, object], reason: str
) -> None:
    done = record(book, lake, [given_event, event("opened", "good", 1)], TELLER, now_us=NOW)
    assert done.recorded == 1
    assert done.refused[0].index == 0
    assert reason in done.refused[0].reason


def test_a_batch_has_a_limit(book: Book, lake: Lake) -> None:
    with pytest.raises(BadInput, match="at most 10000"):
        record(book, lake, [event("opened", "t", 0)] * 10_001, TELLER, now_us=NOW)


def test_silence_is_assumed_when_the_window_closes(book: Book, lake: Lake) -> None:
    with book.writing():
        pass
    define(book, of_document({"action": "chat", "window": "1h"}), by_whom="me", at_us=NOW - 1)
    open_task = told(book, lake, event("opened", "t", 0, name="chat"), event("closed", "t", 10))
    assert (open_task["outcome"], open_task["matures_at_us"]) == ("open", NOW + 10 + HOUR)
    assert mature(book, lake, now_us=NOW + HOUR) == 0
    assert mature(book, lake, now_us=NOW + 10 + HOUR) == 1
    silent = row(book, "t")
    assert (silent["outcome"], silent["outcome_cause"]) == ("assumed", "silence")
    late = told(book, lake, judged("t", 2 * HOUR), now=2 * HOUR)
    assert late["outcome"] == "verified"


def test_a_task_is_judged_by_the_definition_in_force_when_it_was_opened(book: Book, lake: Lake) -> None:
    both = of_document({"action": "review", "verifiers": ["tests", "judge"]})
    define(book, both, by_whom="me", at_us=NOW + 100)
    before = told(book, lake, event("opened", "old", 0, name="review"), judged("old", 200))
    after = told(book, lake, event("opened", "new", 150, name="review"), judged("new", 200))
    assert (before["outcome"], after["outcome"]) == ("verified", "open")
    assert told(book, lake, judged("new", 300, "pass", "judge"))["outcome"] == "verified"


def test_definitions_are_versioned_and_on_record(book: Book) -> None:
    document = {
        "action": "review",
        "verifiers": ["a", "b", "c"],
        "verified_when": {"quorum": 2},
        "window": "72h",
    }
    one = define(book, of_document(document), by_whom="me", at_us=NOW)
    same = define(book, of_document(document), by_whom="me", at_us=NOW + 1)
    two = define(book, of_document({**document, "silence": "failed"}), by_whom="me", at_us=NOW + 2)
    assert (one.version, same.version, two.version) == (1, 1, 2)
    assert [version.from_us for version in listed(book, "review")] == [NOW, NOW + 2]
    assert book.value("SELECT COUNT(*) FROM chained_records WHERE kind = 'definition.made'") == 2


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "as action"),
        ({"action": "a", "colour": 1}, "field 'colour'"),
        ({"action": "a", "verifiers": ["x", "x"]}, "twice"),
        ({"action": "a", "verifiers": [{"name": "x", "weight": 0}]}, "more than 0"),
        ({"action": "a", "verified_when": "any"}, "no verifiers"),
        ({"action": "a", "verifiers": ["x"], "verified_when": {"quorum": 2}}, "at most 1"),
        ({"action": "a", "silence": "verified"}, "Silence verifies nothing"),
        ({"action": "a", "window": "soon"}, "length of time"),
        ({"action": "a", "signals": {"csat": {"under": 3}}}, "expected says, below, above"),
        ({"action": "a", "signals": {"csat": "bad"}}, "expected pass, fail, abstain"),
        ({"action": "a", "rework_rate": "-1"}, "0 or more"),
        ({"action": "a", "version": 7}, "the next is"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(book: Book, document: dict[str, object], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        define(book, of_document(document), by_whom="me", at_us=NOW)


def test_within_a_project_nobody_elses_task_can_be_named(book: Book, lake: Lake) -> None:
    told(book, lake, judged("t", 1))
    mine = str(derived("task", "import", "t"))
    other = Teller("a key", project="shop", labels={"team": "shop"})
    done = record(book, lake, [judged(mine, 2, "fail"), event("opened", mine, 1)], other, now_us=NOW)
    assert done.task_ids == (str(derived("task", "shop", mine)),)
    assert row(book, "t")["outcome"] == "verified"
    assert tasks.rows_of(book, done.task_ids)[done.task_ids[0]]["labels"] == '{"team":"shop"}'


def test_a_dispute_is_a_flag_beside_the_outcome(book: Book, lake: Lake) -> None:
    task = told(book, lake, judged("t", 1), event("disputed", "t", 2, reason="wrong clause"))
    assert (task["outcome"], task["is_disputed"]) == ("verified", 1)
    assert told(book, lake, event("dispute_resolved", "t", 3))["is_disputed"] == 0


def test_rework_whose_rate_nobody_knows_has_no_known_cost(book: Book, lake: Lake) -> None:
    task = told(book, lake, judged("t", 1), event("reworked", "t", 2, minutes="10"))
    assert (task["rework_ms"], task["rework_nano"]) == (600_000, None)


def test_a_settlement_is_not_touched_by_what_is_told(book: Book, lake: Lake) -> None:
    task = told(book, lake, judged("t", 1))
    with book.writing():
        tasks.set_settlement(book, str(task["id"]), "held")
    assert told(book, lake, event("signalled", "t", 2, name="reopened"))["settlement"] == "held"


HISTORY = st.lists(
    st.one_of(
        st.tuples(
            st.just("judged"),
            st.sampled_from(["pass", "fail", "abstain"]),
            st.sampled_from(["tests", "judge"]),
        ),
        st.tuples(
            st.just("signalled"),
            st.sampled_from(["reopened", "accepted", "csat"]),
            st.sampled_from(["1", "5"]),
        ),
        st.tuples(st.just("reworked"), st.sampled_from(["1", "2.5"]), st.sampled_from([None, "30"])),
        st.tuples(
            st.just("attempt_started"), st.sampled_from(["a", "b"]), st.sampled_from([None, "small", "large"])
        ),
        st.tuples(st.just("attempt_ended"), st.sampled_from(["a", "b"]), st.sampled_from(["ok", "failed"])),
        st.tuples(st.just("opened"), st.sampled_from(["kind", "task"]), st.sampled_from([None, "p"])),
        st.tuples(st.just("closed"), st.none(), st.sampled_from([None, "p", "q"])),
        st.tuples(st.sampled_from(["disputed", "dispute_resolved"]), st.none(), st.none()),
    ),
    min_size=1,
    max_size=8,
)
FIELDS = {
    "judged": ("judgement", "verifier"),
    "signalled": ("name", "value"),
    "reworked": ("minutes", "rate"),
    "attempt_started": ("attempt", "rung"),
    "attempt_ended": ("attempt", "status"),
    "opened": ("name", "path"),
    "closed": ("none", "path"),
    "disputed": ("none", "none"),
    "dispute_resolved": ("none", "none"),
}


@pytest.fixture(scope="module")
def shared_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Book, Lake]]:
    folder = tmp_path_factory.mktemp("histories")
    with open_book(str(folder / "book.db")) as opened:
        rules = {
            "action": "kind",
            "verifiers": ["tests", "judge"],
            "window": "0",
            "signals": {"csat": {"below": 3}},
        }
        define(opened, of_document(rules), by_whom="me", at_us=0)
        yield opened, Lake(folder / "lake")


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(HISTORY, st.data())
def test_any_order_and_repetition_gives_the_same_task(
    shared_book: tuple[Book, Lake], history: list[tuple[str, str | None, str | None]], data: st.DataObject
) -> None:
    book, lake = shared_book
    run = uuid.uuid4().hex

    def events(task: str) -> list[dict[str, object]]:
        found = []
        for position, (kind, first, second) in enumerate(history):
            said = {name: value for name, value in zip(FIELDS[kind], (first, second), strict=True) if value}
            said.pop("none", None)
            if kind == "judged":
                said |= {"version": "1", "evidence": "seen"}
            # Ids in the same order for both, since events of one moment are told apart by them.
            event_id = str(uuid.UUID(int=(position << 120) | (uuid.uuid4().int & ((1 << 112) - 1))))
            found.append({"event": kind, "id": event_id, "task": task, "at": NOW + position // 2, **said})
        return found

    straight, mixed = events(f"{run}-a"), events(f"{run}-b")
    told(book, lake, *straight, now=100)
    shuffled = data.draw(st.permutations(mixed))
    again = data.draw(st.lists(st.sampled_from(mixed), max_size=3))
    cut = data.draw(st.integers(0, len(shuffled)))
    for part in (shuffled[:cut], [*shuffled[cut:], *again]):
        record(book, lake, part, TELLER, now_us=NOW + 100)
    facts = []
    for name in (f"{run}-a", f"{run}-b"):
        task_id = str(derived("task", "import", name))
        standing = folded(known_of(book, lake, [task_id])[task_id], Register(book), NOW + 100)
        columns = {
            key: value
            for key, value in row(book, name).items()
            if key not in ("id", "version", "outcome_cause", "external_id")
        }
        attempts = book.rows(
            "SELECT number, rung, status, started_at_us, ended_at_us FROM attempts WHERE task_id = ? "
            "ORDER BY number",
            (task_id,),
        )
        moves = [(move.before, move.after, move.at_us) for move in standing.standing.moves]
        facts.append((columns, attempts, moves))
    assert facts[0] == facts[1]


def test_signals_are_evidence_in_the_tasks_chain(book: Book, lake: Lake) -> None:
    told(book, lake, judged("t", 1), event("signalled", "t", 2, name="csat", value="2"))
    chain = book.rows("SELECT position, verifier, kind, score FROM verdicts ORDER BY position")
    assert chain == [(0, "tests", "code", None), (1, "signal:csat", "customer", "2")]
    assert book.rows("SELECT name, value FROM signals") == [("csat", "2")]


def test_evidence_is_hashed_and_not_kept(book: Book, lake: Lake) -> None:
    told(book, lake, judged("t", 1, evidence={"answer": "the secret clause"}))
    everything = json.dumps(book.rows("SELECT content FROM task_events"))
    assert "secret" not in everything
    assert len(str(book.value("SELECT evidence_hash FROM verdicts"))) == 64


REVIEWED = {"action": "task", "verifiers": ["tests", {"name": "human-review", "from": "reviews"}]}


def said(task: str, at: int, verifier: str, judgement: str) -> dict[str, object]:
    more = {"verifier": verifier, "version": "1", "judgement": judgement, "evidence_hash": "e" * 64}
    return {**event("judged", task, at, **more), "kind": "human"}


def test_where_the_review_queue_is_demanded_no_other_word_counts(book: Book, lake: Lake) -> None:
    define(book, of_document(REVIEWED), by_whom="t", at_us=NOW - HOUR)
    record(book, lake, [event("opened", "a", 0), said("a", 1, "tests", "pass")], TELLER, now_us=NOW)
    for at, judgement in ((2, "pass"), (3, "fail")):
        record(book, lake, [said("a", at, "human-review", judgement)], TELLER, now_us=NOW)
    assert _outcome(book, lake, "a") == ("open", ("human-review",))
    record(book, lake, [said("a", 4, "human-review", "pass")], QUEUE, now_us=NOW)
    record(book, lake, [said("a", 5, "human-review", "fail")], TELLER, now_us=NOW)
    assert _outcome(book, lake, "a") == ("verified", ())
    assert [one["counts"] for one in _verdicts(book, lake, "a")] == [True, False, False, True, False]
    record(book, lake, [said("a", 6, "human-review", "fail")], QUEUE, now_us=NOW)
    assert _outcome(book, lake, "a")[0] == "reversed"


def test_a_run_may_say_in_their_place_that_there_was_nothing_to_judge(book: Book, lake: Lake) -> None:
    define(book, of_document(REVIEWED), by_whom="t", at_us=NOW - HOUR)
    runner = Teller("runner", source="actions")
    record(book, lake, [event("opened", "a", 0), said("a", 1, "human-review", "pass")], runner, now_us=NOW)
    record(book, lake, [said("a", 1, "tests", "pass")], TELLER, now_us=NOW)
    assert _outcome(book, lake, "a")[0] == "open"
    record(book, lake, [said("a", 2, "human-review", "fail")], runner, now_us=NOW)
    assert _outcome(book, lake, "a")[0] == "failed"


def test_the_demand_is_kept_in_the_definition() -> None:
    found = of_document(REVIEWED)
    assert found.reviewed == {"human-review"}
    assert of_document(document_of(found)) == found
    for wrong in ({"name": "a", "from": "anywhere"}, {"name": "a", "form": "reviews"}):
        with pytest.raises(BadInput, match="of a verifier: expected"):
            of_document({"action": "task", "verifiers": [wrong]})


def _outcome(book: Book, lake: Lake, task: str) -> tuple[str, tuple[str, ...]]:
    (known,) = known_of(book, lake, [_own(task)]).values()
    now = folded(known, Register(book), NOW + 9)
    assert known.present is not None
    assert known.present["outcome"] == str(now.standing.outcome)
    return str(now.standing.outcome), now.standing.missing


def _own(task: str) -> str:
    return str(task_id(None, task))


def _verdicts(book: Book, lake: Lake, task: str) -> list[dict]:
    found = telling.find(book, lake, task, now_us=NOW)
    return telling.story(book, lake, found, now_us=NOW)["verdicts"]  # type: ignore[return-value]
