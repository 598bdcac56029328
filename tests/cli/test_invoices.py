"""``flatfare invoices``: as finance uses it before and after a month has ended."""

import csv
import io
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from tests.service.selling import shop

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A customer who pays later bought one review this month, one who paid before did too."""
    monkeypatch.chdir(tmp_path)
    now_us = time.time_ns() // 1000
    with shop.shop_in(tmp_path, "bolt", terms="invoice") as book:
        shop.customer(book, "acme")
        shop.top_up(book, "acme", 9 * shop.USD)
        shop.settled(book, "bolt", "t-1", at_us=now_us)
        shop.settled(book, "acme", "t-2", at_us=now_us)
    return lambda *words: CliRunner().invoke(root, ["invoices", *words])


def test_a_draft_is_read_in_the_currency_of_whoever_pays(run: Run) -> None:
    said = run("draft", "bolt").output
    assert "total 5.00 USD" in said
    assert "5.000000000" not in said


def test_the_csv_of_a_draft_recounts_to_its_total(run: Run) -> None:
    rows = csv.DictReader(io.StringIO(run("draft", "bolt", "--csv").stdout))
    assert sum(Decimal(row["amount"]) for row in rows) == 5


def test_a_draft_can_be_printed(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("typst")
    assert run("draft", "bolt", "--pdf", "bolt.pdf").exit_code == 0
    assert (tmp_path / "bolt.pdf").read_bytes().startswith(b"%PDF")


def test_who_paid_before_has_nothing_to_be_billed(run: Run) -> None:
    assert (
        "Nothing to bill. What is paid already: flatfare customers statement acme"
        in run("draft", "acme").output
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["draft", "bolt", "--month", "9999-01"], "9999-01 has not begun"),
        (["draft", "bolt", "--month", "2026-13"], "write it like 2026-11"),
        (["draft", "nobody"], "There is no customer 'nobody'"),
        (["draft", "bolt", "--pdf", "nowhere/bolt.pdf"], "nowhere/bolt.pdf cannot be written"),
        (
            ["export", "--format", "stripe", "--since", "2026-01-01", "--out", "nowhere/x"],
            "nowhere/x cannot be written",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run: Run, words: list[str], said: str) -> None:
    done = run(*words)
    assert done.exception is not None
    assert said in str(done.exception) + done.output


def test_an_export_says_what_it_wrote_and_that_there_was_nothing(run: Run, tmp_path: Path) -> None:
    said = run("export", "--format", "stripe", "--since", "2026-01-01", "--out", "events.jsonl").stderr
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert f"Wrote events.jsonl: {len(lines)} events." in said
    late = run("export", "--format", "stripe", "--since", "2100-01-01", "--until", "2100-02-01")
    assert (late.stdout, late.stderr) == ("", "No sale was settled or reversed in this time.\n")
