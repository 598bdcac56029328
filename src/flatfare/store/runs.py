"""Runs of actions: where each stands, so that one that was cut short can be taken up or given back.

A run is known by its id; a state is written before what follows from it is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from flatfare.core.action import Ending
from flatfare.core.outcome import Outcome
from flatfare.store import whereabouts
from flatfare.store.book import Book, Row, Value
from flatfare.store.lake import Lake
from flatfare.store.whereabouts import CLOCKS_US, Span


class State(StrEnum):
    """Where a run stands."""

    ACCEPTED = "accepted"  # its input is checked, and its price held or about to be
    WORKING = "working"  # attempts are under way
    JUDGED = "judged"  # it is decided what it came to
    DONE = "done"  # and the money is moved
    INTERRUPTED = "interrupted"  # its process ended before it was decided
    REFUSED = "refused"  # nothing was begun: nobody can pay for it, or it cannot be sold as it was asked for


_AWAITED = str(Ending.AWAITED)

UNDER_WAY = (State.ACCEPTED, State.WORKING, State.JUDGED)

_UNENDED_STATES = (*map(str, UNDER_WAY), str(State.INTERRUPTED), str(State.DONE))
_UNENDED = f"(state IN ({', '.join('?' * (len(_UNENDED_STATES) - 1))}) OR (state = ? AND is_delivered = 0))"


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as it stands."""

    id: str
    action: str
    action_version: int
    task_id: str
    state: State
    input_hash: str
    started_at_us: int
    project: str | None = None
    request_key: str | None = None
    customer: str | None = None
    labels: str = "{}"  # canonical JSON
    take: int = 1  # counted up when it is begun anew after it was given back
    attempts: int = 0
    size: str = "{}"  # JSON
    input: str | None = None  # JSON; only where the action keeps it
    output: str | None = None  # JSON; the same
    ending: str | None = None
    reasons: str = "[]"  # JSON
    verdicts: str = "[]"  # JSON
    owner: str | None = None
    alive_until_us: int = 0
    is_delivered: int = 0
    is_cost_final: int = 0
    ended_at_us: int | None = None
    forget_at_us: int | None = None  # when input and output are erased
    webhook: str | None = None
    patience_us: int = 0  # beyond its action's deadline, where its calls wait in batches


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a run: on which rung, how it ended, which calls it made and what they cost."""

    run_id: str
    number: int
    take: int
    rung: str
    path: str
    started_at_us: int
    ended_at_us: int | None = None
    ending: str | None = None
    reasons: str = "[]"
    calls: str = "[]"  # JSON: [call id, purpose, nano-dollars or null]
    cost_nano: int | None = None
    cost_reason: str | None = None


_RUN = tuple(field.name for field in fields(Run))
_ATTEMPT = tuple(field.name for field in fields(Attempt))
_TOGETHER = 500
"""How many tasks one statement names."""

_NUMBERS = {"action_version", "take", "attempts", "is_delivered", "is_cost_final", "number", "cost_nano"}


def insert(book: Book, run: Run) -> None:
    """Write a new run; ``KeyTaken`` where one of this id stands."""
    book.execute(
        f"INSERT INTO runs ({', '.join(_RUN)}) VALUES ({', '.join('?' * len(_RUN))})",
        [_value(run, name) for name in _RUN],
    )


def one(book: Book, run_id: str) -> Run | None:
    """The run of this id."""
    rows = book.rows(f"SELECT {', '.join(_RUN)} FROM runs WHERE id = ?", (run_id,))
    return _run(rows[0]) if rows else None


def of_task(book: Book, task_id: str) -> Run | None:
    """The run whose work this task is now."""
    rows = book.rows(f"SELECT {', '.join(_RUN)} FROM runs WHERE task_id = ?", (task_id,))
    return _run(rows[0]) if rows else None


def begin_take(book: Book, run: Run) -> bool:
    """Count one more take of a run that is done or was refused; False where somebody else was first."""
    changed = book.execute(
        "UPDATE runs SET take = ? WHERE id = ? AND take = ? AND state = ?",
        (run.take + 1, run.id, run.take, str(run.state)),
    )
    return changed == 1


def update(book: Book, run: Run, **changes: Value | State) -> Run:
    """Write some fields of a run; the run as it stands then."""
    names = [*changes]
    book.execute(
        f"UPDATE runs SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?",
        [*(_plain(changes[name]) for name in names), run.id],
    )
    return replace(run, **changes)  # type: ignore[arg-type]


def claim(book: Book, run: Run, owner: str, alive_until_us: int, now_us: int) -> bool:
    """Take a run over whose process is gone; False where somebody else was first."""
    changed = book.execute(
        "UPDATE runs SET owner = ?, alive_until_us = ? WHERE id = ? AND state = ? AND take = ? "
        "AND (owner IS NULL OR owner = ? OR alive_until_us < ?)",
        (owner, alive_until_us, run.id, str(run.state), run.take, run.owner, now_us),
    )
    return changed == 1


def let_go(book: Book, run: Run, owner: str) -> None:
    """Leave a run to whoever takes it over next, if it is still this owner's."""
    book.execute("UPDATE runs SET owner = NULL WHERE id = ? AND owner = ?", (run.id, owner))


