"""Outcome records: what a book says of a task goes out and comes in again, the same."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.prices.book import PriceBook
from flatfare.service.costing.price_versions import told
from flatfare.service.importing.order import Imported
from flatfare.service.importing.run import Stores
from flatfare.service.outcomes.exporting import EVERYTHING, Wanted, exported
from flatfare.service.outcomes.importing import import_records
from flatfare.service.outcomes.validating import problems
from flatfare.service.reporting import report
from flatfare.service.reporting.document import document_of
from flatfare.service.tasks import defining
from flatfare.service.tasks.recording import Teller, record
from tests.service.importing.bringing import Place

TASKS = """task_id,action,path,success,cost,user_cost,judge_cost,human_minutes,attempts,team,created_at
a,resolve,p1,true,0.5,0.1,0.01,3,2,x,2026-01-01T00:00:00Z
b,resolve,p1,false,0.25,,,,,x,2026-01-01T00:00:01Z
c,resolve,p2,true,0,,,,,y,2026-01-02T00:00:00.000123Z
d,resolve,p2,,,,,,,,2026-01-03T00:00:00Z
"""
CALLS = """id,task_id,model,prompt_tokens,completion_tokens,cached_tokens,cost,role,status,created_at
1,a,gpt-4o,100,10,50,0.30000000001,assistant,ok,2026-01-01T00:00:00Z
2,a,gpt-4o,100,10,,0.01,judge,ok,2026-01-01T00:00:01Z
3,a,mystery-9,100,10,,,user,ok,2026-01-01T00:00:02Z
4,b,mystery-9,100,10,,,assistant,failed,2026-01-01T00:00:03Z
5,b,gpt-4o,100,10,,0.2,assistant,ok,2026-01-01T00:00:04Z
"""
VERDICTS = """task_id,judge,judge_pass,score,cost,judged_at
a,gpt-4o,true,0.9,0.002,2026-01-01T01:00:00Z
a,QA human,false,,,2026-01-02T01:00:00Z
"""


RULES = {"csat": {"below": 3, "says": "fail"}}


@pytest.fixture
def full(place: Place) -> Place:
    """A book with something of everything."""
    place.text("tasks", TASKS, "tasks.csv", rework_nano_per_hour=60_000_000_000)
    place.text("calls", CALLS, "calls.csv")
    place.text("verdicts", VERDICTS, "verdicts.csv")
    told: list[dict[str, object]] = [
        {"event": "opened", "name": "resolve", "at": "2026-01-05T00:00:00Z", "labels": {"team": "x"}},
        {"event": "attempt_started", "attempt": "e1", "at": "2026-01-05T00:00:01Z"},
        {"event": "attempt_ended", "attempt": "e1", "status": "failed", "at": "2026-01-05T00:00:02Z"},
        {"event": "attempt_started", "attempt": "e2", "at": "2026-01-05T00:00:03Z"},
        {"event": "signalled", "name": "csat", "value": "2", "at": "2026-01-06T00:00:00Z"},
        {"event": "reworked", "minutes": "2.5", "rate": "60", "at": "2026-01-06T00:00:00Z"},
        {"event": "closed", "at": "2026-01-05T00:01:00Z"},
    ]
    events = [{**one, "id": f"00000000-0000-7000-8000-{n:012}", "task": "e"} for n, one in enumerate(told)]
    definition = defining.of_document({"action": "resolve", "signals": RULES})
    defining.define(place.book, definition, by_whom="ann", at_us=1_767_500_000_000_000)
    recorded = record(place.book, place.lake, events, Teller("ann"), now_us=place.now_us)
    assert recorded.refused == ()
    return place


def out(place: Place, wanted: Wanted = EVERYTHING, **asked: bool) -> list[dict[str, object]]:
    return list(exported(place.book, place.lake, wanted, **asked))


def written(place: Place, records: list[dict[str, object]]) -> str:
    return place.file("records.jsonl", "".join(json.dumps(one) + "\n" for one in records))


def brought(place: Place, file: str) -> Imported:
    place.now_us += 1
    stores = Stores(place.book, place.lake, Settings())
    return import_records(stores, file, place.now_us, rejects=str(place.folder / "rejects.jsonl"))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Place]:
    """A second book, with nothing in it."""
    folder = tmp_path / "second"
    folder.mkdir()
    there = Place(folder)
    yield there
    there.book.close()


def reported(place: Place, by: str) -> dict[str, object]:
    """A report, of which only the moment differs."""
    document = document_of(report(place.book, place.lake, by=(by,), now_us=2_000_000_000_000_000))
    return {"rows": [row for row in document["rows"] if row["tasks"]]}  # type: ignore[attr-defined]


def test_records_meet_their_schema(full: Place) -> None:
    records = out(full)
    assert len(records) == 5
    assert [list(problems(one)) for one in records] == [[]] * 5


def test_a_record_says_each_part_of_the_cost_and_how_sure_it_is(full: Place) -> None:
    costs = {one["task"]["external_id"]: one["costs"] for one in out(full)}  # type: ignore[index]
    assert costs["a"] == {
        "work": {"amount": "0.300000000", "state": "measured"},
        "verification": {"amount": "0.010000000", "state": "measured"},
        "rework": {"amount": "3.000000000", "state": "measured"},
        "simulation": {"amount": "0.100000000", "state": "measured"},
    }
    assert costs["b"]["work"] == {"amount": "0.250000000", "state": "measured"}
    assert costs["c"]["work"]["amount"] is None
    assert "usually means it was not recorded" in costs["c"]["work"]["reason"]
    assert costs["d"]["work"] == {
        "amount": None, "state": "unknown", "reason": "nobody recorded what the work cost",
    }  # fmt: skip


def test_a_book_made_of_its_records_says_the_same(full: Place, empty: Place) -> None:
    records = out(full)
    result = brought(empty, written(full, records))
    assert (result.read, result.new, result.rejected) == (5, 5, 0)
    assert out(empty) == records
    for by in ("path", "action", "team", "outcome", "day"):
        assert reported(empty, by) == reported(full, by)
    assert empty.is_sound()


def test_a_record_says_by_which_prices_each_call_was_computed(full: Place, empty: Place) -> None:
    records = out(full)
    calls = {call["external_id"]: call for one in records for call in one.get("calls", ())}  # type: ignore[attr-defined]
    version = calls["1"]["price_version"]
    assert version.startswith("openai/gpt-4o@")
    assert {number for number, call in calls.items() if "price_version" not in call} == {"3", "4"}  # no price
    brought(empty, written(full, records))
    with empty.opened() as engine:
        found = engine.execute("SELECT price_version FROM calls WHERE external_id = '1'").fetchall()
    assert found == [(version,)]
    # Whoever has the record alone can look the prices up, where the price book has them.
    assert told(empty.book, PriceBook.standard(), version)[0]["kept_at"] is None


def test_records_without_calls_report_the_same_cost(full: Place, empty: Place) -> None:
    records = out(full, with_calls=False)
    assert all("calls" not in one for one in records)
    brought(empty, written(full, records))
    wanted = (
        "tasks",
        "verified",
        "reversed",
        "cost",
        "attempts",
        "calls_per_task",
        "cost_per_verified_outcome",
    )
    for mine, theirs in zip(reported(empty, "path")["rows"], reported(full, "path")["rows"], strict=True):  # type: ignore[call-overload]
        assert {name: mine[name] for name in wanted} == {name: theirs[name] for name in wanted}


def test_again_nothing_is_new_and_calls_are_not_counted_twice(full: Place) -> None:
    before = reported(full, "path")
    result = brought(full, written(full, out(full)))
    assert (result.new, result.known, result.rejected) == (0, 5, 0)
    assert reported(full, "path") == before
    assert brought(full, str(full.folder / "records.jsonl")).already_at_us is not None


def test_another_word_on_a_task_that_is_here_is_rejected_and_says_where(full: Place) -> None:
    records = out(full)
    changed = copy.deepcopy(records[3])
    changed["path"] = "p9"
    result = brought(full, written(full, [changed]))
    assert (result.known, result.rejected) == (0, 1)
    assert "This task is here already, and differs in path." in (full.folder / "rejects.jsonl").read_text()


def test_a_chain_that_was_changed_is_rejected(full: Place, empty: Place) -> None:
    records = out(full)
    records[0]["verdicts"][0]["judgement"] = "fail"  # type: ignore[index]
    result = brought(empty, written(full, records))
    assert (result.new, result.rejected) == (4, 1)
    assert "verdicts[0].hash" in (empty.folder / "rejects.jsonl").read_text()


def test_what_is_wanted_is_chosen(full: Place) -> None:
    def ids(wanted: Wanted) -> list[object]:
        return [one["task"].get("external_id") for one in out(full, wanted)]  # type: ignore[attr-defined]

    assert ids(Wanted(labels={"team": "x"})) == ["a", "b", "e"]
    assert ids(Wanted(outcomes=("reversed", "failed"))) == ["a", "b", "e"]
    assert ids(Wanted(since_us=1_767_312_000_000_000, until_us=1_767_398_400_000_000)) == ["c"]
    assert ids(Wanted(names=("other",))) == []


def test_definition_signals_rework_and_attempts_are_carried(full: Place, empty: Place) -> None:
    record_ = out(full)[-1]
    assert record_["definition"] == {"action": "resolve", "version": 1}
    assert record_["attempts"]["count"] == 2  # type: ignore[index]
    assert record_["signals"][0]["name"] == "csat"  # type: ignore[index]
    assert record_["rework"]["each"][0]["minutes"] == "2.500000000"  # type: ignore[index]
    brought(empty, written(full, [record_]))
    assert out(empty) == [record_]


def test_a_long_signal_is_a_text_and_is_left_out(full: Place) -> None:
    event = {"event": "signalled", "name": "comment", "value": "x" * 101, "at": "2026-01-06T00:00:00Z",
             "id": "00000000-0000-7000-8000-0000000000ff", "task": "e"}  # fmt: skip
    record(full.book, full.lake, [event], Teller("ann"), now_us=full.now_us)
    assert "value" not in out(full)[-1]["signals"][-1]  # type: ignore[index]


def test_the_conversations_of_tau2_go_out_and_come_in_again(
    place: Place, empty: Place, shared: Callable[..., Path]
) -> None:
    calls, sims = (shared("data", "tau2_runs", f"{name}.parquet") for name in ("calls", "sims"))
    key = "run+task_id+trial"
    place.bring("tasks", sims, source="tau2", maps={"task": key, "path": "run"})
    place.bring("calls", calls, source="tau2", maps={"task": key})
    records = out(place)
    assert len(records) == 1_132
    result = brought(empty, written(place, records))
    assert (result.new, result.rejected, result.more) == (1_132, 0, {"calls": 16_795, "verdicts": 1_132})
    for by in ("path", "model", "domain"):
        mine, theirs = (
            document_of(report(there.book, there.lake, by=(by,), now_us=2_000_000_000_000_000))
            for there in (empty, place)
        )
        assert mine == theirs
    assert out(empty) == records
    assert empty.is_sound()


def test_records_without_calls_are_known_again_among_others(full: Place, empty: Place) -> None:
    records = out(full, with_calls=False)
    brought(empty, written(full, records[:2]))
    again = brought(empty, written(full, records))
    assert (again.new, again.known, again.rejected) == (3, 2, 0)
    whole = brought(empty, written(full, out(full)))
    assert (whole.new, whole.known, whole.rejected) == (0, 5, 0)


def test_amounts_may_be_written_short(full: Place, empty: Place) -> None:
    records = out(full)
    short = json.loads(re.sub(r'"(\d+\.\d+?)0+"', r'"\1"', json.dumps(records)))
    assert [list(problems(one)) for one in short] == [[]] * 5
    brought(empty, written(full, records))
    again = brought(empty, written(full, [*short, short[0]]))
    assert (again.known, again.rejected) == (6, 0)
