"""A timeline: what began when, how long it took, what it cost; what came days later does not squeeze it."""

from flatfare.web.pages.blocks import Timeline
from flatfare.web.pages.on_a_timeline import SPANS_MAX, timeline


def call(at: str, took_ms: int, cost: str | None = "0.50", **more: object) -> dict[str, object]:
    made = {
        "time": at,
        "duration_ms": took_ms,
        "cost": {"amount": cost},
        "model": "gpt-5",
        "provider": "openai",
    }
    return {**made, "status": "ok", "purpose": "work", "attempt": None, **more}


def verdict(at: str, judgement: str) -> dict[str, object]:
    return {"at": at, "verifier": "tests", "judgement": judgement}


def seen(found: Timeline | None) -> Timeline:
    assert found is not None
    return found


def test_calls_stand_where_they_began_as_long_as_they_took() -> None:
    calls = [call("2026-01-01T00:00:00Z", 1000), call("2026-01-01T00:00:03Z", 1000, None, status="failed")]
    found = seen(timeline([], calls, []))
    assert [(one.begins, one.length, one.beside) for one in found.spans] == [
        (0.0, 0.25, "$0.5000"),
        (0.75, 0.25, "—"),
    ]
    assert found.ticks == ("0", "1.0 s", "2.0 s", "3.0 s", "4.0 s")
    assert [key.text for key in found.keys] == ["a call for the work", "a call that did not end well"]


def test_a_verdict_of_another_day_is_told_of_and_does_not_squeeze_the_calls() -> None:
    calls = [call("2026-01-01T00:00:00Z", 2000)]
    verdicts = [verdict("2026-01-01T00:00:01Z", "pass"), verdict("2026-01-03T00:00:00Z", "fail")]
    found = seen(timeline([], calls, verdicts))
    assert [one.label for one in found.spans] == ["gpt-5", "tests"]
    assert found.length == "2.0 s in all"
    assert found.note == "1 verdict came at another time: see below."


def test_an_attempt_without_an_end_lasts_as_long_as_its_calls() -> None:
    attempt = {"attempt": "a", "number": 1, "rung": "small", "status": None}
    attempts = [{**attempt, "started_at": "2026-01-01T00:00:00Z", "ended_at": None}]
    found = seen(timeline(attempts, [call("2026-01-01T00:00:01Z", 3000, attempt="a")], []))
    assert [(one.label, one.length) for one in found.spans] == [("Attempt 1, small", 1.0), ("gpt-5", 0.75)]


def test_of_very_many_calls_the_dearest_are_shown() -> None:
    calls = [call(f"2026-01-01T00:{at // 60:02d}:{at % 60:02d}Z", 500, f"0.{at:03d}") for at in range(200)]
    found = seen(timeline([], calls, []))
    assert len(found.spans) == SPANS_MAX
    assert found.spans[-1].beside == "$0.1990"
    assert "The dearest" in found.note


def test_nothing_with_a_moment_is_no_timeline() -> None:
    assert timeline([], [], [verdict("2026-01-01T00:00:00Z", "pass")]) is None
