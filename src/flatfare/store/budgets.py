"""Budgets as the book keeps them: what was agreed, what is spent, and what is leased to nodes.

One rule holds in every transaction: what is spent and what is leased and not yet booked never
exceed the limit together. A lease is of one epoch, the life of one treasurer of one node;
what its calls cost is booked from the lease to what is spent.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from flatfare.core.budget import EACH, Allowance, Budget, Scope, Threshold, TopUp, Window
from flatfare.store.book import Book, Row, Value

_BUDGET = (
    "id, name, scope, amount_nano, every, zone, is_hard, thresholds, queue_ms, unpriced, fail, output_limit, "
    "contact, created_at_us, removed_at_us"
)
LAST_US = 2**63 - 1
"""No window begins later."""

_TOP_UP = "budget_id, amount_nano, from_us, until_us, by_whom, reason, replaces, subject"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an allowance stands."""

    allowance: Allowance
    spent_nano: int
    leased_nano: int  # to nodes, and not yet booked as spent


def insert(book: Book, budget: Budget) -> None:
    """Write a new budget, in the transaction that is open."""
    book.execute(
        f"INSERT INTO budgets ({_BUDGET}) VALUES ({', '.join('?' * 15)})",
        (
            budget.id,
            budget.name,
            str(budget.scope),
            budget.amount_nano,
            budget.window.text,
            budget.window.zone,
            int(budget.is_hard),
            json.dumps([[one.percent, one.action] for one in budget.thresholds]),
            budget.queue_ms,
            budget.unpriced,
            budget.fail,
            budget.output_limit,
            budget.contact,
            budget.created_at_us,
            budget.removed_at_us,
        ),
    )
    count_change(book)


def update(book: Book, budget: Budget) -> None:
    """Change what was agreed, in the transaction that is open; scope and window stay."""
    book.execute(
        "UPDATE budgets SET name = ?, amount_nano = ?, is_hard = ?, thresholds = ?, queue_ms = ?, "
        "unpriced = ?, fail = ?, output_limit = ?, contact = ?, removed_at_us = ? WHERE id = ?",
        (
            budget.name,
            budget.amount_nano,
            int(budget.is_hard),
            json.dumps([[one.percent, one.action] for one in budget.thresholds]),
            budget.queue_ms,
            budget.unpriced,
            budget.fail,
            budget.output_limit,
            budget.contact,
            budget.removed_at_us,
            budget.id,
        ),
    )
    count_change(book)


def insert_top_up(book: Book, top_up_id: str, budget_id: str, top_up: TopUp) -> bool:
    """Write a top-up, in the transaction that is open; False where one of that id is there."""
    changed = book.execute(
        f"INSERT INTO budget_top_ups (id, {_TOP_UP}) VALUES ({', '.join('?' * 9)}) ON CONFLICT DO NOTHING",
        (
            top_up_id,
            budget_id,
            top_up.amount_nano,
            top_up.from_us,
            top_up.until_us,
            top_up.by_whom,
            top_up.reason,
            int(top_up.replaces),
            top_up.subject,
        ),
    )
    count_change(book)
    return bool(changed)


def all_of(book: Book, *, with_removed: bool = False) -> list[Budget]:
    """Every budget that stands (or all there ever were), with its top-ups, the oldest first."""
    where = "" if with_removed else " WHERE removed_at_us IS NULL"
    top_ups: dict[str, list[TopUp]] = {}
    for row in book.rows(f"SELECT {_TOP_UP} FROM budget_top_ups ORDER BY from_us, id"):
        top_ups.setdefault(str(row[0]), []).append(_top_up(row))
    rows = book.rows(f"SELECT {_BUDGET} FROM budgets{where} ORDER BY created_at_us, id")
    return [replace(_budget(row), top_ups=tuple(top_ups.get(str(row[0]), ()))) for row in rows]


def count_change(book: Book) -> None:
    """Tell those that watch that budgets have changed, in the transaction of the change."""
    book.execute("UPDATE budget_changes SET number = number + 1")


def change_number(book: Book) -> Value:
    """Differs from what it was if any budget has changed since."""
    return book.value("SELECT number FROM budget_changes")


