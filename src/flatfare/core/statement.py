"""A customer's statement: what was bought, paid in, given back and invoiced, with the balance after each.

The balance is what stands in the customer's favour less what the customer owes. Each line moves it by
the sum of what its entry posts to those accounts, so that the balance before and the lines come to the
balance after, to the last nano unit. What work has cost us is no part of it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from flatfare.core.grant import Category, Grant
from flatfare.core.ledger import Account, Entry, Kind, Verb

IN_FAVOUR = frozenset({Kind.WALLET, Kind.GRANT, Kind.HOLD, Kind.PENDING})
"""Paid in or given and not used; ``pending`` takes out of a hold what no credit is behind."""

OWED = frozenset({Kind.ACCRUED, Kind.TEAM, Kind.RECEIVABLE})
"""Used and not paid, invoiced or not."""


class LineKind(StrEnum):
    """What a line is about."""

    BOUGHT = "bought"
    NOT_CHARGED = "not charged"
    GIVEN_BACK = "given back"
    PAID_IN = "paid in"
    PACK = "pack"
    CREDIT = "credit"
    EXPIRED = "expired"
    INVOICE = "invoice"
    CREDIT_NOTE = "credit note"
    VOIDED = "invoice voided"
    PAYMENT = "payment"
    PAID_OUT = "paid out"
    OTHER = "other"


_KINDS: Mapping[str, LineKind] = {
    Verb.SETTLE: LineKind.BOUGHT,
    Verb.VOID: LineKind.NOT_CHARGED,
    Verb.REVERSE: LineKind.GIVEN_BACK,
    Verb.TOP_UP: LineKind.PAID_IN,
    Verb.EXPIRE: LineKind.EXPIRED,
    "invoice": LineKind.INVOICE,
    "credit note": LineKind.CREDIT_NOTE,
    "void invoice": LineKind.VOIDED,
    "payment": LineKind.PAYMENT,
    "payout": LineKind.PAID_OUT,
}

_ADDED: Mapping[Kind, str] = {
    Kind.REVENUE: "fees, minimum and tokens",
    Kind.DEFERRED: "fees in advance",
    Kind.PROMOTION: "included in the plan",
    Kind.REFUNDS: "credit",
    Kind.TAX: "tax",
    Kind.ROUNDING: "rounding",
}
"""What a document adds to what was owed already, by the account that it goes to."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a customer stands, part by part, in nano units."""

    wallet_nano: int = 0
    grants_nano: int = 0
    held_nano: int = 0  # of wallet and grants, for work under way
    not_invoiced_nano: int = 0
    invoiced_nano: int = 0  # and not paid; below zero where more was paid or credited than invoiced

    @property
    def credit_nano(self) -> int:
        """Paid in or given, and not used."""
        return self.wallet_nano + self.grants_nano + self.held_nano

    @property
    def owed_nano(self) -> int:
        """Used, and not paid."""
        return self.not_invoiced_nano + self.invoiced_nano

    @property
    def balance_nano(self) -> int:
        """In the customer's favour; below zero where the customer owes."""
        return self.credit_nano - self.owed_nano


@dataclass(frozen=True, slots=True)
class Part:
    """What paid for a purchase, or what a document adds."""

    text: str
    amount_nano: int
    units_left: int | None = None  # of the pack that a unit was taken from
    is_unit: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, and where the customer stands after it."""

    entry: Entry
    kind: LineKind
    text: str
    amount_nano: int  # what it adds to the balance
    after: Standing
    document: str | None = None  # the invoice or credit note that it is about
    parts: tuple[Part, ...] = ()
    lots: tuple[Grant, ...] = ()  # that it made


@dataclass(frozen=True, slots=True)
class Statement:
    """What happened in a time, between two standings."""

    before: Standing
    lines: tuple[Line, ...]
    after: Standing
    lots: tuple[tuple[Grant, int], ...] = ()  # that hold something at its end, with what is left

    @property
    def totals(self) -> dict[LineKind, int]:
        """What lines of each kind add to the balance together."""
        found: dict[LineKind, int] = {}
        for line in self.lines:
            found[line.kind] = found.get(line.kind, 0) + line.amount_nano
        return {kind: found[kind] for kind in LineKind if kind in found}


@dataclass(slots=True)
class _Fold:
    """The customer's own accounts, as the entries so far leave them."""

    currency: str
    accounts: dict[Account, int] = field(default_factory=dict)
    sums: dict[Kind, int] = field(default_factory=dict)

    def add(self, account: Account, nano: int) -> None:
        if account.currency == self.currency and account.kind in IN_FAVOUR | OWED:
            self.accounts[account] = self.accounts.get(account, 0) + nano
            self.sums[account.kind] = self.sums.get(account.kind, 0) + nano

    @property
    def standing(self) -> Standing:
        def of(*kinds: Kind) -> int:
            return sum(self.sums.get(kind, 0) for kind in kinds)

        return Standing(
            of(Kind.WALLET),
            of(Kind.GRANT),
            of(Kind.HOLD, Kind.PENDING),
            -of(Kind.ACCRUED, Kind.TEAM),
            -of(Kind.RECEIVABLE),
        )


