"""P10, the past cannot be edited unnoticed: a row of settings that was edited beside its record is found.

Keys, budgets, guards, users, customers, actions and issued documents, changed in every way that
the product changes them; nothing is found then, and each edit of a row by hand is.
"""

import shutil
import sqlite3
import uuid
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Threshold, TopUp, Window
from flatfare.service import selling, settled_terms
from flatfare.service.access import keys, users
from flatfare.service.access.keys import Terms
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.budgets import budgeting, guarding
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month, month_of
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.builders import OPENED_US
from tests.service.selling import shop

BY = {"at_us": OPENED_US, "by_whom": "me"}


def live(book: Book, folder: Path) -> None:
    """Everything that may happen to settings happens once."""
    two = {"allowed_models": ("gpt-*", "o3"), "allowed_providers": ("openai", "azure")}
    ann = keys.create(book, Terms("ann", labels={"team": "search"}, requests_per_minute=9, **two), **BY).key
    for change in (keys.disable, keys.enable, keys.disable):
        change(book, ann.id, **BY)
    keys.rotate(book, "ann", overlap_us=5, **BY)
    keys.create(book, Terms("bob"), **BY)
    keys.revoke(book, "bob", **BY)

    window = Window.of("month", "UTC")
    lines = (Threshold.of("75"), Threshold.of("90:throttle"))
    for name in ("search", "gone"):
        budget = Budget("", name, Scope.of("team=search"), 5 * shop.USD, window, thresholds=lines)
        budgeting.create(book, budget, **BY)
    budgeting.change(book, "search", {"amount_nano": 6 * shop.USD, "is_hard": False}, **BY)
    budgeting.change(book, "search", {"thresholds": (Threshold.of("50"), *lines[:1])}, **BY)
    for replaces in (False, True):
        more = TopUp(shop.USD, OPENED_US, OPENED_US + 9, "me", replaces=replaces, subject="search")
        budgeting.top_up(book, "search", more, at_us=OPENED_US)
    budgeting.remove(book, "gone", **BY)

    for name in ("loops", "storms"):
        guarding.create(book, guarding.guard_of(name, {"kind": "calls", "at_most": 5}), **BY)
    guarding.change(book, "loops", {"at_most": 7, "contact": "ann"}, **BY)
    guarding.remove(book, "storms", **BY)

    for name in ("ann", "eve"):
        users.create(book, name=name, role="admin", password="long enough to be one", **BY)
    users.change(book, "eve", role="reviewer", scope={"team": "search"}, **BY)
    users.disable(book, "eve", **BY)

    selling.customers.change(book, "acme", credit_limit_nano=900 * shop.USD, details={"vat": "x"}, **BY)
    shop.customer(book, "bolt")
    selling.customers.close(book, "bolt", **BY)

    file = folder / "greeting.yaml"
    file.write_text(ACTION)
    publishing.publish(book, read_file(file), **BY)
    bill(book, folder)


ACTION = """
action: greeting
version: 1
description: Greets.
input: {type: object, properties: {name: {type: string}}}
steps: [{name: greet, prompt: "Greet {{ input.name }}."}]
ladder: [{model: openai/gpt-5-nano, output_tokens: 200, seconds: 20}]
verifiers: [{name: hello, kind: pattern, parameters: {pattern: hello}}]
limits: {cost: "0.02", attempts: 2, deadline: 2m, input: 10 kB}
price: "0.25"
"""


def bill(book: Book, folder: Path) -> None:
    """Two months of invoices: one paid in part, one taken back."""
    books = Books(book, Lake(folder / "lake"), "UTC")
    name = month_of(OPENED_US, "UTC")
    late = month(name, "UTC").until_us
    shop.settled(book, "acme", "t-1")
    kept = issuing.issue(books, "acme", name, at_us=late, by_whom="me")
    assert kept is not None
    issuing.void(book, kept.number, at_us=late, by_whom="me", reason="wrong")
    again = issuing.issue(books, "acme", name, at_us=late, by_whom="me")
    assert again is not None
    paid = {"amount_nano": shop.USD, "at_us": late, "by_whom": "me"}
    issuing.pay(book, again.number, payment_id=uuid.UUID(int=1), **paid)
    issuing.credit(book, again.number, credit_id=uuid.UUID(int=2), **paid, reason="late")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings")
    with shop.shop_in(folder, "acme", terms="invoice") as book:
        live(book, folder)
    return folder / "flatfare.db"


