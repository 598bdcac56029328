"""Evaluation logs of Inspect AI: samples are tasks, model events are calls, scores are verdicts."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput
from flatfare.service.importing.inspect_events import split_model, usage_cells
from flatfare.service.importing.landing import ImportRow
from flatfare.service.reporting import report
from tests.service.importing.bringing import Place

Record = dict[str, object]


def event(number: int, span: str, usage: Record | None, **more: object) -> Record:
    return {
        "event": "model",
        "uuid": f"call-{number}",
        "span_id": span,
        "timestamp": f"2026-02-01T10:00:{number:02}+00:00",
        "completed": f"2026-02-01T10:00:{number + 1:02}+00:00",
        "model": "openai/gpt-4o",
        "config": {},
        "output": {"model": "gpt-4o-2024-08-06", "choices": [], "usage": usage},
        **more,
    }


def usage(prompt: int = 100, answer: int = 20, **more: object) -> Record:
    return {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer, **more}


SPANS: list[Record] = [
    {"event": "span_begin", "id": "solve", "type": "solvers", "name": "solvers"},
    {"event": "span_begin", "id": "score", "type": "scorers", "name": "scorers"},
    {"event": "span_begin", "id": "graded", "parent_id": "score", "type": "scorer", "name": "graded"},
]


def sample(number: int, epoch: int, scores: Record, *events: Record, **more: object) -> Record:
    return {
        "id": number,
        "epoch": epoch,
        "uuid": f"uuid-{number}-{epoch}",
        "scores": {
            name: value if isinstance(value, dict) and "value" in value else {"value": value}
            for name, value in scores.items()
        },
        "metadata": {"domain": "math", "secret": "never kept"},
        "events": [*SPANS, *(events or (event(1, "solve", usage()) | {"uuid": f"c-{number}-{epoch}"},))],
        "started_at": "2026-02-01T10:00:00+00:00",
        "completed_at": "2026-02-01T10:00:30+00:00",
        **more,
    }


def log(*samples: Record, **run: object) -> Record:
    about = {
        "eval_id": "e1",
        "task": "ours/sums",
        "model": "openai/gpt-4o",
        "created": "2026-02-01T09:00:00+00:00",
        "packages": {"inspect_ai": "0.3.285"},
        "scorers": [{"name": "includes"}, {"name": "ours/graded"}],
        **run,
    }
    return {"version": 2, "status": "success", "eval": about, "samples": list(samples)}


def brought(place: Place, document: Record, name: str = "log.json", **asked: object):  # type: ignore[no-untyped-def]
    return place.results("inspect", place.file(name, json.dumps(document)), **asked)


def archive(place: Place, document: Record, *, header: str = "header.json") -> str:
    """The same log as an archive."""
    path = place.folder / "log.eval"
    samples = document.pop("samples")
    assert isinstance(samples, list)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(header, json.dumps(document))
        for one in samples:
            packed.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
    return str(path)


def test_each_sample_of_each_epoch_is_a_task_with_its_calls_and_verdict(place: Place) -> None:
    result = brought(place, log(sample(1, 1, {"includes": "C"}), sample(1, 2, {"includes": "I"})))
    assert (result.read, result.new, result.more) == (2, 2, {"calls": 2, "verdicts": 2})
    assert place.rows(
        "SELECT external_id, name, path, outcome, json_extract_string(labels, 'epoch'), "
        "json_extract_string(labels, 'domain') FROM tasks ORDER BY 1"
    ) == [
        ("uuid-1-1", "sums", "openai/gpt-4o", "verified", "1", "math"),
        ("uuid-1-2", "sums", "openai/gpt-4o", "failed", "2", "math"),
    ]
    assert place.rows("SELECT DISTINCT verifier, verifier_version, kind FROM verdicts") == [
        ("includes", "0.3.285", "code")
    ]
    call = "provider, model, purpose, input, output, cost_nano, duration_ms"
    assert place.rows(f"SELECT DISTINCT {call} FROM calls") == [
        ("openai", "gpt-4o-2024-08-06", "work", 100, 20, 450_000, 1000)
    ]
    assert place.is_sound()


def test_no_text_of_a_log_is_kept(place: Place) -> None:
    brought(place, log(sample(1, 1, {"includes": {"value": "C", "explanation": "never kept"}})))
    stored = place.rows("SELECT * FROM tasks") + place.rows("SELECT * FROM verdicts")
    assert "never kept" not in str(stored)


def test_an_archive_says_the_same_as_a_document(place: Place) -> None:
    document = log(sample(1, 1, {"includes": "C"}), sample(2, 1, {"includes": "I"}))
    brought(place, document)
    result = place.results("inspect", archive(place, document))
    assert (result.read, result.new, result.known, result.rejected) == (2, 0, 2, 0)
    assert result.more == {"calls": 0, "verdicts": 0}


def test_a_log_without_an_end_is_read_as_far_as_it_goes(place: Place) -> None:
    file = archive(place, log(sample(1, 1, {"includes": "C"})), header="_journal/start.json")
    result = place.results("inspect", file)
    assert result.new == 1
    assert any("did not end" in note for note in result.notes)


def test_what_a_scorer_calls_is_verification_and_its_verdict_a_models(place: Place) -> None:
    events = (event(1, "solve", usage()), event(2, "graded", usage(1000, 10)))
    brought(place, log(sample(1, 1, {"includes": "C", "graded": "C"}, *events)))
    assert place.rows("SELECT purpose, input FROM calls ORDER BY 2") == [
        ("work", 100),
        ("verification", 1000),
    ]
    assert place.rows("SELECT verifier, kind FROM verdicts ORDER BY 1") == [
        ("graded", "model"),
        ("includes", "code"),
    ]


def test_a_role_says_what_a_call_was_for(place: Place) -> None:
    events = (
        event(1, "solve", usage()),
        event(2, "solve", usage(), role="grader"),
        event(3, "solve", usage(), role="user"),
    )
    brought(place, log(sample(1, 1, {"includes": "C"}, *events)))
    assert place.rows("SELECT purpose FROM calls ORDER BY at_us") == [
        ("work",),
        ("verification",),
        ("simulation",),
    ]


def test_steps_of_older_logs_part_solving_from_scoring(place: Place) -> None:
    steps = (
        event(1, "", usage()),
        {"event": "step", "action": "begin", "type": "scorer", "name": "graded"},
        event(2, "", usage()),
        {"event": "step", "action": "end", "type": "scorer", "name": "graded"},
    )
    old = sample(1, 1, {"includes": "C"}, *steps)
    old["transcript"] = {"events": old.pop("events")}
    brought(place, log(old))
    assert place.rows("SELECT purpose FROM calls ORDER BY at_us") == [("work",), ("verification",)]


def test_every_scorer_must_pass_unless_one_is_chosen(place: Place) -> None:
    document = log(sample(1, 1, {"includes": "C", "graded": "I"}))
    brought(place, document)
    assert place.row("SELECT outcome FROM tasks") == ("failed",)


def test_the_chosen_scorer_judges_alone(place: Place) -> None:
    document = log(sample(1, 1, {"includes": "C", "graded": "I"}))
    brought(place, document, choices={"scorer": "includes"})
    assert place.row("SELECT outcome FROM tasks") == ("verified",)


@pytest.mark.parametrize(
    ("value", "asked", "outcome"),
    [
        ("P", {}, "failed"),
        ("N", {}, "failed"),
        (True, {}, "verified"),
        (1.0, {}, "verified"),
        (0.8, {}, "failed"),
        (0.8, {"pass_at": 0.75}, "verified"),
        ({"value": float("nan")}, {}, "open"),
        ({"value": {"right": 1, "safe": 0}}, {}, "failed"),
    ],
)
def test_values_of_scores(place: Place, value: object, asked: dict[str, object], outcome: str) -> None:
    brought(place, log(sample(1, 1, {"includes": value})), **asked)
    assert place.row("SELECT outcome FROM tasks") == (outcome,)


def test_a_score_whose_bound_is_not_known_is_rejected(place: Place) -> None:
    result = brought(place, log(sample(1, 1, {"includes": 7.5})))
    assert result.rejected == 1
    assert "say from where it is a pass, --pass-at" in place.rejects("log.json")


def test_a_score_that_a_person_changed_is_a_persons(place: Place) -> None:
    score = {"value": "I", "history": [{"value": "C"}, {"value": "I", "provenance": {"author": "ann"}}]}
    brought(place, log(sample(1, 1, {"includes": score})))
    assert place.row("SELECT kind, judgement FROM verdicts") == ("human", "fail")


def test_a_sample_that_ended_in_an_error_has_failed(place: Place) -> None:
    failed = sample(1, 1, {}, error={"message": "boom", "traceback": "never kept"})
    brought(place, log(failed))
    assert place.row("SELECT outcome, verifier FROM tasks JOIN verdicts ON task_id = tasks.id") == (
        "failed",
        "inspect:error",
    )


def test_tries_after_errors_are_attempts_and_their_last_calls_count(place: Place) -> None:
    retries = [{"message": "x", "events": [event(5, "solve", usage())]}, {"message": "y"}]
    result = brought(place, log(sample(1, 1, {"includes": "C"}, error_retries=retries)))
    assert result.more["calls"] == 2
    assert report(place.book, place.lake, now_us=place.now_us).total.figures.attempts == 3
    assert any("tried again" in note for note in result.notes)


def test_a_call_without_usage_is_unknown_and_one_from_the_cache_free(place: Place) -> None:
    events = (event(1, "solve", None, error="timeout"), event(2, "solve", usage(), cache="read"))
    brought(place, log(sample(1, 1, {"includes": "C"}, *events)))
    assert place.rows("SELECT status, cost_state, cost_nano FROM calls ORDER BY at_us") == [
        ("failed", "unknown", None),
        ("cached", "measured", 0),
    ]


def test_a_log_without_events_gives_a_call_a_model(place: Place) -> None:
    bare = sample(1, 1, {"includes": "C"}, model_usage={"openai/gpt-4o": usage(500, 50)})
    bare["events"] = []
    result = brought(place, log(bare))
    assert place.row("SELECT model, input, output FROM calls") == ("gpt-4o", 500, 50)
    assert any("have no model events" in note for note in result.notes)


def test_the_cost_that_a_log_gives_stands_beside_the_computed_one(place: Place) -> None:
    given = event(1, "solve", usage(total_cost=0.0123456789012))
    brought(place, log(sample(1, 1, {"includes": "C"}, given)))
    assert place.row("SELECT reported_nano, reported_digits, computed_nano FROM calls") == (
        12_345_679,
        "0.0123456789012",
        450_000,
    )


def test_samples_that_cannot_be_read_are_named_and_the_rest_comes_in(place: Place) -> None:
    odd: list[Record] = [{"epoch": 1}, sample(2, 1, {"includes": "C"}, invalidation={"author": "ann"})]
    result = brought(place, log(*odd, sample(3, 1, {"includes": "C"})))
    assert (result.read, result.new, result.rejected) == (3, 1, 2)
    assert "it has no id" in place.rejects("log.json")


def test_a_bare_sample_of_another_version_is_read(place: Place) -> None:
    bare: Record = {"id": "q-1", "score": {"value": "C"}}
    brought(place, {"eval": {"model": "m"}, "samples": [bare]})
    assert place.row("SELECT outcome, path FROM tasks") == ("verified", "m")


@pytest.mark.parametrize("content", ["{}", "[]", '{"eval": {"task": "t"}}', "no json", "PK\x03\x04broken"])
def test_what_is_no_log_changes_nothing(place: Place, content: str) -> None:
    with pytest.raises(BadInput):
        place.results("inspect", place.file("x.eval", content))
    assert place.book.value("SELECT count(*) FROM imports") == 0


def test_again_there_is_nothing_to_do_and_a_grown_log_adds_what_is_new(place: Place) -> None:
    first = sample(1, 1, {"includes": "C"})
    brought(place, log(first))
    assert brought(place, log(first)).already_at_us is not None
    grown = brought(place, log(first, sample(2, 1, {"includes": "C"})))
    assert (grown.new, grown.known, grown.rejected) == (1, 1, 0)
    assert place.row("SELECT count(*) FROM calls") == (2,)
    assert place.is_sound()


def test_a_task_that_is_rejected_brings_no_calls(place: Place) -> None:
    brought(place, log(sample(1, 1, {"includes": "C"})))
    other = sample(1, 1, {"includes": "C"}, event(9, "solve", usage()))
    result = brought(place, log(other, model="openai/gpt-5"))
    assert (result.new, result.rejected) == (0, 1)
    assert place.row("SELECT count(*) FROM calls") == (1,)


@pytest.mark.parametrize(
    ("said", "prompt", "answer"),
    [
        (
            {"input_tokens": 100, "output_tokens": 20, "total_tokens": 130, "input_tokens_cache_read": 10},
            110,
            20,
        ),
        (
            {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "input_tokens_cache_read": 10},
            100,
            20,
        ),
        ({"input_tokens": 100, "output_tokens": 20, "input_tokens_cache_write": 400}, 500, 20),
        ({"input_tokens": 100, "output_tokens": 20, "total_tokens": 150, "reasoning_tokens": 30}, 100, 50),
        ({"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "reasoning_tokens": 5}, 100, 20),
    ],
)
def test_what_was_cached_and_thought_is_counted_once(said: Record, prompt: int, answer: int) -> None:
    cells = usage_cells(said)
    assert (cells["prompt_tokens"], cells["completion_tokens"]) == (str(prompt), str(answer))


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("anthropic/bedrock/claude-x", ("bedrock", "claude-x")),
        ("openai-api/deepseek/deepseek-chat", ("deepseek", "deepseek-chat")),
        ("openrouter/openai/gpt-4o", ("openrouter", "openai/gpt-4o")),
        ("grok/grok-4", ("xai", "grok-4")),
    ],
)
def test_names_of_models(name: str, both: tuple[str, str]) -> None:
    assert split_model(name) == both


MADE = """
import sys
from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes

