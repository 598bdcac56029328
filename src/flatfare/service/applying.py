"""Applying a file of budgets: the plan first, then the changes, each on record.

The file says which budgets there are to be, by name. Others are left alone unless asked to be
removed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flatfare.core.budget import Budget, Scope, Threshold, Window
from flatfare.core.errors import BadInput
from flatfare.core.money import nano_of, parse_amount
from flatfare.service import budgeting
from flatfare.store import budgets
from flatfare.store.book import Book

_KNOWN = (
    *("amount", "per", "time_zone", "scope", "hard", "thresholds", "queue_ms", "unpriced", "fail"),
    *("output_limit", "contact"),
)
_CHANGEABLE = (
    *("amount_nano", "is_hard", "thresholds", "queue_ms", "unpriced", "fail", "output_limit", "contact"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is to be done."""

    what: str  # create, change, replace, remove
    name: str
    said: str
    wanted: Budget | None = None
    standing: Budget | None = None


def wanted_in(document: object, time_zone: str) -> list[Budget]:
    """The budgets that a file asks for; ``BadInput`` names the one that cannot be."""
    if not isinstance(document, dict) or not isinstance(document.get("budgets"), dict):
        raise BadInput("The file has no budgets: write 'budgets:' and below it a name and its terms each.")
    unknown = set(document) - {"budgets"}
    if unknown:
        raise BadInput(f"Found {min(unknown)!r} beside 'budgets': nothing else can be applied yet.")
    return [_budget(str(name), terms, time_zone) for name, terms in document["budgets"].items()]


def _budget(name: str, terms: object, time_zone: str) -> Budget:
    if not isinstance(terms, dict) or "amount" not in terms:
        raise BadInput(f"The budget {name!r} has no amount: write amount: 5.00 below it.")
    unknown = set(terms) - set(_KNOWN)
    if unknown:
        raise BadInput(f"The budget {name!r} has {min(unknown)!r}: it takes {', '.join(_KNOWN)}.")
    try:
        amount, currency = parse_amount(str(terms["amount"]))
        if currency not in (None, "USD"):
            raise BadInput(f"Found an amount in {currency}: budgets are in dollars.")
        window = Window.of(str(terms.get("per", "month")), str(terms.get("time_zone", time_zone)))
        made = Budget("", name, Scope.of(str(terms.get("scope", "organisation"))), nano_of(amount), window)
        return replace(made, **_more(terms))  # type: ignore[arg-type]
    except BadInput as problem:
        raise BadInput(f"The budget {name!r}: {problem}") from None


def _more(terms: Mapping[str, object]) -> dict[str, object]:
    more = {
        name: terms[name]
        for name in ("queue_ms", "unpriced", "fail", "output_limit", "contact")
        if name in terms
    }
    if "hard" in terms:
        more["is_hard"] = bool(terms["hard"])
    if "thresholds" in terms:
        listed = terms["thresholds"]
        if not isinstance(listed, list):
            raise BadInput(f"Found the thresholds {listed!r}: write a list such as [75, '90:stop'].")
        more["thresholds"] = tuple(Threshold.of(str(text)) for text in listed)
    return more


def plan(book: Book, wanted: list[Budget], *, prunes: bool) -> list[Step]:
    """What has to be done for the book to have these budgets; ``prunes`` removes all others."""
    standing = {budget.name: budget for budget in budgets.all_of(book)}
    steps = []
    for budget in wanted:
        held = standing.get(budget.name)
        if held is None:
            steps.append(Step("create", budget.name, _terms_text(budget), budget))
        elif (held.window, str(held.scope)) != (budget.window, str(budgeting.resolved(book, budget.scope))):
            said = "its scope or window differs: what was spent counts anew"
            steps.append(Step("replace", budget.name, said, budget, held))
        else:
            changes = [name for name in _CHANGEABLE if getattr(held, name) != getattr(budget, name)]
            if changes:
                steps.append(Step("change", budget.name, ", ".join(changes), budget, held))
    if prunes:
        names = {budget.name for budget in wanted}
        steps += [
            Step("remove", name, "it is not in the file", None, budget)
            for name, budget in standing.items()
            if name not in names
        ]
    return steps


def carry_out(book: Book, steps: list[Step], *, at_us: int, by_whom: str, reason: str | None) -> None:
    """Do what was planned; each step is on record."""
    for step in steps:
        if step.what in ("remove", "replace"):
            budgeting.remove(book, step.name, at_us=at_us, by_whom=by_whom, reason=reason)
        if step.what in ("create", "replace") and step.wanted is not None:
            budgeting.create(book, step.wanted, at_us=at_us, by_whom=by_whom, reason=reason)
        if step.what == "change" and step.wanted is not None:
            changes = {name: getattr(step.wanted, name) for name in _CHANGEABLE}
            budgeting.change(book, step.name, changes, at_us=at_us, by_whom=by_whom, reason=reason)


def _terms_text(budget: Budget) -> str:
    terms = budgeting.terms_of(budget)
    kind = "hard" if budget.is_hard else "soft"
    return f"${terms['amount']} per {budget.window}, {budget.scope}, {kind}"