# what is spent and leased


def standing(book: Book, budget: Budget, subject: str, at_us: int) -> Standing:
    """What counts against a budget at a moment: of a rolling window, all its slots together."""
    begins = budget.window.span(at_us)[0]
    since, until = _counted(budget.window, begins)
    rows = book.rows(
        "SELECT COALESCE(SUM(spent_nano), 0) FROM allowances "
        "WHERE budget_id = ? AND subject = ? AND begins_us >= ? AND begins_us <= ?",
        (budget.id, subject, since, until),
    )
    leased = book.rows(
        "SELECT COALESCE(SUM(CASE WHEN granted_nano > booked_nano THEN granted_nano - booked_nano "
        "ELSE 0 END), 0) FROM leases JOIN allowances ON allowances.id = leases.allowance_id "
        "WHERE allowances.budget_id = ? AND allowances.subject = ? AND begins_us >= ? AND begins_us <= ?",
        (budget.id, subject, since, until),
    )
    return Standing(
        Allowance(budget.id, subject, begins), int(str(rows[0][0] or 0)), int(str(leased[0][0] or 0))
    )


def _counted(window: Window, begins_us: int) -> tuple[int, int]:
    """The first and the last beginning of what counts together with the slot that begins then.

    Of a rolling window slots that are still to come count too: a clock that has since been set back
    showed them, and what was spent then was spent.
    """
    is_rolling = window.kind == "rolling"
    return window.counted_since(begins_us), LAST_US if is_rolling else begins_us


def lease(book: Book, allowance: Allowance, ends_us: int | None, epoch: str, node: str, nano: int) -> None:
    """Lease more of an allowance to an epoch, in the open transaction, which has looked at the standing."""
    _open_allowance(book, allowance, ends_us)
    book.execute(
        "INSERT INTO leases (allowance_id, epoch, node, granted_nano, booked_nano) VALUES (?, ?, ?, ?, 0) "
        "ON CONFLICT (allowance_id, epoch) "
        "DO UPDATE SET granted_nano = leases.granted_nano + excluded.granted_nano",
        (allowance.id, epoch, node, nano),
    )


def give_back(book: Book, allowance: Allowance, epoch: str, nano: int) -> None:
    """Take back what an epoch has leased and does not use, in the transaction that is open."""
    book.execute(
        "UPDATE leases SET granted_nano = granted_nano - ? WHERE allowance_id = ? AND epoch = ?",
        (nano, allowance.id, epoch),
    )


def book_spend(book: Book, allowance: Allowance, ends_us: int | None, epoch: str | None, nano: int) -> int:
    """Book what a call cost, from its epoch's lease, in the open transaction; what was spent before."""
    _open_allowance(book, allowance, ends_us)
    before = book.value("SELECT spent_nano FROM allowances WHERE id = ?", (allowance.id,))
    book.execute("UPDATE allowances SET spent_nano = spent_nano + ? WHERE id = ?", (nano, allowance.id))
    if epoch is not None:
        book.execute(
            "UPDATE leases SET booked_nano = booked_nano + ? WHERE allowance_id = ? AND epoch = ?",
            (nano, allowance.id, epoch),
        )
    return int(before or 0)


def _open_allowance(book: Book, allowance: Allowance, ends_us: int | None) -> None:
    book.execute(
        "INSERT INTO allowances (id, budget_id, subject, begins_us, ends_us, spent_nano) "
        "VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
        (allowance.id, allowance.budget_id, allowance.subject, allowance.begins_us, ends_us),
    )


def want(book: Book, allowance: Allowance, at_us: int) -> None:
    """Ask all nodes to give back what they do not use of an allowance, in the transaction that is open."""
    book.execute("UPDATE allowances SET wanted_at_us = ? WHERE id = ?", (at_us, allowance.id))


def wanted_since(book: Book, at_us: int) -> set[str]:
    """The ids of allowances that some node wanted more of since a moment."""
    return {str(row[0]) for row in book.rows("SELECT id FROM allowances WHERE wanted_at_us >= ?", (at_us,))}


