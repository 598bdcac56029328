"""One sale: quoted, held, settled or voided, perhaps reversed; and the postings that each of these makes.

A sale is a fold over its task's entries: what it is can always be told anew from the
ledger. Its money moves only none → held → settled or voided, and settled → reversed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flatfare.core.action_price import ActionPrice, price_document
from flatfare.core.chain import GENESIS, link
from flatfare.core.errors import Conflict
from flatfare.core.grant import Draw
from flatfare.core.ledger import Account, Entry, Kind, Posting, Verb, canonical, merged
from flatfare.core.moments import iso
from flatfare.core.outcome import Settlement

COST_CURRENCY = "USD"
"""What model calls and people's time are counted in, whatever the sale's currency is."""


class NotBillable(Conflict):
    """Nothing is due for this task: void its hold."""


MOVES: Mapping[Settlement, frozenset[Settlement]] = {
    Settlement.NONE: frozenset({Settlement.HELD}),
    Settlement.HELD: frozenset({Settlement.SETTLED, Settlement.VOIDED}),
    Settlement.SETTLED: frozenset({Settlement.REVERSED}),  # when all of it has been given back
    Settlement.VOIDED: frozenset(),
    Settlement.REVERSED: frozenset(),
}
"""Where the money of a task may move from each state."""

SALE_VERBS = (Verb.HOLD, Verb.SETTLE, Verb.VOID, Verb.REVERSE, Verb.COST)
"""The verbs of entries that a sale follows from."""

_LEADS_TO = {
    Verb.HOLD: Settlement.HELD,
    Verb.SETTLE: Settlement.SETTLED,
    Verb.VOID: Settlement.VOIDED,
    Verb.REVERSE: Settlement.REVERSED,
}


@dataclass(frozen=True, slots=True)
class Costs:
    """What a task has cost us in all, failed attempts included; with a reason where part is unknown."""

    work_nano: int = 0
    verification_nano: int = 0
    rework_nano: int = 0
    reason: str | None = None

    @property
    def total_nano(self) -> int:
        """The known part."""
        return self.work_nano + self.verification_nano + self.rework_nano

    @property
    def by_kind(self) -> tuple[tuple[Kind, int], ...]:
        """Each part with the account that it is booked to."""
        return (
            (Kind.MODEL_COST, self.work_nano),
            (Kind.VERIFICATION_COST, self.verification_nano),
            (Kind.REWORK_COST, self.rework_nano),
        )

    @property
    def document(self) -> dict[str, object]:
        """As an entry keeps it."""
        parts = {"work": self.work_nano, "verification": self.verification_nano, "rework": self.rework_nano}
        return {name: nano for name, nano in parts.items() if nano} | (
            {"reason": self.reason} if self.reason else {}
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """A price promised to a customer for one task, until it expires."""

    id: str
    customer: str
    action: str
    action_version: str
    price: ActionPrice
    size: int | None
    attempts_max: int
    amount_nano: int  # if the first attempt is verified
    most_nano: int  # what is held
    at_us: int
    expires_at_us: int

    @property
    def currency(self) -> str:
        """Of the price."""
        return self.price.currency

    @property
    def terms_hash(self) -> str:
        """A hash over what was promised; the entry that holds for it says the same."""
        says = (self.id, self.customer, self.action, self.action_version, self.size, self.attempts_max)
        amounts = (self.amount_nano, self.most_nano, self.at_us, self.expires_at_us)
        price = canonical(price_document(self.price))
        return link(GENESIS, *map(str, says), *map(str, amounts), price)


@dataclass(frozen=True, slots=True)
class Sale:
    """The money of one task, as it stands."""

    task_id: str
    quote: Quote
    settlement: Settlement
    draws: tuple[Draw, ...]  # what pays for it, in the order in which it was drawn
    held_nano: int
    settled_nano: int = 0
    reversed_nano: int = 0
    attempts: int = 0
    lines: tuple[tuple[str, int], ...] = ()  # of what was due
    costs: Costs = Costs()
    costs_at_us: int = 0  # when these were all that was known
    held_at_us: int = 0
    settled_at_us: int | None = None
    voided_at_us: int | None = None
    reversed_at_us: int | None = None

    @property
    def customer(self) -> str:
        """Who buys."""
        return self.quote.customer

    @property
    def currency(self) -> str:
        """Of all amounts but the costs."""
        return self.quote.currency

    @property
    def action(self) -> str:
        """What is sold."""
        return self.quote.action

    @property
    def action_version(self) -> str:
        """Which version of it."""
        return self.quote.action_version

    @property
    def quote_id(self) -> str:
        """The quote that it was held under."""
        return self.quote.id

    @property
    def price(self) -> ActionPrice:
        """As it was when it was quoted."""
        return self.quote.price

    @property
    def size(self) -> int | None:
        """Of the input, in what the price goes by."""
        return self.quote.size

    @property
    def net_nano(self) -> int:
        """What it earned, less what was given back."""
        return self.settled_nano - self.reversed_nano

    @property
    def margin_nano(self) -> int | None:
        """What it earned less what it cost; None in another currency than costs, or where one is unknown."""
        if self.currency != COST_CURRENCY or self.costs.reason is not None:
            return None
        return self.net_nano - self.costs.total_nano

    @property
    def is_paid_by_unit(self) -> bool:
        """A unit of a pack pays for it."""
        return any(one.is_unit for one in self.draws)

    @property
    def hold(self) -> Account:
        """Where what is held for it stands."""
        return Account(Kind.HOLD, self.task_id, self.currency)


def check_move(sale: Sale, to: Settlement) -> None:
    """``Conflict`` where the money of a task cannot move there any more."""
    if to in MOVES[sale.settlement]:
        return
    moments = {
        Settlement.SETTLED: sale.settled_at_us,
        Settlement.VOIDED: sale.voided_at_us,
        Settlement.REVERSED: sale.reversed_at_us,
    }
    at_us = moments.get(sale.settlement)
    since = f" since {iso(at_us)}" if at_us is not None else ""
    raise Conflict(
        f"The sale of task {sale.task_id} is {sale.settlement}{since}: it cannot become {to}. "
        "Money moves from held to settled or voided, and from settled to reversed."
    )


# what an entry decides, and the sale that entries add up to


def draws_document(draws: Iterable[Draw]) -> list[list[object]]:
    """Draws as an entry keeps them: account, amount, and 1 for a unit of a pack."""
    return [[one.account.id, one.amount_nano, int(one.is_unit)] for one in draws]


def _draws(given: Iterable[Sequence[object]]) -> tuple[Draw, ...]:
    return tuple(Draw(Account.of(str(a)), int(str(nano)), bool(unit)) for a, nano, unit in given)


def _costs(given: Mapping[str, object]) -> Costs:
    work, verification, rework = (int(str(given.get(name, 0))) for name in ("work", "verification", "rework"))
    reason = given.get("reason")
    return Costs(work, verification, rework, None if reason is None else str(reason))


def applied(sale: Sale | None, entry: Entry, quote: Quote) -> Sale:
    """The sale after one more entry of its task."""
    decided = json.loads(entry.decided)
    verb = Verb(entry.verb)
    if sale is None:
        if verb is not Verb.HOLD:
            raise Conflict(f"Found {verb} of task {entry.task_id} before anything was held for it.")
        draws = _draws(decided["draws"])
        held_nano = sum(one.amount_nano for one in draws)
        return Sale(str(entry.task_id), quote, Settlement.HELD, draws, held_nano, held_at_us=entry.at_us)
    if "costs" in decided:
        sale = replace(sale, costs=_costs(decided["costs"]), costs_at_us=entry.at_us)
    if verb is Verb.COST:
        return sale
    check_move(sale, _LEADS_TO[verb])
    if verb is Verb.SETTLE:
        return replace(
            sale,
            settlement=Settlement.SETTLED,
            settled_nano=decided["settled"],
            settled_at_us=entry.at_us,
            draws=_draws(decided["draws"]),
            attempts=decided["attempts"],
            lines=tuple((str(text), int(nano)) for text, nano in decided["lines"]),
        )
    if verb is Verb.VOID:
        return replace(sale, settlement=Settlement.VOIDED, voided_at_us=entry.at_us, draws=())
    return replace(
        sale,
        settlement=Settlement.SETTLED if decided.get("left") else Settlement.REVERSED,
        reversed_nano=sale.reversed_nano + decided["reversed"],
        reversed_at_us=entry.at_us,
        draws=_draws(decided["draws"]),
    )


def sale_content(sale: Sale) -> str:
    """The sale as the book keeps it beside its quote, in one writing."""
    return canonical(
        {
            "draws": draws_document(sale.draws),
            "held": sale.held_nano,
            "settled": sale.settled_nano,
            "reversed": sale.reversed_nano,
            "attempts": sale.attempts,
            "lines": [list(line) for line in sale.lines],
            "costs": sale.costs.document,
            "costs_at": sale.costs_at_us,
            "held_at": sale.held_at_us,
            "settled_at": sale.settled_at_us,
            "voided_at": sale.voided_at_us,
            "reversed_at": sale.reversed_at_us,
        }
    )


def sale_from(task_id: str, settlement: str, content: str, quote: Quote) -> Sale:
    """The sale that ``sale_content`` wrote."""
    given = json.loads(content)
    return Sale(
        task_id,
        quote,
        Settlement(settlement),
        _draws(given["draws"]),
        given["held"],
        given["settled"],
        given["reversed"],
        given["attempts"],
        tuple((str(text), int(nano)) for text, nano in given["lines"]),
        _costs(given["costs"]),
        given["costs_at"],
        given["held_at"],
        given.get("settled_at"),
        given.get("voided_at"),
        given.get("reversed_at"),
    )


# postings


def moves_of_hold(hold: Account, draws: Sequence[Draw]) -> list[tuple[Account, int]]:
    """What is drawn goes to the hold."""
    moves = [(one.account, -one.amount_nano) for one in draws]
    return [*moves, (hold, sum(one.amount_nano for one in draws))]


def moves_of_settle(
    sale: Sale, back: Sequence[Draw], kept: Sequence[Draw], owed: Account
) -> tuple[list[tuple[Account, int]], tuple[Draw, ...]]:
    """The hold is earned; what is not due goes back. What was held on a later invoice is now owed.

    Returns the movements, and the draws with the account in which they are owed.
    """
    settled_nano = sum(one.amount_nano for one in kept)
    moves = [(sale.hold, -sale.held_nano), *((one.account, one.amount_nano) for one in back)]
    moves.append((Account(Kind.REVENUE, sale.customer, sale.currency), settled_nano))
    for one in kept:
        if one.account.kind is Kind.PENDING:
            moves += [(one.account, one.amount_nano), (owed, -one.amount_nano)]
    final = (replace(one, account=owed) if one.account.kind is Kind.PENDING else one for one in kept)
    return moves, tuple(final)


def moves_of_void(sale: Sale) -> list[tuple[Account, int]]:
    """All that is held goes back to where it came from."""
    return [(sale.hold, -sale.held_nano), *((one.account, one.amount_nano) for one in sale.draws)]


def moves_of_reverse(sale: Sale, back: Sequence[Draw]) -> list[tuple[Account, int]]:
    """What was earned is given back; revenue stays, and refunds stand beside it."""
    given_nano = sum(one.amount_nano for one in back)
    refunds = Account(Kind.REFUNDS, sale.customer, sale.currency)
    return [(refunds, -given_nano), *((one.account, one.amount_nano) for one in back)]


def moves_of_costs(customer: str, before: Costs, after: Costs) -> list[tuple[Account, int]]:
    """What the cost has grown by, to its accounts, against what we owe for it."""
    moves = []
    for (kind, nano), (_, booked_nano) in zip(after.by_kind, before.by_kind, strict=True):
        moves.append((Account(kind, customer, COST_CURRENCY), booked_nano - nano))
    grown_nano = after.total_nano - before.total_nano
    return [*moves, (Account(Kind.PAYABLE, customer, COST_CURRENCY), grown_nano)]


def entry_of(
    verb: Verb,
    sale_or_task: Sale | str,
    customer: str,
    moves: Iterable[tuple[Account, int]],
    *,
    entry_id: str,
    at_us: int,
    asked: Mapping[str, object],
    decided: Mapping[str, object],
    reason: str | None = None,
    reverses: str | None = None,
) -> Entry:
    """An entry of one of the ledger's own verbs about a task."""
    postings: tuple[Posting, ...] = merged(moves)
    task_id = sale_or_task if isinstance(sale_or_task, str) else sale_or_task.task_id
    return Entry(
        entry_id,
        str(verb),
        customer,
        at_us,
        postings,
        canonical(asked),
        canonical(decided),
        task_id,
        reverses,
        reason,
    )
