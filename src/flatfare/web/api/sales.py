"""Sales over HTTP, for who does the work by programs of their own: quote, hold, settle, void, reverse.

Each is known by the client's id (or ``Idempotency-Key``), and moves money once. What is due is decided
by the task's outcome and its evidence, never by who asks: nothing is settled that is not verified,
unless the price says so.
"""

from typing import Any
from uuid import UUID

import msgspec

from flatfare.core.action_price import ActionPrice, parse_price
from flatfare.core.currency import parse_in
from flatfare.core.errors import BadInput, NotAuthorised, NotFound
from flatfare.core.identity import derived
from flatfare.core.sale import COST_CURRENCY, Costs
from flatfare.service import selling
from flatfare.service.actions import publishing
from flatfare.service.invoicing import plans
from flatfare.service.selling import showing
from flatfare.service.tasks import telling
from flatfare.web.access import Right
from flatfare.web.api.customers import id_of
from flatfare.web.endpoint import Asked, Endpoint

VALID_S_MAX = 31 * 86_400


class NewQuote(msgspec.Struct, forbid_unknown_fields=True):
    """For whom and what; if no price is given, the plan of the customer has one, or the published action."""

    customer: str
    action: str
    version: str | None = None  # of the action; the newest that is published if not said
    price: str | dict[str, Any] | None = None  # as an action file states it
    size: int | None = None
    attempts_max: int = 1
    valid_s: int = 3600
    id: str | None = None


class NewHold(msgspec.Struct, forbid_unknown_fields=True):
    """Which quote pays for which task; the task is told of by ``/api/events`` before."""

    task: str
    quote: str
    id: str | None = None


class CostsGiven(msgspec.Struct, forbid_unknown_fields=True):
    """What the task has cost in all, in dollars; ``unknown`` says why a part of it is not known."""

    work: str = "0"
    verification: str = "0"
    rework: str = "0"
    unknown: str | None = None


class Settling(msgspec.Struct, forbid_unknown_fields=True):
    """How many attempts were made, and what they have cost."""

    attempts: int = 1
    costs: CostsGiven | None = None
    id: str | None = None


class Voiding(msgspec.Struct, forbid_unknown_fields=True):
    """Why nothing is billed, and what the work has cost all the same."""

    reason: str
    costs: CostsGiven | None = None
    id: str | None = None


class Reversing(msgspec.Struct, forbid_unknown_fields=True):
    """Why it is given back, and how much: all that is left if not said."""

    reason: str
    amount: str | None = None
    id: str | None = None


def _quote(asked: Asked) -> object:
    given: NewQuote = asked.body
    _check_customer(asked, given.customer)
    if not 0 < given.valid_s <= VALID_S_MAX:
        raise BadInput(f"Found valid_s {given.valid_s}: a quote stands from 1 to {VALID_S_MAX} seconds.")
    version, price = _priced(asked, given)
    made = selling.quote(
        asked.books.book,
        quote_id=_own_id(asked, "quote", given.id) or id_of(None, asked.books.now_us),
        customer=given.customer,
        action=given.action,
        action_version=version,
        price=price,
        size=given.size,
        attempts_max=given.attempts_max,
        at_us=asked.books.now_us,
        valid_us=given.valid_s * 1_000_000,
    )
    return showing.quote_document(made)


def _priced(asked: Asked, given: NewQuote) -> tuple[str, ActionPrice]:
    book, key = asked.books.book, asked.visitor.key
    if given.price is not None:
        if key is not None and "customer" in key.labels:
            raise NotAuthorised("A customer's own key names no price: leave it out.")
        return given.version or "1", parse_price(given.price)
    wanted = None
    if given.version is not None:
        if not given.version.isdigit():
            raise BadInput(f"Found version {given.version[:40]!r}: published versions are whole numbers.")
        wanted = int(given.version)
    action = publishing.valid(book, given.action, wanted, at_us=asked.books.now_us).action
    own = plans.price_for(book, given.customer, given.action, asked.books.now_us)
    return str(action.version), own or action.price


def _show_quote(asked: Asked) -> object:
    name = asked.path["quote"]
    found = selling.quote_of(asked.books.book, name)
    key = asked.visitor.key
    if found is None or (key is not None and key.labels.get("customer") not in (None, found.customer)):
        raise NotFound(f"There is no quote {name[:60]!r}.")
    return showing.quote_document(found)


