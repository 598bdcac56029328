"""What happens to a call when something fails is one table: here each field of it, and each exception."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.gateway import failing
from flatfare.service.budgets import budgeting
from flatfare.store.book import open_book
from tests.gateway.rig import JSON, Answer, Seen, whole
from tests.gateway.rig_load import settled_rows
from tests.gateway.rig_pair import ASKED, CHAT, Pair, pair, until
from tests.gateway.rig_recorded import own

DOCS = Path(__file__).parent.parent.parent / "docs" / "guides"
FULL = (Path(__file__).parent.parent / "promises" / "faults" / "disk_full.py").read_text()
NO_PRICE = b'{"model": "no-such-model", "max_tokens": 10, "messages": []}'
LIMITED = b'{"model": "gpt-4o", "max_tokens": 10, "messages": []}'
BODY = own("openai-chat").body
NOW_US = 1_795_000_000_000_000


@contextmanager
def under(folder: Path, *, hard: bool, amount_nano: int = 10**12, **terms: str) -> Iterator[Pair]:
    """A gateway with a hard budget, or with one that only counts."""
    settings = {name: terms.pop(name) for name in ("on_journal_failure",) if name in terms}
    with pair(folder, prelude=FULL, **settings) as both:
        budget = Budget("", "b", Scope("organisation"), amount_nano, Window.of("lifetime"), is_hard=hard)
        with open_book(str(both.gateway.book)) as book:
            budgeting.create(book, budget, at_us=NOW_US, by_whom="test")
            if terms:
                budgeting.change(book, "b", terms, at_us=NOW_US, by_whom="test")
        both.wait_until_noticed()
        both.provider.forget()
        with both.provider.answers(lambda _: whole(BODY)):
            yield both


def called(both: Pair, body: bytes = LIMITED) -> Seen:
    return both.gateway.ask(both.secret, "POST", CHAT, body, timeout_s=30)


def spent(both: Pair) -> int:
    with closing(sqlite3.connect(both.gateway.book)) as book:
        return int(book.execute("SELECT COALESCE(SUM(spent_nano), 0) FROM allowances").fetchone()[0])


@pytest.mark.parametrize(
    ("hard", "terms", "status"),
    [
        (False, {}, failing.UNPRICED.without.refuses()),
        (True, {}, failing.UNPRICED.under.refuses("refuse")),
        (True, {"unpriced": "allow"}, failing.UNPRICED.under.refuses("allow")),
    ],
)
def test_a_model_without_a_price(
    tmp_path: Path, hard: bool, terms: dict[str, str], status: int | None
) -> None:
    with under(tmp_path, hard=hard, **terms) as both:
        named = json.loads(BODY) | {"model": "no-such-model"}
        both.provider.next(whole(json.dumps(named).encode()))
        assert called(both, NO_PRICE).status == (status or 200)
        assert len(both.provider.log) == (status is None)
        (row,) = settled_rows(both.gateway)
        assert row["cost_nano"] is None if status is None else row["cost_nano"] == 0


def test_usage_that_cannot_be_read_is_charged_what_was_held(tmp_path: Path) -> None:
    with under(tmp_path, hard=True) as both:
        both.provider.next(whole(b"<html>Four.</html>"))
        assert called(both).status == 200
        (row,) = settled_rows(both.gateway)
        assert row["cost_nano"] is None
        until(lambda: spent(both) > 0, 10)


@pytest.mark.parametrize(
    ("hard", "terms", "status"),
    [
        (False, {}, failing.JOURNAL.without.refuses("refuse")),
        (False, {"on_journal_failure": "forward"}, failing.JOURNAL.without.refuses("forward")),
        (True, {}, failing.JOURNAL.under.refuses("refuse")),
        (True, {"on_journal_failure": "forward"}, failing.JOURNAL.under.refuses("forward")),
    ],
)
def test_a_journal_that_cannot_be_written(
    tmp_path: Path, hard: bool, terms: dict[str, str], status: int | None
) -> None:
    with under(tmp_path, hard=hard, **terms) as both:
        assert called(both).status == 200
        both.provider.forget()
        (both.gateway.folder / "disk-full").touch()
        assert called(both).status == (status or 200)
        assert len(both.provider.log) == (status is None)
        (both.gateway.folder / "disk-full").unlink()
        until(lambda: called(both).status == 200, 10)


@pytest.mark.parametrize(
    ("hard", "terms", "status"),
    [
        (False, {}, failing.BOOK.without.refuses()),
        (True, {}, failing.BOOK.under.refuses("closed")),
        (True, {"fail": "open"}, failing.BOOK.under.refuses("open")),
    ],
)
def test_a_book_that_is_away(tmp_path: Path, hard: bool, terms: dict[str, str], status: int | None) -> None:
    """Nothing is leased yet."""
    with under(tmp_path, hard=hard, **terms) as both:
        with closing(sqlite3.connect(both.gateway.book, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            seen = called(both)
            assert seen.status == (status or 200)
            if status is not None:
                assert "cannot be asked at present" in json.loads(seen.body)["error"]["message"]
            other.execute("ROLLBACK")
        (row,) = settled_rows(both.gateway)
        assert (row["cost_nano"] or 0) > 0 if status is None else row["cost_nano"] == 0
        until(lambda: spent(both) == row["cost_nano"], 10, "it is not counted")


@pytest.mark.parametrize("hard", [False, True])
def test_a_provider_that_fails(tmp_path: Path, hard: bool) -> None:
    error: Answer = whole(b'{"error": {"message": "overloaded"}}', 529, JSON)
    assert failing.PROVIDER.then(is_hard=hard).refuses() is None
    with under(tmp_path, hard=hard) as both:
        both.provider.next(error)
        seen = called(both, ASKED)
        assert (seen.status, seen.body) == (529, b'{"error": {"message": "overloaded"}}')
        settled_rows(both.gateway)
        assert spent(both) == 0
        assert called(both).status == 200


@pytest.mark.parametrize("guide", ["gateway.md", "budgets.md"])
def test_the_guides_print_the_table(guide: str) -> None:
    assert failing.as_markdown() in (DOCS / guide).read_text()
