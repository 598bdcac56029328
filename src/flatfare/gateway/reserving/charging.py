"""Charging: what booked calls cost is taken from their leases and counted as spent, as they are booked.

A call whose cost is not known, or that nobody saw end, is charged what was held for it until it is
resolved. A threshold that is crossed is told, and acted on, in the same transaction.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flatfare.config import Settings
from flatfare.core.budget import Allowance, Budget, Threshold, crossed
from flatfare.core.money import decimal_text, dollar_text
from flatfare.gateway.records import Intent
from flatfare.gateway.reserving.reserver import reservation_of
from flatfare.service.alerting import raise_alert
from flatfare.store import budgets, chains, keys
from flatfare.store.alerts import Alert
from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class Charge:
    """What one call costs one allowance."""

    call_id: str
    key_id: str | None
    epoch: str | None
    allowance: Allowance
    nano: int
    is_certain: bool


def charge_of(intent: Intent, cost_nano: int | None) -> Iterator[Charge]:
    """What a call is charged: its cost, or what was held for it."""
    if intent.reservation is None:
        return
    epoch, allowances = reservation_of(intent.reservation)
    nano = cost_nano if cost_nano is not None else intent.bound_nano or 0
    for allowance in allowances.values():
        yield Charge(intent.call_id, intent.key_id, epoch, allowance, nano, cost_nano is not None)


def charge(book: Book, charges: Iterable[Charge], settings: Settings, at_us: int) -> None:
    """Charge the allowances of calls that are booked, in the transaction that is open."""
    found = list(charges)
    if not found:
        return
    known = {budget.id: budget for budget in budgets.all_of(book, with_removed=True)}
    summed: dict[tuple[str, str | None], int] = {}
    last: dict[str, Charge] = {}
    for one in found:
        if one.allowance.budget_id not in known:
            continue
        name = one.allowance.id
        summed[name, one.epoch] = summed.get((name, one.epoch), 0) + one.nano
        last[name] = one
        if not one.is_certain:
            budgets.keep_charge(book, one.call_id, one.allowance, one.nano)
    for (name, epoch), nano in summed.items():
        allowance = last[name].allowance
        budget = known[allowance.budget_id]
        ends_us = budget.window.span(allowance.begins_us)[1]
        before = budgets.book_spend(book, allowance, ends_us, epoch, nano)
        _tell_crossings(book, budget, last[name], before, nano, settings, at_us)


def _tell_crossings(
    book: Book, budget: Budget, by: Charge, before: int, nano: int, settings: Settings, at_us: int
) -> None:
    allowance = by.allowance
    limit = budget.limit_nano(at_us, allowance.subject)
    if budget.window.kind == "rolling":  # all slots that count together
        after = budgets.standing(book, budget, allowance.subject, allowance.begins_us).spent_nano
        before = after - nano
    for threshold in crossed(budget, limit, before, before + nano):
        raise_alert(book, _alert(book, budget, by, threshold, before + nano, limit, at_us), settings)
        if threshold.action == "disable" and by.key_id is not None:
            keys.set_disabled(book, by.key_id, at_us)
            keys.count_change(book)
            chains.append(
                book,
                chains.ORGANISATION,
                kind="key.disabled",
                subject=by.key_id,
                by_whom=f"budget {budget.name}",
                at_us=at_us,
                content=json.dumps({"budget": budget.id, "percent": threshold.percent}),
                reason=f"the budget {budget.name} reached {threshold.percent} %",
            )


def _alert(
    book: Book, budget: Budget, by: Charge, threshold: Threshold, spent: int, limit: int, at_us: int
) -> Alert:
    allowance = by.allowance
    subject = "" if budget.scope.value != "*" else f" of {allowance.subject!r}"
    said = (
        f"The budget {budget.name!r}{subject} has reached {threshold.percent} %: {dollar_text(spent)} of "
        f"{dollar_text(limit)} per {budget.window.text}."
    )
    content = {
        "budget": budget.name,
        "scope": str(budget.scope),
        "subject": allowance.subject,
        "percent": threshold.percent,
        "action": threshold.action,
        "spent": decimal_text(spent),
        "limit": decimal_text(limit),
        "last_call": by.call_id,
        "key": by.key_id,
        "top": _causes(book, budget, allowance),
        "see": f"flatfare budgets show {budget.name}",
    }
    # A budget that was raised may cross the same line again: that is another crossing.
    alert_id = f"{allowance.id} {threshold.percent} {limit}".replace(".", "_")
    return Alert(alert_id, "budget.crossed", budget.name, said, content, at_us)


def _causes(book: Book, budget: Budget, allowance: Allowance) -> list[dict[str, str]]:
    """Who spent most of late: keys and models of the calls that are not sealed yet."""
    rows = book.rows(
        "SELECT key_id, model, SUM(cost_nano) AS nano FROM calls WHERE at_us >= ? AND cost_nano IS NOT NULL "
        "GROUP BY key_id, model ORDER BY nano DESC LIMIT 3",
        (allowance.begins_us,),
    )
    return [
        {"key": str(key or ""), "model": str(model or ""), "cost": decimal_text(int(nano or 0))}
        for key, model, nano in rows
    ]
