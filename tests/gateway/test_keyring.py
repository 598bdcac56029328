"""Workers see a key as of its last change, without asking the book for each call."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput
from flatfare.gateway.keyring import UNKNOWN, KeyRing, Refused
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store import keys
from flatfare.store.book import Book, open_book
from flatfare.store.keys import Key

HOUR_US = 3_600_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with open_book(str(tmp_path / "b.db")) as opened:
        yield opened


def issue(book: Book, **terms: object) -> issuing.Issued:
    return issuing.create(book, Terms("web", **terms), at_us=1, by_whom="me")  # type: ignore[arg-type]


def refusal(ring: KeyRing, secret: str, at_us: int = 10) -> str:
    found = ring.find(secret, at_us)
    assert isinstance(found, Refused)
    return found.reason


def test_a_secret_finds_its_key(book: Book) -> None:
    issued = issue(book, labels={"team": "search"})
    found = KeyRing(book).find(issued.secret, 10)
    assert isinstance(found, Key)
    assert (found.id, found.labels_text) == (issued.key.id, '{"team":"search"}')


@pytest.mark.parametrize("guess", ["", "ff_", "ff_é\ud800", "key_1"])
def test_what_is_no_secret_finds_nothing(book: Book, guess: str) -> None:
    issued = issue(book)
    ring = KeyRing(book)
    assert ring.find(guess, 10) is UNKNOWN
    assert ring.find(issued.secret[:-1], 10) is UNKNOWN
    assert ring.find(hashlib.sha256(issued.secret.encode()).hexdigest(), 10) is UNKNOWN


def test_a_change_by_another_process_is_seen_at_the_next_refresh(book: Book, tmp_path: Path) -> None:
    issued = issue(book)
    with open_book(str(tmp_path / "b.db")) as own:
        ring = KeyRing(own)
        assert not ring.refresh()
        for change, reason in (
            (issuing.disable, "disabled for now"),
            (issuing.enable, ""),
            (issuing.revoke, "revoked"),
        ):
            change(book, "web", at_us=2, by_whom="me")
            assert ring.refresh()
            if reason:
                assert reason in refusal(ring, issued.secret)
            else:
                assert isinstance(ring.find(issued.secret, 10), Key)


def test_no_key_is_in_force_before_what_limits_it_was_taken_in(book: Book) -> None:
    ring = KeyRing(book)
    issued = issue(book)
    seen = []
    assert ring.refresh(before=lambda: seen.append(ring.find(issued.secret, 10)))
    assert seen == [UNKNOWN]
    assert isinstance(ring.find(issued.secret, 10), Key)


def test_what_is_made_together_with_a_key_is_there_whenever_the_key_is(book: Book) -> None:
    def fails(key: Key) -> None:
        raise BadInput(f"no budget for {key.id}")

    with pytest.raises(BadInput, match="no budget"):
        issuing.create(book, Terms("web"), at_us=1, by_whom="me", together_with=fails)
    assert not keys.all_of(book)


def test_other_writes_to_the_book_do_not_reload_the_keys(book: Book) -> None:
    ring = KeyRing(book)
    book.execute("INSERT INTO signals (id, task_id, at_us, name, source) VALUES ('a', 't', 1, 'csat', 's')")
    assert not ring.refresh()


def test_a_key_expires_without_anybody_changing_it(book: Book) -> None:
    issued = issue(book, expires_at_us=100)
    ring = KeyRing(book)
    assert isinstance(ring.find(issued.secret, 99), Key)
    assert "expired" in refusal(ring, issued.secret, 100)


def test_both_secrets_are_let_in_during_the_overlap(book: Book) -> None:
    first = issue(book)
    second = issuing.rotate(book, "web", overlap_us=HOUR_US, at_us=10, by_whom="me")
    ring = KeyRing(book)
    assert isinstance(ring.find(first.secret, HOUR_US), Key)
    assert "replaced" in refusal(ring, first.secret, HOUR_US + 10)
    assert isinstance(ring.find(second.secret, 10**18), Key)


def test_a_refusal_never_repeats_the_secret(book: Book) -> None:
    issued = issue(book, expires_at_us=5)
    assert issued.secret not in refusal(KeyRing(book), issued.secret)