def found_after(lived: Path, folder: Path, statement: str) -> list[str]:
    edited = folder / "edited.db"
    shutil.copy(lived, edited)
    with sqlite3.connect(edited) as database:
        assert database.execute(statement).rowcount > 0
    database.close()
    with open_book(str(edited)) as book:
        return [whose.partition("/")[0] for whose, _ in settled_terms.problems(book)]


def test_whatever_was_agreed_is_on_record(lived: Path) -> None:
    with open_book(str(lived)) as book:
        assert list(settled_terms.problems(book)) == []


@pytest.mark.parametrize(
    ("statement", "family"),
    [
        ("UPDATE budgets SET amount_nano = 7000000000 WHERE name = 'search'", "budget"),
        ("UPDATE budgets SET is_hard = 1 WHERE name = 'search'", "budget"),
        ("UPDATE budgets SET thresholds = '[]' WHERE name = 'search'", "budget"),
        ("UPDATE budgets SET removed_at_us = NULL WHERE name = 'gone'", "budget"),
        ("DELETE FROM budgets WHERE name = 'search'", "budget"),
        ("UPDATE budget_top_ups SET amount_nano = amount_nano * 9", "budget"),
        ("DELETE FROM budget_top_ups WHERE replaces = 1", "budget"),
        ("UPDATE keys SET requests_per_minute = NULL WHERE name = 'ann'", "key"),
        ("UPDATE keys SET concurrent = 0 WHERE name = 'ann'", "key"),
        ("UPDATE keys SET disabled_at_us = NULL WHERE name = 'ann'", "key"),
        ("UPDATE keys SET revoked_at_us = NULL WHERE name = 'bob'", "key"),
        ("UPDATE key_secrets SET prefix = 'ff_evil' WHERE ends_at_us IS NULL", "key"),
        ("DELETE FROM keys WHERE name = 'ann'", "key"),
        ("UPDATE guards SET amount = 900 WHERE name = 'loops'", "guard"),
        ("UPDATE guards SET removed_at_us = 1 WHERE name = 'loops'", "guard"),
        ("UPDATE users SET role = 'admin' WHERE name = 'eve'", "user"),
        ("UPDATE users SET scope = '{}' WHERE name = 'eve'", "user"),
        ("UPDATE users SET disabled_at_us = NULL WHERE name = 'eve'", "user"),
        ("UPDATE customers SET credit_limit_nano = NULL WHERE name = 'acme'", "customer"),
        ("UPDATE customers SET terms = 'team' WHERE name = 'acme'", "customer"),
        ("UPDATE customers SET closed_at_us = NULL WHERE name = 'bolt'", "customer"),
        ("UPDATE actions SET content = replace(content, '0.25', '0.01')", "action"),
        ("DELETE FROM actions", "action"),
        ("UPDATE invoices SET document = replace(document, 'acme', 'bolt')", "invoice"),
        ("UPDATE invoices SET total_nano = total_nano + 1", "invoice"),
        ("UPDATE invoices SET paid_nano = total_nano WHERE paid_nano > 0", "invoice"),
        ("UPDATE invoices SET status = 'issued' WHERE status = 'void'", "invoice"),
        ("DELETE FROM invoices WHERE status = 'void'", "invoice"),
    ],
)
def test_each_row_of_settings_that_was_edited_by_hand_is_found(
    lived: Path, tmp_path: Path, statement: str, family: str
) -> None:
    found = found_after(lived, tmp_path, statement)
    assert found
    assert set(found) == {family}


def test_a_row_that_nobody_made_is_found(lived: Path, tmp_path: Path) -> None:
    planted = (
        "INSERT INTO users SELECT 'usr_0', 'mallory', role, scope, password_hash, subject, created_at_us, "
        "NULL FROM users WHERE name = 'ann'"
    )
    assert found_after(lived, tmp_path, planted) == ["user"]


def test_the_sentence_names_what_stands_and_what_was_agreed(lived: Path, tmp_path: Path) -> None:
    edited = tmp_path / "edited.db"
    shutil.copy(lived, edited)
    with open_book(str(edited)) as book:
        with book.writing():
            book.execute("UPDATE budgets SET amount_nano = 7000000000 WHERE name = 'search'")
        ((_, what),) = settled_terms.problems(book)
    assert what == 'amount is "7.000000000", and was agreed as "6.000000000": it was edited'