def epochs_of(book: Book, node: str) -> set[str]:
    """The epochs of a node that hold a lease."""
    return {str(row[0]) for row in book.rows("SELECT DISTINCT epoch FROM leases WHERE node = ?", (node,))}


def end_epoch(book: Book, epoch: str) -> int:
    """Give back all that an ended epoch leased and did not spend, in the transaction that is open."""
    return book.execute("DELETE FROM leases WHERE epoch = ?", (epoch,))


def standings(book: Book, budget: Budget, at_us: int) -> list[Standing]:
    """Where every subject of a budget stands in the window that holds a moment, the dearest first."""
    begins = budget.window.span(at_us)[0]
    since, until = _counted(budget.window, begins)
    subjects = book.rows(
        "SELECT DISTINCT subject FROM allowances WHERE budget_id = ? AND begins_us >= ? AND begins_us <= ?",
        (budget.id, since, until),
    )
    names = {str(subject) for (subject,) in subjects}
    if budget.scope.value != EACH:
        names.add(budget.scope.value or budget.scope.key)  # it stands somewhere before anything is spent
    found = [standing(book, budget, name, at_us) for name in names]
    return sorted(found, key=lambda one: (-one.spent_nano - one.leased_nano, one.allowance.subject))


def spent_beyond(book: Book, budget: Budget, at_us: int, least_nano: int) -> list[tuple[str, int]]:
    """The subjects that have spent so much in the window that holds a moment, and how much each."""
    begins = budget.window.span(at_us)[0]
    since = budget.window.counted_since(begins)
    rows = book.rows(
        "SELECT subject, SUM(spent_nano) FROM allowances WHERE budget_id = ? AND begins_us >= ? "
        "AND begins_us <= ? GROUP BY subject HAVING SUM(spent_nano) >= ?",
        (budget.id, since, begins, least_nano),
    )
    return [(str(subject), int(spent or 0)) for subject, spent in rows]


# charges that may still change


def keep_charge(book: Book, call_id: str, allowance: Allowance, nano: int) -> None:
    """Remember what was charged for a call whose cost is not certain, in the transaction that is open."""
    book.execute(
        "INSERT INTO budget_charges (call_id, allowance_id, nano) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (call_id, allowance.id, nano),
    )


def resolve_charges(book: Book, costs: Iterable[tuple[str, int, bool]]) -> int:
    """Charge calls what they turned out to cost, not what was charged; in the open transaction.

    Each with its cost, and whether that is final: what was charged else stays remembered.
    """
    changed = 0
    for call_id, nano, is_final in costs:
        rows = book.rows("SELECT allowance_id, nano FROM budget_charges WHERE call_id = ?", (call_id,))
        for allowance_id, charged in rows:
            book.execute(
                "UPDATE allowances SET spent_nano = spent_nano + ? WHERE id = ?",
                (nano - int(charged or 0), allowance_id),
            )
            changed += 1
        if rows and is_final:
            book.execute("DELETE FROM budget_charges WHERE call_id = ?", (call_id,))
        elif rows:
            book.execute("UPDATE budget_charges SET nano = ? WHERE call_id = ?", (nano, call_id))
    return changed


def _budget(row: Row) -> Budget:
    return Budget(
        id=str(row[0]),
        name=str(row[1]),
        scope=Scope.of(str(row[2])),
        amount_nano=int(row[3] or 0),
        window=Window.of(str(row[4]), str(row[5])),
        is_hard=bool(row[6]),
        thresholds=tuple(Threshold(*one) for one in json.loads(str(row[7]))),
        queue_ms=int(row[8] or 0),
        unpriced=str(row[9]),
        fail=str(row[10]),
        output_limit=str(row[11]),
        contact=None if row[12] is None else str(row[12]),
        created_at_us=int(row[13] or 0),
        removed_at_us=None if row[14] is None else int(row[14]),
    )


def _top_up(row: Row) -> TopUp:
    return TopUp(
        amount_nano=int(row[1] or 0),
        from_us=int(row[2] or 0),
        until_us=None if row[3] is None else int(row[3]),
        by_whom=str(row[4]),
        reason=None if row[5] is None else str(row[5]),
        replaces=bool(row[6]),
        subject=None if row[7] is None else str(row[7]),
    )
