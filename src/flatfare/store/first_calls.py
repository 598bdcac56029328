"""First calls: since when a task is known whose opening nobody told.

Such a task opens at the earliest of its calls and of what is told of it. Until something is told,
the book's own calls say it, and a note that is made when they are sealed. From then on the note says
what the task's row says, so that whoever books an earlier call sees it and has the row told anew.
"""

from collections.abc import Iterable, Mapping, Sequence

from flatfare.core.moments import DAY_US
from flatfare.store.book import Book, Value
from flatfare.store.tasks import parts

KEPT_US = 60 * DAY_US
"""So long a note is kept: a verdict that comes at the second close of a month finds the first call."""

_INTO = "INSERT INTO first_calls (task_id, at_us, is_told, is_due)"
_ITS_EVENTS = "EXISTS (SELECT 1 FROM task_events WHERE task_id = ?)"
_OR_EARLIER = (
    "ON CONFLICT (task_id) DO UPDATE SET is_told = excluded.is_told, is_due = excluded.is_due, at_us = CASE "
    "WHEN excluded.at_us < first_calls.at_us THEN excluded.at_us ELSE first_calls.at_us END"
)


def note_booked(book: Book, calls: Iterable[Mapping[str, Value]]) -> None:
    """Note which tasks these calls open earlier than their rows say, in the transaction that books them."""
    first_us: dict[str, int] = {}
    for call in calls:
        task_id = call.get("task_id")
        if isinstance(task_id, str) and isinstance(at_us := call["at_us"], int):
            first_us[task_id] = min(at_us, first_us.get(task_id, at_us))
    if not first_us or book.value("SELECT 1 FROM first_calls LIMIT 1") is None:
        return
    earlier = []
    for part in parts(sorted(first_us)):  # in the order in which they are kept
        query = f"SELECT task_id, at_us FROM first_calls WHERE task_id IN ({_marks(part)}) AND is_told = 1"
        found = ((str(one), int(str(at_us))) for one, at_us in book.rows(query, part))
        earlier += [(first_us[one], one) for one, at_us in found if first_us[one] < at_us]
    book.execute_many("UPDATE first_calls SET at_us = ?, is_due = 1 WHERE task_id = ?", earlier)


def note_linked(book: Book, task_id: str, at_us: int) -> None:
    """Note that a call of this moment was given to a task; of one that nobody told of the call says it."""
    book.execute(
        f"{_INTO} SELECT CAST(? AS TEXT), CAST(? AS BIGINT), 1, 1 WHERE {_ITS_EVENTS} {_OR_EARLIER}",
        (task_id, at_us, task_id),
    )


def note_sealed(book: Book, first_us: Iterable[Sequence[Value]]) -> None:
    """Note when calls that are about to leave the book first named tasks of which nothing was told."""
    book.execute_many(
        f"{_INTO} SELECT CAST(? AS TEXT), CAST(? AS BIGINT), 0, 0 WHERE NOT {_ITS_EVENTS} {_OR_EARLIER}",
        ((task_id, at_us, task_id) for task_id, at_us in first_us),
    )


def note_told(book: Book, opened_us: Mapping[str, int], opened: Sequence[str]) -> None:
    """Note what the rows of tasks say that were told of, and nothing of those whose opening was said."""
    for part in parts(opened):
        book.execute(f"DELETE FROM first_calls WHERE task_id IN ({_marks(part)})", part)
    book.execute_many(f"{_INTO} VALUES (?, ?, 1, 0) {_OR_EARLIER}", opened_us.items())


def known(book: Book, task_ids: Sequence[str]) -> dict[str, int]:
    """When calls first named these tasks, as far as it is noted or they are in the book."""
    found: dict[str, int] = {}
    for part in parts(task_ids):
        marks = _marks(part)
        rows = book.rows(
            "SELECT task_id, MIN(at_us) FROM ("
            f"SELECT task_id, at_us FROM calls WHERE task_id IN ({marks}) UNION ALL "
            f"SELECT task_id, at_us FROM first_calls WHERE task_id IN ({marks})) AS named GROUP BY task_id",
            (*part, *part),
        )
        found |= {str(task_id): int(str(at_us)) for task_id, at_us in rows}
    return found


def noted(book: Book, task_ids: Sequence[str]) -> dict[str, int]:
    """What is noted of these tasks."""
    found: dict[str, int] = {}
    for part in parts(task_ids):
        rows = book.rows(f"SELECT task_id, at_us FROM first_calls WHERE task_id IN ({_marks(part)})", part)
        found |= {str(task_id): int(str(at_us)) for task_id, at_us in rows}
    return found


def due(book: Book, limit: int) -> list[str]:
    """Tasks that open earlier than their rows say."""
    rows = book.rows("SELECT task_id FROM first_calls WHERE is_due = 1 LIMIT ?", (limit,))
    return [str(one) for (one,) in rows]


def forget_before(book: Book, at_us: int) -> None:
    """Forget tasks that are known since before a moment."""
    book.execute("DELETE FROM first_calls WHERE at_us < ? AND is_due = 0", (at_us,))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
