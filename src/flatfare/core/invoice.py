"""Invoices and credit notes: lines that are rounded once, and what they come to, to the last nano unit.

Each line adds up records of the ledger exactly; it is rounded to what can be paid, and what that
leaves over stands beside it, so that the records, the roundings and the tax sum to the total.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from flatfare.core.currency import billed
from flatfare.core.errors import BadInput
from flatfare.core.moments import DAY_US, iso
from flatfare.core.money import decimal_text

NET_DAYS = 30

TAX_NAME, TAX_PERCENT = "tax_name", "tax_percent"
"""The customer's details that a tax is taken from."""


class DocumentKind(StrEnum):
    """What a document is; one whose total is below zero is a credit note."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Status(StrEnum):
    """Where a document stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    PAID = "paid"
    VOID = "void"


class LineKind(StrEnum):
    """What a line is for."""

    USAGE = "usage"  # settled sales
    REVERSAL = "reversal"  # of settled sales, of this period or one before
    PACK = "pack"
    BASE = "base fee"
    INCLUDED = "included"  # in the plan: taken off
    MINIMUM = "minimum"  # what is missing to a commitment
    TOKENS = "tokens"  # at cost plus
    CREDIT = "credit"


OWED = frozenset({LineKind.USAGE, LineKind.REVERSAL, LineKind.PACK})
"""Lines that add up what the ledger says is owed already."""


@dataclass(frozen=True, slots=True)
class Item:
    """One record of the ledger that a line adds up."""

    position: int  # in the account of what is owed
    entry_id: str
    at_us: int
    amount_nano: int  # what it adds to the invoice
    task_id: str | None = None
    refers: str | None = None  # the document that billed what this gives back
    is_late: bool = False  # of a period before

    @property
    def document(self) -> dict[str, object]:
        """The record as an invoice carries it."""
        return {
            "position": self.position,
            "entry": self.entry_id,
            "at": iso(self.at_us),
            "task": self.task_id,
            "amount": decimal_text(self.amount_nano),
            "refers": self.refers,
            "late": self.is_late,
        }


@dataclass(frozen=True, slots=True)
class Charge:
    """A line before it is rounded."""

    kind: LineKind
    text: str
    quantity: int
    exact_nano: int
    unit_nano: int | None = None
    items: tuple[Item, ...] = ()
    note: str | None = None
    action: str | None = None  # which action was sold, or taken back


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax of so many percent, from a rate the operator gives."""

    name: str = "Tax"
    percent: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Period:
    """What a document is for: from a moment up to, and without, another."""

    name: str  # such as 2026-11
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Composed:
    """Lines, tax and total of a document that may be issued."""

    customer: str
    currency: str
    period: Period
    charges: tuple[Charge, ...]
    lines_nano: tuple[int, ...]  # each charge as it can be paid
    tax: Tax
    tax_nano: int
    details: tuple[tuple[str, str], ...] = ()  # what the document says of the customer

    @property
    def net_nano(self) -> int:
        """The lines together."""
        return sum(self.lines_nano)

    @property
    def total_nano(self) -> int:
        """What is to be paid; below zero what is given back."""
        return self.net_nano + self.tax_nano

    @property
    def rest_nano(self) -> int:
        """What rounding the lines left over: exact amounts = lines + rest."""
        return sum(charge.exact_nano for charge in self.charges) - self.net_nano

    @property
    def kind(self) -> DocumentKind:
        """An invoice, or a credit note where more is given back than is owed."""
        return DocumentKind.CREDIT_NOTE if self.total_nano < 0 else DocumentKind.INVOICE

    @property
    def owed_nano(self) -> int:
        """The exact part that the ledger says is owed already."""
        return sum(charge.exact_nano for charge in self.charges if charge.kind in OWED)

    def sum_of(self, *kinds: LineKind) -> int:
        """The exact part of charges of these kinds."""
        return sum(charge.exact_nano for charge in self.charges if charge.kind in kinds)

    @property
    def positions(self) -> tuple[int, ...]:
        """The places in the account of what is owed that it covers."""
        return tuple(sorted(item.position for charge in self.charges for item in charge.items))


def composed(
    customer: str,
    currency: str,
    period: Period,
    charges: Sequence[Charge],
    tax: Tax,
    details: Mapping[str, str],
) -> Composed:
    """The document that these charges make: each rounded once, the tax once on the sum of the lines."""
    bill = billed([charge.exact_nano for charge in charges], currency, tax.percent)
    return Composed(
        customer,
        currency,
        period,
        tuple(charges),
        bill.lines_nano,
        tax,
        bill.tax_nano,
        tuple(sorted(details.items())),
    )


def document_of(
    made: Composed,
    *,
    number: str | None,
    issued_at_us: int | None,
    refers: str | None = None,
    reason: str | None = None,
) -> dict[str, object]:
    """The document as it is kept and shown; what was paid of it stands beside it, not in it."""
    return {
        "kind": str(made.kind),
        "number": number,
        "customer": made.customer,
        "details": dict(made.details),
        "currency": made.currency,
        "period": made.period.name,
        "from": iso(made.period.from_us),
        "until": iso(made.period.until_us),
        "issued_at": iso(issued_at_us),
        "due_at": None if issued_at_us is None else iso(issued_at_us + NET_DAYS * DAY_US),
        "refers": refers,
        "reason": reason,
        "lines": [
            _line_document(charge, amount)
            for charge, amount in zip(made.charges, made.lines_nano, strict=True)
        ],
        "net": decimal_text(made.net_nano),
        "tax": {
            "name": made.tax.name,
            "percent": percent_text(made.tax.percent),
            "amount": decimal_text(made.tax_nano),
        },
        "total": decimal_text(made.total_nano),
    }


def written(document: Mapping[str, object]) -> str:
    """The one writing of a document, byte for byte."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_of(text: str) -> str:
    """SHA-256 of a written document, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _line_document(charge: Charge, amount_nano: int) -> dict[str, object]:
    return {
        "kind": str(charge.kind),
        "text": charge.text,
        "quantity": charge.quantity,
        "unit": decimal_text(charge.unit_nano),
        "exact": decimal_text(charge.exact_nano),
        "amount": decimal_text(amount_nano),
        "note": charge.note,
        "items": [item.document for item in charge.items],
    }


def percent_text(percent: Fraction) -> str:
    """A percentage as a decimal; rates are given as such.

    >>> percent_text(Fraction("7.50")), percent_text(Fraction("100"))
    ('7.5', '100')
    """
    text = f"{float(percent):.6f}".rstrip("0").rstrip(".")
    return text or "0"


def rate_of(text: str) -> Fraction:
    """A tax rate that an operator gives; ``BadInput`` for one that is none."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(-1)
    if not 0 <= rate <= 100:
        raise BadInput(f"Found the {TAX_PERCENT} {text!r:.40}: expected a percentage from 0 to 100.")
    return rate
