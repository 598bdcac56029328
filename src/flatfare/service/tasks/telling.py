"""One task's whole story: what was told, tried, called, judged, worked on and paid, each with its moment."""

from collections.abc import Mapping, Sequence

from flatfare.core.chain import first_break
from flatfare.core.errors import NotFound
from flatfare.core.identity import task_id
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.units import INPUT_TOKENS
from flatfare.service.arriving import document_of as call_document
from flatfare.service.reporting.listing import Listed, listed
from flatfare.service.tasks.defining import Register, document_of
from flatfare.service.tasks.folding import Folded, Known, folded, verdict_of
from flatfare.service.tasks.recording import known_of
from flatfare.store import adjustments, reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.layout import TOKEN_COLUMNS, VERDICT_SAYS

CALLS_MAX = 10_000


def find(book: Book, lake: Lake, name: str, *, now_us: int, project: str | None = None) -> Listed:
    """The task of this id, or of this name as its source gave it. Raises ``NotFound``."""
    if "\x1f" in name:  # no name of a task holds a unit separator: ids are derived with it
        raise NotFound(f"There is no task {name[:80]!r}. Those there are: flatfare tasks list")
    own_id = str(task_id(project, name))
    found = listed(book, lake, now_us=now_us, ids=[own_id], limit=1)
    if not found and project is None:
        found = _by_external_id(book, lake, name, now_us)
    if not found:
        raise NotFound(f"There is no task {name[:80]!r}. Those there are: flatfare tasks list")
    columns = found[0].columns
    if columns["external_id"] is None and name != own_id == found[0].id:
        columns["external_id"] = name  # so far only calls tell of it, and they keep the id alone
    return found[0]


def story(book: Book, lake: Lake, task: Listed, *, now_us: int, currency: str = "USD") -> dict[str, object]:
    """The task as a document: its state and cost, then every record of it."""
    known = known_of(book, lake, [task.id])[task.id]
    now = folded(known, Register(book), now_us)
    return {
        **task.as_json(currency),
        "definition": document_of(now.definition) if now.definition.version else None,
        "missing": list(now.standing.missing),
        "late_signals": list(now.standing.late),
        "moves": [
            {
                "from": str(move.before),
                "to": str(move.after),
                "at": iso(move.at_us),
                "cause": move.cause,
                "because": _cause(known, move.cause),
            }
            for move in now.standing.moves
        ],
        "attempts": _attempts(now),
        "attempts_n": task.attempts,
        "calls": _calls(book, lake, task.id),
        "calls_n": task.calls,
        "verdicts": [
            {**_verdict(said), "counts": now.definition.counts(verdict_of(said))} for said in known.verdicts
        ],
        "chain_holds": first_break(_links(known.verdicts)) is None,
        "rework": _rework(now),
        "signals": _signals(book, task.id),
        "events": [
            {
                "id": told.id,
                "event": told.kind,
                "at": iso(told.at_us),
                "recorded_at": iso(told.recorded_at_us),
                "by_whom": told.by_whom,
            }
            for told in known.told
        ],
    }


def _by_external_id(book: Book, lake: Lake, name: str, now_us: int) -> list[Listed]:
    with reading.opened(book, lake, "tasks") as engine, translated("Looking for a task"):
        ids = engine.execute(
            "SELECT CAST(id AS VARCHAR) FROM tasks WHERE external_id = ? LIMIT 1", [name]
        ).fetchall()
    return listed(book, lake, now_us=now_us, ids=[str(ids[0][0])], limit=1) if ids else []


def _cause(known: Known, cause: str) -> str:
    """In words, what made an outcome move."""
    for said in known.verdicts:
        if said["id"] == cause:
            who = " ".join(str(said[name]) for name in ("verifier", "verifier_version"))
            return f"{who} said {said['score'] or said['judgement']!s}"
    return "nobody spoke until its window closed" if cause == "silence" else cause


def _attempts(now: Folded) -> list[dict[str, object]]:
    return [
        {
            "attempt": one,
            "number": number,
            "rung": rung,
            "status": status,
            "started_at": _time(started),
            "ended_at": _time(ended),
        }
        for one, _, number, _, rung, status, started, ended in now.attempts
    ]


def _calls(book: Book, lake: Lake, task: str) -> list[dict[str, object]]:
    """The task's calls in their order, each as its newest revision says it."""
    with reading.opened(book, lake, "calls") as engine, translated("Reading a task's calls"):
        rows = adjustments.present_calls(engine, "task_id = CAST(? AS UUID)", [task])
    return [
        {
            **call_document({**row, "input_tokens": _sum(row, True), "output_tokens": _sum(row, False)}),  # type: ignore[dict-item]
            "purpose": row["purpose"],
            "attempt": row["attempt_id"],
        }
        for row in rows[:CALLS_MAX]
    ]


def _sum(row: Mapping[str, Value], is_input: bool) -> int:
    units = (unit for unit in TOKEN_COLUMNS if (unit in INPUT_TOKENS) is is_input)
    return sum(int(str(row[unit] or 0)) for unit in units)


def _verdict(said: Mapping[str, Value]) -> dict[str, object]:
    cost = said["cost_nano"]
    return {
        "verdict": said["id"],
        "verifier": said["verifier"],
        "version": said["verifier_version"],
        "kind": said["kind"],
        "judgement": said["judgement"],
        "score": said["score"],
        "evidence_hash": said["evidence_hash"],
        "attempt_number": said["attempt_number"],
        "at": _time(said["at_us"]),
        "cost": None if cost is None else decimal_text(int(str(cost))),
        "position": said["position"],
        "hash": said["hash"],
    }


def _links(verdicts: Sequence[Mapping[str, Value]]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (
            str(said["previous_hash"]),
            str(said["hash"]),
            tuple("" if said[name] is None else str(said[name]) for name in VERDICT_SAYS),
        )
        for said in verdicts
    ]


def _rework(now: Folded) -> list[dict[str, object]]:
    return [
        {
            "at": _time(at_us),
            "minutes": f"{int(str(milli)) / 1000:g}",
            "rate": None if rate is None else decimal_text(int(str(rate))),
            "cost": None if cost is None else decimal_text(int(str(cost))),
            "by_whom": by_whom,
        }
        for _, _, at_us, milli, rate, cost, by_whom in now.rework
    ]


def _signals(book: Book, task: str) -> list[dict[str, object]]:
    rows = book.rows(
        "SELECT id, at_us, name, value, source FROM signals WHERE task_id = ? ORDER BY at_us, id", (task,)
    )
    return [
        {"signal": one, "at": _time(at_us), "name": name, "value": value, "source": source}
        for one, at_us, name, value, source in rows
    ]


def _time(at_us: Value) -> str | None:
    return None if at_us is None else iso(int(str(at_us)))
