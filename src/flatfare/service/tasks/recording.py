"""Recording: what was told of tasks is written once, whatever the order, and each task added up anew.

A batch is one transaction: log, verdicts behind the heads of their chains, and the tasks'
rows stand together or not at all. An event that cannot be read refuses itself alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flatfare.core import identity
from flatfare.core import labels as label_rules
from flatfare.core.definition import DISPUTE_UPHELD, SIGNAL
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement, VerifierKind
from flatfare.service.tasks import events as task_events
from flatfare.service.tasks.defining import Register
from flatfare.service.tasks.events import Event, Judged, Opened, Signalled, amount_nano, moment_us
from flatfare.service.tasks.folding import Folded, Known, folded, is_same
from flatfare.service.tasks.in_lake import InLake, in_lake
from flatfare.store import first_calls, tasks
from flatfare.store.book import Book
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.tasks import TaskRow, Told

EVENTS_MAX = 10_000
DISPUTES = "dispute"
"""The source of what deciding a dispute tells."""

_MATURING_TOGETHER = 1_000
_SIGNAL_VERSION = "1"
_NOTHING = InLake()
_VERDICTS = ("judged", "signalled")
_OF_CUSTOMERS = ("csat", "accepted", "rejected", "chargeback")


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells: their name, and what is so of all that they tell."""

    name: str
    source: str = "sdk"
    project: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not recorded."""

    index: int
    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch."""

    recorded: int
    known: int
    refused: tuple[Refusal, ...]
    task_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Batch:
    told: dict[str, tuple[Told, Event]] = field(default_factory=dict)  # by the event's id
    places: dict[str, int] = field(default_factory=dict)  # where each stood in what was given
    refused: list[Refusal] = field(default_factory=list)
    known: int = 0


def record(
    book: Book,
    lake: Lake,
    events: Sequence[bytes | Mapping[str, object] | Event],
    teller: Teller,
    *,
    now_us: int,
) -> Recorded:
    """Record what was told; raises ``BadInput`` for too many events at once, else refuses one by one.

    The same event again is known and changes nothing; the same id with other content is refused.
    """
    batch = _taken(events, teller, now_us)
    with book.writing():
        return _kept(book, lake, batch, now_us)


def record_open(
    book: Book, lake: Lake, events: Sequence[Mapping[str, object]], teller: Teller, *, now_us: int
) -> None:
    """Record in the transaction that is open what stands with something else or not at all.

    ``BadInput`` for an event that is refused, so that nothing is kept.
    """
    done = _kept(book, lake, _taken(events, teller, now_us), now_us)
    if done.refused:
        raise BadInput(done.refused[0].reason)


def _taken(events: Sequence[bytes | Mapping[str, object] | Event], teller: Teller, now_us: int) -> _Batch:
    if len(events) > EVENTS_MAX:
        raise BadInput(f"Found {len(events)} events: at most {EVENTS_MAX} at once. Send them in parts.")
    batch = _Batch()
    for index, given in enumerate(events):
        _take(batch, index, given, teller, now_us)
    return batch


def _kept(book: Book, lake: Lake, batch: _Batch, now_us: int) -> Recorded:
    _leave_out_known(book, batch)
    fresh = list(batch.told.values())
    task_ids = tuple(dict.fromkeys(told.task_id for told, _ in fresh))
    if fresh:
        known = _with_fresh(known_of(book, lake, task_ids), fresh)
        tasks.insert_events(book, (told for told, _ in fresh))
        _append_signals(book, fresh)
        known = _append_verdicts(book, known, fresh)
        _write(book, known, now_us)
    return Recorded(len(fresh), batch.known, tuple(batch.refused), task_ids)


def mature(book: Book, lake: Lake, *, now_us: int) -> int:
    """Let silence speak for open tasks whose window has closed; returns how many were due.

    Before that, tasks are opened at calls that were booked after something else was told of them.
    """
    open_at_calls(book, lake, now_us=now_us)
    total = 0
    while due := tasks.due(book, now_us, _MATURING_TOGETHER):
        with book.writing():
            changed = _write(book, known_of(book, lake, due), now_us)
        total += changed
        if changed < len(due):  # what is left is written already, or waits for something else
            break
    return total


def open_at_calls(book: Book, lake: Lake, *, now_us: int) -> None:
    """Tell tasks anew that open earlier than their rows say, and are judged by the definition of then."""
    while due := first_calls.due(book, _MATURING_TOGETHER):
        with book.writing():
            _write(book, known_of(book, lake, due), now_us)


