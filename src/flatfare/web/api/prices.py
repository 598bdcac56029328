"""Prices over HTTP: what the prices of a call are, by the version that the call names."""

import msgspec

from flatfare.service.costing import price_versions
from flatfare.service.costing.pricing import open_price_book
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint


class VersionQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which prices: the ``price_version`` of a call."""

    version: str


def _version(asked: Asked) -> object:
    query: VersionQuery = asked.query
    prices = open_price_book(asked.books.settings)
    return {"prices": price_versions.told(asked.books.book, prices, query.version)}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/prices/version",
        "show_price_version",
        "The prices that a call was costed with, one set for each model that served it",
        Right.READ,
        _version,
        query=VersionQuery,
        narrows=True,
    ),
)
