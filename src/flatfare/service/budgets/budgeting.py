"""Budgets: agreed, topped up, changed and removed, each change on record with who made it and why."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from flatfare.core.budget import Budget, TopUp
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.unit_cost import ACTION, UnitCost
from flatfare.service.budgets import agreeing
from flatfare.store import budgets, chains
from flatfare.store.book import Book
from flatfare.store.budgets import Standing

NO_COSTS: Mapping[str, UnitCost] = MappingProxyType({})


def create(book: Book, budget: Budget, *, at_us: int, by_whom: str, reason: str | None = None) -> Budget:
    """Agree on a budget. One of the same name that stands is a ``Conflict``."""
    with book.writing():
        return agreed(book, budget, at_us=at_us, by_whom=by_whom, reason=reason)


def agreed(book: Book, budget: Budget, *, at_us: int, by_whom: str, reason: str | None = None) -> Budget:
    """As ``create``, as a part of a transaction that is under way."""
    made = agreeing.begun(book, agreeing.BUDGET, budget, budgets.all_of(book), at_us)
    budgets.insert(book, made)
    _record(book, "budget.created", made, terms_of(made), at_us, by_whom, reason)
    return made


def change(
    book: Book,
    id_or_name: str,
    changes: Mapping[str, object],
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Budget:
    """Change what was agreed: amount, hard or soft, thresholds, settings. Scope and window stay."""
    with book.writing():
        former = one_of(book, id_or_name)
        changed = replace(former, **changes)  # type: ignore[arg-type]
        if changed == former:
            return former
        budgets.update(book, changed)
        before = terms_of(former)
        content = {
            name: [before.get(name), value]
            for name, value in terms_of(changed).items()
            if before.get(name) != value
        }
        _record(book, "budget.changed", changed, content, at_us, by_whom, reason)
    return changed


def top_up(
    book: Book,
    id_or_name: str,
    top_up: TopUp,
    *,
    at_us: int,
    top_up_id: str | None = None,
    reason: str | None = None,
) -> Budget:
    """Give a budget more until it expires, or another amount in its place. The same id twice is one."""
    if top_up.amount_nano <= 0 and not top_up.replaces:
        raise BadInput("A top-up adds something: give an amount above 0.")
    if top_up.until_us is not None and top_up.until_us <= top_up.from_us:
        raise BadInput("The top-up would expire before it begins: give a time that is still to come.")
    with book.writing():
        budget = one_of(book, id_or_name)
        if budgets.insert_top_up(book, top_up_id or f"top_{secrets.token_hex(8)}", budget.id, top_up):
            content = {
                "amount": decimal_text(top_up.amount_nano),
                "until": iso(top_up.until_us),
                "subject": top_up.subject,
            }
            kind = "budget.overridden" if top_up.replaces else "budget.topped_up"
            _record(book, kind, budget, content, at_us, top_up.by_whom, reason)
    return one_of(book, id_or_name)


def remove(book: Book, id_or_name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Budget:
    """End a budget: it limits nothing any more. What was spent under it stays on record."""
    with book.writing():
        budget = replace(one_of(book, id_or_name), removed_at_us=at_us)
        budgets.update(book, budget)
        _record(book, "budget.removed", budget, {}, at_us, by_whom, reason)
    return budget


def one_of(book: Book, id_or_name: str) -> Budget:
    """The budget of that id or name that stands; ``NotFound`` names those there are."""
    return agreeing.named(agreeing.BUDGET, budgets.all_of(book), id_or_name)


def listed(
    book: Book, *, at_us: int, subjects_max: int = 20, costs: Mapping[str, UnitCost] = NO_COSTS
) -> list[dict[str, object]]:
    """Every budget that stands, as a document, with where its subjects stand now."""
    return [
        document_of(book, budget, at_us=at_us, subjects_max=subjects_max, costs=costs)
        for budget in budgets.all_of(book)
    ]


def document_of(
    book: Book,
    budget: Budget,
    *,
    at_us: int,
    subjects_max: int = 20,
    costs: Mapping[str, UnitCost] = NO_COSTS,
) -> dict[str, object]:
    """A budget as command line and API show it; money as decimal text.

    With what a unit of each action costs, a budget on an action says how many are left.
    """
    found = budgets.standings(book, budget, at_us)
    resets_us = budget.window.resets_at(at_us)
    return {
        "id": budget.id,
        **terms_of(budget),
        "created": iso(budget.created_at_us),
        "resets": iso(resets_us),
        "subjects": [
            {
                "subject": one.allowance.subject,
                "limit": decimal_text(limit),
                "spent": decimal_text(one.spent_nano),
                "reserved": decimal_text(one.leased_nano),
                "left": decimal_text(max(0, limit - one.spent_nano - one.leased_nano)),
                "share": None if limit == 0 else round(one.spent_nano / limit, 6),
                **_units(budget, one, limit, costs),
            }
            for one in found[:subjects_max]
            for limit in [budget.limit_nano(at_us, one.allowance.subject)]
        ],
        "more_subjects": max(0, len(found) - subjects_max),
        "top_ups": [
            {
                "amount": decimal_text(one.amount_nano),
                "replaces": one.replaces,
                "subject": one.subject,
                "from": iso(one.from_us),
                "until": iso(one.until_us),
                "by": one.by_whom,
                "reason": one.reason,
            }
            for one in budget.top_ups
            if one.until_us is None or one.until_us > at_us
        ],
    }


def _units(
    budget: Budget, standing: Standing, limit_nano: int, costs: Mapping[str, UnitCost]
) -> dict[str, object]:
    action = standing.allowance.subject
    if budget.scope.key != ACTION or action not in costs:
        return {}
    left_nano = limit_nano - standing.spent_nano - standing.leased_nano
    return {"units_left": costs[action].left(action, left_nano)}


def terms_of(budget: Budget) -> dict[str, object]:
    """What was agreed."""
    return {
        "name": budget.name,
        "scope": str(budget.scope),
        "amount": decimal_text(budget.amount_nano),
        "per": budget.window.text,
        "time_zone": budget.window.zone,
        "hard": budget.is_hard,
        "thresholds": [f"{one.percent}:{one.action}" for one in budget.thresholds],
        "queue_ms": budget.queue_ms,
        "unpriced": budget.unpriced,
        "fail": budget.fail,
        "output_limit": budget.output_limit,
        "contact": budget.contact,
    }


def _record(
    book: Book,
    kind: str,
    budget: Budget,
    content: Mapping[str, object],
    at_us: int,
    by_whom: str,
    reason: str | None,
) -> None:
    chains.record_change(book, kind, budget.id, content, at_us=at_us, by_whom=by_whom, reason=reason)
