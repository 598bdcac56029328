"""Verdicts join the chain of their task, whenever they come, and its outcome is folded anew."""

from decimal import Decimal

import pytest

from flatfare.core.chain import GENESIS
from flatfare.core.errors import BadInput
from flatfare.core.identity import derived
from flatfare.service.tasks import defining
from flatfare.service.tasks.recording import Teller, record
from tests.service.importing.bringing import Place

HEAD = "task_id,verifier,result,at\n"


def task(place: Place, columns: str = "outcome, version") -> tuple[object, ...]:
    return place.row(f"SELECT {columns} FROM tasks")


def test_a_verdict_for_a_task_that_is_not_known_makes_it(place: Place) -> None:
    result = place.text("verdicts", HEAD + "t1,tests,pass,2026-01-01T00:00:00Z\n")
    assert (result.new, result.more["tasks_made"]) == (1, 1)
    assert task(place, "external_id, outcome, version") == ("t1", "verified", 0)


def test_a_verdict_for_a_task_that_only_has_calls_makes_it_from_them(place: Place) -> None:
    calls = "task_id,prompt_tokens,completion_tokens,model,timestamp\nt1,5,5,gpt-4o,2025-12-31T00:00:00Z\n"
    place.text("calls", calls, "calls.csv")
    place.text("verdicts", HEAD + "t1,tests,fail,2026-01-01T00:00:00Z\n")
    assert task(place, "outcome, path, opened_at_us") == ("failed", "gpt-4o", 1_767_139_200_000_000)


def test_a_verdict_on_a_sealed_task_is_a_newer_version(place: Place) -> None:
    place.text("tasks", "task_id,success,cost\nt1,true,1.5\n", "tasks.csv", at_us=1_767_000_000_000_000)
    place.text("verdicts", HEAD + "t1,auditor,fail,2026-02-01T00:00:00Z\n")
    assert task(place, "outcome, version, given_nano") == ("reversed", 1, 1_500_000_000)
    positions = place.rows("SELECT position, verifier FROM verdicts ORDER BY position")
    assert positions == [(0, "source:success"), (1, "auditor")]
    assert place.is_sound()


def test_many_verdicts_of_one_task_are_chained_in_order(place: Place) -> None:
    rows = "".join(f"t{n % 2},judge-{n},pass,2026-01-01T00:00:{n:02}Z\n" for n in range(20))
    place.text("verdicts", HEAD + rows)
    place.text("verdicts", HEAD + "t0,judge-x,fail,2026-01-02T00:00:00Z\n", "more.csv")
    assert place.row(
        "SELECT COUNT(*), MAX(position) FROM verdicts WHERE previous_hash <> '" + GENESIS + "'"
    ) == (19, 10)
    assert place.rows("SELECT external_id, outcome FROM tasks ORDER BY 1") == [
        ("t0", "reversed"),
        ("t1", "verified"),
    ]
    assert place.is_sound()


def test_tasks_complete_what_verdicts_began(place: Place) -> None:
    place.text("verdicts", HEAD + "t1,auditor,pass,2026-02-01T00:00:00Z\n")
    result = place.text("tasks", "task_id,success,cost,domain\nt1,false,1.5,retail\n", "tasks.csv", at_us=1)
    assert result.rejected == 0
    assert task(place, "outcome, given_nano, labels") == ("failed", 1_500_000_000, '{"domain":"retail"}')
    assert place.is_sound()


def test_a_verdict_that_came_before_is_known(place: Place) -> None:
    text = HEAD + "t1,tests,pass,2026-01-01T00:00:00Z\n"
    place.text("verdicts", text)
    result = place.text("verdicts", text + "t2,tests,fail,2026-01-01T00:00:00Z\n")
    assert (result.new, result.known) == (1, 1)
    assert place.row("SELECT COUNT(*) FROM verdicts") == (2,)


WIDE = "task_id,at,stars,chance,word,label\n" + "".join(
    f"t{n},2026-01-01T00:00:00Z,{n},0.{n},{word},{label}\n"
    for n, word, label in ((1, "FAIL", ""), (3, "unsure", "bad"), (5, "PASS", "good"), (4, "N/A", ""))
)


