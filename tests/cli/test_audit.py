"""``flatfare audit verify`` says what it looked at, and what is still to be done."""

import csv
import json
import time
from pathlib import Path

from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.store.book import open_book


def test_an_empty_book_has_nothing_to_sign(tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    CliRunner().invoke(root, ["budgets", "list", *given])  # makes the book
    told = CliRunner().invoke(root, ["audit", "verify", "--table", *given])
    assert told.exit_code == 0
    assert "There is nothing to sign yet." in told.stdout


def test_records_that_no_head_vouches_for_are_to_be_signed(tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    CliRunner().invoke(root, ["keys", "create", "--name", "web", *given])
    told = CliRunner().invoke(root, ["audit", "verify", "--no-sign", "--table", *given])
    assert told.exit_code == 0
    assert "leave out --no-sign" in told.stdout


def _given(folder: Path) -> list[str]:
    return ["--database", f"sqlite:///{folder}/b.db", "--lake", str(folder / "lake")]


def _run(folder: Path, *words: str, ends: int = 0) -> str:
    result = CliRunner().invoke(root, [*words, *_given(folder)])
    assert result.exit_code == ends, result.output
    return result.stdout


def _changed(folder: Path) -> str:
    """A book in which a key was made, limited and revoked; returns the key's id."""
    key = json.loads(_run(folder, "keys", "create", "--name", "web", "--json"))["id"]
    _run(folder, "budgets", "create", "--name", "small", "--amount", "5.00", "--scope", "key=web")
    _run(folder, "keys", "revoke", "web", "--reason", "lost")
    return str(key)


def test_changes_are_listed_with_names_in_place_of_ids(tmp_path: Path) -> None:
    key = _changed(tmp_path)
    listed = _run(tmp_path, "audit", "changes")
    first, second, third = (line.split() for line in listed.splitlines() if line.startswith("20"))
    assert first[2:5] == ["key", "revoked", "web"]
    assert "lost" in first
    assert second[2:5] == ["budget", "created", "small"]
    assert "key=web," in second
    assert third[2:5] == ["key", "created", "web"]
    assert key not in listed
    assert "bud_" not in listed


def test_changes_as_json_and_csv_keep_the_ids(tmp_path: Path) -> None:
    key = _changed(tmp_path)
    rows = [json.loads(line) for line in _run(tmp_path, "audit", "changes", "--json").splitlines()]
    assert [(row["kind"], row["subject"].partition("_")[0], row["name"]) for row in rows] == [
        ("key.revoked", "key", "web"),
        ("budget.created", "bud", "small"),
        ("key.created", "key", "web"),
    ]
    assert rows[1]["content"]["scope"] == f"key={key}"
    found = list(csv.DictReader(_run(tmp_path, "audit", "changes", "--kind", "key", "--csv").splitlines()))
    assert [(row["subject"], row["name"]) for row in found] == [(key, "web"), (key, "web")]
    assert _run(tmp_path, "audit", "changes", "--until", "2020-01-01").strip() == "Nothing was changed."


def test_what_was_tampered_with_is_named(tmp_path: Path) -> None:
    key = _changed(tmp_path)
    _run(tmp_path, "audit", "verify")
    with open_book(str(tmp_path / "b.db")) as book:
        book.execute("UPDATE keys SET project = 'mine' WHERE id = ?", (key,))
        book.execute("UPDATE chained_records SET content = 'x' WHERE position = 1")
    said = _run(tmp_path, "audit", "verify", ends=1)
    assert f"key/{key} (web): project is" in said
    assert "record/organisation at 1 (budget created small): does not follow" in said
    problems = json.loads(_run(tmp_path, "audit", "verify", "--json", ends=1))["problems"]
    assert {"web", "budget created small"} <= {problem["name"] for problem in problems}


def test_amounts_and_moments_are_written_as_people_do(tmp_path: Path) -> None:
    _run(tmp_path, "customers", "create", "acme", "--terms", "invoice", "--credit-limit", "500")
    _run(tmp_path, "customers", "close", "acme")
    closed, created = (line for line in _run(tmp_path, "audit", "changes").splitlines() if line[:2] == "20")
    assert "credit_limit: 500.00," in created
    assert f"closed_at: {time.gmtime().tm_year}-" in closed