def keep_alive(book: Book, owner: str, until_us: int) -> int:
    """Say that a process still works at its runs; how many it has."""
    return book.execute(
        f"UPDATE runs SET alive_until_us = ? WHERE owner = ? AND state IN ({_in(UNDER_WAY)})",
        (until_us, owner, *map(str, UNDER_WAY)),
    )


def owners_under_way(book: Book) -> dict[str, int]:
    """Which processes have runs that may be left behind, and until when each surely lives."""
    rows = book.rows(
        f"SELECT owner, MIN(alive_until_us) FROM runs WHERE {_UNENDED} AND owner IS NOT NULL GROUP BY owner",
        _UNENDED_STATES,
    )
    return {str(owner): int(str(until_us)) for owner, until_us in rows}


def left_behind(
    book: Book,
    *,
    but_of: Sequence[str] = (),
    after: tuple[int, str] | None = None,
    limit: int = 1000,
) -> list[Run]:
    """Runs under way, interrupted or not handed over, the oldest first; not those that await somebody.

    ``but_of``: the processes that live, whose runs are not left. ``after`` is the moment and id of
    the last one seen.
    """
    others = f"AND (owner IS NULL OR owner NOT IN ({', '.join('?' * len(but_of))})) " if but_of else ""
    beyond = "" if after is None else "AND (started_at_us, id) > (?, ?) "
    rows = book.rows(
        f"SELECT {', '.join(_RUN)} FROM runs WHERE {_UNENDED} AND NOT (owner IS NULL AND "
        f"COALESCE(ending, '') = ?) {others}{beyond}ORDER BY started_at_us, id LIMIT ?",
        (*_UNENDED_STATES, _AWAITED, *but_of, *(after or ()), limit),
    )
    return [_run(row) for row in rows]


def awaited_and_decided(book: Book, *, after: tuple[int, str] | None = None, limit: int = 1000) -> list[Run]:
    """Runs that awaited somebody's word and whose tasks have an outcome by now, or are not in the book.

    A task that is open is: one that is not was decided, and sealed before anybody looked. The oldest
    come first; ``after`` is the moment and id of the last one seen.
    """
    columns = ", ".join(f"runs.{name}" for name in _RUN)
    beyond = "" if after is None else "AND (runs.started_at_us, runs.id) > (?, ?) "
    rows = book.rows(
        f"SELECT {columns} FROM runs LEFT JOIN tasks ON tasks.id = runs.task_id WHERE runs.state = ? "
        "AND runs.ending = ? AND runs.owner IS NULL AND (tasks.id IS NULL OR tasks.outcome <> ?) "
        f"{beyond}ORDER BY runs.started_at_us, runs.id LIMIT ?",
        (str(State.JUDGED), _AWAITED, str(Outcome.OPEN), *(after or ()), limit),
    )
    return [_run(row) for row in rows]


def with_open_cost(book: Book, limit: int = 1000) -> list[Run]:
    """Runs that are done and whose cost may still change."""
    rows = book.rows(
        f"SELECT {', '.join(_RUN)} FROM runs WHERE state = ? AND is_cost_final = 0 "
        "ORDER BY started_at_us LIMIT ?",
        (str(State.DONE), limit),
    )
    return [_run(row) for row in rows]


def listed(
    book: Book,
    *,
    action: str | None = None,
    customer: str | None = None,
    state: str | None = None,
    project: str | None = None,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Run]:
    """Runs, the newest first; ``before`` is the moment and id of the last one seen."""
    chosen = {"action": action, "customer": customer, "state": state, "project": project}
    wheres = [f"{name} = ?" for name, value in chosen.items() if value is not None]
    given: list[Value] = [value for value in chosen.values() if value is not None]
    if before is not None:
        wheres.append("(started_at_us < ? OR (started_at_us = ? AND id < ?))")
        given += [before[0], before[0], before[1]]
    where = f"WHERE {' AND '.join(wheres)}" if wheres else ""
    rows = book.rows(
        f"SELECT {', '.join(_RUN)} FROM runs {where} ORDER BY started_at_us DESC, id DESC LIMIT ?",
        (*given, limit),
    )
    return [_run(row) for row in rows]


