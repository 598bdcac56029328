"""``flatfare users``: the first administrator by one command, and everybody else after."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.service.access import users as people
from flatfare.store.book import open_book
from flatfare.store.chains import ORGANISATION, latest

pytest.importorskip("argon2", reason="needs the web extra")


@pytest.fixture
def book(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/book.db"


def run(book: str, *arguments: str, given: str | None = None) -> Result:
    command = ["users", *arguments, "--database", book]
    return CliRunner().invoke(root, command, input=given, catch_exceptions=False)


def test_the_first_administrator_is_made_by_one_command(book: str) -> None:
    made = run(book, "create", "--admin", "ada")
    assert made.exit_code == 0
    password = made.stdout.split()[-1]
    with open_book(book) as opened:
        session = people.sign_in(opened, "ada", password, at_us=1_790_000_000_000_000)
    assert session.user.role == "admin"


def test_a_password_is_read_from_stdin_and_never_printed(book: str) -> None:
    made = run(book, "create", "sue", "--role", "finance", "--stdin", given="long enough indeed\n")
    assert "long enough" not in made.output
    with open_book(book) as opened:
        assert people.sign_in(opened, "sue", "long enough indeed", at_us=1_790_000_000_000_000)


def test_everybody_is_listed_and_no_hash_is(book: str) -> None:
    run(book, "create", "--admin", "ada")
    run(book, "create", "sue", "--scope", "team=search", "--scope", "site=a")
    listed = [json.loads(line) for line in run(book, "list", "--json").stdout.splitlines()]
    assert [(one["name"], one["role"], one["scope"]) for one in listed] == [
        ("ada", "admin", []),
        ("sue", "viewer", ["site=a", "team=search"]),
    ]
    assert "argon2" not in run(book, "list", "--json").stdout
    assert "site=a, team=search" in run(book, "list", "--csv").stdout


def test_an_empty_list_says_how_to_begin(book: str) -> None:
    open_book(book).close()
    assert "flatfare users create --admin NAME" in run(book, "list").stdout


def test_a_role_and_what_is_seen_change_and_stand_on_record(book: str) -> None:
    run(book, "create", "--admin", "ada")
    run(book, "create", "sue", "--scope", "team=search")
    changed = run(book, "change", "sue", "--role", "finance", "--sees-everything")
    assert "sue is finance, and has to sign in anew" in changed.stdout
    run(book, "disable", "sue")
    run(book, "enable", "sue")
    with open_book(book) as opened:
        assert people.one_of(opened, "sue").scope == ()
        kinds = [one.kind for one in latest(opened, ORGANISATION, 9)]
    assert kinds == ["user.enabled", "user.disabled", "user.changed", "user.created", "user.created"]


def test_what_cannot_be_is_refused_with_a_reason(book: str) -> None:
    run(book, "create", "--admin", "ada")
    with pytest.raises(Conflict, match="last administrator"):
        run(book, "disable", "ada")
    with pytest.raises(Conflict, match="already"):
        run(book, "create", "ada")
    with pytest.raises(NotFound, match="Known: ada"):
        run(book, "change", "nobody", "--role", "viewer")
    with pytest.raises(BadInput, match="at least 10"):
        run(book, "create", "bob", "--password", "short")
    with pytest.raises(BadInput, match="key=value"):
        run(book, "create", "bob", "--scope", "team")
