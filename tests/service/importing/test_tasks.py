"""Tasks as exports write them: outcomes are verdicts, costs stay the source's own."""

import hashlib
from decimal import Decimal

import pytest

from flatfare.core import chain
from flatfare.core.identity import derived
from flatfare.service.reporting import report
from flatfare.store.layout import VERDICT_SAYS
from tests.service.importing.bringing import NOW_US, Place

DAY_US = 86_400_000_000


def outcome(place: Place, word: str, **asked: object) -> object:
    """What a word in the outcome's column becomes."""
    result = place.text("tasks", f'task_id;outcome\n1;"{word}"\n', at_us=1, **asked)
    return place.row("SELECT outcome FROM tasks")[0] if result.new else place.rejects()


@pytest.mark.parametrize("word", ["resolved", "Success", "TRUE", "1", "1.0", "yes", "passed", "correct"])
def test_words_for_done(place: Place, word: str) -> None:
    assert outcome(place, word) == "verified"


@pytest.mark.parametrize(
    "word", ["failed", "False", "0", "0.99", "-0.03", "unresolved", "Partially satisfied", "timeout"]
)
def test_words_for_not_done(place: Place, word: str) -> None:
    assert outcome(place, word) == "failed"


@pytest.mark.parametrize("word", ["", "null", "pending", "NaN"])
def test_words_for_not_known_yet(place: Place, word: str) -> None:
    assert outcome(place, word) == "open"


def test_silence_is_assumed_and_has_no_verdict(place: Place) -> None:
    assert outcome(place, "assumed") == "assumed"
    assert place.rows("SELECT * FROM verdicts") == []


def test_a_word_that_is_not_known_is_named(place: Place) -> None:
    said = str(outcome(place, "meh"))
    assert "Found the outcome 'meh'" in said
    assert "--value outcome:meh=verified" in said


def test_a_word_can_be_mapped(place: Place) -> None:
    assert outcome(place, "MEH", values={"outcome": {"meh": "verified"}}) == "verified"


def test_a_score_passes_from_where_the_order_says(place: Place) -> None:
    assert outcome(place, "0.93", pass_at=Decimal("0.9")) == "verified"


def test_a_score_beyond_one_needs_a_threshold(place: Place) -> None:
    assert "--pass-at NUMBER" in str(outcome(place, "7.5"))


def test_an_outcome_is_a_verdict_that_names_its_column_and_its_row(place: Place) -> None:
    content = "task_id,resolved\nt1,true\n"
    place.text("tasks", content, at_us=NOW_US)
    verifier, version, kind, judgement, evidence = place.row(
        "SELECT verifier, verifier_version, kind, judgement, evidence_hash FROM verdicts"
    )
    assert (verifier, kind, judgement) == ("source:resolved", "code", "pass")
    assert version == hashlib.sha256(content.encode()).hexdigest()[:12]
    assert evidence == hashlib.sha256(b"resolved=true\x1ftask_id=t1").hexdigest()


def test_the_chain_that_sql_computes_is_the_cores(place: Place) -> None:
    rows = "".join(f"tâsk-{n},{'true' if n % 3 else 'false'},0.{n}\n" for n in range(50))
    place.text("tasks", "task_id,success,score\n" + rows, at_us=NOW_US)
    said = ", ".join(f"CAST({name} AS VARCHAR)" for name in VERDICT_SAYS)
    found = place.rows(f"SELECT previous_hash, hash, {said} FROM verdicts")
    assert len(found) == 50
    for previous, own, *fields in found:
        assert previous == chain.GENESIS
        assert own == chain.link(chain.GENESIS, *("" if text is None else str(text) for text in fields))


def test_a_task_matures_when_it_closed(place: Place) -> None:
    text = "id,success,start_time,end_time\na,true,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z\n"
    place.text("tasks", text)
    opened, closed, matures = place.row("SELECT opened_at_us, closed_at_us, matures_at_us FROM tasks")
    assert (closed, matures) == (int(str(opened)) + DAY_US, closed)


