"""What a customer owes by the ledger: its own account read once, and the lines of a document that it makes.

Each record of the account stands on one document at most; which one is on record beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from flatfare.core.customer import Customer
from flatfare.core.invoice import Charge, Item, LineKind, Period
from flatfare.core.ledger import Entry, Verb
from flatfare.store import invoices, ledger
from flatfare.store.book import Book
from flatfare.store.ledger import Posted

INVOICING = frozenset({"invoice", "void invoice", "credit note", "payment", "payout"})
"""Verbs that move what is owed onto documents and off them: no usage of their own."""

Group = dict[tuple[str, str, int], list[Item]]


class Owed:
    """The account of what a customer owes, with the documents that its lines stand on."""

    def __init__(self, book: Book, customer: Customer) -> None:
        account = customer.owed.id
        self._covered = invoices.covered(book, account)
        self._actions = invoices.sold(book, customer.name)
        self._lines = ledger.postings_of(book, account)
        self._entries = {
            entry.id: entry
            for entry in ledger.entries(
                book, "id IN (SELECT entry_id FROM postings WHERE account_id = ?)", (account,)
            )
        }

    def charges(self, period: Period, positions: frozenset[int] | None) -> list[Charge]:
        """Sales and reversals by action and amount, packs: of these lines, or all not invoiced by then."""
        settled = self._settled(positions or frozenset())
        groups: Group = {}
        backs: Group = {}
        others: list[Charge] = []
        for line in self._lines:
            entry = self._entries[line.entry_id]
            if not self._is_asked(line, entry, period, positions) or entry.verb in INVOICING:
                continue
            item = _item(line, entry, period)
            action, version = self._actions.get(str(entry.task_id), ("sale", ""))
            if entry.verb == Verb.SETTLE:
                groups.setdefault((action, version, item.amount_nano), []).append(item)
            elif entry.verb == Verb.REVERSE:
                billed = settled.get(entry.task_id)
                number = None if billed is None else self._covered.get(billed.position)
                back = replace(item, refers=number)
                backs.setdefault((action, number or "", item.amount_nano), []).append(back)
            else:
                others.append(_pack(item, json.loads(entry.asked)))
        used = [_usage(*key, items) for key, items in sorted(groups.items())]
        return [*used, *(_reversal(*key, items) for key, items in sorted(backs.items())), *others]

    def positions_on(self, number: str) -> frozenset[int]:
        """The lines that stand on a document."""
        return frozenset(position for position, own in self._covered.items() if own == number)

    def taken_back_later(self, number: str) -> list[Item]:
        """What was taken back of the sales on a document and does not stand on it, in the ledger's order."""
        on = self.positions_on(number)
        tasks = {self._entries[line.entry_id].task_id for line in self._lines if line.position in on}
        return [
            Item(line.position, entry.id, entry.at_us, -line.amount_nano, entry.task_id)
            for line in self._lines
            if (entry := self._entries[line.entry_id]).verb == Verb.REVERSE
            and entry.task_id in tasks
            and line.position not in on
        ]

    def referring(self, number: str) -> str | None:
        """A document that takes back what this one billed."""
        found = (self._covered.get(item.position) for item in self.taken_back_later(number))
        return next((one for one in found if one is not None), None)

    def _settled(self, here: frozenset[int]) -> Mapping[str | None, Posted]:
        return {
            entry.task_id: line
            for line in self._lines
            if (entry := self._entries[line.entry_id]).verb == Verb.SETTLE and line.position not in here
        }

    def _is_asked(self, line: Posted, entry: Entry, period: Period, positions: frozenset[int] | None) -> bool:
        if positions is not None:
            return line.position in positions
        return line.position not in self._covered and entry.at_us < period.until_us


def _item(line: Posted, entry: Entry, period: Period) -> Item:
    is_late = entry.at_us < period.from_us
    return Item(line.position, entry.id, entry.at_us, -line.amount_nano, entry.task_id, is_late=is_late)


def _usage(action: str, version: str, unit_nano: int, items: list[Item]) -> Charge:
    text = f"{action} {f'version {version}' if version else ''}".strip()
    total_nano = sum(item.amount_nano for item in items)
    return Charge(
        LineKind.USAGE, text, len(items), total_nano, unit_nano, tuple(items), _late_note(items), action
    )


def _reversal(action: str, number: str, unit_nano: int, items: list[Item]) -> Charge:
    """What was given back of an action: together, since each line is rounded once, and a coin that is
    smaller than what can be paid would never come back. It names the document that billed it, if one did."""
    return Charge(
        LineKind.REVERSAL,
        f"{action} taken back",
        len(items),
        sum(item.amount_nano for item in items),
        unit_nano,
        tuple(items),
        f"billed on {number}" if number else None,
        action,
    )


def _pack(item: Item, asked: Mapping[str, object]) -> Charge:
    pack = asked.get("pack")
    text = f"Pack {pack}" if pack else "Credit"
    return Charge(LineKind.PACK, text, 1, item.amount_nano, item.amount_nano, (item,))


def _late_note(items: list[Item]) -> str | None:
    late = sum(item.is_late for item in items)
    return f"{late} of them settled in a month before" if late else None
