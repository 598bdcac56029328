"""Packs over HTTP: what is sold in advance."""

import msgspec

from flatfare.core.currency import parse_in
from flatfare.core.grant import PRIORITY
from flatfare.service import selling
from flatfare.service.selling import showing
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint


class NewPack(msgspec.Struct, forbid_unknown_fields=True):
    """So many units of actions, or credit, for a price as decimal text. A pack never changes."""

    name: str
    price: str
    currency: str = "USD"
    units: int | None = None
    actions: list[str] = []
    credit: str | None = None
    expires_days: int | None = None
    priority: int = PRIORITY
    reason: str | None = None


class Reasoned(msgspec.Struct, forbid_unknown_fields=True):
    """Why, for the record."""

    reason: str | None = None


def _list(asked: Asked) -> object:
    return {"packs": [showing.pack_document(pack) for pack in selling.packs.listed(asked.books.book)]}


def _create(asked: Asked) -> object:
    given: NewPack = asked.body
    made = selling.packs.create(
        asked.books.book,
        name=given.name,
        price_nano=parse_in(given.price, given.currency),
        currency=given.currency,
        units=given.units,
        actions=tuple(given.actions),
        credit_nano=None if given.credit is None else parse_in(given.credit, given.currency),
        expires_days=given.expires_days,
        priority=given.priority,
        **asked.on_record(given.reason),
    )
    return showing.pack_document(made)


def _withdraw(asked: Asked) -> object:
    given: Reasoned = asked.body
    pack = selling.packs.withdraw(asked.books.book, asked.path["pack"], **asked.on_record(given.reason))
    return showing.pack_document(pack)


ENDPOINTS = (
    Endpoint("GET", "/api/packs", "list_packs", "Every pack there ever was", Right.READ, _list),
    Endpoint(
        "POST",
        "/api/packs",
        "create_pack",
        "Offer a pack",
        Right.BILL,
        _create,
        takes=NewPack,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/packs/{pack}/withdraw",
        "withdraw_pack",
        "Offer a pack no more",
        Right.BILL,
        _withdraw,
        takes=Reasoned,
        writes=True,
    ),
)