def test_a_task_without_a_time_is_of_the_moment_of_the_import_and_says_so(place: Place) -> None:
    result = place.text("tasks", "id,success\na,true\n")
    assert place.row("SELECT opened_at_us FROM tasks") == (place.now_us,)
    (note,) = (note for note in result.notes if "the moment of this import was taken" in note)
    assert "--map opened_at=COLUMN" in note


@pytest.mark.parametrize(
    "names", ["Opened,Closed", "Date/Time Opened,Date/Time Closed", "Created Date,Closed Date"]
)
def test_the_times_that_help_desks_export_are_recognised(place: Place, names: str) -> None:
    place.text("tasks", f"Ticket ID,Resolved?,{names}\na,yes,2026-10-01 08:00,2026-10-01 09:00\n")
    ((opened, closed),) = place.rows("SELECT opened_at_us, closed_at_us FROM tasks")
    assert int(str(closed)) - int(str(opened)) == 3_600_000_000


def test_the_parts_of_a_cost_stand_apart(place: Place) -> None:
    text = "id,success,agent_cost,user_cost,judge_cost,n_calls\na,true,1.5,0.25,0.125,9\n"
    place.text("tasks", text)
    assert place.row(
        "SELECT given_nano, given_simulation_nano, given_verification_nano, given_calls FROM tasks"
    ) == (1_500_000_000, 250_000_000, 125_000_000, 9)


def test_a_cost_of_zero_is_unknown_and_says_why(place: Place) -> None:
    place.text("tasks", "id,success,cost_usd\na,true,0.0\n")
    nano, reason, digits = place.row("SELECT given_nano, given_reason, given_digits FROM tasks")
    assert (nano, digits) == (None, "0")
    assert str(reason).startswith("the source gives a cost of 0")


def test_a_cost_too_small_for_a_nano_dollar_is_known_and_is_said(place: Place) -> None:
    text = "id,success,cost_usd,judge_cost,user_cost\na,true,0.0000000004,4e-10,0.5\nb,true,1,1,0\n"
    result = place.text("tasks", text)
    asked = "SELECT given_nano, given_reason, given_digits, given_verification_nano FROM tasks"
    assert place.row(f"{asked} WHERE given_nano < 9") == (0, None, "0.0000000004", 0)
    (said,) = [note for note in result.notes if "nano-dollar" in note]
    assert said.startswith("1 row gives an amount above 0")


def test_a_cost_of_zero_is_free_when_the_order_says(place: Place) -> None:
    place.text("tasks", "id,success,cost_usd\na,true,0.0\n", zero_is_free=True)
    assert place.row("SELECT given_nano, given_reason FROM tasks") == (0, None)


def test_the_path_is_agent_and_model_where_no_column_names_it(place: Place) -> None:
    place.text("tasks", "id,success,agent,model\na,true,swe,gpt-5\n")
    assert place.row("SELECT path, labels FROM tasks") == ("swe/gpt-5", '{"agent":"swe","model":"gpt-5"}')


def test_rework_is_minutes_and_their_cost(place: Place) -> None:
    place.text("tasks", "id,success,human_minutes\na,false,7.5\n", rework_nano_per_hour=60 * 10**9)
    assert place.row("SELECT rework_ms, rework_nano FROM tasks") == (450_000, 7_500_000_000)


def test_a_spreadsheet_reads_as_it_is(place: Place) -> None:
    text = '\ufeff"Ticket ID","Success?","Cost ($)","Customer Name","Date"\n'
    text += '"T-1","Yes","$1,204.50","Acme","2026-05-01"\n'
    place.text("tasks", text)
    assert place.row("SELECT external_id, outcome, given_nano, labels FROM tasks") == (
        "T-1",
        "verified",
        1_204_500_000_000,
        '{"customer":"Acme"}',
    )


