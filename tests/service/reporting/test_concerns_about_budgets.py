"""What the summary says of budgets: those that are nearly spent, the tightest first, and no others."""

from pathlib import Path

from flatfare.core.budget import Budget, Scope, Window
from flatfare.service.budgets import budgeting
from flatfare.service.reporting.summary import concerns_about_budgets
from flatfare.store import budgets
from flatfare.store.book import open_book

NOW_US = 1_795_000_000_000_000
DOLLAR = 10**9


def test_budgets_that_are_nearly_spent_are_named_with_the_command_that_shows_them(tmp_path: Path) -> None:
    spent = {"plenty": 89, "my search": 90, "all": 100, "nothing": 0}
    with open_book(str(tmp_path / "book.db")) as book:
        for name, percent in spent.items():
            wanted = Budget("", name, Scope("organisation"), 10 * DOLLAR, Window.of("month"))
            made = budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")
            begins, ends = made.window.span(NOW_US)
            allowance = budgets.Allowance(made.id, "organisation", begins)
            with book.writing():
                budgets.book_spend(book, allowance, ends, None, percent * DOLLAR // 10)
        found = concerns_about_budgets(book, NOW_US)
    assert [(one.text, one.command) for one in found] == [
        ("The budget all is 100 % spent: $10.00 of $10.00 per month", "flatfare budgets show all"),
        (
            "The budget my search is 90 % spent: $9.00 of $10.00 per month",
            "flatfare budgets show 'my search'",
        ),
    ]
