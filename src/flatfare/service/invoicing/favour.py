"""What stands in a customer's favour: credit notes are paid out, or pay for an invoice that is open.

No more than a note is worth, and each payment once by its id. Paying an invoice by a note is a payout and
a payment in one transaction, so that both documents say what became of them.
"""

from uuid import UUID

from flatfare.core.currency import check_payable, payable_text
from flatfare.core.errors import Conflict
from flatfare.core.identity import derived
from flatfare.core.invoice import DocumentKind, Status
from flatfare.core.ledger import Kind
from flatfare.service.invoicing import issuing
from flatfare.service.selling import post
from flatfare.store import invoices, ledger
from flatfare.store.book import Book
from flatfare.store.invoices import Kept


def left_of(book: Book, note: Kept) -> int:
    """What of a credit note is neither paid out nor used, in nano units; 0 for what is none.

    A note on an invoice that was not paid lowers what is open of it: only what was paid too much is left.
    """
    if note.kind is not DocumentKind.CREDIT_NOTE or note.status is Status.VOID:
        return 0
    left_nano = -note.total_nano - note.paid_nano
    if note.refers is not None:
        billed = issuing.one_of(book, note.refers)
        notes = invoices.crediting(book, billed.number)
        over_nano = (
            billed.paid_nano - billed.total_nano - sum(one.total_nano + one.paid_nano for one in notes)
        )
        left_nano = min(left_nano, over_nano)
    return max(0, left_nano)


def pay_out(
    book: Book, number: str, *, payment_id: UUID, amount_nano: int | None = None, at_us: int, by_whom: str
) -> Kept:
    """Book that a credit note was paid out, all that is left of it if no amount is given; once by its id."""
    with book.writing():
        note = issuing.one_of(book, number)
        if not _is_booked(book, note, payment_id, amount_nano):
            _paid_out(book, note, payment_id, amount_nano, at_us, by_whom)
        return issuing.one_of(book, number)


def pay_by_note(
    book: Book, number: str, note_number: str, *, payment_id: UUID, at_us: int, by_whom: str
) -> Kept:
    """Pay an invoice by a credit note of the same customer, as far as it goes; once by its id."""
    with book.writing():
        note, billed = issuing.one_of(book, note_number), issuing.one_of(book, number)
        if note.customer != billed.customer:
            raise Conflict(f"{note_number} is of {note.customer}, and {number} of {billed.customer}.")
        if _is_booked(book, note, payment_id, None):
            return billed
        nano = min(left_of(book, note), issuing.open_of(book, billed))
        if not nano:
            raise Conflict(f"{note_number} has nothing left, or {number} nothing open.")
        _paid_out(book, note, payment_id, nano, at_us, by_whom)
        return issuing.pay_open(
            book, number, payment_id=payment_id, amount_nano=nano, at_us=at_us, by_whom=by_whom
        )


def _is_booked(book: Book, note: Kept, payment_id: UUID, amount_nano: int | None) -> bool:
    found = ledger.entry_of(book, str(derived("payout", str(payment_id))))
    if found is None:
        return False
    booked_nano = sum(one.amount_nano for one in found.postings if one.account.kind is Kind.CASH)
    if f'"{note.number}"' not in found.asked or amount_nano not in (None, booked_nano):
        raise Conflict("The id of this payout stands for another: each takes an id of its own.")
    return True


def _paid_out(
    book: Book, note: Kept, payment_id: UUID, amount_nano: int | None, at_us: int, by_whom: str
) -> None:
    left_nano = left_of(book, note)
    nano = left_nano if amount_nano is None else amount_nano
    if not 0 < nano <= left_nano:
        raise Conflict(
            f"{payable_text(left_nano, note.currency)} {note.currency} of {note.number} are left to pay out: "
            f"found {payable_text(nano, note.currency)}."
        )
    check_payable(nano, note.currency)
    post(
        book,
        entry_id=derived("payout", str(payment_id)),
        verb="payout",
        customer=note.customer,
        postings=[
            (Kind.RECEIVABLE, note.customer, -nano, note.currency),
            (Kind.CASH, note.customer, nano, note.currency),
        ],
        at_us=at_us,
        by_whom=by_whom,
        reference=note.number,
    )
    invoices.set_status(
        book, note.id, note.status, paid_nano=note.paid_nano + nano, paid_at_us=note.paid_at_us
    )
