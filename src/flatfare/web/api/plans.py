"""Plans over HTTP: put in force, and customers put on them."""

from typing import Any

import msgspec

from flatfare.core.plan import document_of as plan_document
from flatfare.core.plan import plan_of
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.periods import moment_in
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint


class Assigning(msgspec.Struct, forbid_unknown_fields=True):
    """Which plan a customer has, from when on (now if not said); none ends the one they have."""

    plan: str | None
    since: str | None = None
    reason: str | None = None


class Offering(msgspec.Struct, forbid_unknown_fields=True):
    """A plan as its file says it, in force from when on (now if not said)."""

    plan: dict[str, Any]
    since: str | None = None
    reason: str | None = None


def _offer(asked: Asked) -> object:
    given: Offering = asked.body
    made = plans.offer(
        asked.books.book,
        plan_of(given.plan),
        **asked.on_record(given.reason),
        from_us=_begin(asked, given.since),
    )
    return plan_document(made)


def _assign(asked: Asked) -> object:
    given: Assigning = asked.body
    customer = asked.path["customer"]
    plans.assign(
        asked.books.book,
        customer,
        given.plan,
        **asked.on_record(given.reason),
        from_us=_begin(asked, given.since),
    )
    return {"customer": customer, "plan": given.plan}


def _begin(asked: Asked, text: str | None) -> int | None:
    return None if text is None else moment_in(text, asked.books.settings.time_zone)


def _plans(asked: Asked) -> object:
    return {"plans": [plan_document(one.plan) for one in plans.listed(asked.books.book)]}


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/plans",
        "offer_plan",
        "Put a plan, or a new version of it, in force; the same again changes nothing",
        Right.BILL,
        _offer,
        takes=Offering,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/customers/{customer}/plan",
        "assign_plan",
        "Put a customer on a plan, or off any",
        Right.BILL,
        _assign,
        takes=Assigning,
        writes=True,
    ),
    Endpoint("GET", "/api/plans", "list_plans", "Plans, every version", Right.READ, _plans),
)
