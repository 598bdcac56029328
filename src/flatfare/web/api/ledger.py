"""The ledger over HTTP: totals, accounts, entries and sales, to be read only."""

import msgspec

from flatfare.service import selling
from flatfare.service.selling import showing
from flatfare.web.access import Right
from flatfare.web.api.reports import moment
from flatfare.web.endpoint import Asked, Endpoint

LIMIT = 1000


class Lines(msgspec.Struct, forbid_unknown_fields=True):
    """Lines after one of them."""

    after: int = 0
    limit: int = LIMIT


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """Whose entries, of which task and time; of one customer, those after a number."""

    customer: str | None = None
    task: str | None = None
    since: str | None = None
    until: str | None = None
    after: int = 0
    limit: int = LIMIT


def _totals(asked: Asked) -> object:
    return {"totals": showing.totals_document(selling.totals(asked.books.book))}


def _account(asked: Asked) -> object:
    name = asked.path["account"]
    limit = max(1, min(asked.query.limit, LIMIT))
    return {
        "account": name,
        "lines": showing.account_document(asked.books.book, name, asked.query.after, limit),
    }


def _entries(asked: Asked) -> object:
    wanted: Wanted = asked.query
    found = selling.entries(
        asked.books.book,
        customer=wanted.customer,
        task_id=wanted.task,
        since_us=moment(wanted.since),
        until_us=moment(wanted.until),
        after_number=wanted.after,
        limit=max(1, min(wanted.limit, LIMIT)),
    )
    return {"entries": [showing.entry_document(entry) for entry in found]}


def _sale(asked: Asked) -> object:
    return showing.sale_document(selling.sale_of(asked.books.book, asked.path["task"]))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/ledger/totals",
        "ledger_totals",
        "What stands in each kind of account",
        Right.READ,
        _totals,
    ),
    Endpoint(
        "GET",
        "/api/ledger/accounts/{account}",
        "ledger_account",
        "The lines of an account",
        Right.READ,
        _account,
        query=Lines,
    ),
    Endpoint(
        "GET",
        "/api/ledger/entries",
        "ledger_entries",
        "Entries with their postings",
        Right.READ,
        _entries,
        query=Wanted,
    ),
    Endpoint("GET", "/api/sales/{task}", "show_sale", "The money of one task", Right.READ, _sale),
)
