"""What was really bought: what a vendor billed by what it was, and the true cost of a verified outcome.

The list price is what one unit costs on the statement; the true cost is all that was paid, divided by
the conversations that somebody else than the vendor verified.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flatfare.core.definition import Definition
from flatfare.core.errors import BadUsage
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text, estimate_text
from flatfare.core.statistics import Interval, wilson
from flatfare.service.buying.judging import (
    DISPUTABLE,
    Conversation,
    Judged,
    State,
    conversations_of,
    judged_lines,
)
from flatfare.service.buying.vendors import vendor_of
from flatfare.service.reporting import report
from flatfare.service.reporting.comparing import Compared, compared
from flatfare.service.reporting.figures import Figures, Row
from flatfare.service.tasks.defining import document_of as definition_document
from flatfare.store.book import Book
from flatfare.store.lake import Lake


@dataclass(frozen=True, slots=True)
class Account:
    """One vendor's account."""

    vendor: str
    conversations: tuple[Conversation, ...]
    lines: tuple[Judged, ...]
    row: Row  # matured conversations as a row of a report
    own: tuple[Compared, ...]  # paths of your own for the same kind of work, against the vendor

    def amount_nano(self, *states: State) -> int:
        """What lines of these states were billed, or credited."""
        return sum(judged.line.nano for judged in self.lines if judged.state in states)

    def count(self, *states: State) -> int:
        """How many lines are of these states."""
        return sum(judged.state in states for judged in self.lines)

    @property
    def billed_nano(self) -> int:
        return sum(judged.line.nano for judged in self.lines if judged.line.nano >= 0)

    @property
    def price_nano(self) -> int | None:
        """What a unit costs on the statement: the commonest amount."""
        found = Counter(judged.line.nano for judged in self.lines if judged.line.nano > 0)
        return found.most_common(1)[0][0] if found else None

    @property
    def judged(self) -> tuple[int, int]:
        """How many matured conversations a verifier judged, and how many of these are verified."""
        own = [one for one in self.conversations if one.is_judged and one.is_matured]
        return len(own), sum(one.state is State.VERIFIED for one in own)


def accounts(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    vendor: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    definition: Definition | None = None,
) -> list[Account]:
    """The account of each vendor, or of one."""
    key = vendor_of(vendor).key if vendor else None
    found = conversations_of(
        book, lake, now_us=now_us, vendor=key, since_us=since_us, until_us=until_us, definition=definition
    )
    by_vendor: dict[str, list[Conversation]] = {}
    for one in found:
        by_vendor.setdefault(one.lines[0].vendor, []).append(one)
    return [
        Account(name, tuple(own), tuple(judged_lines(own)), _row(name, own), _own(book, lake, own, now_us))
        for name, own in sorted(by_vendor.items())
    ]


def _row(vendor: str, conversations: Iterable[Conversation]) -> Row:
    """The matured conversations as a report would sum them, under the definition that was asked for."""
    total = Figures()
    for one in conversations:
        cost = max(one.net_nano, 0)
        square = cost * cost
        if not one.is_matured:
            total += Figures(open=1, open_nano=cost)
            continue
        common = Figures(tasks=1, attempts=1, cost_nano=cost, costed_tasks=1)
        if one.state is State.VERIFIED:
            total += common + Figures(verified=1, success_nano=cost, success_squared=square)
        elif one.state is State.ASSUMED:
            total += common + Figures(assumed=1, assumed_nano=cost, assumed_squared=square)
        else:
            total += common + Figures(failed=1, failure_nano=cost, failure_squared=square)
    return Row((vendor,), total)


def _own(book: Book, lake: Lake, conversations: Sequence[Conversation], now_us: int) -> tuple[Compared, ...]:
    """Paths of your own for the same kinds of work, held against the vendor's; none where there are none."""
    names = sorted({one.name for one in conversations})
    path = conversations[0].path
    found = report(book, lake, by=("path",), filters=[("action", name) for name in names], now_us=now_us)
    try:
        return tuple(compared(found, path))
    except BadUsage:  # nothing of the vendor's has matured yet
        return ()


def document_of(account: Account) -> dict[str, object]:
    """The account as a document: money as decimal text, rates as numbers."""
    facts, ratio = vendor_of(account.vendor), account.row.cost_per_verified
    interval = ratio.interval if ratio else None
    judged, verified = account.judged
    rate = wilson(verified, judged) if judged else None
    definitions = {one.definition.action or one.name: one.definition for one in account.conversations}
    return {
        "vendor": account.vendor,
        "name": facts.name,
        "unit": facts.unit,
        "since": iso(account.lines[0].line.at_us),
        "until": iso(account.lines[-1].line.at_us),
        "currency": "USD",
        "conversations": len(account.conversations),
        "lines": len(account.lines),
        "billed": decimal_text(account.billed_nano),
        "credited": decimal_text(-account.amount_nano(State.CREDIT)),
        "paid": decimal_text(account.billed_nano + account.amount_nano(State.CREDIT)),
        "bought": {
            str(state): {"lines": account.count(state), "amount": decimal_text(account.amount_nano(state))}
            for state in State
            if state is not State.CREDIT
        },
        "price_per_unit": decimal_text(account.price_nano),
        "list_price": {
            "amount": decimal_text(facts.price_nano),
            "note": facts.price_note,
            "source": facts.source,
            "checked": facts.checked,
        },
        "cost_per_verified_outcome": decimal_text(account.row.cost_per_verified_nano),
        "cost_per_verified_outcome_low": estimate_text(interval.low) if interval else None,
        "cost_per_verified_outcome_high": estimate_text(interval.high) if interval else None,
        "note": account.row.note,
        "judged": {"conversations": judged, "verified": verified, **_rate(verified, judged, rate)},
        "tickets": _tickets(account),
        "disputable": {
            "lines": account.count(*DISPUTABLE),
            "amount": decimal_text(account.amount_nano(*DISPUTABLE)),
        },
        "definitions": [
            definition_document(one) for one in definitions.values() if one.version or one.required
        ],
        "vendor_decides": {"who": facts.decides, "rule": facts.rule, "reversible": facts.reversible},
        "make_or_buy": [one.as_json() for one in account.own],
    }


def _rate(verified: int, judged: int, interval: Interval | None) -> dict[str, object]:
    if interval is None or interval.high is None:
        return {"rate": None, "rate_low": None, "rate_high": None}
    return {
        "rate": round(verified / judged, 9),
        "rate_low": round(interval.low, 9),
        "rate_high": round(interval.high, 9),
    }


def _tickets(account: Account) -> dict[str, int | None]:
    looked = [one for one in account.conversations if one.ticket is not None]
    found = sum(one.ticket is not None and one.ticket.name is not None for one in looked)
    return {"looked_for": len(looked), "found": found if looked else None}
