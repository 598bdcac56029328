"""Providers' credentials as the book keeps them: sealed, so that the book alone opens nothing."""

from dataclasses import dataclass

from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """One secret of one provider."""

    provider: str
    field: str  # api_key, access_key, secret_key, session_token
    sealed: str
    set_at_us: int
    by_whom: str


def put(book: Book, one: SealedCredential) -> None:
    """Keep a credential in place of the former, in the transaction that is open."""
    book.execute(
        "INSERT INTO sealed_credentials (provider, field, sealed, set_at_us, by_whom) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (provider, field) DO UPDATE SET sealed = excluded.sealed, "
        "set_at_us = excluded.set_at_us, by_whom = excluded.by_whom",
        (one.provider, one.field, one.sealed, one.set_at_us, one.by_whom),
    )


def remove(book: Book, provider: str) -> int:
    """Forget the secrets of a provider, in the transaction that is open; how many there were."""
    return book.execute("DELETE FROM sealed_credentials WHERE provider = ?", (provider,))


def all_of(book: Book) -> list[SealedCredential]:
    """Every credential that is kept, by provider."""
    rows = book.rows(
        "SELECT provider, field, sealed, set_at_us, by_whom FROM sealed_credentials ORDER BY provider, field"
    )
    return [
        SealedCredential(str(provider), str(field), str(sealed), int(str(set_at_us)), str(by_whom))
        for provider, field, sealed, set_at_us, by_whom in rows
    ]