def erase(book: Book, *, run_id: str | None = None, customer: str | None = None) -> int:
    """Erase what is kept of one run, or of all of a customer's; how many runs had something."""
    column, value = ("id", run_id) if run_id is not None else ("customer", customer)
    return book.execute(
        f"UPDATE runs SET input = NULL, output = NULL, forget_at_us = NULL, reasons = '[]' "
        f"WHERE {column} = ? AND (input IS NOT NULL OR output IS NOT NULL OR forget_at_us IS NOT NULL)",
        (value,),
    )


def forget(book: Book, now_us: int) -> int:
    """Erase inputs and outputs that were kept long enough."""
    return book.execute(
        "UPDATE runs SET input = NULL, output = NULL, forget_at_us = NULL "
        "WHERE forget_at_us IS NOT NULL AND forget_at_us <= ?",
        (now_us,),
    )


@dataclass(frozen=True, slots=True)
class Booked:
    """A call as it was booked."""

    id: str
    attempt_id: str | None
    purpose: str
    cost_nano: int | None
    reason: str | None  # why part of its cost is not known


def booked_calls(book: Book, lake: Lake, spans: Mapping[str, Span]) -> dict[str, list[Booked]]:
    """The calls of tasks, hot or sealed, each with its corrections; ``spans`` says when they were made."""
    columns = "task_id, id, attempt_id, purpose, cost_nano, cost_reason, n"
    by_call: dict[tuple[str, str], list[Row]] = {}
    for some in _parts(list(spans)):
        within = [(spans[task][0] - CLOCKS_US, spans[task][1] + CLOCKS_US) for task in some]
        where = f"task_id IN ({', '.join('?' * len(some))})"
        for task, call, *rest in whereabouts.rows(book, lake, columns, where, some, within):
            by_call.setdefault((str(task), str(call)), []).append(tuple(rest))
    found: dict[str, list[Booked]] = {}
    for (task, call), rows in sorted(by_call.items()):
        found.setdefault(task, []).append(_booked(call, rows))
    return found


def _booked(call: str, rows: Sequence[Row]) -> Booked:
    """A call, added up over its revisions."""
    attempts = [str(attempt) for attempt, *_ in rows if attempt is not None]
    costs = [int(cost) for _, _, cost, _, _ in rows if cost is not None]
    reasons = [str(reason) for _, _, _, reason, _ in rows if reason]
    is_unknown = sum(int(n or 0) for _, _, cost, _, n in rows if cost is None) > 0
    return Booked(
        call,
        max(attempts, default=None),
        max(str(purpose) for _, purpose, *_ in rows),
        sum(costs) if costs else None,
        max(reasons, default="its cost is not known") if is_unknown else None,
    )


def _parts(task_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(task_ids), _TOGETHER):
        yield task_ids[start : start + _TOGETHER]


def write_attempt(book: Book, attempt: Attempt) -> None:
    """Write an attempt, over what was known of it."""
    renewed = ", ".join(f"{name} = excluded.{name}" for name in _ATTEMPT if name not in ("run_id", "number"))
    book.execute(
        f"INSERT INTO run_attempts ({', '.join(_ATTEMPT)}) VALUES ({', '.join('?' * len(_ATTEMPT))}) "
        f"ON CONFLICT (run_id, number) DO UPDATE SET {renewed}",
        [_value(attempt, name) for name in _ATTEMPT],
    )


def attempts_of(book: Book, run_id: str) -> list[Attempt]:
    """The attempts of a run, in their order."""
    rows = book.rows(
        f"SELECT {', '.join(_ATTEMPT)} FROM run_attempts WHERE run_id = ? ORDER BY number", (run_id,)
    )
    return [Attempt(**dict(_members(_ATTEMPT, row))) for row in rows]  # type: ignore[arg-type]


def _run(row: Row) -> Run:
    members = dict(_members(_RUN, row))
    return Run(**{**members, "state": State(str(members["state"]))})  # type: ignore[arg-type]


def _members(names: Sequence[str], row: Row) -> Iterator[tuple[str, Value]]:
    for name, value in zip(names, row, strict=True):
        is_number = name in _NUMBERS or name.endswith("_us")
        yield name, int(str(value)) if is_number and value is not None else value


def _value(record: Run | Attempt, name: str) -> Value:
    return _plain(getattr(record, name))


def _plain(value: Value | State) -> Value:
    return str(value) if isinstance(value, State) else value


def _in(states: Sequence[State]) -> str:
    return ", ".join("?" * len(states))
