"""Plans and who has which: versioned, dated, each change on record."""

import json
from dataclasses import dataclass, replace
from fractions import Fraction

from flatfare.core.action_price import ActionPrice
from flatfare.core.currency import check_payable
from flatfare.core.customer import Customer, Terms
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.invoice import Period
from flatfare.core.ledger import canonical
from flatfare.core.moments import iso
from flatfare.core.plan import Plan, document_of, plan_of
from flatfare.service.invoicing.periods import days_of, month, month_of
from flatfare.service.selling import customers
from flatfare.store import chains, invoices
from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class Offered:
    """A version of a plan, and from when it holds."""

    plan: Plan
    from_us: int
    by_whom: str


@dataclass(frozen=True, slots=True)
class Held:
    """A version of a plan, and when in a month a customer had it."""

    plan: Plan
    spans: tuple[tuple[int, int], ...]  # from, until; within the month
    days: int
    days_of_month: int

    def covers(self, at_us: int) -> bool:
        """The customer had it at this moment."""
        return any(since_us <= at_us < until_us for since_us, until_us in self.spans)

    @property
    def share(self) -> str:
        """What is said where it is not of a whole month."""
        return "" if self.days == self.days_of_month else f", {self.days} of {self.days_of_month} days"


def offer(
    book: Book,
    plan: Plan,
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
    from_us: int | None = None,
) -> Plan:
    """Put a plan, or a new version of it, in force from now on, or from a day to come.

    The same again changes nothing. ``BadInput`` for a day that has passed, or lies before the version
    that came last.
    """
    with book.writing():
        versions = listed(book, plan.name)
        if versions and replace(versions[-1].plan, version=0) == replace(plan, version=0):
            return versions[-1].plan
        for amount_nano in (plan.base_nano, plan.minimum_nano):
            check_payable(amount_nano, plan.currency)
        begins_us = _begins(at_us, from_us)
        if versions and begins_us < versions[-1].from_us:
            raise BadInput(
                f"Version {versions[-1].plan.version} of the plan {plan.name!r} begins on "
                f"{iso(versions[-1].from_us)}: the next cannot begin before it."
            )
        made = replace(plan, version=1 + len(versions))
        if plan.version not in (0, made.version):
            raise BadInput(
                f"Found version {plan.version} of the plan {plan.name!r}: the next is {made.version}."
            )
        content = canonical(document_of(made))
        invoices.insert_plan(book, made.name, made.version, content, begins_us, by_whom)
        chains.record_change(
            book, "plan.offered", made.name, document_of(made), at_us=at_us, by_whom=by_whom, reason=reason
        )
    return made


def _begins(at_us: int, from_us: int | None) -> int:
    if from_us is not None and from_us < at_us:
        raise BadInput(
            f"Found {iso(from_us)} as the beginning: what has passed keeps its price. Name a time to come."
        )
    return at_us if from_us is None else from_us


def listed(book: Book, name: str | None = None) -> list[Offered]:
    """Every version of every plan, the oldest first."""
    return [
        Offered(plan_of(json.loads(str(content))), int(str(from_us)), str(by_whom))
        for _, _, content, from_us, by_whom in invoices.plans(book, name)
    ]


def assign(
    book: Book,
    customer: str,
    plan: str | None,
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
    from_us: int | None = None,
) -> None:
    """Put a customer on a plan from now on, or a day to come, or off any (None).

    What was agreed for later than that gives way. ``NotFound`` where there is no such plan.
    """
    begins_us = _begins(at_us, from_us)
    with book.writing():
        found = customers.one_of(book, customer)
        if plan is None:
            invoices.unsubscribe(book, customer, begins_us)
        else:
            _check_fits(found, listed(book, plan), plan)
            invoices.subscribe(book, customer, plan, begins_us)
        chains.record_change(
            book,
            "plan.assigned",
            customer,
            {"plan": plan, "from": iso(begins_us)},
            at_us=at_us,
            by_whom=by_whom,
            reason=reason,
        )


def _check_fits(customer: Customer, versions: list[Offered], name: str) -> None:
    if not versions:
        raise NotFound(f"There is no plan {name!r}. Make it: flatfare plans offer FILE")
    plan = versions[-1].plan
    if plan.currency != customer.currency:
        raise BadInput(
            f"The plan {name!r} is in {plan.currency}, and {customer.name} pays in "
            f"{customer.currency}: give a plan in that currency."
        )
    if customer.terms is Terms.PREPAID and (plan.included or plan.minimum_nano):
        raise BadInput(
            f"{customer.name} pays in advance, and what a plan includes and its minimum are reckoned on an "
            f"invoice: flatfare customers change {customer.name} --terms invoice"
        )


def price_for(book: Book, customer: str, action: str, at_us: int) -> ActionPrice | None:
    """The price that a customer's plan has for an action at a moment; None: the action's own counts."""
    for name, from_us, until_us in invoices.subscriptions(book, customer):
        if from_us <= at_us and (until_us is None or at_us < until_us):
            begun = [one.plan for one in listed(book, name) if one.from_us <= at_us]
            return begun[-1].prices.get(action) if begun else None
    return None


def held_in(book: Book, customer: Customer, period: Period, time_zone: str) -> list[Held]:
    """The plans that a customer had in a month, in the order in which they had them.

    Of a plan's versions counts the one in force when the month began, or when the customer came to it.
    """
    spans: dict[tuple[str, int], list[tuple[int, int]]] = {}
    found: dict[tuple[str, int], Plan] = {}
    for name, from_us, until_us in invoices.subscriptions(book, customer.name):
        since = max(from_us, period.from_us)
        until = period.until_us if until_us is None else min(until_us, period.until_us)
        if since >= until:
            continue
        versions = listed(book, name)
        plan = ([one.plan for one in versions if one.from_us <= since] or [versions[0].plan])[-1]
        key = plan.name, plan.version
        found.setdefault(key, plan)
        spans.setdefault(key, []).append((since, until))
    return [_held(found[key], own, period, time_zone) for key, own in spans.items()]


def _held(plan: Plan, spans: list[tuple[int, int]], period: Period, time_zone: str) -> Held:
    counted = [days_of(period, since, until, time_zone) for since, until in spans]
    return Held(plan, tuple(spans), sum(days for days, _ in counted), counted[0][1])


def token_spans(
    book: Book, customer: Customer, period: Period, time_zone: str
) -> dict[Fraction, list[tuple[int, int]]]:
    """From when until when, up to the end of a month, the customer's plans billed calls, by markup.

    Month by month, as each month's plan was in force: so a new plan, or a version that begins to bill
    calls, bills none from before it, and takes back none that the former billed.
    """
    spans: dict[Fraction, list[tuple[int, int]]] = {}
    at_us = next((since for _, since, _ in invoices.subscriptions(book, customer.name)), period.until_us)
    while at_us < period.until_us:
        own = month(month_of(at_us, time_zone), time_zone)
        for one in held_in(book, customer, own, time_zone):
            if one.plan.markup is not None:
                spans.setdefault(one.plan.markup, []).extend(one.spans)
        at_us = own.until_us
    return {markup: _joined(own) for markup, own in spans.items()}


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        is_next = bool(joined) and joined[-1][1] == since
        joined.append((joined.pop()[0] if is_next else since, until))
    return joined
