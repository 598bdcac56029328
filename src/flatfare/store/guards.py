"""Guards as the book keeps them: what was agreed, and how far each subject has gone on each node.

A node writes its own tallies alone, as they stand; what a subject has done is the sum over
all nodes.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flatfare.core.budget import Scope
from flatfare.core.guard import Guard
from flatfare.store.book import Book, Row, Value

_TERMS = ("action", "per", "window_s", "pace_s", "least", "factor", "budget", "contact")
_SUMS = "calls, tokens, cost_nano, began_at_us, last_at_us, hits, hit_at_us, hit_value, last_call"


@dataclass(frozen=True, slots=True)
class Tallied:
    """How far a subject has gone under a guard, on one node or on all together."""

    guard_id: str
    subject: str
    calls: int = 0
    tokens: int = 0
    cost_nano: int = 0
    began_at_us: int = 0
    last_at_us: int = 0
    hits: int = 0  # calls past the guard
    hit_at_us: int | None = None  # the last of them
    hit_value: int | None = None
    last_call: str | None = None


def insert(book: Book, guard: Guard) -> None:
    """Write a new guard, in the transaction that is open."""
    book.execute(
        "INSERT INTO guards (id, name, kind, scope, amount, terms, created_at_us, removed_at_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            guard.id,
            guard.name,
            guard.kind,
            str(guard.scope),
            guard.limit,
            _terms_text(guard),
            guard.created_at_us,
            guard.removed_at_us,
        ),
    )
    count_change(book)


def update(book: Book, guard: Guard) -> None:
    """Change what was agreed, in the transaction that is open; its kind stays."""
    book.execute(
        "UPDATE guards SET name = ?, scope = ?, amount = ?, terms = ?, removed_at_us = ? WHERE id = ?",
        (
            guard.name,
            str(guard.scope),
            guard.limit,
            _terms_text(guard),
            guard.removed_at_us,
            guard.id,
        ),
    )
    count_change(book)


def all_of(book: Book, *, with_removed: bool = False) -> list[Guard]:
    """Every guard that stands (or all there ever were), the oldest first."""
    where = "" if with_removed else "WHERE removed_at_us IS NULL "
    rows = book.rows(
        "SELECT id, name, kind, scope, amount, terms, created_at_us, removed_at_us FROM guards "
        f"{where}ORDER BY created_at_us, id"
    )
    return [_guard(row) for row in rows]


def count_change(book: Book) -> None:
    """Tell those that watch that guards have changed, in the transaction of the change."""
    book.execute("UPDATE guard_changes SET number = number + 1")


def change_number(book: Book) -> Value:
    """Differs from what it was if any guard has changed since."""
    return book.value("SELECT number FROM guard_changes")


# how far subjects have gone


def put_tallies(book: Book, node: str, tallies: Iterable[Tallied]) -> None:
    """Write how subjects stand on a node, in the transaction that is open."""
    book.execute_many(
        f"INSERT INTO guard_tallies (guard_id, subject, node, {_SUMS}) VALUES ({', '.join('?' * 12)}) "
        "ON CONFLICT (guard_id, subject, node) DO UPDATE SET calls = excluded.calls, "
        "tokens = excluded.tokens, cost_nano = excluded.cost_nano, began_at_us = excluded.began_at_us, "
        "last_at_us = excluded.last_at_us, hits = excluded.hits, hit_at_us = excluded.hit_at_us, "
        "hit_value = excluded.hit_value, last_call = excluded.last_call",
        (
            (
                one.guard_id,
                one.subject,
                node,
                one.calls,
                one.tokens,
                one.cost_nano,
                one.began_at_us,
                one.last_at_us,
                one.hits,
                one.hit_at_us,
                one.hit_value,
                one.last_call,
            )
            for one in tallies
        ),
    )


def tallies_of(book: Book, pairs: Sequence[tuple[str, str]]) -> dict[str, list[Tallied]]:
    """What is known of these guards' subjects, by node."""
    found: dict[str, list[Tallied]] = {}
    for first in range(0, len(pairs), 200):
        some = pairs[first : first + 200]
        either = " OR ".join(["(guard_id = ? AND subject = ?)"] * len(some))
        rows = book.rows(
            f"SELECT guard_id, subject, {_SUMS}, node FROM guard_tallies WHERE {either}",
            [value for pair in some for value in pair],
        )
        for row in rows:
            found.setdefault(str(row[11]), []).append(_tallied(row))
    return found


