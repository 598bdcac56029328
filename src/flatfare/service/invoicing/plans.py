"""Plans and who has which: versioned, dated, each change on record."""

import json
from dataclasses import dataclass, replace

from flatfare.core.customer import Customer
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.invoice import Period
from flatfare.core.ledger import canonical
from flatfare.core.plan import Plan, document_of, plan_of
from flatfare.service.invoicing.periods import month, month_of
from flatfare.service.selling import customers
from flatfare.store import chains, invoices
from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class Offered:
    """A version of a plan, and from when it holds."""

    plan: Plan
    from_us: int
    by_whom: str


def offer(book: Book, plan: Plan, *, at_us: int, by_whom: str, reason: str | None = None) -> Plan:
    """Put a plan, or a new version of it, in force from now on; the same again changes nothing."""
    with book.writing():
        versions = listed(book, plan.name)
        if versions and replace(versions[-1].plan, version=0) == replace(plan, version=0):
            return versions[-1].plan
        made = replace(plan, version=1 + len(versions))
        if plan.version not in (0, made.version):
            raise BadInput(
                f"Found version {plan.version} of the plan {plan.name!r}: the next is {made.version}."
            )
        content = canonical(document_of(made))
        invoices.insert_plan(book, made.name, made.version, content, at_us, by_whom)
        chains.record_change(
            book, "plan.offered", made.name, document_of(made), at_us=at_us, by_whom=by_whom, reason=reason
        )
    return made


def listed(book: Book, name: str | None = None) -> list[Offered]:
    """Every version of every plan, the oldest first."""
    return [
        Offered(plan_of(json.loads(str(content))), int(str(from_us)), str(by_whom))
        for _, _, content, from_us, by_whom in invoices.plans(book, name)
    ]


def assign(
    book: Book, customer: str, plan: str | None, *, at_us: int, by_whom: str, reason: str | None = None
) -> None:
    """Put a customer on a plan from now on, or off any (None). ``NotFound`` where there is no such plan."""
    with book.writing():
        found = customers.one_of(book, customer)
        if plan is None:
            invoices.unsubscribe(book, customer, at_us)
        else:
            versions = listed(book, plan)
            if not versions:
                raise NotFound(f"There is no plan {plan!r}. Make it: flatfare plans offer FILE")
            if versions[-1].plan.currency != found.currency:
                raise BadInput(
                    f"The plan {plan!r} is in {versions[-1].plan.currency}, and {customer} pays in "
                    f"{found.currency}: give a plan in that currency."
                )
            invoices.subscribe(book, customer, plan, at_us)
        chains.record_change(
            book, "plan.assigned", customer, {"plan": plan}, at_us=at_us, by_whom=by_whom, reason=reason
        )


def in_force(book: Book, customer: Customer, period: Period) -> tuple[Plan | None, int, int | None]:
    """The plan of a customer in a month, from when and until when they have it.

    Of several in one month the last one counts; of its versions, the one in force when the month
    began, or the first one after.
    """
    for name, from_us, until_us in reversed(invoices.subscriptions(book, customer.name)):
        if from_us >= period.until_us or (until_us is not None and until_us <= period.from_us):
            continue
        versions = listed(book, name)
        held = [one for one in versions if one.from_us <= max(period.from_us, from_us)] or versions[:1]
        return held[-1].plan, from_us, until_us
    return None, period.from_us, None


def token_spans(book: Book, customer: Customer, period: Period, time_zone: str) -> list[tuple[int, int]]:
    """From when until when, up to the end of a month, the customer's plans billed calls by the token.

    Month by month, as each month's plan was in force: so a new plan, or a version that begins to bill
    calls, bills none from before it, and takes back none that the former billed.
    """
    spans: list[tuple[int, int]] = []
    first = next((from_us for _, from_us, _ in invoices.subscriptions(book, customer.name)), period.until_us)
    at_us = first
    while at_us < period.until_us:
        own = month(month_of(at_us, time_zone), time_zone)
        plan, from_us, until_us = in_force(book, customer, own)
        if plan is not None and plan.markup is not None:
            since = max(own.from_us, from_us)
            until = min(own.until_us, period.until_us, own.until_us if until_us is None else until_us)
            if spans and spans[-1][1] == since:
                since = spans.pop()[0]
            spans.append((since, until))
        at_us = own.until_us
    return spans
