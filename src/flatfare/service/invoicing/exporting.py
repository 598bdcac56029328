"""Settled sales as other billing systems take them: Stripe, OpenMeter (CloudEvents) and Lago.

Every event has the id of its ledger entry. Stripe takes events of the last 35 days; negative values take
back.
Formats read 2026-11-21 at docs.stripe.com, openmeter.io/docs and getlago.com/docs: Stripe
``POST /v1/billing/meter_events`` (event_name, identifier, timestamp, payload), CloudEvents 1.0
(specversion, id, source, type, subject, time, data) as OpenMeter takes it at ``POST /api/v1/events``, Lago
``POST /api/v1/events`` (transaction_id, external_subscription_id, code, timestamp, properties).
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from urllib.parse import urlencode

from flatfare.core.ledger import Verb
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service import selling
from flatfare.store import invoices
from flatfare.store.book import Book

SOURCE = "flatfare"


class Format(StrEnum):
    """Whose format."""

    STRIPE = "stripe"
    CLOUDEVENTS = "cloudevents"
    LAGO = "lago"


PATHS = {
    Format.STRIPE: "/v1/billing/meter_events",
    Format.CLOUDEVENTS: "/api/v1/events",
    Format.LAGO: "/api/v1/events",
}


def events(book: Book, form: Format, *, since_us: int, until_us: int) -> Iterator[dict[str, object]]:
    """One event for each sale settled, and one that takes it back for each reversed, in a time.

    What is given back in parts takes its unit back with the last of them.
    """
    for customer in selling.customers.listed(book):
        actions = invoices.sold(book, customer.name)
        for entry in selling.entries(book, customer=customer.name, since_us=since_us, until_us=until_us):
            if entry.verb not in (Verb.SETTLE, Verb.REVERSE):
                continue
            action, version = actions[str(entry.task_id)]
            is_part = bool(json.loads(entry.decided).get("left"))
            if is_part and form is Format.STRIPE:
                continue  # it counts units, and a part given back is none
            amount_nano = sum(
                posting.amount_nano
                for posting in entry.postings
                if str(posting.account.kind) in ("revenue", "refunds")
            )
            yield _SHAPES[form](
                {
                    "id": entry.id,
                    "at_us": entry.at_us,
                    "customer": customer.name,
                    "external": customer.details.get("external_id", customer.name),
                    "action": action,
                    "version": version,
                    "settlement": "settled" if entry.verb == Verb.SETTLE else "reversed",
                    "quantity": 0 if is_part else 1 if entry.verb == Verb.SETTLE else -1,
                    "amount": decimal_text(amount_nano),
                    "currency": customer.currency,
                    "task": entry.task_id,
                }
            )


def _stripe(said: Mapping[str, object]) -> dict[str, object]:
    return {
        "event_name": said["action"],
        "identifier": said["id"],
        "timestamp": int(str(said["at_us"])) // 1_000_000,
        "payload": {"stripe_customer_id": said["external"], "value": str(said["quantity"])},
    }


def _cloudevent(said: Mapping[str, object]) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": said["id"],
        "source": SOURCE,
        "type": "flatfare.sale",  # one type for both: OpenMeter's meters take one, and sum its quantity
        "subject": said["external"],
        "time": iso(int(str(said["at_us"]))),
        "datacontenttype": "application/json",
        "data": {
            name: said[name]
            for name in ("settlement", "action", "version", "quantity", "amount", "currency", "task")
        },
    }


def _lago(said: Mapping[str, object]) -> dict[str, object]:
    return {
        "event": {
            "transaction_id": said["id"],
            "external_subscription_id": said["external"],
            "code": said["action"],
            "timestamp": int(str(said["at_us"])) // 1_000_000,
            "properties": {
                "quantity": said["quantity"],
                "amount": said["amount"],
                "currency": said["currency"],
            },
        }
    }


_SHAPES = {Format.STRIPE: _stripe, Format.CLOUDEVENTS: _cloudevent, Format.LAGO: _lago}


def body_of(event: Mapping[str, object], form: Format) -> tuple[str, str]:
    """An event as its receiver takes it, and the type of that."""
    if form is Format.STRIPE:  # Stripe's first API takes forms
        payload = event["payload"]
        assert isinstance(payload, dict)
        fields = {name: value for name, value in event.items() if name != "payload"}
        fields |= {f"payload[{name}]": value for name, value in payload.items()}
        return urlencode(fields), "application/x-www-form-urlencoded"
    kind = "application/cloudevents+json" if form is Format.CLOUDEVENTS else "application/json"
    return json.dumps(event), kind


def id_of(event: Mapping[str, object]) -> str:
    """The id of an event: that of its ledger entry."""
    inner = event.get("event")
    own = inner if isinstance(inner, Mapping) else event
    return str(own.get("id") or own.get("identifier") or own.get("transaction_id"))