def test_a_table_with_a_column_for_each_judge_is_imported_once_for_each(place: Place) -> None:
    asked = {"stars": "4", "chance": "0.5", "word": None, "label": None}
    for column, pass_at in asked.items():
        at = None if pass_at is None else Decimal(pass_at)
        result = place.text("verdicts", WIDE, maps={"result": column}, verifier=column, pass_at=at)
        assert result.rejected == 0
    said = (
        "SELECT verifier, list(judgement ORDER BY external_id) FROM verdicts JOIN tasks ON tasks.id = task_id"
    )
    assert dict(place.rows(f"{said} GROUP BY verifier")) == {  # type: ignore[arg-type]
        "stars": ["fail", "fail", "pass", "pass"],
        "chance": ["fail", "fail", "fail", "pass"],
        "word": ["fail", "abstain", "pass"],
        "label": ["fail", "pass"],
    }
    assert place.is_sound()


def test_rows_that_nobody_judged_are_counted_and_are_no_verdicts(place: Place) -> None:
    result = place.text("verdicts", WIDE, maps={"result": "label"}, verifier="people")
    assert (result.read, result.new, result.rejected, result.more["without_result"]) == (4, 2, 0, 2)
    with pytest.raises(BadInput, match="No row has a value in 'note'"):
        place.text("verdicts", "task_id,note,at\nt1,,2026-01-01\n", maps={"result": "note"}, verifier="x")


def test_a_verdict_that_says_nothing_leaves_the_task_open(place: Place) -> None:
    place.text("verdicts", HEAD + "t1,judge,abstain,2026-01-01T00:00:00Z\n")
    assert task(place) == ("open", 0)


def test_tasks_imported_again_after_a_verdict_are_known(place: Place) -> None:
    text = "task_id,success\nt1,true\n"
    place.text("tasks", text, at_us=1_767_000_000_000_000)
    place.text("verdicts", HEAD + "t1,auditor,fail,2026-02-01T00:00:00Z\n", "verdicts.csv")
    result = place.text("tasks", text + "t2,true\n", at_us=1_767_000_000_000_000)
    assert (result.new, result.known, result.rejected) == (1, 1, 0)
    assert place.rows("SELECT outcome FROM tasks ORDER BY external_id") == [("reversed",), ("verified",)]


def test_a_task_whose_outcome_was_corrected_has_both_verdicts(place: Place) -> None:
    place.text("tasks", "task_id,success\nt1,false\n", at_us=1_767_000_000_000_000)
    corrected = "task_id,success\nt1,true\n"
    assert place.text("tasks", corrected, at_us=1_767_000_000_000_000).rejected == 1
    assert place.text("tasks", corrected, at_us=1_767_000_000_000_000, update=True).updated == 1
    assert task(place) == ("verified", 1)
    assert place.rows("SELECT judgement FROM verdicts ORDER BY position") == [("fail",), ("pass",)]
    assert place.is_sound()


def test_the_id_of_a_verdict_is_its_sources(place: Place) -> None:
    text = "id,task_id,judge,passed,timestamp\nv9,t1,gpt-4o,yes,2026-01-01\n"
    place.text("verdicts", text, source="s")
    assert place.row("SELECT CAST(id AS VARCHAR), kind FROM verdicts") == (
        str(derived("verdict", "s", "v9")),
        "model",
    )


def test_imported_tasks_are_judged_by_the_definition_in_force(place: Place) -> None:
    rule = {"action": "resolve", "verifiers": ["tests", "source:success"]}
    defining.define(place.book, defining.of_document(rule), by_whom="ann", at_us=1_767_000_000_000_000)
    text = "task_id,action,success,created_at\nt1,resolve,true,2026-01-01\nt2,other,true,2026-01-01\n"
    place.text("tasks", text, "tasks.csv")
    states = "SELECT external_id, outcome FROM tasks ORDER BY 1"
    assert place.rows(states) == [("t1", "open"), ("t2", "verified")]
    place.text("verdicts", HEAD + "t1,tests,pass,2026-01-02T00:00:00Z\n")
    assert place.rows(states) == [("t1", "verified"), ("t2", "verified")]
    assert place.is_sound()


def test_an_imported_word_does_not_count_where_the_review_queue_is_demanded(place: Place) -> None:
    people = {"name": "human-review", "from": "reviews"}
    made = defining.of_document({"action": "task", "verifiers": ["tests", people]})
    defining.define(place.book, made, by_whom="test", at_us=1)
    tasks = "task_id,created_at,cost\nt1,2026-01-01T00:00:00Z,1.00\n"
    place.text("tasks", tasks, "tasks.csv")
    rows = "t1,tests,pass,2026-01-01T01:00:00Z\nt1,human-review,pass,2026-01-01T02:00:00Z\n"
    place.text("verdicts", HEAD + rows, verifier_kind="human")
    assert task(place, "outcome") != ("verified",)
    with pytest.raises(BadInput, match="no file is one"):
        place.text("verdicts", HEAD + "t1,human-review,pass,2026-01-03T02:00:00Z\n", "b.csv", source="review")