def test_a_swe_bench_report_is_a_list_of_tasks(place: Place) -> None:
    place.text("tasks", '{"resolved_ids": ["a", "b"], "unresolved_ids": ["c"], "total": 3}', "report.json")
    assert place.rows("SELECT external_id, outcome FROM tasks ORDER BY ALL") == [
        ("a", "verified"), ("b", "verified"), ("c", "failed"),
    ]  # fmt: skip


def test_calls_and_tasks_of_one_source_meet(place: Place) -> None:
    place.text("tasks", "task_id,success\n7,true\n", source="s")
    place.text(
        "calls", "task_id,prompt_tokens,completion_tokens,cost\n7,1,1,0.5\n", "calls.csv", source="s", at_us=1
    )
    row = place.row(
        "SELECT tasks.external_id, SUM(cost_nano) FROM tasks JOIN calls ON calls.task_id = tasks.id "
        "GROUP BY 1"
    )
    assert row == ("7", 500_000_000)
    assert place.row("SELECT CAST(id AS VARCHAR) FROM tasks") == (str(derived("task", "s", "7")),)


def test_two_rows_of_one_task_that_differ_ask_for_the_whole_key(place: Place) -> None:
    result = place.text("tasks", "task_id,model,success\n7,a,true\n7,b,false\n7,a,true\n")
    assert (result.new, result.known, result.rejected) == (1, 1, 1)
    assert "--map task=column+column" in place.rejects()


def test_dates_as_people_write_them_need_their_format(place: Place) -> None:
    text = "Ticket #,Success?,Closed on\nT-1,Yes,05/14/2026\n"
    assert place.text("tasks", text).rejected == 1
    assert "--time-format %m/%d/%Y" in place.rejects()
    assert place.text("tasks", text, time_format="%m/%d/%Y").new == 1
    assert place.row("SELECT external_id, closed_at_us FROM tasks") == ("T-1", 1_778_716_800_000_000)


def test_who_said_the_outcome_keeps_its_kind(place: Place) -> None:
    place.text(
        "tasks",
        "task_id,success,verifier_kind\na,true,human\nb,false,llm\nc,true,\n",
        verifier="QA desk",
        verifier_kind="customer",
    )
    kinds = place.rows(
        "SELECT external_id, kind, verifier FROM verdicts JOIN tasks ON tasks.id = task_id ORDER BY 1"
    )
    assert kinds == [("a", "human", "QA desk"), ("b", "model", "QA desk"), ("c", "customer", "QA desk")]
    assert place.is_sound()


def test_the_kind_of_who_said_the_outcome_is_told_by_its_name(place: Place) -> None:
    place.text("tasks", "task_id,judge_pass\na,true\n", "a.csv", maps={"outcome": "judge_pass"})
    place.text("tasks", "task_id,success\nb,true\n", "b.csv", verifier="human review")
    place.text("tasks", "task_id,resolved\nc,true\n", "c.csv")
    kinds = place.rows("SELECT external_id, kind FROM verdicts JOIN tasks ON tasks.id = task_id ORDER BY 1")
    assert kinds == [("a", "model"), ("b", "human"), ("c", "code")]


def test_a_kind_that_is_none_is_refused(place: Place) -> None:
    assert place.text("tasks", "task_id,success,verifier_kind\na,true,oracle\n").rejected == 1
    assert "it is code, model, human, customer or signal" in place.rejects()


def test_attempts_that_the_source_counts(place: Place) -> None:
    place.text("tasks", "task_id,success,attempts,cost\na,true,3,1.5\nb,true,1,0.5\nc,false,,1\n")
    found = place.book.rows("SELECT number, status FROM attempts ORDER BY number")
    assert found == [(1, "failed"), (2, "failed"), (3, "ok")]
    figures = report(place.book, place.lake, now_us=place.now_us).total.figures
    assert (figures.tasks, figures.attempts) == (3, 5)


def test_more_attempts_than_can_be_are_refused(place: Place) -> None:
    assert place.text("tasks", "task_id,success,attempts\na,true,20000\n").rejected == 1
    assert "at most 10000 are taken" in place.rejects()