def _hold(asked: Asked) -> object:
    given: NewHold = asked.body
    offered = selling.quote_of(asked.books.book, given.quote)
    if offered is None:
        raise NotFound(f"There is no quote {given.quote[:60]!r}: ask for one first, POST /api/quotes.")
    _check_customer(asked, offered.customer)
    sale = selling.hold(
        asked.books.book,
        task_id=_task(asked, given.task),
        quote_id=offered.id,
        entry_id=_own_id(asked, "hold", given.id),
        at_us=asked.books.now_us,
    )
    return showing.sale_document(sale)


def _settle(asked: Asked) -> object:
    given: Settling = asked.body
    _check_worker(asked)
    sale = selling.settle(
        asked.books.book,
        task_id=_task(asked, asked.path["task"]),
        entry_id=_own_id(asked, "settle", given.id),
        at_us=asked.books.now_us,
        attempts=given.attempts,
        costs=_costs(given.costs),
    )
    return showing.sale_document(sale)


def _void(asked: Asked) -> object:
    given: Voiding = asked.body
    _check_worker(asked)
    sale = selling.void(
        asked.books.book,
        task_id=_task(asked, asked.path["task"]),
        entry_id=_own_id(asked, "void", given.id),
        at_us=asked.books.now_us,
        reason=_reason(given.reason),
        costs=_costs(given.costs),
    )
    return showing.sale_document(sale)


def _reverse(asked: Asked) -> object:
    given: Reversing = asked.body
    book = asked.books.book
    task_id = _task(asked, asked.path["task"])
    currency = selling.sale_of(book, task_id).currency
    sale = selling.reverse(
        book,
        task_id=task_id,
        entry_id=_own_id(asked, "reverse", given.id),
        at_us=asked.books.now_us,
        reason=_reason(given.reason),
        amount_nano=None if given.amount is None else parse_in(given.amount, currency),
    )
    return showing.sale_document(sale)


def _task(asked: Asked, name: str) -> str:
    """The id of a task that was told of, by its id or the name its source gave it."""
    key, books = asked.visitor.key, asked.books
    project = None if key is None else key.project
    return telling.find(books.book, books.lake, name, now_us=books.now_us, project=project).id


def _check_customer(asked: Asked, customer: str) -> None:
    """A key of one customer buys for nobody else."""
    own = None if asked.visitor.key is None else asked.visitor.key.labels.get("customer")
    if own not in (None, customer):
        raise NotAuthorised(f"This key is of the customer {own!r}, and of no other.")


def _check_worker(asked: Asked) -> None:
    """Who does the work says that it is done; who pays for it does not."""
    if asked.visitor.key is not None and "customer" in asked.visitor.key.labels:
        raise NotAuthorised("This key is of a customer: whoever does the work settles or voids it.")


def _own_id(asked: Asked, verb: str, given: str | None) -> UUID | None:
    """The client's id; of an ``Idempotency-Key``, one that is the asking project's alone."""
    header = asked.headers.get("idempotency-key")
    if given is not None:
        if header not in (None, given):
            raise BadInput("Found two ids: the header Idempotency-Key and 'id' say different things.")
        return id_of(given, 0)
    if header is None:
        return None
    project = "" if asked.visitor.key is None else asked.visitor.key.project or ""
    return derived("idempotency key", project, verb, header)


def _reason(text: str) -> str:
    if not text.strip():
        raise BadInput("Found no reason: it stands in the books, and says why.")
    return text


def _costs(given: CostsGiven | None) -> Costs | None:
    if given is None:
        return None
    work, verification, rework = (
        parse_in(text, COST_CURRENCY) for text in (given.work, given.verification, given.rework)
    )
    return Costs(work, verification, rework, given.unknown)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/quotes",
        "quote",
        "Freeze a price for one task; the same id twice is one quote",
        Right.RECORD,
        _quote,
        takes=NewQuote,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET", "/api/quotes/{quote}", "show_quote", "A price that was promised", Right.RECORD, _show_quote
    ),
    Endpoint(
        "POST",
        "/api/holds",
        "hold",
        "Hold the most that a quoted task can come to, before its work starts",
        Right.RECORD,
        _hold,
        takes=NewHold,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/holds/{task}/settle",
        "settle",
        "Bill what is due for a task that is verified; refused without its evidence",
        Right.RECORD,
        _settle,
        takes=Settling,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/holds/{task}/void",
        "void",
        "Give back all that is held: the task is not billed",
        Right.RECORD,
        _void,
        takes=Voiding,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/sales/{task}/reverse",
        "reverse",
        "Give back what a task was billed, or part of it; each part has an id of its own",
        Right.BILL,
        _reverse,
        takes=Reversing,
        writes=True,
    ),
)
