"""What stands in a customer's favour is paid out or used, once, and never more than it is worth."""

import uuid

import pytest

from flatfare.core.errors import Conflict
from flatfare.core.invoice import Status
from flatfare.service import selling, settled_terms
from flatfare.service.invoicing.favour import left_of, pay_by_note, pay_out
from flatfare.service.invoicing.issuing import Books, credit, issue, open_of, pay
from tests.service.invoicing.test_plans_by_hand import ME, at, books, issued, sold, taken_back
from tests.service.selling import shop
from tests.service.selling.shop import USD

__all__ = ["books"]

LATER = at("2027-01-05")


def noted(books: Books):
    """October bills 15; November gives 5 of it back by a note; December bills 10."""
    sold(books, "2026-10-05", "a", "b", "c")
    october = issued(books, "2026-10")
    pay(books.book, october.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    taken_back(books, "2026-11-06", "a")
    note = issued(books, "2026-11")
    sold(books, "2026-12-05", "d", "e")
    return note, issued(books, "2026-12")


def test_a_note_is_paid_out_once_and_never_more_than_it_is_worth(books: Books) -> None:
    note, _ = noted(books)
    one = uuid.uuid4()
    for _ in range(2):
        kept = pay_out(books.book, note.number, payment_id=one, amount_nano=2 * USD, at_us=LATER, **ME)
        assert left_of(books.book, kept) == 3 * USD
    with pytest.raises(Conflict, match=r"3\.00 USD of CN-2026-000001 are left"):
        pay_out(books.book, note.number, payment_id=uuid.uuid4(), amount_nano=4 * USD, at_us=LATER, **ME)
    with pytest.raises(Conflict, match="stands for another"):
        pay_out(books.book, note.number, payment_id=one, amount_nano=USD, at_us=LATER, **ME)
    kept = pay_out(books.book, note.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    assert left_of(books.book, kept) == 0
    standing = shop.standing(books.book, "acme")
    assert (standing["cash"], standing["receivable"]) == (-10 * USD, -10 * USD)  # 15 in, 5 out; 10 open
    assert selling.verify(books.book) == []
    assert list(settled_terms.problems(books.book)) == []


def test_a_note_pays_for_an_invoice_as_far_as_it_goes(books: Books) -> None:
    note, december = noted(books)
    one = uuid.uuid4()
    for _ in range(2):
        kept = pay_by_note(books.book, december.number, note.number, payment_id=one, at_us=LATER, **ME)
        assert (kept.status, open_of(books.book, kept)) == (Status.ISSUED, 5 * USD)
    with pytest.raises(Conflict, match="has nothing left"):
        pay_by_note(books.book, december.number, note.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    kept = pay(books.book, december.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    assert (kept.status, "receivable" in shop.standing(books.book, "acme")) == (Status.PAID, False)
    assert shop.standing(books.book, "acme")["cash"] == -20 * USD  # 15 and 5
    assert selling.verify(books.book) == []


def test_a_note_on_an_unpaid_invoice_lowers_it_and_leaves_nothing(books: Books) -> None:
    sold(books, "2026-10-05", "a", "b")
    october = issued(books, "2026-10")
    note = credit(
        books.book, october.number, credit_id=uuid.uuid4(), amount_nano=3 * USD, at_us=LATER, reason="x", **ME
    )
    assert (left_of(books.book, note), open_of(books.book, october)) == (0, 7 * USD)
    pay(books.book, october.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    assert left_of(books.book, note) == 0
    with pytest.raises(Conflict, match=r"0\.00 USD"):
        pay_out(books.book, note.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    with pytest.raises(Conflict, match=r"0\.00 USD"):
        pay_out(books.book, october.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)


def test_a_note_on_a_paid_invoice_is_paid_out(books: Books) -> None:
    sold(books, "2026-10-05", "a", "b")
    october = issued(books, "2026-10")
    pay(books.book, october.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    note = credit(
        books.book, october.number, credit_id=uuid.uuid4(), amount_nano=3 * USD, at_us=LATER, reason="x", **ME
    )
    assert left_of(books.book, note) == 3 * USD
    pay_out(books.book, note.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
    assert "receivable" not in shop.standing(books.book, "acme")
    assert shop.standing(books.book, "acme")["cash"] == -7 * USD


def test_a_note_pays_for_nobody_else(books: Books) -> None:
    note, _ = noted(books)
    shop.customer(books.book, "bolt", terms="invoice")
    shop.settled(books.book, "bolt", "z", at_us=at("2026-12-05"))
    other = issue(books, "bolt", "2026-12", at_us=at("2027-01-01"), **ME)
    assert other is not None
    with pytest.raises(Conflict, match="is of acme"):
        pay_by_note(books.book, other.number, note.number, payment_id=uuid.uuid4(), at_us=LATER, **ME)
