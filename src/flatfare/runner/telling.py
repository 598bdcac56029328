"""What a run tells of its task: opened, attempts, verdicts, closed; each event once, by an id of its own."""

from collections.abc import Iterable, Mapping

from flatfare.core.action import Action, Ending
from flatfare.core.checks.finding import Finding
from flatfare.core.definition import RUNS
from flatfare.core.errors import Conflict
from flatfare.core.identity import derived
from flatfare.core.moments import iso
from flatfare.core.outcome import Judgement, VerifierKind
from flatfare.runner.books import Shelf
from flatfare.service.tasks.events import evidence_hash
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.runs import Attempt, Run

SOURCE = RUNS
Event = Mapping[str, object]


def tell(shelf: Shelf, run: Run, events: Iterable[Event], now_us: int) -> None:
    """Record events of a run's task; what was told before is known. ``Conflict`` where one is refused."""
    teller = Teller("runner", SOURCE, run.project)
    told = record(shelf.book, shelf.lake, [*events], teller, now_us=now_us)
    if told.refused:
        raise Conflict(f"The task of run {run.id} could not be told of: {told.refused[0].reason}")


def opened(run: Run, action: Action, labels: Mapping[str, str], at_us: int) -> Event:
    """The task begins."""
    return {
        **_event(run, "opened", at_us),
        "name": action.name,
        "action_version": str(action.version),
        "path": action.path.name,
        "labels": dict(labels),
    }


def tried(run: Run, attempt: Attempt) -> list[Event]:
    """A try that has begun and ended, as it is written: told again it is known."""
    words = {str(Ending.VERIFIED): "ok", str(Ending.INTERRUPTED): "cancelled"}
    own = {"attempt": attempt_id(run, attempt.number)}
    began = _event(run, "attempt_started", attempt.started_at_us, attempt.number)
    ended = _event(run, "attempt_ended", attempt.ended_at_us or attempt.started_at_us, attempt.number)
    return [
        {**began, **own, "number": attempt.number, "rung": attempt.rung},
        {**ended, **own, "status": words.get(str(attempt.ending), "failed")},
    ]


def verdict(finding: Finding, number: int, at_us: int) -> dict[str, object]:
    """What a verifier found of an attempt, as a run keeps it."""
    return {
        "verifier": finding.verifier,
        "version": finding.version,
        "kind": str(finding.kind),
        "judgement": str(finding.judgement),
        "score": None if finding.score is None else str(finding.score),
        "evidence_hash": finding.evidence_hash,
        "attempt": number,
        "at": iso(at_us),
    }


def nothing_to_judge(name: str, version: str, ending: Ending, number: int, at_us: int) -> dict[str, object]:
    """The verdict on an attempt that gave nothing: it is not as it should be."""
    evidence = evidence_hash({"verifier": name, "version": version, "ending": str(ending), "output": None})
    return {
        "verifier": name,
        "version": version,
        "kind": str(VerifierKind.CODE),
        "judgement": str(Judgement.FAIL),
        "score": None,
        "evidence_hash": evidence,
        "attempt": number,
        "at": iso(at_us),
    }


def judged(run: Run, said: Mapping[str, object]) -> Event:
    """A verdict of a run, as an event."""
    number = int(str(said["attempt"]))
    named = f"judged {said['verifier']}"
    event: dict[str, object] = {
        "event": "judged",
        "id": str(derived("run-event", run.id, str(run.take), named, str(number))),
        "task": task_name(run.id, run.take),
        "at": said["at"],
        "attempt_number": number,
    }
    event |= {key: said[key] for key in ("verifier", "version", "kind", "judgement", "evidence_hash")}
    return event | ({"score": said["score"]} if said.get("score") is not None else {})


def closed(run: Run, at_us: int) -> Event:
    """Nothing more is done."""
    return _event(run, "closed", at_us)


def task_name(run_id: str, take: int) -> str:
    """What a run calls its task; begun anew after it was given back, it is another task."""
    return run_id if take == 1 else f"{run_id}/{take}"


def attempt_id(run: Run, number: int) -> str:
    """The id of an attempt, as calls carry it too."""
    return str(derived("attempt", run.task_id, str(number)))


def _event(run: Run, kind: str, at_us: int, number: int = 0) -> dict[str, object]:
    own = derived("run-event", run.id, str(run.take), kind, str(number))
    return {"event": kind, "id": str(own), "task": task_name(run.id, run.take), "at": at_us}
