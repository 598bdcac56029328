"""Keys in the book: read back as written, ended and never removed, and no secret beside them."""

from pathlib import Path
from types import MappingProxyType

import pytest

from flatfare.store import chains, keys
from flatfare.store.book import open_book
from flatfare.store.keys import Key, KeySecret

KEY = Key(
    id="key_1",
    name="web",
    created_at_us=10,
    project="shop",
    labels=MappingProxyType({"team": "search"}),
    allowed_models=("gpt-5*", "claude-*"),
    allowed_providers=("openai",),
    requests_per_minute=60,
    tokens_per_minute=10_000,
    concurrent=4,
    expires_at_us=100,
    labels_text='{"team":"search"}',
)


def test_a_key_reads_back_as_it_was_written(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "b.db")) as book:
        keys.insert(book, KEY)
        assert keys.all_of(book) == [KEY]
        assert keys.named(book, "web") == keys.named(book, "key_1") == [KEY]
        assert keys.named(book, "we") == []


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        ({}, "active"),
        ({"disabled_at_us": 20}, "disabled"),
        ({"disabled_at_us": 20, "revoked_at_us": 30}, "revoked"),
        ({"expires_at_us": 50}, "expired"),
    ],
)
def test_the_state_of_a_key_is_the_strongest_that_holds(ended: dict[str, int], state: str) -> None:
    assert Key(id="k", name="k", created_at_us=0, **ended).state(50) == state


@pytest.mark.parametrize(
    ("provider", "model", "is_allowed"),
    [
        ("openai", "gpt-5-mini", True),
        ("openai", "GPT-5", True),
        ("openai", "o3", False),
        ("openai", None, False),
        ("anthropic", "claude-opus-5", False),
    ],
)
def test_a_key_reaches_only_the_models_and_providers_it_names(
    provider: str, model: str | None, is_allowed: bool
) -> None:
    assert (KEY.why_not(provider, model) is None) == is_allowed


def test_a_key_that_names_none_reaches_all() -> None:
    assert Key(id="k", name="k", created_at_us=0).why_not("anywhere", None) is None


def test_former_secrets_end_no_later_than_told(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "b.db")) as book:
        keys.insert_secret(book, KeySecret("aa", "key_1", "ff_a", 1, ends_at_us=40))
        keys.insert_secret(book, KeySecret("bb", "key_1", "ff_b", 2))
        keys.insert_secret(book, KeySecret("cc", "key_2", "ff_c", 3))
        keys.end_secrets(book, "key_1", 50)
        assert [secret.ends_at_us for secret in keys.secrets_of_all(book)] == [40, 50, None]


def test_a_chain_breaks_where_a_record_was_changed(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "b.db")) as book:
        for number in range(3):
            chains.append(
                book, "organisation", kind="k", subject="s", by_whom="me", at_us=number, content="{}"
            )
        assert chains.broken_at(book, "organisation") is None
        book.execute("UPDATE chained_records SET by_whom = 'you' WHERE position = 1")
        assert chains.broken_at(book, "organisation") == 1
