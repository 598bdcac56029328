"""Evaluation logs of Inspect AI (.eval, .json): each sample of each epoch a task, each score a verdict.

Every model event is a call; those that a scorer made are verification. The shapes are those of
inspect_ai 0.3.285 (`log/_log.py`, `event/_model.py`, `model/_model_output.py`, read 2026-11-21) and of
older logs as far as they differ. Texts are looked at only to take their fingerprint.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from flatfare.core.errors import BadInput
from flatfare.service.importing.fields import LABELS
from flatfare.service.importing.found import (
    Cells,
    Found,
    Reading,
    Unread,
    Work,
    as_text,
    evidence,
    mapping,
    on_one_line,
    records,
)
from flatfare.service.importing.inspect_events import (
    calls_of,
    calls_of_totals,
    judged_by_model,
    span_of_events,
)
from flatfare.service.importing.packed import Archive, TooLarge
from flatfare.service.importing.textual import opened_text

_DOCUMENT_BYTES_MAX = 1 << 30
_GRADES = {"C": "1", "I": "0", "P": "0.5", "N": "0"}  # inspect_ai's CORRECT, INCORRECT, PARTIAL, NOANSWER
_NO_NUMBER = {"NaN", "Infinity", "-Infinity"}

Record = Mapping[str, object]


def read(reading: Reading) -> Found:
    """The samples of a log; raises ``BadInput`` where it is none."""
    with reading.path.open("rb") as stream:
        is_archive = stream.read(4) == b"PK\x03\x04"
    yield from _archived(reading) if is_archive else _document(reading)


def _document(reading: Reading) -> Found:
    with opened_text(reading.path) as stream:
        raw = stream.read(_DOCUMENT_BYTES_MAX + 1)
    if len(raw) > _DOCUMENT_BYTES_MAX:
        raise BadInput(
            f"{reading.name} is a log of more than 1 GB in one document: write it as .eval first "
            "(inspect log convert --to eval)."
        )
    log = mapping(_decoded(raw, reading.name))
    samples = log.get("samples")
    header = _Header.of(log, reading)
    if not isinstance(samples, list):
        raise BadInput(f"{reading.name} holds no samples: it was run without logging them.")
    for number, sample in enumerate(samples, start=1):
        yield from _sample(sample, f"sample {number}", header, reading)


def _archived(reading: Reading) -> Found:
    with Archive(reading.path, reading.name) as archive:
        at = next((name for name in ("header.json", "_journal/start.json") if name in archive.members), None)
        if at is None:
            raise BadInput(f"{reading.name} is an archive, but no log of Inspect: it has no header.json.")
        if at != "header.json":
            reading.notes["The run did not end: its log has no header. What it had finished was taken."] += 1
        header = _Header.of(mapping(_decoded(archive.read(at), f"{at} in {reading.name}")), reading)
        names = [name for name in archive.members if name.startswith("samples/") and name.endswith(".json")]
        if not names:
            raise BadInput(f"{reading.name} holds no samples: it was run without logging them.")
        for name in names:
            try:
                sample = _decoded(archive.read(name), f"{name} in {reading.name}")
            except (TooLarge, BadInput) as problem:
                said = (
                    f"The sample is too large: {problem}." if isinstance(problem, TooLarge) else str(problem)
                )
                yield Unread(name, said)
                continue
            yield from _sample(sample, name, header, reading)


def _decoded(raw: bytes, what: str) -> object:
    """JSON as Inspect writes it: with NaN and Infinity; numbers with a fraction stay text."""
    try:
        return json.loads(raw, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{what} is no JSON: {problem}.") from problem


@dataclass(frozen=True, slots=True)
class _Header:
    """What holds of every sample of a log."""

    eval_id: str
    task: str
    path: str
    model: str | None
    version: str
    at: str | None
    labels: Cells
    is_batch: bool
    model_scorers: frozenset[str]
    scorers: frozenset[str] | None  # those that judge; None: all

    @classmethod
    def of(cls, log: Record, reading: Reading) -> "_Header":
        """From the log's header; raises ``BadInput`` where there is none."""
        run = mapping(log.get("eval"))
        if not run:
            raise BadInput(f"{reading.name} is no evaluation log of Inspect: it has no 'eval'.")
        config = mapping(run.get("model_generate_config"))
        model, solver = as_text(run.get("model")), as_text(run.get("solver"))
        effort = as_text(config.get("reasoning_effort"))
        agent = f"{solver}/" if solver else ""
        packages = mapping(run.get("packages"))
        chosen = reading.choice("scorer")
        if log.get("status") in ("error", "cancelled"):
            reading.notes[
                f"The run ended with status {log['status']!r}. What it had finished was taken."
            ] += 1
        return cls(
            eval_id=as_text(run.get("eval_id") or run.get("run_id")) or reading.sha256()[:16],
            task=(on_one_line(run.get("task")) or "task").rpartition("/")[2],
            path=agent + (model or "unknown") + (f"@{effort}" if effort else ""),
            model=model,
            version="/".join(filter(None, (as_text(packages.get("inspect_ai")), _version(run)))) or "unknown",
            at=as_text(run.get("created")),
            labels={"label.effort": effort, **_labels(mapping(run.get("metadata")))},
            is_batch=bool(config.get("batch")),
            model_scorers=_model_scorers(records(run.get("scorers"))),
            scorers=frozenset(name.strip() for name in chosen.split(",")) if chosen else None,
        )


def _version(run: Record) -> str | None:
    version = as_text(run.get("task_version"))
    return None if version in (None, "0") else f"task {version}"


