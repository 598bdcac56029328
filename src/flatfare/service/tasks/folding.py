"""What was told of a task, added up: its row, its attempts and its rework.

The fold reads the whole log each time, so that the order in which events came leaves no
trace. What only an import knows of the task stands below what was told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from flatfare.core import labels as label_rules
from flatfare.core.definition import Definition, Standing, standing_of
from flatfare.core.identity import Id, attempt_id
from flatfare.core.money import half_even
from flatfare.core.outcome import Judgement, Outcome, Settlement, Verdict, VerifierKind
from flatfare.service.tasks import events as task_events
from flatfare.service.tasks.defining import Register
from flatfare.service.tasks.events import (
    AttemptEnded,
    AttemptStarted,
    Closed,
    Event,
    Opened,
    Reworked,
    amount_nano,
    decimal_of,
    moment_us,
)
from flatfare.store.home import Value
from flatfare.store.layout import TASKS
from flatfare.store.tasks import TaskRow, Told

Row = tuple[Value, ...]
_OPENED = "opened"
_RUNNING = "running"
_RESOLVED = "dispute_resolved"
_DISPUTES = ("disputed", _RESOLVED)


@dataclass(frozen=True, slots=True)
class Folded:
    """A task as it stands, ready to be written or shown."""

    row: dict[str, Value]
    standing: Standing
    definition: Definition
    attempts: tuple[Row, ...]  # id, task, number, path, rung, status, started, ended
    rework: tuple[Row, ...]  # id, task, moment, thousandths of minutes, rate, cost, by whom


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one task."""

    task_id: str
    told: Sequence[Told] = ()  # the oldest moment first
    verdicts: Sequence[Mapping[str, Value]] = ()
    imported: TaskRow | None = None  # what an import says of it
    present: TaskRow | None = None  # how it was written last
    called_us: int | None = None  # its first call, as far as its row does not say it

    @property
    def is_opened(self) -> bool:
        """Whether somebody said when it was opened."""
        return any(told.kind == _OPENED for told in self.told)


def folded(known: Known, register: Register, now_us: int) -> Folded:
    """The task that all of this adds up to at this moment."""
    events = [(told, task_events.of_content(told.kind, told.content)) for told in known.told]
    row = _opening(known, events)
    definition = register.of(str(row["name"]), int(str(row["opened_at_us"])))
    attempts = _attempts(known.task_id, events)
    rework = _rework(known.task_id, events, definition)
    closed = [(told.at_us, event) for told, event in events if isinstance(event, Closed)]
    if closed:
        row["closed_at_us"] = closed[-1][0]
        row["path"] = next((event.path for _, event in reversed(closed) if event.path), row["path"])
    row["path"] = row["path"] or _climbed(attempts)
    deadlines = (e.deadline for _, e in events if isinstance(e, Opened) and e.deadline is not None)
    deadline = next(deadlines, None)
    imported_close = _closed_by_import(known.imported, definition)
    closes = row["closed_at_us"] or (imported_close if deadline is None else moment_us(deadline))
    standing = standing_of(
        map(verdict_of, known.verdicts),
        definition,
        begins=_begins(known.imported),
        closes_at_us=None if closes is None else int(str(closes)),
        now_us=now_us,
    )
    row |= _standing_columns(standing, known.imported)
    row |= _rework_columns(rework, known.imported)
    disputes = [(told.at_us, told.kind == _RESOLVED) for told, _ in events if told.kind in _DISPUTES]
    if disputes:  # of one moment, the resolution is the later word
        row["is_disputed"] = int(not max(disputes)[1])
    return Folded(row, standing, definition, attempts, rework)


def verdict_of(row: Mapping[str, Value]) -> Verdict:
    """A verdict as the core reads it; what a signal said stands in its score."""
    attempt, score = row["attempt_number"], row["score"]
    return Verdict(
        str(row["verifier"]),
        str(row["verifier_version"]),
        VerifierKind(str(row["kind"])),
        Judgement(str(row["judgement"])),
        str(row["evidence_hash"]),
        int(str(row["at_us"])),
        None if attempt is None else int(str(attempt)),
        str(row["id"]),
        None if score is None else str(score),
        str(row["source"]),
    )


def _opening(known: Known, events: Sequence[tuple[Told, Event]]) -> dict[str, Value]:
    """The task before anything is judged: what was said when it was opened, over what an import says."""
    opened = [(told, event) for told, event in events if isinstance(event, Opened)]
    base: dict[str, Value] = dict.fromkeys((column.name for column in TASKS), None)
    base |= known.imported or {}
    base["id"] = known.task_id
    base["version"] = 0 if known.present is None else int(str(known.present["version"])) + 1
    present = known.present or {}
    base["settlement"] = present.get("settlement") or str(Settlement.NONE)
    base["is_disputed"] = int(bool((known.imported or {}).get("is_disputed")))
    base["source"] = base["source"] or (known.told[0].source if known.told else "sdk")
    name = events[0][1].task if events else known.task_id
    base["external_id"] = base["external_id"] or (None if name == known.task_id else name)
    base["labels"] = _labels([event for _, event in opened], base["labels"])
    for column in ("name", "action_version", "path", "session"):
        said = next((value for _, event in opened if (value := _said(event, column))), None)
        base[column] = said or base[column]
    base["name"] = base["name"] or "task"
    value = next((event.value for _, event in opened if event.value is not None), None)
    base["value_nano"] = base["value_nano"] if value is None else amount_nano("value", value)
    base["opened_at_us"] = opened[0][0].at_us if opened else base["opened_at_us"] or _first_us(known)
    return base


