"""Charging: what booked calls cost is taken from their leases and counted as spent, as they are booked.

A call whose cost is not known, or that nobody saw end, is charged what was held for it until it is
resolved. A threshold that is crossed is told, and acted on, in the same transaction.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from flatfare.config import Settings
from flatfare.core.budget import Allowance, Budget, Threshold, crossed
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text, dollar_text
from flatfare.gateway.records import Intent, Progress
from flatfare.gateway.reserving.claims import reservation_of
from flatfare.service.alerts.alerting import raise_alert
from flatfare.store import budgets, chains, keys, spenders
from flatfare.store.alerts import Alert
from flatfare.store.book import Book


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one call costs each of its allowances."""

    call_id: str
    key_id: str | None
    reservation: str
    nano: int
    is_certain: bool
    total_nano: int  # this, and what it was charged before


def charge_of(intent: Intent, cost_nano: int | None) -> Sequence[Charge]:
    """What a call is charged in the end, beside what it was before: its cost, or what was held for it."""
    if intent.reservation is None:
        return ()
    total = cost_nano if cost_nano is not None else max(intent.bound_nano or 0, intent.charged_nano)
    nano, is_certain = total - intent.charged_nano, cost_nano is not None
    return (Charge(intent.call_id, intent.key_id, intent.reservation, nano, is_certain, total),)


def charge_so_far(intent: Intent, progress: Progress) -> Sequence[Charge]:
    """What a session that goes on is charged for what it has used since it was last charged."""
    cost_nano = progress.result.figures.cost_nano
    reservation = progress.reservation
    if reservation is None or cost_nano is None or cost_nano == intent.charged_nano:
        return ()
    nano = cost_nano - intent.charged_nano
    return (Charge(intent.call_id, intent.key_id, reservation, nano, True, cost_nano),)


@dataclass(slots=True)
class _Sum:
    """What calls of one epoch cost one allowance, and the reservations that draw on it."""

    allowance: Allowance
    epoch: str | None
    reservations: set[str] = field(default_factory=set)
    nano: int = 0


def charge(book: Book, charges: Iterable[Charge], settings: Settings, at_us: int) -> None:
    """Charge the allowances of calls that are booked, in the transaction that is open."""
    found = list(charges)
    if not found:
        return
    known = {budget.id: budget for budget in budgets.all_of(book, with_removed=True)}
    for one in _summed(found):
        budget = known.get(one.allowance.budget_id)
        if budget is None:
            continue
        ends_us = budget.window.span(one.allowance.begins_us)[1]
        before = budgets.book_spend(book, one.allowance, ends_us, one.epoch, one.nano)
        _tell_crossings(book, budget, one, found, before, settings, at_us)
    for charge in found:
        if not charge.is_certain:
            for allowance in reservation_of(charge.reservation)[1]:
                if allowance.budget_id in known:
                    budgets.keep_charge(book, charge.call_id, allowance, charge.total_nano)


def _summed(charges: list[Charge]) -> Iterable[_Sum]:
    """By reservation first, since many calls have the same, and then by allowance and epoch."""
    alike: defaultdict[str, int] = defaultdict(int)
    for charge in charges:
        alike[charge.reservation] += charge.nano
    sums: dict[tuple[str, str | None], _Sum] = {}
    for reservation, nano in alike.items():
        epoch, allowances = reservation_of(reservation)
        for allowance in allowances:
            one = sums.setdefault((allowance.id, epoch), _Sum(allowance, epoch))
            one.nano += nano
            one.reservations.add(reservation)
    return sums.values()


def _who_crossed(charges: list[Charge], of: _Sum, before: int, limit_nano: int, percent: int) -> Charge:
    """The call with which a share of the limit was reached."""
    spent, own = before, [one for one in charges if one.reservation in of.reservations]
    for charge in own:
        spent += charge.nano
        if spent * 100 >= limit_nano * percent:
            return charge
    return own[-1]


def _tell_crossings(
    book: Book,
    budget: Budget,
    of: _Sum,
    charges: list[Charge],
    before: int,
    settings: Settings,
    at_us: int,
) -> None:
    allowance, nano = of.allowance, of.nano
    limit = budget.limit_nano(at_us, allowance.subject)
    if budget.window.kind == "rolling":  # all slots that count together
        after = budgets.standing(book, budget, allowance.subject, allowance.begins_us).spent_nano
        before = after - nano
    for threshold in crossed(budget, limit, before, before + nano):
        by = _who_crossed(charges, of, before, limit, threshold.percent)
        told = _alert(book, budget, allowance, by, threshold, before + nano, limit, at_us)
        raise_alert(book, told, settings)
        key_id = by.key_id
        if threshold.action == "disable" and key_id is not None:
            keys.set_disabled(book, key_id, at_us)
            keys.count_change(book)
            chains.append(
                book,
                chains.ORGANISATION,
                kind="key.disabled",
                subject=key_id,
                by_whom=f"budget {budget.name}",
                at_us=at_us,
                content=json.dumps({"budget": budget.id, "percent": threshold.percent}),
                reason=f"the budget {budget.name} reached {threshold.percent} %",
            )


def _alert(
    book: Book,
    budget: Budget,
    allowance: Allowance,
    by: Charge,
    threshold: Threshold,
    spent: int,
    limit: int,
    at_us: int,
) -> Alert:
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
        **_causes(book, budget, allowance),
        "see": f"flatfare budgets show {budget.name}",
    }
    # A budget that was raised may cross the same line again: that is another crossing.
    alert_id = f"{allowance.id} {threshold.percent} {limit}".replace(".", "_")
    return Alert(alert_id, "budget.crossed", budget.name, said, content, at_us)


def _causes(book: Book, budget: Budget, allowance: Allowance) -> dict[str, object]:
    """Who spent most of it of late, and since when that is."""
    since_us = spenders.counted_since(book, budget.window.counted_since(allowance.begins_us))
    top = [
        {"key": one.key_id or "", "model": one.model or "", "cost": decimal_text(one.cost_nano)}
        for one in spenders.dearest(book, budget, allowance.subject, since_us)
    ]
    return {"top": top, "top_since": iso(since_us) if since_us else None}
