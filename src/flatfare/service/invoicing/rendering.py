"""A document as CSV that recounts to its total, and as a page to print.

Every row of the CSV is a record of the ledger, what rounding its line changed, or the tax:
their amounts sum to the total, to the last nano unit.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.resources import files
from zoneinfo import ZoneInfo

from flatfare.core.currency import payable_text
from flatfare.core.errors import BadUsage
from flatfare.core.moments import datetime_of
from flatfare.core.money import decimal_text, nano_of
from flatfare.service.selling.stating import Told, note_of, parts_of
from flatfare.store.invoices import Kept

COLUMNS = (
    "document",
    "line",
    "kind",
    "text",
    "quantity",
    "task",
    "entry",
    "at",
    "refers",
    "amount",
    "currency",
)


def rows(document: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The document's rows; their amounts sum to its total."""
    shared = {"document": document["number"] or "draft", "currency": document["currency"]}
    for number, line in enumerate(_lines(document), start=1):
        own = {**shared, "line": number, "kind": line["kind"], "text": line["text"]}
        items = line["items"]
        assert isinstance(items, list)
        told_nano = 0
        for item in items:
            told_nano += nano_of(Decimal(item["amount"]))
            yield {
                **own,
                "quantity": 1,
                "task": item["task"],
                "entry": item["entry"],
                "at": item["at"],
                "refers": item["refers"],
                "amount": item["amount"],
            }
        rest_nano = nano_of(Decimal(str(line["amount"]))) - told_nano
        if not items:
            yield {**own, "quantity": line["quantity"], "amount": line["amount"]}
        elif rest_nano:
            yield {**own, "kind": "rounding", "amount": decimal_text(rest_nano)}
    tax = document["tax"]
    assert isinstance(tax, dict)
    if Decimal(tax["amount"]):
        yield {
            **shared,
            "kind": "tax",
            "text": f"{tax['name']} {tax['percent']} %",
            "amount": tax["amount"],
        }


def page(kept: Kept, seller: Mapping[str, str]) -> bytes:
    """The document as PDF. ``BadUsage`` where the extra that makes it is not installed."""
    return _page({**kept.says, "status": str(kept.status), "hash": kept.hash}, seller)


def draft_page(document: Mapping[str, object], seller: Mapping[str, str]) -> bytes:
    """What would be issued now, as PDF; it says that it is a draft."""
    return _page({**document, "hash": "of a draft changes"}, seller)


def statement_page(found: Told, seller: Mapping[str, str], time_zone: str) -> bytes:
    """A customer's statement as PDF; days and times in a time zone that it names."""
    return _typeset("statement.typ", _stated(found, seller, ZoneInfo(time_zone)))


def _page(document: Mapping[str, object], seller: Mapping[str, str]) -> bytes:
    return _typeset("invoice.typ", _printed(document, seller))


def _typeset(template: str, said: Mapping[str, object]) -> bytes:
    try:
        import typst
    except ImportError:
        raise BadUsage(
            "Documents are made by typst, which is not installed: pip install 'flatfare[invoices]'"
        ) from None
    written = files("flatfare.data").joinpath(template).read_bytes()
    inputs = {"document": json.dumps(said, ensure_ascii=False)}
    made = typst.compile(written, sys_inputs=inputs, format="pdf")
    assert isinstance(made, bytes)
    return made


def _printed(said: Mapping[str, object], seller: Mapping[str, str]) -> dict[str, object]:
    """What stands on the page, each amount as it can be paid."""
    currency = str(said["currency"])
    is_draft = said["number"] is None
    title = "Credit note" if str(said["kind"]) == "credit_note" else "Invoice"

    def amount(text: object) -> str:
        return payable_text(nano_of(Decimal(str(text))), currency)

    tax = said["tax"]
    assert isinstance(tax, dict)
    details = said["details"]
    assert isinstance(details, dict)
    return {
        "title": f"{title}, draft" if is_draft else title,
        "number": said["number"] or "not issued",
        "customer": said["customer"],
        "details": [f"{details[key]}" for key in sorted(details) if not key.startswith("tax_")],
        "seller": [f"{value}" for _, value in sorted(seller.items())],
        "period": said["period"],
        "issued": "—" if is_draft else str(said["issued_at"])[:10],
        "due": "—" if is_draft else str(said["due_at"])[:10],
        "refers": said["refers"],
        "currency": currency,
        "status": str(said["status"]),
        "hash": str(said["hash"]),
        "lines": [
            {
                "text": line["text"],
                "note": line["note"],
                "quantity": str(line["quantity"]),
                "unit": "" if line["unit"] is None else amount(line["unit"]),
                "amount": amount(line["amount"]),
            }
            for line in _lines(said)
        ],
        "net": amount(said["net"]),
        "tax": f"{tax['name']} {tax['percent']} %" if Decimal(tax["amount"]) else None,
        "tax_amount": amount(tax["amount"]),
        "total": amount(said["total"]),
    }


def _stated(found: Told, seller: Mapping[str, str], zone: ZoneInfo) -> dict[str, object]:
    """What stands on the page of a statement, each amount with the digits that it has."""
    customer, said = found.customer, found.said
    currency = customer.currency

    def amount(nano: int) -> str:
        return payable_text(nano, currency)

    def day(at_us: int | None) -> str | None:
        return None if at_us is None else f"{datetime_of(at_us).astimezone(zone):%Y-%m-%d}"

    return {
        "customer": customer.name,
        "details": [value for key, value in sorted(customer.details.items()) if not key.startswith("tax_")],
        "seller": [f"{value}" for _, value in sorted(seller.items())],
        "since": day(found.since_us) or "the beginning",
        "until": day(found.at_us if found.until_us is None else found.until_us - 1),
        "zone": str(zone),
        "currency": currency,
        "before": amount(said.before.balance_nano),
        "lines": [
            {
                "at": f"{datetime_of(line.entry.at_us).astimezone(zone):%Y-%m-%d %H:%M}",
                "text": line.text,
                "note": note_of(line, currency),
                "task": found.called(line),
                "amount": amount(line.amount_nano),
                "balance": amount(line.after.balance_nano),
            }
            for line in said.lines
        ],
        "totals": [{"text": str(kind), "amount": amount(nano)} for kind, nano in said.totals.items()],
        "after": amount(said.after.balance_nano),
        "parts": [{"text": text, "amount": amount(nano)} for text, nano in parts_of(said.after)],
        "lots": [
            {
                "text": lot.pack or "credit",
                "left": amount(left) if lot.units is None else f"{lot.units_of(left)} of {lot.units} units",
                "expires": day(lot.expires_at_us),
            }
            for lot, left in said.lots
        ],
    }


def _lines(document: Mapping[str, object]) -> list[dict[str, object]]:
    lines = document["lines"]
    assert isinstance(lines, list)
    return lines