def row_of(book: Book, lake: Lake, task_id: str) -> TaskRow | None:
    """A task as it stands, hot, sealed or imported; None where nothing but calls may tell of it."""
    hot = tasks.rows_of(book, [task_id]).get(task_id)
    if hot is not None:
        return hot
    known = known_of(book, lake, [task_id])[task_id]
    return known.present or known.imported


def known_of(
    book: Book, lake: Lake, task_ids: Sequence[str], *, has_imports: bool = True
) -> dict[str, Known]:
    """What is known of these tasks: told, judged, imported.

    Where none of them can be an imported one (``has_imports``), and none is sealed, no file is read.
    What is sealed between a look into the book and one into the lake is known once.
    """
    events = tasks.events_of(book, task_ids)
    present = tasks.rows_of(book, task_ids)
    verdicts = tasks.verdicts_of(book, task_ids)
    sealed = [
        task_id
        for task_id, told in events.items()
        if task_id not in present or len(verdicts.get(task_id, ())) < sum(e.kind in _VERDICTS for e in told)
    ]
    lying = in_lake(book, lake, task_ids if has_imports else (), sealed)
    known = {}
    for task_id in task_ids:
        far = lying.get(task_id, _NOTHING)
        known[task_id] = Known(
            task_id,
            events.get(task_id, ()),
            _in_order((*far.verdicts, *verdicts.get(task_id, ()))),
            far.imported,
            present.get(task_id, far.sealed),
        )
    return _with_calls(book, known)


def _with_calls(book: Book, known: dict[str, Known]) -> dict[str, Known]:
    """What is known with the first calls of tasks whose opening nobody told.

    Of one that has a row, those alone that are noted since: its row says the others.
    """
    unopened = [one for one in known.values() if not one.is_opened]
    called = first_calls.known(book, [one.task_id for one in unopened if one.present is None])
    called |= first_calls.noted(book, [one.task_id for one in unopened if one.present is not None])
    return known | {one: replace(known[one], called_us=at_us) for one, at_us in called.items()}


def _in_order(verdicts: Iterable[dict[str, Value]]) -> list[dict[str, Value]]:
    """Each verdict once, by its place in its chain."""
    each = {str(said["id"]): said for said in verdicts}
    return sorted(each.values(), key=lambda said: int(str(said["position"])))


def _take(
    batch: _Batch, index: int, given: bytes | Mapping[str, object] | Event, teller: Teller, now_us: int
) -> None:
    """Read one event into the batch, or refuse it."""
    event_id = None
    try:
        event = given if isinstance(given, Event) else task_events.read(given)
        event_id = event.id
        if isinstance(event, Signalled) and event.name == DISPUTE_UPHELD and teller.source != DISPUTES:
            raise BadInput(
                f"The signal {DISPUTE_UPHELD} is said by deciding a dispute: flatfare disputes decide. "
                "To say that work was not done, tell 'rejected' or a verdict."
            )
        if isinstance(event, Opened) and teller.labels:
            event.labels = label_rules.checked({**event.labels, **teller.labels})
        told = Told(
            event.id,
            str(identity.task_id(teller.project, event.task)),
            task_events.kind_of(event),
            now_us if event.at is None else moment_us(event.at),
            task_events.content_of(event),
            teller.source,
            teller.name,
            now_us,
        )
    except BadInput as problem:
        batch.refused.append(Refusal(index, event_id or _id_of(given), str(problem)))
        return
    former = batch.told.get(told.id)
    if former is None:
        batch.told[told.id] = (told, event)
        batch.places[told.id] = index
    elif _said(former[0]) == _said(told):
        batch.known += 1
    else:
        batch.refused.append(Refusal(index, told.id, _other(told.id)))


def _said(told: Told) -> tuple[str, str, str]:
    return told.task_id, told.kind, told.content


def _with_fresh(known: Mapping[str, Known], fresh: Iterable[tuple[Told, Event]]) -> dict[str, Known]:
    """What is known with what is told now, by their moments."""
    told = {task_id: list(one.told) for task_id, one in known.items()}
    for event, _ in fresh:
        told[event.task_id].append(event)
    return {
        task_id: replace(one, told=sorted(told[task_id], key=lambda event: (event.at_us, event.id)))
        for task_id, one in known.items()
    }


