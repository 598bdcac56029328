"""``flatfare customers``, ``packs`` and ``ledger``: as a person uses them."""

import json
import time
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.store.book import open_book
from tests.builders import id_of
from tests.service.selling.shop import settled


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    """The command line in a folder of its own."""

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(root, words)

    def code(self, *words: str) -> int:
        """What the process would end with."""
        result = self(*words)
        return getattr(result.exception, "exit_code", result.exit_code)


def test_a_customer_is_entered_paid_for_and_sold_to(run: Run, tmp_path: Path) -> None:
    assert "No customers yet" in run("customers", "list").stdout
    made = json.loads(run("customers", "create", "acme", "--detail", "address=1 Main St", "--json").stdout)
    assert (made["terms"], made["details"]) == ("prepaid", {"address": "1 Main St"})
    one = str(uuid.uuid4())
    for _ in range(2):
        said = run("customers", "top-up", "acme", "$50", "--id", one, "--reason", "bank 17").stdout
        assert said == "acme has 50.00 USD in the wallet.\n"
    assert run("packs", "create", "ten", "--price", "20", "--units", "10", "--action", "blog").exit_code == 0
    assert run("packs", "sell", "ten", "acme").exit_code == 0
    assert run("customers", "grant", "acme", "5", "--expires", "30d").exit_code == 0
    with open_book(str(tmp_path / "flatfare.db")) as book:
        settled(book, "acme", "one", "3.00", action="blog", at_us=time.time_ns() // 1000)
        settled(book, "acme", "two", "7.00", at_us=time.time_ns() // 1000)
    shown = json.loads(run("customers", "show", "acme", "--json").stdout)
    assert (shown["wallet"], shown["available"]) == ("48.000000000", "48.000000000")
    assert [(lot["pack"], lot["units_left"]) for lot in shown["grants"]] == [("ten", 9)]
    table = run("customers", "show", "acme").stdout
    assert "48.00" in table
    assert "ten" in table
    (listed,) = (json.loads(line) for line in run("customers", "list", "--json").stdout.splitlines())
    assert listed == shown
    statement = run("customers", "statement", "acme", "--csv").stdout.splitlines()
    assert statement[0].startswith("at,kind,text,note,task,task_name,run,document,amount,credit,owed,balance")
    assert [line.split(",")[1] for line in statement[1:]] == [
        "balance before",
        "paid in",
        "pack",
        "credit",
        "bought",
        "bought",
    ]
    sale = json.loads(run("ledger", "sale", id_of("two")).stdout)
    assert (sale["settlement"], sale["net"]) == ("settled", "7.000000000")
    totals = {
        row["account"]: row["balance"]
        for row in map(json.loads, run("ledger", "totals", "--json").stdout.splitlines())
    }
    assert totals["revenue"] == "9.000000000"
    lines = run("ledger", "account", "revenue:acme:USD", "--csv").stdout.splitlines()
    assert [line.split(",")[4:6] for line in lines[1:]] == [
        ["2.000000000", "2.000000000"],
        ["7.000000000", "9.000000000"],
    ]
    assert len(run("ledger", "entries", "--task", id_of("two"), "--json").stdout.splitlines()) == 2
    held = run("ledger", "verify", "--replay")
    assert (held.exit_code, held.stderr) == (0, "7 entries were replayed.\n")


def test_a_ledger_that_was_edited_is_found(run: Run, tmp_path: Path) -> None:
    run("customers", "create", "acme")
    run("customers", "top-up", "acme", "5")
    with open_book(str(tmp_path / "flatfare.db")) as book:
        book.execute("UPDATE postings SET amount_nano = amount_nano * 2")
    found = run("ledger", "verify")
    assert found.exit_code == 1
    assert (
        "Posting 1 of wallet:acme:USD has the balance 5000000000, where its sum is 10000000000"
        in found.stdout
    )


def test_terms_change_and_a_customer_is_closed(run: Run) -> None:
    run("customers", "create", "acme", "--currency", "EUR")
    assert "terms invoice" in run("customers", "change", "acme", "--terms", "invoice").stdout
    assert run("customers", "change", "acme", "--credit-limit", "€100").exit_code == 0
    assert json.loads(run("customers", "show", "acme", "--json").stdout)["available"] == "100.000000000"
    assert run("customers", "change", "acme", "--no-credit-limit").exit_code == 0
    assert json.loads(run("customers", "show", "acme", "--json").stdout)["available"] is None
    assert run.code("customers", "change", "acme") == 2
    assert run("customers", "close", "acme", "--reason", "left").exit_code == 0
    assert run.code("customers", "top-up", "acme", "5") == 1


def test_packs_are_listed_and_withdrawn(run: Run) -> None:
    assert "No packs yet" in run("packs", "list").stdout
    assert run("packs", "create", "credit", "--price", "20", "--credit", "25").exit_code == 0
    assert run("packs", "withdraw", "credit").exit_code == 0
    (pack,) = map(json.loads, run("packs", "list", "--json").stdout.splitlines())
    assert (pack["credit"], pack["units"], pack["withdrawn_at"] is None) == ("25.000000000", None, False)
    assert "25.00" in run("packs", "list").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("customers", "show", "nobody"), 1),
        (("customers", "create", "a b"), 1),
        (("customers", "create", "a", "--terms", "later"), 2),
        (("customers", "create", "a", "--detail", "x"), 2),
        (("customers", "top-up", "acme", "five"), 1),
        (("customers", "top-up", "acme", "5", "--id", "x"), 2),
        (("packs", "create", "p", "--price", "5", "--units", "3"), 1),
        (("ledger", "sale", "x"), 1),
    ],
)
def test_what_is_wrong_ends_with_its_own_code(run: Run, words: tuple[str, ...], code: int) -> None:
    run("customers", "create", "acme")
    assert run.code(*words) == code