def changed_since(book: Book, at_us: int, but_for: str) -> list[Tallied]:
    """What other nodes have counted of subjects that did something since a moment: the sum of these nodes."""
    rows = book.rows(
        "SELECT guard_id, subject, SUM(calls), SUM(tokens), SUM(cost_nano), MIN(began_at_us), "
        "MAX(last_at_us), SUM(hits) FROM guard_tallies WHERE node <> ? AND (guard_id, subject) IN "
        "(SELECT guard_id, subject FROM guard_tallies WHERE node <> ? AND last_at_us >= ?) "
        "GROUP BY guard_id, subject",
        (but_for, but_for, at_us),
    )
    return [_tallied((*row, None, None, None)) for row in rows]


def past_the_limit(book: Book, guard_id: str, most: int) -> list[Tallied]:
    """The subjects that went past a guard, the last first, over all nodes."""
    rows = book.rows(
        "SELECT guard_id, subject, SUM(calls), SUM(tokens), SUM(cost_nano), MIN(began_at_us), "
        "MAX(last_at_us), SUM(hits), MAX(hit_at_us), MAX(hit_value), MAX(last_call) FROM guard_tallies "
        "WHERE guard_id = ? AND hits > 0 GROUP BY guard_id, subject ORDER BY MAX(hit_at_us) DESC LIMIT ?",
        (guard_id, most),
    )
    return [_tallied(row) for row in rows]


def hits_of(book: Book) -> dict[str, tuple[int, int]]:
    """By guard: calls that went past it, and of how many subjects."""
    rows = book.rows(
        "SELECT guard_id, SUM(hits), COUNT(DISTINCT subject) FROM guard_tallies WHERE hits > 0 "
        "GROUP BY guard_id"
    )
    return {str(row[0]): (int(row[1] or 0), int(row[2] or 0)) for row in rows}


def forget_tallies(book: Book, quiet_before_us: int, hit_before_us: int) -> int:
    """Drop what was silent since a moment, in the open transaction; what went past a guard stays longer."""
    return book.execute(
        "DELETE FROM guard_tallies WHERE last_at_us < ? AND (hits = 0 OR last_at_us < ?)",
        (quiet_before_us, hit_before_us),
    )


def _terms_text(guard: Guard) -> str:
    terms: dict[str, object] = {name: getattr(guard, name) for name in _TERMS}
    return json.dumps({**terms, "models": guard.models, "instead": guard.instead}, sort_keys=True)


def _guard(row: Row) -> Guard:
    terms = json.loads(str(row[5]))
    return Guard(
        id=str(row[0]),
        name=str(row[1]),
        kind=str(row[2]),
        scope=Scope.of(str(row[3])),
        limit=int(row[4] or 0),
        models=tuple(terms["models"]),
        instead=tuple((pattern, other) for pattern, other in terms["instead"]),
        created_at_us=int(row[6] or 0),
        removed_at_us=None if row[7] is None else int(row[7]),
        **{name: terms[name] for name in _TERMS},
    )


def _tallied(row: Sequence[Value]) -> Tallied:
    return Tallied(
        str(row[0]),
        str(row[1]),
        calls=int(row[2] or 0),
        tokens=int(row[3] or 0),
        cost_nano=int(row[4] or 0),
        began_at_us=int(row[5] or 0),
        last_at_us=int(row[6] or 0),
        hits=int(row[7] or 0),
        hit_at_us=None if row[8] is None else int(row[8]),
        hit_value=None if row[9] is None else int(row[9]),
        last_call=None if row[10] is None else str(row[10]),
    )
