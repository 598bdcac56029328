"""Settled sales as other billing systems take them: Stripe, OpenMeter (CloudEvents) and Lago.

Every event has the id of its ledger entry, so that sending it twice counts once (Stripe heeds ids for
24 hours at least, and takes events of the last 35 days; negative values take back).
Formats read 2026-11-21 at docs.stripe.com, openmeter.io/docs and getlago.com/docs: Stripe
``POST /v1/billing/meter_events`` (event_name, identifier, timestamp, payload), CloudEvents 1.0
(specversion, id, source, type, subject, time, data) as OpenMeter takes it at ``POST /api/v1/events``, Lago
``POST /api/v1/events`` (transaction_id, external_subscription_id, code, timestamp, properties).
"""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from urllib.parse import urlencode, urlsplit

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.core.ledger import Verb
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service import selling
from flatfare.store import invoices
from flatfare.store.book import Book

SOURCE = "flatfare"
TIMEOUT_S = 30


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


def send(found: Iterable[Mapping[str, object]], form: Format, url: str, secret: str) -> int:
    """Post each event to a billing system; returns how many. ``StoreFailure`` names the first it refused.

    What was sent is known there by its id: after a failure it is sent again from the beginning.
    """
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise BadUsage(f"Found the address {url!r}: write it like https://api.stripe.com.")
    maker = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = maker(place.hostname, place.port, timeout=TIMEOUT_S)
    count = 0
    try:
        for event in found:
            body, kind = _body(event, form)
            headers = {
                "Authorization": f"Bearer {secret}",
                "Content-Type": kind,
                "Idempotency-Key": _id(event),
            }
            connection.request("POST", (place.path.rstrip("/") or "") + PATHS[form], body, headers)
            answer = connection.getresponse()
            said = answer.read(2000).decode("utf-8", "replace")
            if answer.status >= 300:
                raise StoreFailure(
                    f"{place.hostname} answered {answer.status} to the event {_id(event)}, after {count} "
                    f"were taken: {said[:300]}"
                )
            count += 1
    except (OSError, http.client.HTTPException) as problem:
        raise StoreFailure(
            f"{place.hostname} cannot be reached: {problem}. {count} were taken; send all again."
        ) from problem
    finally:
        connection.close()
    return count


def _body(event: Mapping[str, object], form: Format) -> tuple[str, str]:
    if form is Format.STRIPE:  # Stripe's first API takes forms
        payload = event["payload"]
        assert isinstance(payload, dict)
        fields = {name: value for name, value in event.items() if name != "payload"}
        fields |= {f"payload[{name}]": value for name, value in payload.items()}
        return urlencode(fields), "application/x-www-form-urlencoded"
    kind = "application/cloudevents+json" if form is Format.CLOUDEVENTS else "application/json"
    return json.dumps(event), kind


def _id(event: Mapping[str, object]) -> str:
    inner = event.get("event")
    own = inner if isinstance(inner, Mapping) else event
    return str(own.get("id") or own.get("identifier") or own.get("transaction_id"))