def _leave_out_known(book: Book, batch: _Batch) -> None:
    for event_id, said in tasks.known(book, list(batch.told)).items():
        told, _ = batch.told.pop(event_id)
        if _said(told) == said:
            batch.known += 1
        else:
            batch.refused.append(Refusal(batch.places[event_id], event_id, _other(event_id)))


def _append_signals(book: Book, fresh: Iterable[tuple[Told, Event]]) -> None:
    tasks.insert_signals(
        book,
        (
            (told.id, told.task_id, told.at_us, event.name, event.value, event.source or told.by_whom)
            for told, event in fresh
            if isinstance(event, Signalled)
        ),
    )


def _append_verdicts(
    book: Book, known: Mapping[str, Known], fresh: Iterable[tuple[Told, Event]]
) -> dict[str, Known]:
    """Set the new verdicts and signals behind the heads of their tasks' chains."""
    verdicts = {task_id: list(one.verdicts) for task_id, one in known.items()}
    written: list[dict[str, Value]] = []
    for told, event in sorted(fresh, key=lambda item: (item[0].at_us, item[0].id)):
        verdict = _verdict(told, event)
        if verdict is not None:
            chain = verdicts[told.task_id]
            placed = tasks.chained(verdict, chain[-1] if chain else None)
            chain.append(placed)
            written.append(placed)
    tasks.insert_verdicts(book, written)
    return {task_id: replace(one, verdicts=verdicts[task_id]) for task_id, one in known.items()}


def _verdict(told: Told, event: Event) -> dict[str, Value] | None:
    """The verdict that an event is, without its place; None for any other event."""
    shared: dict[str, Value] = {
        "id": told.id,
        "task_id": told.task_id,
        "at_us": told.at_us,
        "source": told.source,
        "import_id": None,
        "attempt_number": None,
        "cost_nano": None,
    }
    if isinstance(event, Judged):
        return shared | {
            "attempt_number": event.attempt_number,
            "verifier": event.verifier,
            "verifier_version": event.version,
            "kind": event.kind,
            "judgement": event.judgement,
            "score": event.score,
            "evidence_hash": event.hash_of_evidence,
            "cost_nano": amount_nano("cost", event.cost),
        }
    if isinstance(event, Signalled):
        is_customers = event.name in _OF_CUSTOMERS
        return shared | {
            "verifier": SIGNAL + event.name,
            "verifier_version": _SIGNAL_VERSION,
            "kind": str(VerifierKind.CUSTOMER if is_customers else VerifierKind.SIGNAL),
            "judgement": str(Judgement.ABSTAIN),  # what it says is for the definition to say
            "score": event.value,
            "evidence_hash": task_events.evidence_hash(json.loads(told.content)),
        }
    return None


def _write(book: Book, known: Mapping[str, Known], now_us: int) -> int:
    """Add the tasks up and write what changed; returns how many rows did."""
    register = Register(book)
    result: list[Folded] = [folded(one, register, now_us) for one in known.values()]
    changed = [
        one for one, was in zip(result, known.values(), strict=True) if not is_same(one.row, was.present)
    ]
    tasks.write_rows(book, [one.row for one in changed])
    told = [task_id for task_id, one in known.items() if one.told]
    tasks.write_attempts(book, told, (row for one in result for row in one.attempts))
    tasks.write_rework(book, told, (row for one in result for row in one.rework))
    _note(book, known, result)
    return len(changed)


def _note(book: Book, known: Mapping[str, Known], result: Iterable[Folded]) -> None:
    """Note since when tasks are known whose opening nobody told: an earlier call may be booked later."""
    opened_us = {
        task_id: int(str(one.row["opened_at_us"]))
        for (task_id, said), one in zip(known.items(), result, strict=True)
        if one.row["import_id"] is None and not said.is_opened
    }
    first_calls.note_told(book, opened_us, [task_id for task_id in known if task_id not in opened_us])


def _id_of(given: object) -> str | None:
    if isinstance(given, bytes):
        try:
            given = json.loads(given)
        except ValueError:
            return None
    found = given.get("id") if isinstance(given, Mapping) else None
    return found[:64] if isinstance(found, str) else None


def _other(event_id: str) -> str:
    return (
        f"The id {event_id} was told before and said something else: an event never changes. "
        "Tell what is new as an event with an id of its own."
    )