def _first_us(known: Known) -> int:
    """When a task was first known of whose opening nobody told: its row says so of calls that are sealed."""
    present = known.present
    written = present["opened_at_us"] if present is not None and present["import_id"] is None else None
    moments = chain(
        (told.at_us for told in known.told),
        (int(str(said["at_us"])) for said in known.verdicts),
        (int(str(us)) for us in (written, known.called_us) if us is not None),
    )
    return min(moments, default=0)


def _said(event: Opened, name: str) -> str | None:
    """A field that an opening says; the usual name says nothing."""
    value: str | None = getattr(event, name)
    return None if name == "name" and value == "task" else value


def _labels(opened: Sequence[Opened], imported: Value) -> str:
    """All labels that were said; of two values for one key the first stands."""
    merged: dict[str, str] = {}
    for event in opened:
        merged = {**event.labels, **merged}
    if not merged:
        return str(imported or "{}")
    return label_rules.canonical(merged)


def _attempts(task_id: str, events: Sequence[tuple[Told, Event]]) -> tuple[Row, ...]:
    """Each attempt told of, numbered as it said itself, or in the order of their beginnings."""
    found: dict[str, dict[str, Value]] = {}
    for told, event in events:
        if not isinstance(event, AttemptStarted | AttemptEnded):
            continue
        key = str(attempt_id(Id(task_id), event.attempt))
        attempt = found.setdefault(key, {"started": told.at_us, "status": _RUNNING})
        if isinstance(event, AttemptStarted):
            attempt["number"] = attempt.get("number") or event.number
            attempt["rung"] = attempt.get("rung") or event.rung
        else:
            attempt["status"], attempt["ended"] = event.status, told.at_us
    taken: set[int] = set()
    rows: list[Row] = []
    for key, attempt in found.items():
        number = int(str(attempt.get("number") or 0))
        if not number or number in taken:
            number = max(taken, default=0) + 1
        taken.add(number)
        rows.append(
            (
                *(key, task_id, number, None, attempt.get("rung"), attempt["status"]),
                *(attempt["started"], attempt.get("ended")),
            )
        )
    return tuple(rows)


def _climbed(attempts: Sequence[Row]) -> str | None:
    """The path that attempts went: their rungs, each once, in order."""
    rungs = dict.fromkeys(str(rung) for _, _, _, _, rung, *_ in attempts if rung)
    return " > ".join(rungs) or None


def _rework(task_id: str, events: Sequence[tuple[Told, Event]], definition: Definition) -> tuple[Row, ...]:
    rows: list[Row] = []
    for told, event in events:
        if not isinstance(event, Reworked):
            continue
        minutes = decimal_of("minutes", event.minutes)
        rate = definition.rework_rate_nano if event.rate is None else amount_nano("rate", event.rate)
        cost = None
        if rate is not None:
            exact = (minutes * rate / 60).as_integer_ratio()
            cost = half_even(*exact)
        milli = half_even(*(minutes * 1000).as_integer_ratio())
        rows.append((told.id, task_id, told.at_us, milli, rate, cost, event.by_whom))
    return tuple(rows)


def _rework_columns(rework: Sequence[Row], imported: TaskRow | None) -> dict[str, Value]:
    """All rework in milliseconds, and what it cost; not known as long as a part is not."""
    if not rework:
        return {}
    base = imported or {}
    costs = [cost for *_, cost, _ in rework]
    given_ms, given_nano = base.get("rework_ms"), base.get("rework_nano")
    is_known = None not in costs and (given_ms is None or given_nano is not None)
    milliseconds = sum(int(str(milli)) * 60 for _, _, _, milli, *_ in rework) + int(str(given_ms or 0))
    nano = sum(int(str(cost)) for cost in costs if cost is not None) + int(str(given_nano or 0))
    return {"rework_ms": milliseconds, "rework_nano": nano if is_known else None}


def _standing_columns(standing: Standing, imported: TaskRow | None) -> dict[str, Value]:
    columns: dict[str, Value] = {
        "outcome": str(standing.outcome),
        "outcome_at_us": standing.at_us,
        "outcome_cause": standing.cause,
    }
    matures = standing.matures_at_us
    columns["matures_at_us"] = (imported or {}).get("matures_at_us") if matures is None else matures
    return columns


def _closed_by_import(imported: TaskRow | None, definition: Definition) -> int | None:
    """From when the window of an imported task counts that names no close: it matures as its source says."""
    matures_at_us = (imported or {}).get("matures_at_us")
    return None if matures_at_us is None else int(str(matures_at_us)) - (definition.window_us or 0)


def _begins(imported: TaskRow | None) -> Outcome:
    """An import may say that a task was closed in silence; any other outcome of one is a verdict."""
    is_assumed = imported is not None and imported["outcome"] == Outcome.ASSUMED
    return Outcome.ASSUMED if is_assumed else Outcome.OPEN


def is_same(row: TaskRow, present: TaskRow | None) -> bool:
    """Whether writing it would change nothing."""
    return present is not None and all(
        row[name] == present[name] for name in present if name not in ("version", "settlement")
    )