def _model_scorers(scorers: list[Record]) -> frozenset[str]:
    """Scorers that ask a model, by their name or because they were given one."""
    named = ((as_text(scorer.get("name")) or "", mapping(scorer.get("options"))) for scorer in scorers)
    return frozenset(
        name.rpartition("/")[2]
        for name, options in named
        if "model_graded" in name or options.get("model") or options.get("grader")
    )


def _labels(metadata: Record) -> Cells:
    """Those of a record's values that are attribution by their usual names, or are called so."""
    usual = {name: key for key, names in LABELS.items() for name in names}
    return {f"label.{usual[name]}": on_one_line(value) for name, value in metadata.items() if name in usual}


def _sample(value: object, place: str, header: _Header, reading: Reading) -> Found:
    sample = mapping(value)
    number, epoch = on_one_line(sample.get("id")), as_text(sample.get("epoch")) or "1"
    if number is None:
        yield Unread(place, "Found no sample: it has no id.", as_text(value))
        return
    if sample.get("invalidation"):
        yield Unread(place, "The sample was invalidated by whoever ran it: it says nothing.")
        return
    key = as_text(sample.get("uuid")) or f"{header.eval_id}/{on_one_line(sample['id'], 1_500)}/{epoch}"
    events = _events(sample)
    first, last = span_of_events(events)
    opened_at = as_text(sample.get("started_at")) or first or header.at
    closed_at = as_text(sample.get("completed_at")) or last
    tries = 1 + len(records(sample.get("error_retries")))
    calls = _calls(sample, events, key, header, opened_at, reading)
    _note(sample, tries, reading)
    task: Cells = {
        "task": key,
        "name": header.task,
        "path": header.path,
        "model": header.model,
        "opened_at": opened_at,
        "closed_at": closed_at,
        "attempts": str(tries) if tries > 1 else None,
        "label.benchmark": header.task,
        "label.sample": number,
        "label.epoch": epoch,
        **header.labels,
        **_labels(mapping(sample.get("metadata"))),
    }
    verdicts = _verdicts(sample, key, header, events, closed_at or opened_at)
    yield Work(task, calls, verdicts)


def _calls(
    sample: Record, events: list[Record], key: str, header: _Header, at: str | None, reading: Reading
) -> list[Cells]:
    """The calls that its events tell of, else one for what each model used in all."""
    calls = list(calls_of(events, key, is_batch=header.is_batch, at=at))
    totals = mapping(sample.get("model_usage"))
    if calls or not totals:
        return calls
    reading.notes["{n} samples have no model events: their usage per model was taken as one call."] += 1
    return calls_of_totals(totals, mapping(sample.get("role_usage")), key, at)


def _note(sample: Record, tries: int, reading: Reading) -> None:
    """Say what a person should know of how a sample ended."""
    if sample.get("error") and _is_never_started(sample):
        reading.notes["{n} samples ended in an error before anything was done; they count as failed."] += 1
    if tries > 1:
        reading.notes[
            "{n} samples were tried again after an error; the log keeps little of the failed tries, so they "
            "cost more than is known."
        ] += 1


def _is_never_started(sample: Record) -> bool:
    return not sample.get("model_usage") and not sample.get("messages")


def _events(sample: Record) -> list[Record]:
    """The sample's events in order, those of failed tries first; each once."""
    found = [
        event for retry in records(sample.get("error_retries")) for event in records(retry.get("events"))
    ]
    own = sample.get("events") or mapping(sample.get("transcript")).get("events")  # so called before 0.3.29
    seen: set[str] = set()
    kept = []
    for event in (*found, *_flat(records(own), 0)):
        identity = as_text(event.get("uuid"))
        if identity is None or identity not in seen:
            kept.append(event)
        if identity:
            seen.add(identity)
    return kept


def _flat(events: list[Record], depth: int) -> Iterator[Record]:
    """Events, and those within them: older logs nest what a tool or a subtask did."""
    for event in events:
        yield event
        if depth < 20:
            yield from _flat(records(event.get("events")), depth + 1)


def _verdicts(sample: Record, key: str, header: _Header, events: list[Record], at: str | None) -> list[Cells]:
    """What each scorer said; an error where none did is a verdict too."""
    scores = mapping(sample.get("scores")) or {"score": sample.get("score")}  # one score before 0.3
    asking = header.model_scorers | judged_by_model(events)
    found = []
    for name, value in scores.items():
        score = mapping(value)
        if not score or (header.scorers is not None and name not in header.scorers):
            continue
        kind = "human" if _is_edited(score) else "model" if name in asking else "code"
        for verifier, said in _values(name, score.get("value")):
            found.append(_verdict(key, verifier, said, score, header, kind, at))
    error = sample.get("error")
    if not found and error and not scores.keys() - {"score"}:
        told = {"value": "0", "error": error}
        found.append(_verdict(key, "inspect:error", "0", told, header, "code", at))
    return found


def _values(name: str, value: object) -> Iterator[tuple[str, str]]:
    """(verifier, value) of a score; a record of several values is as many verdicts."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _values(f"{name}/{part}", inner)
        return
    text = as_text(value)
    yield name, _GRADES.get(text or "", text or "unknown")


def _verdict(
    key: str, verifier: str, said: str, score: Record, header: _Header, kind: str, at: str | None
) -> Cells:
    return {
        "id": f"{key}/{verifier}",
        "verifier": verifier,
        "version": header.version,
        "kind": kind,
        "result": "abstain" if said in _NO_NUMBER else said,
        "score": said if _is_number(said) else None,
        "evidence": evidence(score),
        "at": at,
    }


def _is_edited(score: Record) -> bool:
    """A person changed the score afterwards: each edit but the first has where it comes from."""
    return any(mapping(edit.get("provenance")).get("author") for edit in records(score.get("history")))


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
