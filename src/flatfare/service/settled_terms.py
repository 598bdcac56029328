"""Settings stand as their last change on record left them: keys, budgets, guards, users, customers, actions.

The chain says who changed what; a row that was edited, dropped or inserted beside it agrees
with no record of the chain, and is named. So is an issued document that is not what was issued.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flatfare.core.invoice import Status, hash_of
from flatfare.core.ledger import Kind
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service.budgets import budgeting, guarding
from flatfare.store import actions, budgets, chains, guards, invoices, keys, sales, users
from flatfare.store.book import Book

State = dict[str, object]
States = dict[str, State]


def problems(book: Book) -> Iterator[tuple[str, str]]:
    """What stands otherwise than the chain of changes says: whose terms, and what is wrong with them."""
    with book.reading():
        said = _said(book)
        stands = {family: read(book) for family, read in _STANDS.items()}
    for family, rows in stands.items():
        for subject in sorted(said[family].keys() | rows.keys()):
            what = _difference(said[family].get(subject), rows.get(subject))
            if what is not None:
                yield f"{family}/{subject}", what


def _difference(said: State | None, stands: State | None) -> str | None:
    if stands is None:
        return "was made, and its row is gone"
    if said is None:
        return "stands, and no record says that it was made"
    for name in sorted(said.keys() | stands.keys()):
        agreed, found = said.get(name), stands.get(name)
        if _bare(agreed) != _bare(found):
            return f"{name} is {_text(found)}, and was agreed as {_text(agreed)}: it was edited"
    return None


def _bare(value: object) -> object:
    """Records leave out what was not limited, and what was not yet done."""
    return None if value is False or value == [] or value == {} else value


def _text(value: object) -> str:
    return "nothing" if _bare(value) is None else json.dumps(value, ensure_ascii=False, default=str)


# what the chain says


def _said(book: Book) -> dict[str, States]:
    """The terms of every subject as its records, in their order, leave them."""
    states: dict[str, States] = {family: {} for family in _STANDS}
    for batch in book.stream(
        "SELECT kind, subject, content FROM chained_records WHERE chain = ? ORDER BY position",
        (chains.ORGANISATION,),
    ):
        for kind, subject, content in batch:
            family, _, verb = str(kind).partition(".")
            if family in states:
                _take(states[family], str(subject), verb, _document(str(content)))
    for number, nano in _payments(book):
        states["invoice"].setdefault(number, {})
        states["invoice"][number]["paid"] = int(str(states["invoice"][number].get("paid", 0))) + nano
    return states


def _payments(book: Book) -> Iterator[tuple[str, int]]:
    """What the ledger says was paid, or paid out: of which document, and how much in nano units."""
    for batch in book.stream(
        "SELECT entries.asked, postings.amount_nano FROM entries JOIN postings ON postings.entry_id = "
        "entries.id JOIN accounts ON accounts.id = postings.account_id "
        "WHERE entries.verb IN (?, ?) AND accounts.kind = ? ORDER BY entries.at_us",
        ("payment", "payout", str(Kind.RECEIVABLE)),
    ):
        for asked, nano in batch:
            number = _document(str(asked)).get("reference")
            if isinstance(number, str):
                yield number, abs(int(nano or 0))  # a payout takes from what is receivable


def _document(content: str) -> State:
    try:
        found = json.loads(content)
    except ValueError:  # its link is broken too, which is said elsewhere
        return {}
    return found if isinstance(found, dict) else {}


def _take(states: States, subject: str, verb: str, content: State) -> None:
    """Take one record into the terms of its subject."""
    state = states.setdefault(subject, {})
    terms = {name: value for name, value in content.items() if name not in _BESIDE}
    if verb in ("created", "published", "issued"):
        state.update(terms)
    if verb == "changed":
        state.update({name: _after(value) for name, value in terms.items()})
    if verb in ("created", "rotated") and "prefix" in content:
        state["secrets"] = sorted([*_list(state, "secrets"), str(content["prefix"])])
    if verb in ("topped_up", "overridden"):
        more = [content.get("amount"), content.get("subject"), content.get("until"), verb == "overridden"]
        state["top_ups"] = sorted([*_list(state, "top_ups"), more], key=str)
    if verb in _MARKS:
        name, value = _MARKS[verb]
        state[name] = value


_BESIDE = frozenset({"prefix", "store_text", "password_changed", "closed_at_us"})
"""What records say beside the terms that are compared."""

_MARKS: Mapping[str, tuple[str, bool]] = {
    "removed": ("removed", True),
    "revoked": ("revoked", True),
    "disabled": ("disabled", True),
    "enabled": ("disabled", False),
    "closed": ("closed", True),
    "voided": ("void", True),
}


def _after(value: object) -> object:
    """What was changed is written as what it was and what it is, or as what it is, which is no list."""
    return value[1] if isinstance(value, list) and len(value) == 2 else value


def _list(state: State, name: str) -> list[Any]:
    found = state.get(name)
    return found if isinstance(found, list) else []


# what stands


def _budgets(book: Book) -> States:
    return {
        one.id: {
            **budgeting.terms_of(one),
            "removed": one.removed_at_us is not None,
            "top_ups": sorted(
                (
                    [decimal_text(more.amount_nano), more.subject, iso(more.until_us), more.replaces]
                    for more in one.top_ups
                ),
                key=str,
            ),
        }
        for one in budgets.all_of(book, with_removed=True)
    }


def _keys(book: Book) -> States:
    prefixes: dict[str, list[str]] = {}
    for secret in keys.secrets_of_all(book):
        prefixes.setdefault(secret.key_id, []).append(secret.prefix)
    return {
        one.id: {
            "name": one.name,
            "project": one.project,
            "labels": dict(one.labels),
            "allowed_models": list(one.allowed_models),
            "allowed_providers": list(one.allowed_providers),
            "requests_per_minute": one.requests_per_minute,
            "tokens_per_minute": one.tokens_per_minute,
            "concurrent": one.concurrent,
            "expires_at_us": one.expires_at_us,
            "secrets": sorted(prefixes.get(one.id, [])),
            "disabled": one.disabled_at_us is not None,
            "revoked": one.revoked_at_us is not None,
        }
        for one in keys.all_of(book)
    }


def _guards(book: Book) -> States:
    return {
        one.id: {**guarding.terms_of(one), "removed": one.removed_at_us is not None}
        for one in guards.all_of(book, with_removed=True)
    }


def _users(book: Book) -> States:
    return {
        one.id: {
            "name": one.name,
            "role": one.role,
            "scope": dict(one.scope),
            "subject": one.subject,
            "disabled": one.disabled_at_us is not None,
        }
        for one in users.all_of(book)
    }


def _customers(book: Book) -> States:
    return {
        one.name: {
            "currency": one.currency,
            "terms": str(one.terms),
            "credit_limit_nano": one.credit_limit_nano,
            "details": dict(one.details),
            "closed": one.closed_at_us is not None,
        }
        for one in sales.all_customers(book)
    }


def _actions(book: Book) -> States:
    return {
        f"{one.name} {one.version}": {
            "hash": hashlib.sha256(one.content.encode()).hexdigest(),
            "definition_version": one.definition_version,
            "from_us": one.from_us,
        }
        for one in actions.all_of(book)
    }


def _invoices(book: Book) -> States:
    return {
        one.number: {
            "hash": hash_of(one.document),
            "total": one.total_nano,
            "void": one.status is Status.VOID,
            "paid": one.paid_nano or None,
        }
        for one in invoices.listed(book)
    }


_STANDS: Mapping[str, Callable[[Book], States]] = {
    "budget": _budgets,
    "key": _keys,
    "guard": _guards,
    "user": _users,
    "customer": _customers,
    "action": _actions,
    "invoice": _invoices,
}
