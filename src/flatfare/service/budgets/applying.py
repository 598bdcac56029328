"""Applying a file of budgets and guards: the plan first, then the changes, each on record.

The file says which budgets and guards there are to be, by name. Others are left alone unless asked to be
removed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flatfare.core.budget import Budget, Scope, Threshold, Window
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput
from flatfare.core.guard import Guard
from flatfare.core.money import dollar_text
from flatfare.service.budgets import agreeing, budgeting, guarding
from flatfare.store import budgets, guards
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
    guard: Guard | None = None  # wanted


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file asks for; None of what it does not speak of."""

    budgets: list[Budget] | None
    guards: list[Guard] | None


def wanted_in(document: object, time_zone: str) -> Wanted:
    """The budgets and guards that a file asks for; ``BadInput`` names the one that cannot be."""
    if not isinstance(document, dict) or not {"budgets", "guards"} & set(document):
        raise BadInput("The file has no budgets: write 'budgets:' and below it a name and its terms each.")
    unknown = set(document) - {"budgets", "guards"}
    if unknown:
        raise BadInput(
            f"Found {min(unknown)!r} beside 'budgets' and 'guards': nothing else can be applied yet."
        )
    budgets_given, guards_given = (_named(document, part) for part in ("budgets", "guards"))
    return Wanted(
        None if budgets_given is None else [_budget(*one, time_zone) for one in budgets_given.items()],
        None if guards_given is None else [_guard(*one) for one in guards_given.items()],
    )


def _named(document: Mapping[str, object], part: str) -> dict[str, object] | None:
    if part not in document:
        return None
    given = document[part] or {}
    if not isinstance(given, dict):
        raise BadInput(f"Found {part}: {given!r}: write a name and its terms each below it.")
    return {str(name): terms for name, terms in given.items()}


def _guard(name: str, terms: object) -> Guard:
    if not isinstance(terms, dict):
        raise BadInput(f"The guard {name!r} has no terms: write kind and at_most below it.")
    given = {str(key): value for key, value in terms.items()}
    if "at" in given:  # reads better of a budget's share
        given["at_most"] = given.pop("at")
    try:
        return guarding.guard_of(name, given)
    except BadInput as problem:
        said = str(problem)
        raise BadInput(said if repr(name) in said else f"The guard {name!r}: {said}") from None


def _budget(name: str, terms: object, time_zone: str) -> Budget:
    if not isinstance(terms, dict) or "amount" not in terms:
        raise BadInput(f"The budget {name!r} has no amount: write amount: 5.00 below it.")
    unknown = set(terms) - set(_KNOWN)
    if unknown:
        raise BadInput(f"The budget {name!r} has {min(unknown)!r}: it takes {', '.join(_KNOWN)}.")
    try:
        amount_nano = dollars(str(terms["amount"]))
        window = Window.of(str(terms.get("per", "month")), str(terms.get("time_zone", time_zone)))
        made = Budget("", name, Scope.of(str(terms.get("scope", "organisation"))), amount_nano, window)
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


def plan(book: Book, wanted: Wanted, *, prunes: bool) -> list[Step]:
    """What has to be done for the book to have these; ``prunes`` removes what else there is of their sort."""
    steps = [] if wanted.budgets is None else _budget_steps(book, wanted.budgets, prunes=prunes)
    return steps if wanted.guards is None else steps + _guard_steps(book, wanted.guards, prunes=prunes)


def _guard_steps(book: Book, wanted: list[Guard], *, prunes: bool) -> list[Step]:
    standing = {guard.name: guard for guard in guards.all_of(book)}
    steps = []
    for guard in wanted:
        held = standing.get(guard.name)
        terms = guarding.terms_of(replace(guard, scope=agreeing.resolved(book, guard.scope)))
        if held is None:
            steps.append(Step("create", f"guard {guard.name}", guarding.said_of(guard), guard=guard))
        elif (held.kind, held.per) != (guard.kind, guard.per):
            said = "its kind or whose it is differs: what was counted begins anew"
            steps.append(Step("replace", f"guard {guard.name}", said, guard=guard))
        elif changes := _changes(guarding.terms_of(held), terms):
            steps.append(Step("change", f"guard {guard.name}", changes, guard=guard))
    names = {guard.name for guard in wanted}
    gone = [held for name, held in standing.items() if prunes and name not in names]
    return steps + [
        Step("remove", f"guard {held.name}", "it is not in the file", guard=held) for held in gone
    ]


def _budget_steps(book: Book, wanted: list[Budget], *, prunes: bool) -> list[Step]:
    standing = {budget.name: budget for budget in budgets.all_of(book)}
    steps = []
    for budget in wanted:
        held = standing.get(budget.name)
        if held is None:
            steps.append(Step("create", budget.name, _terms_text(budget), budget))
        elif (held.window, str(held.scope)) != (budget.window, str(agreeing.resolved(book, budget.scope))):
            said = "its scope or window differs: what was spent counts anew"
            steps.append(Step("replace", budget.name, said, budget))
        else:
            meant = replace(held, **{name: getattr(budget, name) for name in _CHANGEABLE})
            if changes := _changes(budgeting.terms_of(held), budgeting.terms_of(meant)):
                steps.append(Step("change", budget.name, changes, budget))
    if prunes:
        names = {budget.name for budget in wanted}
        steps += [Step("remove", name, "it is not in the file") for name in standing if name not in names]
    return steps


def carry_out(book: Book, steps: list[Step], *, at_us: int, by_whom: str, reason: str | None) -> None:
    """Do what was planned; each step is on record."""
    for step in steps:
        if step.guard is not None:
            _carry_out_guard(book, step.what, step.guard, at_us=at_us, by_whom=by_whom, reason=reason)
            continue
        if step.what in ("remove", "replace"):
            budgeting.remove(book, step.name, at_us=at_us, by_whom=by_whom, reason=reason)
        if step.what in ("create", "replace") and step.wanted is not None:
            budgeting.create(book, step.wanted, at_us=at_us, by_whom=by_whom, reason=reason)
        if step.what == "change" and step.wanted is not None:
            changes = {name: getattr(step.wanted, name) for name in _CHANGEABLE}
            budgeting.change(book, step.name, changes, at_us=at_us, by_whom=by_whom, reason=reason)


def _carry_out_guard(
    book: Book, what: str, guard: Guard, *, at_us: int, by_whom: str, reason: str | None
) -> None:
    if what in ("remove", "replace"):
        guarding.remove(book, guard.name, at_us=at_us, by_whom=by_whom, reason=reason)
    if what in ("create", "replace"):
        guarding.create(book, guard, at_us=at_us, by_whom=by_whom, reason=reason)
    if what == "change":
        terms = {name: value for name, value in guarding.terms_of(guard).items() if name != "name"}
        guarding.change(book, guard.name, terms, at_us=at_us, by_whom=by_whom, reason=reason)


def _terms_text(budget: Budget) -> str:
    kind = "hard" if budget.is_hard else "soft"
    return f"{dollar_text(budget.amount_nano)} per {budget.window}, {budget.scope}, {kind}"


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """What of the terms becomes what."""
    return ", ".join(
        f"{name} {_value(before[name])} → {_value(value)}"
        for name, value in after.items()
        if before[name] != value
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
