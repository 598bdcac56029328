"""Who spent under a budget of late: keys and models of its calls, the dearest first.

Only calls that the budget limits are counted: of its team, its session, its key. It is told in the
transaction that books the call that crossed a line, which waits for no file: so what is counted
begins where the last calls were sealed, and says so.
"""

import json
from dataclasses import dataclass

from flatfare.core.budget import ORGANISATION, Budget
from flatfare.store.book import Book, Value


@dataclass(frozen=True, slots=True)
class Spender:
    """What the calls of one key to one model have cost."""

    key_id: str | None
    model: str | None
    cost_nano: int


def counted_since(book: Book, since_us: int) -> int:
    """From when on calls are counted: from a moment on, as far as they are not sealed; 0 is ever."""
    sealed_us = book.value("SELECT MAX(last_at_us) FROM segments WHERE kind = 'calls' AND import_id IS NULL")
    return since_us if sealed_us is None else max(since_us, int(sealed_us) + 1)


def dearest(book: Book, budget: Budget, subject: str, since_us: int, limit: int = 3) -> list[Spender]:
    """Those who spent most on ``subject`` since a moment, which is no earlier than calls are counted."""
    where, values = _where(budget.scope.key, subject)
    rows = book.rows(
        f"SELECT key_id, model, labels, SUM(cost_nano) FROM calls WHERE at_us >= ? AND cost_nano <> 0{where} "
        "GROUP BY key_id, model, labels",
        (since_us, *values),
    )
    spent: dict[tuple[str | None, str | None], int] = {}
    for key_id, model, labels, nano in rows:
        if _is_of(str(labels), budget.scope.key, subject):
            whose = (None if key_id is None else str(key_id), None if model is None else str(model))
            spent[whose] = spent.get(whose, 0) + int(nano or 0)
    found = [Spender(key_id, model, nano) for (key_id, model), nano in spent.items()]
    return sorted(found, key=lambda one: (-one.cost_nano, one.key_id or "", one.model or ""))[:limit]


_COLUMNS = {"key": "key_id", "session": "session", "task": "task_id"}


def _where(scope_key: str, subject: str) -> tuple[str, tuple[Value, ...]]:
    """What tells a subject's calls apart in SQL; labels are looked at afterwards."""
    if scope_key in _COLUMNS:
        return f" AND {_COLUMNS[scope_key]} = ?", (subject,)
    if scope_key == "project":
        return " AND key_id IN (SELECT id FROM keys WHERE project = ?)", (subject,)
    return "", ()


def _is_of(labels: str, scope_key: str, subject: str) -> bool:
    if scope_key in _COLUMNS or scope_key in (ORGANISATION, "project"):
        return True
    return bool(json.loads(labels or "{}").get(scope_key) == subject)
