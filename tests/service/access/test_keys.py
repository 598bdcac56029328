"""Keys are shown once, kept as hashes, and every change of one is on record."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store import chains, keys
from flatfare.store.book import Book, open_book

HOUR_US = 3_600_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with open_book(str(tmp_path / "b.db")) as opened:
        yield opened


def create(book: Book, name: str = "web", **terms: object) -> issuing.Issued:
    return issuing.create(book, Terms(name, **terms), at_us=1, by_whom="me")  # type: ignore[arg-type]


def test_a_secret_has_256_bits_in_letters_and_digits(book: Book) -> None:
    secrets = {create(book, f"k{number}").secret for number in range(50)}
    assert len(secrets) == 50
    assert all(re.fullmatch(r"ff_[0-9A-Za-z]{43}", secret) for secret in secrets)


def test_a_secret_is_nowhere_in_the_book(book: Book, tmp_path: Path) -> None:
    issued = create(book)
    rotated = issuing.rotate(book, "web", overlap_us=HOUR_US, at_us=2, by_whom="me")
    book.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert issuing.hash_of(issued.secret).encode() in content
    for secret in (issued.secret, rotated.secret):
        assert secret[3:].encode() not in content
        assert secret not in repr(issued) + repr(rotated)


def test_a_name_stands_for_one_key_until_it_is_revoked(book: Book) -> None:
    first = create(book)
    with pytest.raises(Conflict, match="keys rotate web"):
        create(book)
    issuing.revoke(book, "web", at_us=2, by_whom="me")
    second = create(book)
    assert second.key.id != first.key.id
    assert issuing.disable(book, "web", at_us=3, by_whom="me").id == second.key.id


def test_every_change_is_chained_with_who_made_it(book: Book) -> None:
    create(book, labels={"team": "search"})
    issuing.rotate(book, "web", overlap_us=HOUR_US, at_us=2, by_whom="me")
    issuing.disable(book, "web", at_us=3, by_whom="you", reason="quiet")
    issuing.disable(book, "web", at_us=4, by_whom="you")  # is already: no record
    issuing.enable(book, "web", at_us=5, by_whom="you")
    issuing.revoke(book, "web", at_us=6, by_whom="you", reason="leaked")
    issuing.revoke(book, "web", at_us=7, by_whom="you")
    rows = book.rows(
        "SELECT kind, by_whom, reason FROM chained_records WHERE chain = 'organisation' ORDER BY position"
    )
    assert rows == [
        ("key.created", "me", None),
        ("key.rotated", "me", None),
        ("key.disabled", "you", "quiet"),
        ("key.enabled", "you", None),
        ("key.revoked", "you", "leaked"),
    ]
    assert chains.broken_at(book, "organisation") is None
    assert keys.change_number(book) == 5


def test_a_change_that_fails_leaves_no_record(book: Book) -> None:
    create(book)
    issuing.revoke(book, "web", at_us=2, by_whom="me")
    with pytest.raises(Conflict, match="for good"):
        issuing.enable(book, "web", at_us=3, by_whom="me")
    assert book.value("SELECT COUNT(*) FROM chained_records") == keys.change_number(book) == 2


def test_a_key_that_is_not_there_names_those_that_are(book: Book) -> None:
    with pytest.raises(NotFound, match="keys create"):
        issuing.revoke(book, "web", at_us=1, by_whom="me")
    create(book)
    with pytest.raises(NotFound, match="Known: web"):
        issuing.revoke(book, "wob", at_us=1, by_whom="me")


@pytest.mark.parametrize(
    "terms",
    [
        {"name": " "},
        {"name": "x" * 200},
        {"name": "ff_x"},
        {"name": "key_x"},
        {"name": "a\nb"},
        {"name": "web", "labels": {"a b": "c"}},
        {"name": "web", "expires_at_us": 1},
        {"name": "web", "requests_per_minute": 0},
    ],
)
def test_terms_that_cannot_be_are_refused(book: Book, terms: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        issuing.create(book, Terms(**terms), at_us=1, by_whom="me")  # type: ignore[arg-type]
    assert keys.all_of(book) == []