def test_an_imported_task_matures_when_the_window_of_its_definition_closes(place: Place) -> None:
    for at_us, window in ((1_767_000_000_000_000, "72h"), (1_768_000_000_000_000, "24h")):
        rule = {"action": "resolve", "window": window}
        defining.define(place.book, defining.of_document(rule), by_whom="ann", at_us=at_us)
    head = "task_id,action,success,created_at,closed_at,matures_at\n"
    rows = (
        "before,resolve,true,2025-12-01T00:00:00Z,2025-12-02T00:00:00Z,",
        "first,resolve,true,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,",
        "second,resolve,,2026-02-01T00:00:00Z,,",
        "given,resolve,true,2026-02-01T00:00:00Z,,2026-02-01T01:00:00Z",
        "other,chat,true,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,",
    )
    place.text("tasks", head + "\n".join(rows) + "\n", "tasks.csv")
    matures = "SELECT external_id, strftime(make_timestamp(matures_at_us), '%m-%dT%H') FROM tasks"
    expected = {
        "before": "12-02T00",
        "first": "01-05T00",
        "second": "02-02T00",
        "given": "02-01T01",
        "other": "01-02T00",
    }
    assert dict(place.rows(matures)) == expected  # type: ignore[arg-type]
    note = {"event": "reworked", "task": "x", "minutes": "1"}
    ids = dict(place.rows("SELECT external_id, id::VARCHAR FROM tasks"))  # type: ignore[arg-type]
    told = [
        {**note, "id": str(derived("e", name)), "task": own, "at": 1_790_000_000_000_000}
        for name, own in ids.items()
    ]
    assert not record(place.book, place.lake, told, Teller("x"), now_us=1_790_000_000_000_000).refused
    assert dict(place.rows(matures)) == expected  # type: ignore[arg-type]
    assert place.is_sound()


def test_tasks_opened_before_a_definition_are_judged_without_it(place: Place) -> None:
    rule = {"action": "resolve", "verifiers": ["tests"]}
    defining.define(place.book, defining.of_document(rule), by_whom="ann", at_us=1_780_000_000_000_000)
    place.text("tasks", "task_id,action,success,created_at\nt1,resolve,true,2026-01-01\n", "tasks.csv")
    assert task(place) == ("verified", 0)


def test_evaluation_events_of_opentelemetry_are_verdicts(place: Place) -> None:
    events = (
        '{"timestamp":"2026-01-01T00:00:00Z","event.name":"gen_ai.evaluation.result","attributes":'
        '{"gen_ai.conversation.id":"c1","gen_ai.evaluation.name":"Relevance",'
        '"gen_ai.evaluation.score.label":"pass","gen_ai.evaluation.score.value":0.9}}\n'
        '{"timestamp":"2026-01-01T00:00:00Z","attributes":{"gen_ai.conversation.id":"c2",'
        '"gen_ai.evaluation.name":"Relevance","gen_ai.evaluation.score.label":"fail"}}\n'
    )
    place.text("verdicts", events, "events.jsonl", verifier_kind="model")
    columns = "external_id, verifier, kind, judgement, score"
    assert place.rows(f"SELECT {columns} FROM verdicts JOIN tasks ON tasks.id = task_id ORDER BY 1") == [
        ("c1", "Relevance", "model", "pass", "0.9"),
        ("c2", "Relevance", "model", "fail", None),
    ]


def test_the_kind_of_each_verifier_is_kept(place: Place) -> None:
    rows = "t1,a,LLM\nt2,b,HUMAN\nt3,c,CODE\nt4,d,llm-as-a-judge\nt5,gpt-4o,\nt6,QA person,\nt7,suite,\n"
    text = "task_id,verifier,annotator_kind,result,at\n" + rows.replace("\n", ",pass,2026-01-01\n")
    place.text("verdicts", text)
    assert place.rows("SELECT kind FROM verdicts JOIN tasks ON tasks.id = task_id ORDER BY external_id") == [
        (kind,) for kind in ("model", "human", "code", "model", "model", "human", "code")
    ]