def statement(
    before: Mapping[Account, int],
    entries: Iterable[Entry],
    *,
    currency: str,
    sold: Callable[[str], str],
    lots: Mapping[str, Grant],
) -> Statement:
    """The statement of these entries, behind what stood in the accounts before them.

    ``sold`` names what a task was sold as, ``lots`` are the customer's by their ids. Entries are told
    by their moment, and those of one moment in the order in which they were written.
    """
    fold = _Fold(currency)
    for account, nano in before.items():
        fold.add(account, nano)
    opening = fold.standing
    lines = []
    for entry in sorted(entries, key=lambda one: (one.at_us, one.number)):
        was_nano = fold.standing.balance_nano
        for posting in entry.postings:
            fold.add(posting.account, posting.amount_nano)
        if entry.verb not in (Verb.HOLD, Verb.COST):  # these only set aside, or are of our own books
            lines.append(_line(entry, was_nano, fold, sold, lots))
    left = sorted(
        (
            (lots[account.owner], nano)
            for account, nano in fold.accounts.items()
            if _is_lot(account, lots, nano)
        ),
        key=lambda pair: pair[0].order,
    )
    return Statement(opening, tuple(lines), fold.standing, tuple(left))


def _is_lot(account: Account, lots: Mapping[str, Grant], nano: int) -> bool:
    return account.kind is Kind.GRANT and nano != 0 and account.owner in lots


def _line(
    entry: Entry, was_nano: int, fold: _Fold, sold: Callable[[str], str], lots: Mapping[str, Grant]
) -> Line:
    after = fold.standing
    kind = _kind(entry)
    made = tuple(lots[one] for one in _made(entry) if one in lots)
    document = _document(entry)
    return Line(
        entry,
        kind,
        _text(entry, kind, document, sold, lots),
        after.balance_nano - was_nano,
        after,
        document,
        _parts(entry, kind, fold, lots),
        made,
    )


def _kind(entry: Entry) -> LineKind:
    if entry.verb == Verb.GRANT:
        return LineKind.PACK if json.loads(entry.asked).get("pack") else LineKind.CREDIT
    return _KINDS.get(entry.verb, LineKind.OTHER)


def _made(entry: Entry) -> list[str]:
    return [str(one["id"]) for one in json.loads(entry.decided).get("grants", ())]


def _document(entry: Entry) -> str | None:
    """The number that an entry of an invoice names first in its reference."""
    if entry.verb not in ("invoice", "credit note", "void invoice", "payment", "payout"):
        return None
    return str(json.loads(entry.asked).get("reference") or "").partition(" ")[0] or None


def _text(
    entry: Entry,
    kind: LineKind,
    document: str | None,
    sold: Callable[[str], str],
    lots: Mapping[str, Grant],
) -> str:
    asked = json.loads(entry.asked)
    match kind:
        case LineKind.BOUGHT | LineKind.NOT_CHARGED | LineKind.GIVEN_BACK:
            what = sold(str(entry.task_id))
            return what if kind is LineKind.BOUGHT else f"{what}, {kind}"
        case LineKind.PACK | LineKind.CREDIT:
            lot = lots.get(entry.id)
            units = "" if lot is None or lot.units is None else f", {lot.units} units"
            named = f"pack {asked['pack']}{units}" if kind is LineKind.PACK else "credit"
            return f"{named}, {_HOW.get(str(asked.get('paid')), '')}".removesuffix(", ")
        case LineKind.EXPIRED:
            lot = lots.get(str(asked.get("grant")))
            return f"{_lot_text(lot)}, expired"
        case LineKind.PAID_IN:
            return "paid in"
        case LineKind.VOIDED:
            return f"invoice {document or ''}, voided"
        case LineKind.OTHER:
            return entry.verb
        case _:
            return f"{kind} {_OF.get(kind, '')}{document or ''}".strip()


_HOW = {"invoice": "on the next invoice", "promotion": "given"}
_OF = {LineKind.PAYMENT: "of ", LineKind.PAID_OUT: "of "}


def _lot_text(lot: Grant | None) -> str:
    if lot is None:
        return "credit"
    if lot.pack:
        return f"pack {lot.pack}"
    return "credit given" if lot.category is Category.PROMOTION else "credit"


def _parts(entry: Entry, kind: LineKind, fold: _Fold, lots: Mapping[str, Grant]) -> tuple[Part, ...]:
    if kind is LineKind.BOUGHT:
        return tuple(_payer(one, fold, lots) for one in json.loads(entry.decided).get("draws", ()))
    if kind in (LineKind.INVOICE, LineKind.CREDIT_NOTE, LineKind.VOIDED):
        own = [one for one in entry.postings if one.account.currency == fold.currency]
        total = [Part("in all", -one.amount_nano) for one in own if one.account.kind is Kind.RECEIVABLE]
        added = [Part(_ADDED[one.account.kind], one.amount_nano) for one in own if one.account.kind in _ADDED]
        return (*total, *added)
    return ()


def _payer(draw: Sequence[object], fold: _Fold, lots: Mapping[str, Grant]) -> Part:
    account, nano, is_unit = Account.of(str(draw[0])), int(str(draw[1])), bool(draw[2])
    if account.kind is Kind.GRANT:
        lot = lots.get(account.owner)
        left = None if lot is None else lot.units_of(fold.accounts.get(account, 0))
        return Part(_lot_text(lot), nano, left, is_unit)
    names = {Kind.WALLET: "wallet", Kind.TEAM: "charged back"}
    return Part(names.get(account.kind, "next invoice"), nano)
