"""P9: invoicing that is killed at any moment bills each sale once, and documents equal the ledger.

A program settles sales, issues months, pays, credits and voids; it is killed again and again, and in the
end asked for everything once more.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from flatfare.core.invoice import Status
from flatfare.service import selling
from flatfare.service.invoicing.issuing import Books, open_of, rebuilt
from flatfare.service.invoicing.rendering import rows
from flatfare.store import invoices
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.promises.killing import kill_somewhere, run_whole

PROGRAM = "import tests.promises.applied_fault; from tests.promises import billers; billers.run()"
MONTHS, SALES = 4, 6


def killed_at_random(folder: Path, kills: int, seed: int) -> int:
    dice = random.Random(seed)
    killed = lives = 0
    (folder / "measured").mkdir()
    longest_s = run_whole(PROGRAM, [str(folder / "measured"), str(MONTHS), str(SALES)])
    while killed < kills:
        place = folder / f"life-{lives}"
        place.mkdir(exist_ok=True)
        was_killed = kill_somewhere(PROGRAM, [str(place), str(MONTHS), str(SALES)], longest_s, dice)
        killed += was_killed
        lives += not was_killed  # what has ended well is held against the facts, and another begins
    for place in sorted(folder.glob("life-*")):
        run_whole(PROGRAM, [str(place), str(MONTHS), str(SALES)])
        check(place)
    return killed


def check(place: Path) -> None:
    with open_book(str(place / "flatfare.db")) as book:
        books = Books(book, Lake(place / "lake"), "UTC")
        assert selling.verify(book) == []
        found = invoices.listed(book)
        standing = [kept for kept in found if kept.status is not Status.VOID]
        months = Counter(kept.period for kept in standing if kept.refers is None)
        assert set(months.values()) == {1}
        assert len(months) == MONTHS
        billed = [
            item["task"]
            for kept in standing
            if kept.refers is None
            for line in kept.says["lines"]
            for item in line["items"]
            if line["kind"] == "usage"
        ]
        assert len(billed) == len(set(billed)) == MONTHS * SALES
        for kept in standing:
            assert rebuilt(books, kept) == kept.document
            assert round(sum(float(row["amount"]) for row in rows(kept.says)) * 10**9) == kept.total_nano
        owed = sum(open_of(book, kept) for kept in standing if kept.total_nano > 0 and kept.refers is None)
        accounts = selling.balance(book, "bolt", at_us=0).accounts
        by_kind = Counter({str(account.kind): 0 for account in accounts})
        for account, nano in accounts.items():
            by_kind[str(account.kind)] += nano
        assert by_kind["accrued"] == 0
        given = sum(-kept.total_nano for kept in standing if kept.refers is None and kept.total_nano < 0)
        assert by_kind["receivable"] == -owed + given
        assert sum(accounts.values()) == 0
        numbers = sorted(kept.number for kept in found if kept.number.startswith("INV"))
        assert [int(number[-6:]) for number in numbers] == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("kills", [20])
def test_invoicing_that_is_killed_bills_once(tmp_path: Path, kills: int) -> None:
    assert killed_at_random(tmp_path, kills, seed=3) == kills


@pytest.mark.soak
def test_invoicing_that_is_killed_two_hundred_times(tmp_path: Path) -> None:
    assert killed_at_random(tmp_path, 200, seed=4) == 200