def outputs():
    for content in ["4", "5", "wrong"] * 2:
        output = ModelOutput.from_content("mockllm/model", content)
        output.usage = ModelUsage(input_tokens=100, output_tokens=20, total_tokens=120)
        yield output

asked = [("2+2", "4"), ("2+3", "5"), ("1+1", "2")]
task = Task(name="sums", dataset=[Sample(input=q, target=a) for q, a in asked],
            scorer=includes(), epochs=Epochs(2, "mean"))
for form in ("eval", "json"):
    model = get_model("mockllm/model", custom_outputs=list(outputs()))
    eval(task, model=model, log_dir=sys.argv[1], log_format=form, display="none", max_samples=1)
"""


def test_logs_that_inspect_itself_wrote(place: Place, tmp_path: Path) -> None:
    pytest.importorskip(
        "inspect_ai", reason="needs Inspect AI, 350 MB with all it needs: pip install inspect-ai"
    )
    logs = tmp_path / "logs"
    made = subprocess.run(
        [sys.executable, "-c", MADE, str(logs)], capture_output=True, text=True, timeout=300
    )
    assert made.returncode == 0, made.stderr
    for file in sorted(logs.iterdir()):
        result = place.results("inspect", str(file), source=file.suffix)
        assert (result.read, result.new, result.rejected) == (6, 6, 0)
        assert result.more == {"calls": 6, "verdicts": 6}
    total = report(place.book, place.lake, now_us=place.now_us + 10**15).total.figures
    assert (total.tasks, total.verified, total.input_tokens, total.output_tokens) == (12, 8, 1200, 240)


def test_counts_with_a_point_and_names_with_line_breaks_are_read(place: Place) -> None:
    odd = event(1, "solve", usage() | {"input_tokens": 100.0, "total_tokens": 120.0})
    brought(place, log(sample("a\nb" * 300, 1, {"includes": "C"}, odd, uuid=None)))  # type: ignore[arg-type]
    assert place.row("SELECT input, output FROM calls") == (100, 20)
    assert place.row("SELECT length(json_extract_string(labels, 'sample')) <= 512 FROM tasks") == (True,)


def test_an_import_that_breaks_off_at_its_last_step_has_changed_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_: object) -> None:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(ImportRow, "insert", breaks_off)
        with pytest.raises(RuntimeError):
            brought(place, log(sample(1, 1, {"includes": "C"})))
    for kind in ("tasks", "calls", "verdicts", "folded"):
        assert place.row(f"SELECT count(*) FROM {kind}") == (0,)
    assert place.lake.unlisted(set(), ("tasks", "calls", "verdicts", "folded")) == []
    assert brought(place, log(sample(1, 1, {"includes": "C"}))).new == 1
