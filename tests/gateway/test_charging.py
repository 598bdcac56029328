"""Charging: what calls cost is summed for each allowance, and who crossed a line is who is told of."""

import json
from pathlib import Path

from flatfare.config import Settings
from flatfare.core.budget import Budget, Scope, Threshold, Window
from flatfare.gateway.reserving.charging import Charge, charge
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import Book, open_book

NOW_US = 1_795_000_000_000_000


def budget_of(book: Book, name: str, scope: str, *thresholds: Threshold) -> Budget:
    terms = {"is_hard": False, "thresholds": thresholds}
    wanted = Budget("", name, Scope.of(scope), 100, Window.of("lifetime"), **terms)  # type: ignore[arg-type]
    return budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")


def test_the_key_whose_call_crossed_the_line_is_disabled_and_no_other(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "book.db")) as book:
        ids = {
            name: issuing.create(book, Terms(name), at_us=NOW_US, by_whom="test").key.id
            for name in ("early", "crosses", "late")
        }
        whole = budget_of(book, "whole", "organisation", Threshold(65, "disable"))
        own = budget_of(book, "own", "team=search", Threshold(50, "alert"))
        both = f"e1\n{whole.id} 0 organisation\n{own.id} 0 search"
        alone = f"e1\n{whole.id} 0 organisation"
        charges = [
            Charge("c1", ids["early"], both, 60, True, 60),
            Charge("c2", ids["crosses"], alone, 10, True, 10),
            Charge("c3", ids["late"], both, 5, False, 5),
        ]
        with book.writing():
            charge(book, charges, Settings(), NOW_US)
        spent = {one.name: budgets.standings(book, one, NOW_US)[0].spent_nano for one in (whole, own)}
        disabled = {str(row[0]) for row in book.rows("SELECT id FROM keys WHERE disabled_at_us IS NOT NULL")}
        told = [json.loads(str(row[0])) for row in book.rows("SELECT content FROM alerts ORDER BY id")]
        kept = book.rows("SELECT call_id, nano FROM budget_charges ORDER BY allowance_id")
    assert spent == {"whole": 75, "own": 65}
    assert disabled == {ids["crosses"]}
    assert {(one["budget"], one["last_call"]) for one in told} == {("whole", "c2"), ("own", "c1")}
    assert kept == [("c3", 5), ("c3", 5)]
